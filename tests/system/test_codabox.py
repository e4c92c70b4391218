"""Documents are brought from CodaBox: with offsets that pass no gap, and without haste."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.sandbox import FaultSpec, Mailbox
from stages.sandbox.state_index import State
from stages.sandbox.statements import Statement
from stages.sources.codabox.memory import FeedMemory, FeedState
from stages.sources.codabox.sandbox import CodaBoxWire
from tests.helpers.codabox import HOURS, codabox, feed_of, hashes

pytestmark = pytest.mark.anyio

#: Offsets are refused for a while, or taken while the answer is lost.
REFUSED = FaultSpec("error", on="acknowledgement", times=20)
LOST = FaultSpec("lost-acknowledgement", times=20)


async def test_all_arrives_once_and_each_feed_is_asked_for_once(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it:
        result = await it.bring()
        assert result.counters.delivered == 30
        assert not result.failures
        assert it.delivered() == hashes(list(it.mailbox))
        assert {feed: len(put) for feed, put in it.wire.offsets.items()} == {
            feed_of(number): 1 for number in range(3)
        }
        assert [it.wire.offsets[feed_of(n)][-1] for n in range(3)] == [
            it.of(n)[-1].id for n in range(3)
        ]
        assert (await it.bring()).counters.listed == 0
        assert (it.wire.lists, it.wire.early) == (3, 0)
        it.mailbox.grow(6)
        assert (await it.bring()).counters.delivered == 0
        it.pass_time()
        assert (await it.bring()).counters.delivered == 6
        assert (it.wire.lists, it.wire.early) == (6, 0)
        assert it.delivered() == hashes(list(it.mailbox))


async def test_a_short_delay_is_waited_for(tmp_path: Path) -> None:
    async with codabox(tmp_path, wire=CodaBoxWire(1.0)) as it:
        await it.bring()
        it.mailbox.grow(6)
        assert (await it.bring()).counters.delivered == 6
        assert it.wire.early == 0


async def test_a_hole_is_never_passed_and_stops_one_client_alone(tmp_path: Path) -> None:
    """The purchases of the first one can't be delivered, and the rest of its feed is."""
    async with codabox(tmp_path) as it:
        blocked = it.folder_of(0) / "achats"
        blocked.parent.mkdir(parents=True)
        blocked.write_text("a file in the place of the folder")
        result = await it.bring()
        own = it.of(0)
        waiting = [document for document in own if document.kind == "purchase"]
        first = own.index(waiting[0])
        put = it.wire.offsets[feed_of(0)]
        assert put == ([own[first - 1].id] if first else [])
        assert all(it.mailbox.state(one) is State.PENDING for one in own[first:])
        assert "keeps all after it" in result.failures["codabox"]
        for number in (1, 2):
            assert it.wire.offsets[feed_of(number)] == [it.of(number)[-1].id]
        blocked.unlink()
        # Hours before the platform may be asked again.
        result = await it.bring()
        assert not result.failures
        assert result.counters.delivered == len(waiting)
        assert it.wire.offsets[feed_of(0)][-1] == own[-1].id
        assert it.delivered() == hashes(list(it.mailbox))
        assert (it.wire.lists, it.wire.early) == (3, 0)


@pytest.mark.parametrize("late", [False, True], ids=["at once", "after the delay"])
@pytest.mark.parametrize("fault", [REFUSED, LOST], ids=["refused", "lost"])
async def test_what_was_delivered_and_not_told_is_told_alone(
    tmp_path: Path, fault: FaultSpec, late: bool
) -> None:
    """As after a kill between the delivery and the offset."""
    async with codabox(tmp_path, fault) as it:
        assert (await it.bring()).counters.delivered == 30
        assert it.summary().unacknowledged == 30
        assert bool(it.wire.offsets) is (fault is LOST)
        for _ in range(10):
            if late:
                it.pass_time()
            assert (await it.bring()).counters.delivered == 0
            if not it.summary().unacknowledged:
                break
        assert {feed: put[-1] for feed, put in it.wire.offsets.items()} == {
            feed_of(n): it.of(n)[-1].id for n in range(3)
        }
        assert it.delivered() == hashes(list(it.mailbox))
        assert it.summary().unacknowledged == 0


