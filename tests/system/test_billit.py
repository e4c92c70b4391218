"""Billit as its sandbox is: a catch-up by either door, whatever the platform makes of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.lock import single_instance
from pipeline.app.wiring import Config
from pipeline.errors import ConfigurationError
from pipeline.ledger.models import State
from pipeline.ledger.summary import summarise
from stages.kind import Kind
from stages.sandbox import FaultSpec, Mailbox
from stages.sandbox.corpus import Document
from stages.sources.billit.sandbox import BillitWire
from stages.sources.billit.sandbox_documents import sent
from stages.sources.sign_in import open_sign_in
from tests.helpers.billit import billit, configure, inbox_item
from tests.helpers.browsing import decide
from tests.helpers.trial import PATIENCE, Trial, trial

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def billit_trial(
    folder: Path, *planned: FaultSpec, documents: int = 30, by_person: bool = False, **chosen: str
) -> AsyncIterator[Trial]:
    """A trial of Billit with these options, whose feed may be read at any time."""
    async with trial(
        folder,
        *planned,
        documents=documents,
        kind="billit",
        chosen={"pause": "0"} | chosen,
        by_person=by_person,
    ) as it:
        yield it


async def bring(config: Config) -> CatchUpResult:
    """A catch-up from a Billit of the test's own."""
    with single_instance(config.service.state_dir), anyio.fail_after(PATIENCE):
        return await CatchUp(config).run(_show)


async def _show(*_: object) -> None:
    await anyio.sleep_forever()


def of_inbox(mailbox: Mailbox) -> list[Document]:
    return [one for one in mailbox if one.kind is not Kind.STATEMENT]


def hashes(it: Trial) -> set[str]:
    with closing(sqlite3.connect(it.folder / "state" / "ledger.sqlite")) as ledger:
        rows = ledger.execute("SELECT sha256 FROM documents WHERE state = 'delivered'")
        return {sha for (sha,) in rows}


def states(folder: Path) -> Counter[State]:
    found: Counter[State] = Counter()
    for one in summarise(folder / "state" / "ledger.sqlite").counts:
        found[one.state] += one.documents
    return found


@pytest.mark.parametrize("stated", ["hex", "base64", "none"])
async def test_a_feed_brings_everything_once(tmp_path: Path, stated: str) -> None:
    async with billit_trial(tmp_path, hash=stated, foreign="true") as it:
        assert not (await it.bring(it.config())).failures
        assert it.delivered() == it.held()
        assert set(it.journal()) == {one.id for one in it.mailbox}
        assert not (await it.bring(it.config())).failures
        assert it.delivered() == it.held()


async def test_a_hash_is_checked(tmp_path: Path) -> None:
    async with billit_trial(tmp_path, hash="wrong", documents=3) as it:
        await it.bring(it.config())
        assert states(tmp_path)[State.QUARANTINED] == 3
        assert not it.delivered()
        # Their bytes are in the quarantine.
        assert set(it.journal()) == {one.id for one in it.mailbox}


@pytest.mark.parametrize("context", ["company", "accountant"])
async def test_the_party_of_an_item_goes_where_the_setting_has_it(
    tmp_path: Path, context: str
) -> None:
    async with billit_trial(tmp_path, context=context) as it:
        await it.bring(it.config())
        assert it.delivered() == it.held()


async def test_a_new_feed_brings_what_comes_from_then_on(tmp_path: Path) -> None:
    async with billit_trial(tmp_path, registered="false") as it:
        await it.bring(it.config())
        assert not it.delivered()
        it.mailbox.grow(7)
        await it.bring(it.config())
        assert it.delivered().total() == 7


async def test_the_inbox_brings_the_invoices_out_of_their_envelopes(tmp_path: Path) -> None:
    """Ten at a time, with answers among them; the hash in the ledger is of what was sent."""
    async with billit_trial(tmp_path, documents=150, door="inbox") as it:
        assert not (await it.bring(it.config())).failures
        purchases = [one for one in it.mailbox if one.kind is Kind.PURCHASE]
        assert it.delivered() == Counter(sha256(one.read()).hexdigest() for one in purchases)
        assert set(it.journal()) == {one.id for one in of_inbox(it.mailbox)}
        assert hashes(it) == {sha256(sent(one)).hexdigest() for one in purchases}
        assert states(tmp_path)[State.SKIPPED] == len(of_inbox(it.mailbox)) - len(purchases)
        assert it.summary().answers


async def test_an_envelope_may_be_kept(tmp_path: Path) -> None:
    async with billit_trial(tmp_path, documents=3, door="inbox") as it:
        await it.bring(it.config('envelope = "keep"\n'))
        assert set(it.delivered()) == hashes(it)
        assert set(it.delivered()) == {sha256(sent(one)).hexdigest() for one in it.mailbox}


