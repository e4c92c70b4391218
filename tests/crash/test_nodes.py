"""Several nodes at one document: stopped or killed at each step, and woken when another has ended.

The ledger is real, so are the folder, the processes, and the importer that takes files at once.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.ledger.place import LedgerPlace, PostgresPlace
from tests.helpers.ledgers import psycopg_of

from .naive import aside_is_nothing, fetch_again, share_names
from .nodes import (
    Mailroom,
    losing_answers,
    refusing,
    refusing_all,
    stopping,
    stopping_at,
    tracing,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="it forks, and stops by a signal")
slow = pytest.mark.slow

#: More passages of steps than any node makes.
MANY = 60
WHOLE = Counter({".xml": 1, ".pdf": 1})


class Rooms:
    """Makes a mailroom for each play, each with a database of its own."""

    def __init__(self, folder: Path, place: Callable[[Path], LedgerPlace]) -> None:
        self._folder = folder
        self._place = place
        self._count = 0

    def __call__(self, *, sidecar: bool = True) -> Mailroom:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return Mailroom(folder, self._place(folder), sidecar=sidecar)


@pytest.fixture(params=["sqlite", "postgres"])
def rooms(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rooms]:
    if request.param == "sqlite":
        yield Rooms(tmp_path, lambda folder: folder / "ledger")
        return
    place = PostgresPlace(request.getfixturevalue("postgres"))
    yield Rooms(tmp_path, lambda _: _emptied(place))


def _emptied(place: PostgresPlace) -> PostgresPlace:
    with psycopg_of(place) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return place


def play(
    room: Mailroom,
    at: int,
    how: signal.Signals,
    *prepare: Callable[[], object],
    others: Sequence[Callable[[], object]] = (),
) -> bool:
    """Stop a node at a step, let another deliver, wake the first; whether it had so many steps.

    prepare: what the first one does before; others: what the others do.
    """
    room.start_importer()
    try:
        first = room.node("n1", *prepare, stopping(at, how))
        end = first.wait()
        room.node("n2", *others).wait()
        if end == "stopped":
            first.go_on()
        room.node("n3", *others).wait()
    finally:
        room.stop_importer()
    return end != "ended"


def check(room: Mailroom, at: int, whole: Counter[str] = WHOLE) -> None:
    assert room.arrived() == whole, at
    assert room.told(), at


def steps_of(room: Mailroom) -> list[str]:
    """The passages of a node that nobody disturbs."""
    trace = room.folder / "trace"
    room.start_importer()
    try:
        room.node("n1", tracing(trace)).wait()
    finally:
        room.stop_importer()
    return trace.read_text().splitlines()


def test_a_node_passes_every_step(rooms: Rooms) -> None:
    room = rooms()
    names = {one.partition(" ")[2] for one in steps_of(room)}
    assert names > {"write", "flush", "stage", "rename_in_one_step", "flush_names", "delivered"}
    check(room, -1)
    assert room.left() == []


def test_stopped_at_some_steps(rooms: Rooms) -> None:
    for at in range(0, MANY, 4):
        room = rooms()
        reached = play(room, at, signal.SIGSTOP)
        check(room, at)
        if not reached:
            return


@slow
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
@pytest.mark.parametrize("sidecar", [True, False])
def test_stopped_at_each_step(rooms: Rooms, how: signal.Signals, sidecar: bool) -> None:
    whole = WHOLE if sidecar else Counter({".xml": 1})
    for at in range(MANY):
        room = rooms(sidecar=sidecar)
        reached = play(room, at, how)
        check(room, at, whole)
        if not reached:
            assert at > 10
            return
    raise AssertionError("a node makes more steps than that")


@slow
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
@pytest.mark.parametrize("refuse", [refusing, refusing_all])
def test_a_folder_that_refuses(
    rooms: Rooms, how: signal.Signals, refuse: Callable[[], None]
) -> None:
    """What is taken back is fetched again; where the sidecar is visible, the document follows."""
    for at in range(MANY):
        room = rooms()
        reached = play(room, at, how, refuse)
        check(room, at)
        if not reached:
            assert at > 10
            return


@slow
@pytest.mark.parametrize("applied", [True, False])
def test_answers_that_are_lost(rooms: Rooms, applied: bool) -> None:
    room = rooms()
    if not isinstance(room.place, PostgresPlace):
        pytest.skip("no connection is lost to a file")
    for at in range(2, MANY, 6):
        room = rooms()
        reached = play(room, at, signal.SIGSTOP, lambda: losing_answers(applied=applied))
        check(room, at)
        if not reached:
            return


@slow
@pytest.mark.parametrize("seed", range(20))
def test_three_nodes_in_any_order(rooms: Rooms, seed: int) -> None:
    chance = random.Random(seed)
    room = rooms()
    room.start_importer()
    try:
        asleep = []
        for name in ("n1", "n2", "n3"):
            how = chance.choice([signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL])
            refuse = chance.choice([(), (), (refusing,), (refusing_all,)])
            node = room.node(name, *refuse, stopping(chance.randrange(30), how))
            if node.wait() == "stopped":
                asleep.append(node)
        chance.shuffle(asleep)
        for node in asleep:
            node.go_on()
        room.node("n4").wait()
    finally:
        room.stop_importer()
    check(room, seed)


@pytest.mark.parametrize("naive", [None, aside_is_nothing])
@pytest.mark.parametrize("sidecar", [True, False])
def test_taken_back_while_another_resumes_it(
    rooms: Rooms, naive: Callable[[], None] | None, sidecar: bool
) -> None:
    """Twice, if what is taken back is not put aside first."""
    more = (naive,) if naive else ()
    room = rooms(sidecar=sidecar)
    room.start_importer()
    try:
        stops = stopping_at("before unstaged", "after unstaged")
        first = room.node("n1", refusing_all, *more, stops)
        assert first.wait() == "stopped"
        second = room.node("n2", *more, stopping_at("before rename_in_one_step"))
        assert second.wait() == "stopped"
        assert first.go_on() == "stopped"
        second.go_on()
        room.node("n3", *more).wait()
        first.go_on()
    finally:
        room.stop_importer()
    if naive:
        assert room.arrived()[".xml"] == 2
    else:
        check(room, 0, WHOLE if sidecar else Counter({".xml": 1}))


@slow
@pytest.mark.parametrize(
    ("naive", "how"), [(fetch_again, signal.SIGSTOP), (share_names, signal.SIGKILL)]
)
def test_naive_variants_are_found_out(
    rooms: Rooms, naive: Callable[[], None], how: signal.Signals
) -> None:
    """A check that can't fail is none."""
    wrong = []
    for at in range(MANY):
        room = rooms(sidecar=False)
        reached = play(room, at, how, naive, others=(naive,))
        if room.arrived() != Counter({".xml": 1}):
            wrong.append(at)
        if not reached:
            break
    assert wrong
