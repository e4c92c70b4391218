"""The ledger against a model of it: whatever order things happen in, its word can be relied on."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipeline.document import Key
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import AllocatedName, Duplicate, NameTaken, Staged, State
from pipeline.ledger.place import LedgerPlace, PostgresPlace
from tests.helpers.postgres import PostgresServer

#: Few of each, so that they meet.
KEYS = [Key("box", str(number), "") for number in range(6)]
ENDS = (State.DELIVERED, State.DUPLICATE, State.QUARANTINED)
FINAL = (State.STAGED, State.DELIVERED)

keys = st.sampled_from(KEYS)


class Row:
    """What the model remembers of a document."""

    def __init__(self) -> None:
        self.state = State.SEEN
        self.name = ""
        self.identity: int | None = None
        self.acknowledged = False


class LedgerMachine(RuleBasedStateMachine):
    """Does to a real ledger what the stages do, and to the model what that ought to mean."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="synqup-ledger-"))
        self.stack = ExitStack()
        self.place = self.new_place()
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.rows: dict[Key, Row] = {}
        self.at = 0.0
        self.open()

    def new_place(self) -> LedgerPlace:
        return self.folder / "ledger"

    def open(self) -> None:
        opened: AbstractContextManager[Ledger] = self.portal.wrap_async_context_manager(
            open_ledger(self.place)
        )
        self.closing = ExitStack()
        self.ledger = self.closing.enter_context(opened)

    def ask(self, method: str, *arguments: Any) -> Any:
        return self.portal.call(getattr(self.ledger, method), *arguments)

    def now(self) -> float:
        self.at += 1
        return self.at

    def teardown(self) -> None:
        self.closing.close()
        self.stack.close()
        shutil.rmtree(self.folder)

    def staged(self) -> list[Key]:
        return [key for key, row in self.rows.items() if row.state is State.STAGED]

    @rule(listed=st.lists(keys, unique=True))
    def listed(self, listed: list[Key]) -> None:
        """A source lists documents: also some that are on their way, or have come to their end."""
        self.ask("seen", [(key, f"document {key.id}") for key in listed], self.now())
        for key in listed:
            if key not in self.rows or self.rows[key].state not in FINAL:
                self.rows[key] = Row()

    @rule(
        wanted=st.lists(
            st.tuples(keys, st.integers(1, 3), st.none() | st.integers(1, 3)),
            unique_by=lambda one: one[0],
        )
    )
    def stage(self, wanted: list[tuple[Key, int, int | None]]) -> None:
        """A group is written: each with a name that it would like, and perhaps an identity."""
        group = [
            one for one in wanted if one[0] in self.rows and self.rows[one[0]].state is State.SEEN
        ]
        ends = self.ask("stage", [staged(*one) for one in group], self.now())
        assert len(ends) == len(group)
        for (key, _, identity), end in zip(group, ends, strict=True):
            originals = [
                other
                for other, row in self.rows.items()
                if other != key and row.state in FINAL and row.identity == identity is not None
            ]
            if isinstance(end, Duplicate):
                assert end.key in originals
                assert end.state is self.rows[end.key].state
                continue
            assert isinstance(end, AllocatedName)
            assert not originals
            row = self.rows[key]
            row.state, row.name, row.identity = State.STAGED, end.path, identity

    @precondition(lambda self: self.staged())
    @rule(data=st.data(), times=st.integers(0, 2))
    def deliver(self, data: st.DataObject, times: int) -> None:
        """A staged document becomes visible, perhaps under another name than it was to get."""
        key = data.draw(st.sampled_from(self.staged()))
        row = self.rows[key]
        for first in range(2, 2 + times):
            wanted = NameTaken(key, row.name, first, temporary(key), row.name)
            (allocated,) = self.ask("reallocate", [wanted], self.now())
            assert allocated.path != row.name
            row.name = allocated.path
        self.ask("delivered", [(key, temporary(key))], self.now())
        row.state = State.DELIVERED

    @precondition(lambda self: self.staged())
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.staged()))
        failed = (key, temporary(key), "the folder is not there")
        self.ask("unstaged", [failed], self.now())
        row = self.rows[key]
        row.state, row.name, row.identity = State.WAITING, "", None

    @rule(key=keys, end=st.sampled_from((State.WAITING, State.QUARANTINED, State.DUPLICATE)))
    def fail(self, key: Key, end: State) -> None:
        """A stage fails a document; one that is staged or delivered keeps its state."""
        method = {State.DUPLICATE: "duplicates"}.get(end, end.value)
        self.ask(method, [(key, "a reason")], self.now())
        row = self.rows.setdefault(key, Row())
        if row.state not in FINAL:
            row.state = end

    @precondition(lambda self: any(row.state in ENDS for row in self.rows.values()))
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        ended = [key for key, row in self.rows.items() if row.state in ENDS]
        key = data.draw(st.sampled_from(ended))
        self.ask("acknowledged", [key], self.now())
        self.rows[key].acknowledged = True

    @rule()
    def restart(self) -> None:
        self.closing.close()
        self.open()

    @rule(superseded=keys)
    def supersede(self, superseded: Key) -> None:
        """Another revision takes the place of a document; of one that is on its way out, none."""
        self.ask("forget", [superseded])
        if superseded in self.rows and self.rows[superseded].state not in FINAL:
            del self.rows[superseded]

    @invariant()
    def it_says_what_happened(self) -> None:
        contents = self.ask("contents", "box", [key.id for key in KEYS])
        known = {Key("box", id_, ""): rows[""] for id_, rows in contents.items()}
        assert {key: one.state for key, one in known.items()} == {
            key: row.state for key, row in self.rows.items()
        }
        told = {key for key, one in known.items() if one.acknowledged_at is not None}
        assert told == {key for key, row in self.rows.items() if row.acknowledged}

    @invariant()
    def what_is_open_is_told_and_what_is_staged_is_resumed(self) -> None:
        assert {key for key, _ in self.ask("unacknowledged", "box")} == {
            key for key, row in self.rows.items() if row.state in ENDS and not row.acknowledged
        }
        assert {one.key: one.path for one in self.ask("unfinished")} == {
            key: self.rows[key].name for key in self.staged()
        }

    @invariant()
    def no_two_documents_have_one_name(self) -> None:
        names = [row.name for row in self.rows.values() if row.state in FINAL]
        assert len(names) == len(set(names))


def staged(key: Key, wish: int, identity: int | None) -> Staged:
    path = f"out/{wish}.xml"
    return Staged(
        *(key, temporary(key), (), path, "BE1", "sales", "ab", 9, "Digest", "", 3.0),
        identity=identity,
    )


def temporary(key: Key) -> str:
    return f"t/{key.id}"


class PostgresMachine(LedgerMachine):
    """The same, with the ledger in PostgreSQL."""

    server: ClassVar[PostgresServer]

    def new_place(self) -> LedgerPlace:
        return PostgresPlace(self.stack.enter_context(self.server.database()))


@pytest.fixture(scope="class")
def served(postgres_server: PostgresServer) -> None:
    PostgresMachine.server = postgres_server


TestLedger = pytest.mark.slow(LedgerMachine.TestCase)
TestLedger.settings = settings(max_examples=40, stateful_step_count=30)

TestLedgerInPostgres = pytest.mark.usefixtures("served")(pytest.mark.slow(PostgresMachine.TestCase))
TestLedgerInPostgres.settings = settings(max_examples=25, stateful_step_count=30)
