"""Each step of a delivery, in each part that a node may have in it, and each fault there.

The node stands before the step; what strikes it is not drawn. Another node brings the document to
its end meanwhile, and an importer takes it; then whoever stands wakes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers.postgres import PostgresServer, missing, running_postgres

if sys.platform != "linux":
    pytest.skip("what it imports watches by inotify", allow_module_level=True)
if why := missing():
    pytest.skip(why, allow_module_level=True)

from pipeline.ledger import postgres_connection
from pipeline.ledger.place import PostgresPlace
from tests.helpers.ledgers import psycopg_of

from .gates import GO, MADE, NOT_MADE, REFUSE, Gated
from .naive import NAIVE
from .nodes import Mailroom
from .scene import EMPTY, Scene
from .schedules import prepare

#: More steps than any node makes.
MANY = 150


class Part(NamedTuple):
    """What a node has to do. before: the step at which another one stands by then; "" none.

    dies: whether that one is dead. name: of the node, which others may have had before. refused:
    whether the folder refuses; was_refused: whether it has refused the other one. then: the step
    to which that one goes on before the node does.
    """

    before: str = ""
    dies: bool = True
    name: str = "n2"
    refused: bool = False
    was_refused: bool = False
    then: str = ""


PARTS = {
    "delivers": Part(),
    "resumes": Part("rename"),
    "resumes the half": Part("look after the sidecar"),
    "sweeps": Part("begin stage", dies=False, name="n1"),
    "sweeps beside one that stages": Part("begin stage", dies=False, name="n1", then="rename"),
    "takes back": Part(refused=True),
    "goes on with taking back": Part("begin unstaged", was_refused=True),
}


def killed(scene: Scene, node: Gated, server: PostgresServer) -> None:
    scene.kill(node)


def stopped(scene: Scene, node: Gated, server: PostgresServer) -> None:
    pass


def not_made(scene: Scene, node: Gated, server: PostgresServer) -> None:
    scene.let(node, NOT_MADE)


def made(scene: Scene, node: Gated, server: PostgresServer) -> None:
    scene.let(node, MADE)


def postgres(scene: Scene, node: Gated, server: PostgresServer) -> None:
    server.kill()
    server.start()


def postgres_under_way(scene: Scene, node: Gated, server: PostgresServer) -> None:
    postgres(scene, node, server)
    finish(scene, node)


def both(scene: Scene, node: Gated, server: PostgresServer) -> None:
    server.kill()
    scene.kill(node)
    server.start()


Fault = Callable[[Scene, Gated, PostgresServer], None]
FAULTS: tuple[Fault, ...] = (
    killed, stopped, not_made, made, postgres, postgres_under_way, both
)  # fmt: skip
#: These are of a commit alone.
CUTS = (not_made, made)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be killed."""
    with running_postgres() as one:
        yield one


