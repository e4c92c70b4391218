"""A catch-up from each platform with an inbox: each document once, all that is safe confirmed."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path

import anyio.to_thread
import pytest
from aiohttp import web

from stages.kind import Kind
from stages.sandbox import FaultSpec, Mailbox
from stages.sources.http.inbox import sandbox as peppol
from tests.helpers.bringing import bring, delivered
from tests.helpers.inboxes import AS_SENT, KINDS, entries, inbox, opened, read
from tests.helpers.processes import synqup

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]


def states(folder: Path) -> dict[str, tuple[str, str]]:
    """State and reason of each document, by the platform's own id."""
    with closing(sqlite3.connect(folder / "state" / "ledger.sqlite")) as ledger:
        rows = ledger.execute("SELECT id, state, reason FROM documents")
        return {id_.rpartition("/")[2]: (state, reason) for id_, state, reason in rows}


async def test_each_document_comes_once_and_answers_are_noted(tmp_path: Path, kind: str) -> None:
    """Hundreds are in the inbox at once; more arrive while they are fetched, and after that."""
    mailbox = Mailbox(300, 3, seed=5)
    async with inbox(tmp_path, kind, mailbox) as it:
        config = it.config()
        assert (await bring(config)).failures == {}
        assert delivered(tmp_path) == it.held()
        assert peppol.waiting(mailbox) == []
        answers = {one.id for one in mailbox if peppol.is_answer(one)}
        assert {
            id_ for id_, (state, _) in states(tmp_path).items() if state == "skipped"
        } == answers
        mailbox.grow(60)
        assert (await bring(config)).failures == {}
        assert delivered(tmp_path) == it.held()
        it.asked.clear()
        assert (await bring(config)).failures == {}
        assert not [one for one in it.asked if not it.is_list(one)]


@pytest.mark.parametrize(
    "faults",
    [
        [FaultSpec("too-many-seconds", times=3, seconds=0)],
        [FaultSpec("error", rate=0.2), FaultSpec("unavailable", on="list", times=1)],
        [FaultSpec("truncated", rate=0.2)],
        [FaultSpec("part", rate=0.2), FaultSpec("explosion", share=0.1, each=1, size=5_000_000)],
        [FaultSpec("reset", on="acknowledgement", rate=0.3)],
        [FaultSpec("lost-acknowledgement", share=0.5, each=1)],
        [FaultSpec("ignored-acknowledgement", share=0.3, each=1)],
        [FaultSpec("invalid-json", times=1), FaultSpec("odd-item", share=0.5)],
        [FaultSpec("web-page", on="document", share=0.3, each=1)],
    ],
    ids=["429", "5xx", "cut off", "part", "reset", "lost", "ignored", "list", "web page"],
)
async def test_what_goes_wrong_for_a_while_costs_no_document(
    tmp_path: Path, kind: str, faults: list[FaultSpec]
) -> None:
    async with inbox(tmp_path, kind, faults=faults) as it:
        config = it.config(("attempts = 2", "attempts = 6"))
        for _ in range(8):
            await bring(config)
            if not peppol.waiting(it.mailbox):
                break
        assert delivered(tmp_path) == it.held()
        assert peppol.waiting(it.mailbox) == []


async def test_a_poison_document_is_kept_and_confirmed_and_keeps_nothing(
    tmp_path: Path, kind: str
) -> None:
    """Its bytes are safe in the quarantine; one without any stays where it is."""
    mailbox = Mailbox(30, 2, seed=5)
    first, second = [one for one in mailbox if one.kind is Kind.PURCHASE][:2]
    async with inbox(tmp_path, kind, mailbox) as it:
        config = it.config()
        it.replace(first.id, b"<Invoice>")
        it.at(second.id, lambda _: web.Response(status=404))
        await bring(config)
        found = states(tmp_path)
        assert found[first.id][0] == found[second.id][0] == "quarantined"
        assert [one.id for one in peppol.waiting(mailbox)] == [second.id]
        assert sum(delivered(tmp_path).values()) == sum(it.held().values()) - 2
        # It is neither fetched again by each poll, nor told.
        it.asked.clear()
        await bring(config)
        assert not [one for one in it.asked if second.id in one]


async def test_what_was_confirmed_can_be_fetched_again_by_its_id(tmp_path: Path, kind: str) -> None:
    async with inbox(tmp_path, kind) as it:
        config = it.config()
        async with opened(config) as source:
            listed = await entries(source, config)
        await bring(config)
        assert peppol.waiting(it.mailbox) == []
        async with opened(config) as source:
            for entry in listed[:5]:
                document = it.mailbox.find(entry.meta.id)
                assert document is not None
                assert await read(source, entry) == peppol.content(document)


async def test_a_page_for_people_in_place_of_a_document_is_waited_out(
    tmp_path: Path, kind: str
) -> None:
    async with inbox(tmp_path, kind) as it:
        config = it.config()
        first = next(one for one in peppol.waiting(it.mailbox) if not peppol.is_answer(one))
        page = "<html>maintenance</html>"
        it.at(first.id, lambda _: web.Response(text=page, content_type="text/html"))
        await bring(config)
        assert states(tmp_path)[first.id][0] not in ("quarantined", "delivered")
        assert [one.id for one in peppol.waiting(it.mailbox)] == [first.id]
        it.at(first.id, lambda _: AS_SENT[kind](peppol.content(first)))
        await bring(config)
        assert delivered(tmp_path) == it.held()


async def test_pdfs_of_the_platform_go_beside_the_invoices(tmp_path: Path, kind: str) -> None:
    async with inbox(tmp_path, kind) as it:
        config = it.config(("[delivery]\n", '[delivery]\nformats = "ubl+pdf"\n'))
        await bring(config)
        held = [one for one in it.mailbox if it.wire.holds(one)]
        wanted = it.held() + Counter(sha256(peppol.pdf(one)).hexdigest() for one in held)
        assert delivered(tmp_path) == wanted


async def test_a_firm_has_hundreds_of_companies(tmp_path: Path, kind: str) -> None:
    """Each is asked for, and what one can't give keeps none of the others."""
    mailbox = Mailbox(200, 40, seed=5)
    async with inbox(tmp_path, kind, mailbox, source="connections = 8\n") as it:
        config = it.config()
        assert (await bring(config)).failures == {}
        assert delivered(tmp_path) == it.held()


async def test_a_document_is_delivered_again_from_the_platform(tmp_path: Path, kind: str) -> None:
    """Without a copy of our own, and without any change at the platform."""
    async with inbox(tmp_path, kind) as it:
        config = it.config()
        await bring(config)
        one = next(one for one in it.mailbox if it.wire.holds(one))
        it.asked.clear()
        redeliver = partial(synqup, "redeliver", one.id, "--config", tmp_path / "synqup.toml")
        await anyio.to_thread.run_sync(redeliver)
        digest = sha256(peppol.content(one)).hexdigest()
        assert delivered(tmp_path) == it.held() + Counter([digest])
        assert [asked.partition(" ")[0] for asked in it.asked] == ["GET"]
