"""The same invoice by two routes is delivered once; a corrected one is another."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pipeline.document import Document, Sidecar
from pipeline.errors import AlreadyDelivered, RetryableError
from pipeline.ledger.models import State
from pipeline.long_paths import StrPath
from pipeline.payload import Payload
from stages.delivery import publish as parcel
from stages.delivery.rename import rename_exclusively
from stages.kind import Kind
from stages.sandbox.state_index import State as MailboxState
from tests.helpers.documents import SUPPLIER, configured
from tests.helpers.invoices import ubl
from tests.helpers.trial import Trial, trial
from tests.helpers.writing import bench

pytestmark = pytest.mark.anyio

INVOICE = ubl()


def total(amount: str) -> str:
    return ubl().replace(">12.10<", f">{amount}<")


async def test_the_second_is_recorded_as_a_duplicate_of_the_first(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        assert isinstance(await one.bring(INVOICE, "1"), Document)
        other = total("12.1")
        again = await one.bring(other, "2", source="two")
        assert isinstance(again, AlreadyDelivered)
        assert "the same as invoice 1 of source box, which was delivered" in str(again)
        assert one.files() == ["F-1.xml"]
        assert not list((tmp_path / "staging").iterdir())


async def test_two_in_one_group_are_one(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        group = [await one.make(INVOICE, id_) for id_ in "123"]
        first, *others = await one.work(*group)
        assert isinstance(first, Document)
        assert [type(other) for other in others] == [AlreadyDelivered] * 2
        assert one.files() == ["F-1.xml"]


async def test_when_the_first_fails_its_duplicate_waits_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(source: StrPath, target: StrPath) -> None:
        raise PermissionError(13, "denied", str(source), None, str(target))

    async with bench(tmp_path) as one:
        group = [await one.make(INVOICE, id_) for id_ in "12"]
        with monkeypatch.context() as patch:
            patch.setattr(parcel, "rename_exclusively", denied)
            assert [type(end) for end in await one.work(*group)] == [RetryableError] * 2
        assert [await one.state(document) for document in group] == [State.WAITING] * 2
        assert not list((tmp_path / "staging").iterdir())
        # The next poll brings both again, perhaps the other way round.
        second, first = await one.work(*reversed(group))
        assert isinstance(second, Document)
        assert isinstance(first, AlreadyDelivered)
        assert one.files() == ["F-1.xml"]


async def test_while_the_first_is_half_visible_its_duplicate_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(source: StrPath, target: StrPath) -> None:
        # Neither the document nor its sidecar on its way back.
        if "xml" in Path(target).suffix or Path(source).parent.name == "out":
            raise PermissionError(13, "denied", str(source), None, str(target))
        rename_exclusively(source, target)

    pdf = Sidecar("pdf", Payload(5, "", b"%PDF-"))
    async with bench(tmp_path) as one:
        somebody = tmp_path / "out" / SUPPLIER / "out" / "F-1.xml"
        somebody.parent.mkdir(parents=True)
        somebody.write_text("somebody's")
        first = structs.replace(await one.make(INVOICE, "1"), sidecars=(pdf,))
        with monkeypatch.context() as patch:
            patch.setattr(parcel, "rename_exclusively", denied)
            assert [type(end) for end in await one.work(first)] == [RetryableError]
        assert await one.state(first) is State.STAGED
        waits = await one.bring(INVOICE, "2")
        assert isinstance(waits, RetryableError)
        assert "has yet to be delivered" in str(waits)
        # The importer takes what it knows; the document still goes by the name of its sidecar.
        somebody.unlink()
        await one.write.recovery.retry(lambda _: False)
        assert one.files() == ["F-1-2.pdf", "F-1-2.xml"]
        assert isinstance(await one.bring(INVOICE, "2"), AlreadyDelivered)


async def test_a_corrected_one_is_delivered_and_marked(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.bring(INVOICE, "1")
        with capture_logs() as logs:
            assert isinstance(await one.bring(total("13.00"), "2"), Document)
        assert [log["before"] for log in logs if "number" in log["event"]] == ["invoice 1"]
        assert one.files() == ["F-1-2.xml", "F-1.xml"]


async def test_a_corrected_one_is_not_marked_before_it_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(source: StrPath, target: StrPath) -> None:
        raise PermissionError(13, "denied", str(source), None, str(target))

    async with bench(tmp_path) as one:
        await one.bring(INVOICE, "1")
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(parcel, "rename_exclusively", denied)
            assert isinstance(await one.bring(total("13.00"), "2"), RetryableError)
        assert not [log for log in logs if "before" in log]


async def test_duplicates_may_be_wanted(tmp_path: Path) -> None:
    async with bench(tmp_path, 'duplicates = "deliver"') as one:
        await one.bring(INVOICE, "1")
        with capture_logs() as logs:
            assert isinstance(await one.bring(INVOICE, "2"), Document)
        assert [log["event"] for log in logs if log.get("before") == "invoice 1"] == [
            "document was delivered before"
        ]
        assert one.files() == ["F-1-2.xml", "F-1.xml"]
        # Those of that time are known when they are no longer wanted.
        one.config = configured(tmp_path)
        assert isinstance(await one.bring(INVOICE, "3"), AlreadyDelivered)


async def test_an_invoice_between_two_of_our_companies_goes_to_both(tmp_path: Path) -> None:
    company = '[[companies]]\nname = "Customer"\nidentifier = "BE0417497106"\nsource = "box"\n'
    async with bench(tmp_path) as one:
        one.config = configured(tmp_path, more=company)
        for id_, whose, kind in (
            ("1", "BE0403170701", Kind.SALES),
            ("2", "BE0417497106", Kind.PURCHASE),
        ):
            found = await one.bring(INVOICE, id_, company=whose, kind=kind)
            assert isinstance(found, Document)
        assert one.files() == ["F-1.xml", "F-1.xml"]


# Through the whole pipeline, from two sandboxes with the same documents.


@asynccontextmanager
async def two_routes(folder: Path) -> AsyncIterator[tuple[Trial, Trial]]:
    async with trial(folder / "a") as one, trial(folder / "b") as two:
        text = two.path.read_text("utf-8")
        secret = two.path.with_name("synqup.toml.secret").as_posix()
        more = (
            text[text.index("[[sources]]") :]
            .replace('name = "billtobox"', 'name = "two"')
            .replace('source = "billtobox"', 'source = "two"')
            .replace("synqup.toml.secret", secret)
        )
        one.path.write_text(one.path.read_text("utf-8") + "\n" + more, "utf-8")
        yield one, two


async def test_two_sources_with_the_same_documents(tmp_path: Path) -> None:
    async with two_routes(tmp_path) as (one, two):
        outcome = await one.bring(one.config())
        sent = Counter(sha256(document.read()).hexdigest() for document in one.mailbox)
        assert outcome.counters.duplicates == sent.total()
        assert outcome.counters.delivered == sent.total()
        assert one.delivered() == sent
        for route in (one, two):
            journal = route.journal()
            assert len(journal) == 30
            assert all(statuses == ["FORWARDED"] for statuses in journal.values())
        counts = {count.state: count.documents for count in one.summary().counts if not count.kind}
        assert counts == {State.DUPLICATE: sent.total()}
        assert (await one.bring(one.config())).counters.done == 0


@pytest.mark.parametrize("formats", ["ubl+pdf", "pdf"])
async def test_what_is_listed_again_after_it_was_acknowledged_is_not_delivered_again(
    tmp_path: Path, formats: str
) -> None:
    async with trial(tmp_path, documents=12) as one:
        text = one.path.read_text("utf-8")
        one.path.write_text(text.replace("[delivery]\n", f'[delivery]\nformats = "{formats}"\n'))
        await one.bring(one.config())
        before = one.delivered()
        for document in one.mailbox:
            one.mailbox.set_state(document, MailboxState.PENDING)
        with capture_logs() as logs:
            counters = (await one.bring(one.config())).counters
        assert (counters.delivered, counters.quarantined, counters.waiting) == (0, 0, 0)
        assert one.delivered() == before
        assert all(told == ["FORWARDED"] * 2 for told in one.journal().values())
        # Known by what was fetched, whatever form of it was delivered.
        reasons = [str(log["reason"]) for log in logs if "left out" in log["event"]]
        assert all("the source lists it again" in reason for reason in reasons)
        assert reasons