@pytest.fixture
def stage(server: PostgresServer, tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    """Makes a scene with an empty ledger; of nodes that do something before they begin."""
    with server.database() as dsn:
        prepare(dsn)
        place = PostgresPlace(dsn)
        made = 0

        def make(*prepare: Callable[[], object]) -> Scene:
            nonlocal made
            made += 1
            folder = tmp_path / str(made)
            folder.mkdir()
            with psycopg_of(place) as connection:
                connection.execute(EMPTY)
            return Scene(Mailroom(folder, place, sidecar=True), [hurry, *prepare])

        yield make


def hurry() -> None:
    """Let a transaction of a node that hangs end soon."""
    postgres_connection.IDLE_TIMEOUT = 0.4
    postgres_connection.LOCK_TIMEOUT = 1.0


def step(scene: Scene, node: Gated, part: Part) -> None:
    scene.let(node, REFUSE if part.refused and scene.nodes[node] == "rename" else GO)
    scene.take()


def finish(scene: Scene, node: Gated) -> None:
    while node in scene.nodes:
        step(scene, node, Part())


def begin(scene: Scene, part: Part) -> Gated:
    """Have a node before the first step of its part."""
    if part.before:
        first = scene.start("n1", "n1a")
        wanted, renames = part.before, 1
        if wanted == "look after the sidecar":
            wanted, renames = "rename", 2
        while scene.nodes[first] != wanted or (renames := renames - 1):
            step(scene, first, part._replace(refused=part.was_refused))
        if part.dies:
            scene.kill(first)
    return scene.start(part.name, "struck")


def steps(scene: Scene, part: Part) -> list[str]:
    """The steps of a part that nothing disturbs."""
    node = begin(scene, part)
    found: list[str] = []
    while node in scene.nodes:
        found.append(scene.nodes[node])
        step(scene, node, part)
    scene.close()
    return found


def strike(scene: Scene, part: Part, fault: Fault, at: int, server: PostgresServer) -> None:
    """Strike a node at a step, let another finish, then whoever stands, then one more."""
    try:
        node = begin(scene, part)
        while at and node in scene.nodes:
            step(scene, node, part)
            at -= 1
        if node in scene.nodes:
            fault(scene, node, server)
            scene.take()
        if part.then:
            first = next(one for one in scene.nodes if one != node)
            while scene.nodes.get(first, part.then) != part.then:
                step(scene, first, part)
            finish(scene, node)
        finish(scene, scene.start("n3", "n3"))
        for one in list(scene.nodes):
            finish(scene, one)
        finish(scene, scene.start("n4", "n4"))
        scene.check()
    finally:
        scene.close()
    assert not scene.problems, "\n".join([*scene.problems, *scene.trace])


def points(found: list[str], fault: Fault) -> list[int]:
    return [n for n, name in enumerate(found) if fault not in CUTS or name.startswith("commit")]


@pytest.mark.parametrize("name", PARTS)
def test_each_part_has_its_steps(stage: Callable[..., Scene], name: str) -> None:
    found = steps(stage(), PARTS[name])
    wanted = {
        "delivers": {"write", "commit stage", "rename", "flush names", "commit delivered", "tell"},
        "resumes": {"commit claim", "rename", "flush folder", "commit finish"},
        "resumes the half": {"commit claim", "look whether it is there", "commit finish"},
        "sweeps": {"commit retire", "sweep", "tell"},
        "sweeps beside one that stages": {"commit retire", "sweep", "tell"},
        "takes back": {"rename aside", "commit unstaged", "remove"},
        "goes on with taking back": {"commit claim", "commit unstaged", "remove", "tell"},
    }
    assert wanted[name] <= {*found}
    assert len(found) < MANY


@pytest.mark.parametrize("fault", FAULTS)
def test_some_steps(stage: Callable[..., Scene], server: PostgresServer, fault: Fault) -> None:
    """By turns in each part, so that all of them are there."""
    part = list(PARTS.values())[FAULTS.index(fault) % len(PARTS)]
    found = points(steps(stage(), part), fault)
    for at in found[1 :: len(found) // 2 or 1]:
        strike(stage(), part, fault, at, server)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", PARTS)
def test_each_step(
    stage: Callable[..., Scene], server: PostgresServer, name: str, fault: Fault
) -> None:
    part = PARTS[name]
    for at in points(steps(stage(), part), fault):
        strike(stage(), part, fault, at, server)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("naive", "name", "fault"),
    [
        ("again", "delivers", stopped),
        ("names", "delivers", killed),
        ("fence", "sweeps beside one that stages", stopped),
        ("missing", "goes on with taking back", killed),
        ("early", "delivers", stopped),
    ],
)
def test_a_naive_design_is_found_out(
    stage: Callable[..., Scene], server: PostgresServer, naive: str, name: str, fault: Fault
) -> None:
    """A check that can't fail is none."""
    wrong = 0
    for at in points(steps(stage(), PARTS[name]), fault):
        try:
            strike(stage(NAIVE[naive]), PARTS[name], fault, at, server)
        except AssertionError:
            wrong += 1
    assert wrong
