"""A platform that serves nothing for one company of a source: the others have what is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.engine import company_breaker
from stages.sandbox import FaultSpec, Mailbox
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio

#: More documents of one company than the source takes requests at once, listed before all others.
DOCUMENTS, COMPANIES = 120, 3
#: Seconds after which a request that is not answered has failed; of those who wait, none is slow.
SILENCE = 2.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company is given up as soon as the first of its requests have not been answered."""
    monkeypatch.setattr(company_breaker, "GIVE_UP_SECONDS", SILENCE / 2)


def ids_of_the_first(mailbox: Mailbox) -> list[str]:
    first = next(iter(mailbox)).company
    return [one.id for one in mailbox if one.company == first]


def about(ids: list[str]) -> str:
    """The requests that are about these documents."""
    return f"/({'|'.join(ids)})(/|$)"


async def bring(it: Trial) -> str:
    """Bring what can be had; what is said of the source."""
    config = it.config(silence=SILENCE, attempts=3, source="connections = 4\n")
    return (await it.bring(config)).failures.get("billtobox", "")


@pytest.mark.parametrize("fault", ["no-answer", "unavailable"])
async def test_its_documents_hold_up_no_other(tmp_path: Path, fault: str) -> None:
    mailbox = Mailbox(DOCUMENTS, COMPANIES, seed=7)
    ids = ids_of_the_first(mailbox)
    planned = FaultSpec(fault, on="document", where=about(ids))
    async with trial(tmp_path, planned, mailbox=mailbox) as it:
        said = await bring(it)
        left = it.held() - it.delivered()
        assert left.total() == len(ids)
        assert len(it.summary().waiting) == len(ids)
        if fault == "no-answer":
            name = next(iter(mailbox)).company.name
            assert f"source billtobox: it serves no document of {name}" in said
        it.faults.specs = ()
        assert not await bring(it)
        assert it.delivered() == it.held()


async def test_its_lists_hold_up_no_other(tmp_path: Path) -> None:
    mailbox = Mailbox(DOCUMENTS, COMPANIES, seed=7)
    first = next(iter(mailbox)).company
    planned = FaultSpec("no-answer", on="list", where=f"platform_id={first.platform_id}(&|$)")
    async with trial(tmp_path, planned, mailbox=mailbox) as it:
        said = await bring(it)
        assert f"list of purchase invoices of {first.name}: the source does not answer" in said
        assert (it.held() - it.delivered()).total() == len(ids_of_the_first(mailbox))
        it.faults.specs = ()
        assert not await bring(it)
        assert it.delivered() == it.held()


async def test_its_acknowledgements_hold_up_no_other(tmp_path: Path) -> None:
    mailbox = Mailbox(DOCUMENTS, COMPANIES, seed=7)
    ids = ids_of_the_first(mailbox)
    planned = FaultSpec("no-answer", on="acknowledgement", where=about(ids))
    async with trial(tmp_path, planned, mailbox=mailbox) as it:
        await bring(it)
        assert it.delivered() == it.held()
        assert it.journal().keys() == {one.id for one in mailbox} - set(ids)
        it.faults.specs = ()
        await bring(it)
        assert it.journal().keys() == {one.id for one in mailbox}
        assert it.delivered() == it.held()
