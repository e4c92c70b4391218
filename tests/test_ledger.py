"""The ledger remembers what became of each document, through any stop, for one process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from pipeline.document import Key
from pipeline.errors import StateError, StateInUse
from pipeline.ledger import Delivery, Ledger, Staged, State, open_ledger, summarise
from pipeline.lock import only_process

pytestmark = pytest.mark.anyio

KEY = Key("box", "1", "")


def staged(key: Key = KEY, name_hash: int = 7) -> Staged:
    return Staged(key, "t/1", "out/a.xml", name_hash, "BE1", "sales", "ab", 9, "Digest", "odd", 3.0)


async def bring(ledger: Ledger, key: Key = KEY) -> None:
    await ledger.seen([(key, "invoice 1")], 1.0)
    await ledger.staged([staged(key)], 4.0)
    await ledger.delivered([Delivery(key, "out/a-2.xml", 8)], 5.0)


async def test_a_document_is_followed_from_list_to_acknowledgement(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with open_ledger(path) as ledger:
        assert await ledger.known([KEY]) == {}
        await bring(ledger)
        await ledger.acknowledged([KEY], 6.0)
        known = (await ledger.known([KEY]))[KEY]
        assert (known.state, known.acknowledged_at) == (State.DELIVERED, 6.0)
    row = sqlite3.connect(path).execute("SELECT * FROM documents").fetchone()
    assert row == (
        *("box", "1", "", "invoice 1", "delivered", "BE1", "sales", "out/a-2.xml", 8, ""),
        *("ab", 9, "Digest", "", "odd", 1.0, 5.0, 3.0, 5.0, 6.0),
    )


async def test_it_remembers_after_it_was_closed(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_ledger(tmp_path / "ledger") as ledger:
            if not await ledger.known([KEY]):
                await bring(ledger)
    assert summarise(tmp_path / "ledger").counts[0].documents == 1


async def test_another_revision_is_another_document(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        await bring(ledger)
        assert await ledger.known([Key("box", "1", "second")]) == {}


async def test_a_staged_or_delivered_document_is_never_said_to_have_failed(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        await ledger.staged([staged()], 2.0)
        await ledger.waiting([(KEY, "later")], 3.0)
        await ledger.quarantined([(KEY, "never")], 3.0)
        assert await ledger.unfinished() == [(KEY, "t/1", "out/a.xml")]
        await ledger.unstaged([(KEY, "the folder was gone")], 4.0)
        assert (await ledger.known([KEY]))[KEY].state is State.WAITING
        assert await ledger.taken([7]) == set()


async def test_a_name_that_was_given_stays_taken(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        await bring(ledger)
        assert await ledger.taken([7, 8, 9]) == {8}


async def test_what_the_source_was_not_told_is_found_again(tmp_path: Path) -> None:
    other = Key("box", "2", "")
    async with open_ledger(tmp_path / "ledger") as ledger:
        await bring(ledger)
        await ledger.seen([(other, "")], 1.0)
        await ledger.quarantined([(other, "why")], 2.0)
        told = dict(await ledger.unacknowledged("box"))
        assert {key.id: known.reason for key, known in told.items()} == {"1": "", "2": "why"}
        await ledger.acknowledged([KEY, other], 9.0)
        assert await ledger.unacknowledged("box") == []


async def test_a_document_that_is_tried_again_starts_afresh(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        await ledger.quarantined([(KEY, "why")], 2.0)
        await ledger.acknowledged([KEY], 3.0)
        await ledger.seen([(KEY, "")], 4.0)
        known = (await ledger.known([KEY]))[KEY]
        assert (known.state, known.acknowledged_at, known.reason) == (State.SEEN, None, "")


async def test_many_changes_at_once_are_all_made(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        async with anyio.create_task_group() as group:
            for number in range(500):
                group.start_soon(ledger.seen, [(Key("box", str(number), ""), "")], 1.0)
        assert summarise(tmp_path / "ledger").counts[0].documents == 500


async def test_a_change_that_was_asked_for_is_made_though_its_asker_is_cancelled(
    tmp_path: Path,
) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        async with anyio.create_task_group() as group:
            group.start_soon(ledger.seen, [(KEY, "")], 1.0)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert (await ledger.known([KEY]))[KEY].state is State.SEEN


async def test_polls_and_their_errors_are_told(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        await ledger.polled("box", 1.0)
        await ledger.polled("box", 2.0, "no answer")
        (source,) = summarise(tmp_path / "ledger").sources
        assert (source.polled_at, source.error, source.error_at) == (1.0, "no answer", 2.0)
        await ledger.polled("box", 3.0)
        (source,) = summarise(tmp_path / "ledger").sources
        assert (source.polled_at, source.error) == (3.0, "")


async def test_what_is_no_ledger_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(StateError, match="can't be read"):
        async with open_ledger(path):
            pass


async def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match="newer synqup"):
        async with open_ledger(path):
            pass


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    second = (
        "import sys; from pathlib import Path; from pipeline.lock import only_process\n"
        "with only_process(Path(sys.argv[1])): pass"
    )
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", second, str(state)]
    with only_process(state):
        refused = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert StateInUse.__name__ in refused.stderr
    assert "already works with this folder" in refused.stderr
    assert subprocess.run(command, cwd=root, check=False).returncode == 0