@pytest.mark.parametrize("narrowed", ["true", "false"])
@pytest.mark.parametrize("per_company", ["true", "false"])
async def test_an_inbox_of_the_account_brings_everything_whichever_way_it_is_narrowed(
    tmp_path: Path, narrowed: str, per_company: str
) -> None:
    chosen = {"door": "inbox", "account": "true", "narrowed": narrowed}
    async with billit_trial(tmp_path, documents=90, **chosen) as it:
        await it.bring(it.config(f"per_company = {per_company}\n"))
        purchases = [one for one in it.mailbox if one.kind is Kind.PURCHASE]
        assert it.delivered() == Counter(sha256(one.read()).hexdigest() for one in purchases)
        assert set(it.journal()) == {one.id for one in of_inbox(it.mailbox)}


async def test_an_attachment_of_ten_megabytes_passes(tmp_path: Path) -> None:
    async with billit_trial(tmp_path, documents=2, door="inbox", attachment="10000000") as it:
        await it.bring(it.config())
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert len(files) == 2
        assert all(path.stat().st_size > 13_000_000 for path in files)
        assert all(b"StandardBusinessDocument" not in path.read_bytes() for path in files)


@pytest.mark.parametrize("again", ["400", "404", "409", "200"])
@pytest.mark.parametrize("door", ["inbox", "feeds"])
async def test_a_confirmation_whose_answer_is_lost_is_given_once(
    tmp_path: Path, door: str, again: str
) -> None:
    lost = FaultSpec("lost-acknowledgement", each=1)
    async with billit_trial(tmp_path, lost, documents=20, door=door, again=again) as it:
        await it.bring(it.config())
        await it.bring(it.config())
        assert it.summary().unacknowledged == 0
        told = it.journal()
        assert len(told) == (len(of_inbox(it.mailbox)) if door == "inbox" else 20)
        if again != "200":
            assert all(len(words) == 1 for words in told.values())


@pytest.mark.parametrize("door", ["inbox", "feeds"])
async def test_a_confirmation_that_was_not_taken_is_given_again(tmp_path: Path, door: str) -> None:
    ignored = FaultSpec("ignored-acknowledgement", each=1)
    async with billit_trial(tmp_path, ignored, documents=12, door=door) as it:
        await it.bring(it.config())
        await it.bring(it.config())
        expected = of_inbox(it.mailbox) if door == "inbox" else list(it.mailbox)
        assert set(it.journal()) == {one.id for one in expected}
        assert max(it.delivered().values()) == 1


async def test_ten_poisoned_documents_do_not_stop_the_eleventh(tmp_path: Path) -> None:
    """They are quarantined, where their bytes are safe, and confirmed."""
    async with billit() as it:
        it.inbox = [inbox_item(number) for number in range(12)]
        it.files = {f"file-{number}": b"<Invoice>" for number in range(12)}
        config = configure(tmp_path, it)
        await bring(config)
        assert states(tmp_path)[State.QUARANTINED] == 12
        assert len(set(it.confirmed)) == 12


@pytest.mark.parametrize("file", [None, {"FileContent": "no base64!"}])
async def test_ten_that_cannot_be_fetched_stop_the_inbox_and_it_is_told(
    tmp_path: Path, file: object
) -> None:
    async with billit() as it:
        it.inbox = [inbox_item(number) for number in range(12)]
        if file is not None:
            it.files = {f"file-{number}": file for number in range(12)}
        config = configure(tmp_path, it)
        result = await bring(config)
        assert not it.confirmed
        assert (
            "its list of 11 shows 10 documents at once, and 10 of them wait"
            in (result.failures["billit"])
        )


async def test_a_right_that_was_revoked_stops_one_company_alone(tmp_path: Path) -> None:
    async with billit_trial(tmp_path, door="inbox", revoked="100001") as it:
        result = await it.bring(it.config())
        assert (
            'inbox 100001: the source answered 403: "Party 100001 has revoked the'
            in (result.failures["billit"])
        )
        companies = {path.parts[-3] for path in (tmp_path / "out").rglob("*.xml")}
        assert len(companies) == 2


async def test_a_person_signs_in_once_and_the_tokens_follow_each_other(tmp_path: Path) -> None:
    import anyio.to_thread  # noqa: PLC0415 - for this alone

    async with billit_trial(tmp_path, documents=6, by_person=True) as it:
        config = it.config()
        sign_in = open_sign_in(config.sources[0], config.service.state_dir)
        address = sign_in.address(8400)
        assert "/Account/Logon?" in address
        assert "scope=" not in address
        sent_to = await anyio.to_thread.run_sync(decide, address)
        await sign_in.finish(sign_in.code_of(sent_to))
        await sign_in.close()
        for _ in range(2):  # each with a refresh token that is good for one use
            assert not (await it.bring(config)).failures
        assert it.delivered() == it.held()


def test_an_option_that_there_is_not_is_named_with_those_that_are() -> None:
    for chosen in ({"x": "1"}, {"hash": "md5"}, {"pause": "-1"}):
        with pytest.raises(ConfigurationError) as refused:
            BillitWire().choose(chosen)
        assert "the options of this platform are door=feeds, hash=hex" in str(refused.value)