async def test_two_statements_of_one_second_and_a_damaged_one_between(tmp_path: Path) -> None:
    """What is quarantined with its bytes is passed; what is around it arrives, in any order."""
    wire = CodaBoxWire(HOURS)
    async with codabox(tmp_path, wire=wire, companies=1) as it:
        own = it.of(0)
        statements = [one for one in own if isinstance(one.content, Statement)]
        damaged = statements[len(statements) // 2]
        wire.damaged.add(damaged.id)
        result = await it.bring()
        assert (result.counters.delivered, result.counters.quarantined) == (29, 1)
        assert wire.offsets[feed_of(0)] == [own[-1].id]
        assert it.delivered() == hashes([one for one in own if one is not damaged])
        assert list((tmp_path / "state" / "quarantine").rglob("*.json"))
        it.pass_time()
        assert (await it.bring()).counters.listed == 0


async def test_a_client_that_is_not_configured_is_left_alone(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it:
        code = it.mailbox.companies[1].accounting_file_id
        it.edit(f'"{code}"', '"OTHER"')
        result = await it.bring()
        assert result.counters.delivered == 20
        assert feed_of(1) not in it.wire.offsets
        assert all(it.mailbox.state(one) is State.PENDING for one in it.of(1))
        assert it.wire.lists == 2


async def test_a_client_is_known_by_its_platform_id_too(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it:
        code = it.mailbox.companies[1].accounting_file_id
        it.edit(
            f'accounting_file_id = "{code}"',
            f'accounting_file_id = "OURS"\nplatform_id = " {code.lower()} "',
        )
        assert (await it.bring()).counters.delivered == 30


async def test_a_model_that_nobody_knows_is_told_by_its_content(tmp_path: Path) -> None:
    """In a format that nobody knows, among documents that are known."""
    wire = CodaBoxWire(HOURS)
    async with codabox(tmp_path, wire=wire, companies=1) as it:
        wire.models[it.of(0)[3].id] = "annual_account"
        result = await it.bring()
        assert (result.counters.delivered, result.failures) == (30, {})
        assert wire.offsets[feed_of(0)] == [it.of(0)[-1].id]


async def test_what_is_no_document_of_ours_is_quarantined_and_passed(tmp_path: Path) -> None:
    """Its model and its format are unknown, and so is its content."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "letter.txt").write_text("Dear all, there is nothing in this letter.")
    mailbox = Mailbox.of_files(tmp_path / "files", "BE0403170701")
    async with codabox(tmp_path, mailbox=mailbox) as it:
        result = await it.bring()
        assert (result.counters.quarantined, result.failures) == (1, {})
        (document,) = mailbox
        assert it.wire.offsets[feed_of(0)] == [document.id]
        (one,) = it.summary().quarantine
        assert "digital_letter" in one.label
        assert "it is a plain text. Forward it by hand" in one.reason
        it.pass_time()
        assert (await it.bring()).counters.listed == 0


async def test_an_invoice_is_fetched_in_the_form_that_is_wanted(tmp_path: Path) -> None:
    async with codabox(tmp_path, documents=10, companies=1) as it:
        it.edit("[delivery]\n", '[delivery]\nformats = "ubl+pdf"\n')
        assert (await it.bring()).counters.delivered == 10
        invoices = [one for one in it.of(0) if one.kind != "statement"]
        files = list((it.folder / "out").rglob("*.pdf"))
        assert len(files) == len(invoices)
        assert not list(it.folder_of(0).glob("coda/*.pdf"))


async def test_an_offset_that_is_refused_is_taken_once_the_list_shows_it(tmp_path: Path) -> None:
    """The answer to the offset was lost, and somebody has put a later one since."""
    async with codabox(tmp_path, FaultSpec("error", on="acknowledgement", times=2)) as it:
        # One connection at a time: the first of the feeds meets the error in both attempts.
        it.edit('kind = "codabox"\n', 'kind = "codabox"\nconnections = 1\n')
        await it.bring()
        for document in it.mailbox:
            it.mailbox.set_state(document, State.ACKED)
        left = it.summary().unacknowledged
        assert left == 10
        for _ in range(3):
            await it.bring()
        assert it.summary().unacknowledged == left
        assert sum(map(bool, it.wire.offsets.values())) == 2
        it.pass_time()
        result = await it.bring()
        assert not result.failures
        assert it.summary().unacknowledged == 0
        assert it.delivered() == hashes(list(it.mailbox))


async def test_what_leaves_the_feed_before_it_is_fetched_is_fetched_all_the_same(
    tmp_path: Path,
) -> None:
    """Another program has moved the offset over a document that had to wait here."""
    async with codabox(tmp_path, companies=1) as it:
        blocked = it.folder_of(0) / "achats"
        blocked.parent.mkdir(parents=True)
        blocked.write_text("a file in the place of the folder")
        await it.bring()
        for document in it.of(0):
            it.mailbox.set_state(document, State.ACKED)
        blocked.unlink()
        it.pass_time()
        assert not (await it.bring()).failures
        assert it.delivered() == hashes(list(it.mailbox))


async def test_what_is_delivered_a_second_time_has_a_feed_and_an_offset_of_its_own(
    tmp_path: Path,
) -> None:
    async with codabox(tmp_path, companies=1) as it:
        await it.bring()
        again = it.of(0)[2:4]
        for document in again:
            it.wire.redeliver(document, feed_of(0))
        it.edit('kind = "codabox"\n', 'kind = "codabox"\nfeed = "redownload"\n')
        it.edit("[delivery]\n", '[delivery]\nduplicates = "deliver"\n')
        result = await it.bring()
        assert result.counters.delivered == 2
        assert it.wire.offsets[f"redownload-feed/{feed_of(0)}"] == [again[-1].id]
        assert len(it.wire.offsets[feed_of(0)]) == 1


async def test_another_program_that_asks_makes_us_wait_and_not_hammer(tmp_path: Path) -> None:
    async with codabox(tmp_path, companies=2) as it:
        # The other program.
        it.wire.note_list("feed", feed_of(0))
        first = await it.bring()
        assert "was asked too early (429)" in first.failures["codabox"]
        for _ in range(3):
            said = (await it.bring()).failures["codabox"]
            assert "It may be asked for again in 7,200 s" in said
        assert (it.wire.early, it.wire.lists) == (1, 2)
        it.pass_time()
        result = await it.bring()
        assert not result.failures
        assert it.delivered() == hashes(list(it.mailbox))


async def test_a_list_whose_answer_a_crash_has_lost_is_said_until_it_may_be_asked_for(
    tmp_path: Path,
) -> None:
    """A catch-up that has not read a feed does not end as if all were well."""
    async with codabox(tmp_path, companies=1) as it:
        memory = FeedMemory(tmp_path / "state" / "feeds" / "codabox" / "download")
        memory.keep_feed(feed_of(0), FeedState().asked(HOURS))
        result = await it.bring()
        assert "the answer was lost. It may be asked for again in 7,2" in result.failures["codabox"]
        assert it.wire.lists == 0
        it.pass_time()
        assert not (await it.bring()).failures
        assert it.delivered() == hashes(list(it.mailbox))


async def test_revoked_credentials_are_said(tmp_path: Path) -> None:
    async with codabox(tmp_path) as it:
        it.wire.revoke()
        result = await it.bring()
        assert "refuses its user and password" in result.failures["codabox"]
        assert "Check username, password and software_company" in result.failures["codabox"]
        assert result.counters.listed == 0


@pytest.mark.parametrize(
    "fault",
    [
        FaultSpec("error", each=1),
        FaultSpec("too-many", each=1, on="document"),
        FaultSpec("too-many-seconds", each=1, on="acknowledgement", seconds=0.1),
        FaultSpec("unavailable", share=0.5),
        FaultSpec("reset", each=1, on="any"),
        FaultSpec("truncated", each=1),
        FaultSpec("web-page", each=1),
        FaultSpec("invalid-json", each=1),
        FaultSpec("ignored-acknowledgement", each=1),
        FaultSpec("unauthorized", times=1),
        FaultSpec("redirect", each=1),
    ],
    ids=lambda fault: fault.name,
)
async def test_whatever_fails_for_a_while_all_arrives_once_and_nothing_is_asked_too_early(
    tmp_path: Path, fault: FaultSpec
) -> None:
    """At the end the platform serves again, and one poll after its delay finds nothing left."""
    async with codabox(tmp_path, fault) as it:
        for _ in range(3):
            await it.bring()
        assert it.delivered() <= hashes(list(it.mailbox))
        it.serve_well()
        it.pass_time()
        result = await it.bring()
        assert not result.failures
        assert it.delivered() == hashes(list(it.mailbox))
        assert it.summary().unacknowledged == 0
        assert all(it.mailbox.state(one) is State.ACKED for one in it.mailbox)
        # Of a list whose answer broke off nobody knows whether it counts: it is tried once more.
        assert it.wire.early <= 3 * (fault.name == "reset")
