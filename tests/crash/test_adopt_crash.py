"""A machine with staged documents is made the first node of a cluster, and killed on the way.

The nodes then finish what was staged, and bring nothing twice, although the platform lists all that
it ever held.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.postgres import PostgresServer, missing

if sys.platform != "linux":
    pytest.skip("the hook reads /proc", allow_module_level=True)
if why := missing():
    pytest.skip(why, allow_module_level=True)

from pipeline.ledger.place import PostgresPlace, reading

from .kill import load
from .plan import Plan
from .processes import KILLED, running
from .world import Host, World, hosting

pytestmark = pytest.mark.slow

DOCUMENTS = 8
#: How many of the calls of an adoption are tried.
TRIED = 5


@pytest.fixture(scope="module")
def lasting() -> Iterator[Host]:
    """Worlds whose platform lists for ever what it holds."""
    with hosting("einvoice_be") as host:
        yield host


def alone(world: World) -> None:
    """Bring some documents, quarantine others, and die when some are staged.

    Of those in quarantine the platform thinks as of others, once the company is spelt right.
    """
    unknown = world.mailbox.companies[0].identifier
    world.edit(unknown, "BE0403170701")
    world.synqup("catch-up")
    world.edit("BE0403170701", unknown)
    world.grow(DOCUMENTS)
    (world.state / "tokens").mkdir(exist_ok=True)
    (world.state / "tokens" / "another").write_text("{}")
    plan = Plan(world.folder, kill=2, among=("renameat2",))
    assert world.synqup("catch-up", plan=plan) == KILLED, world.said()
    world.take()
    assert staged(world.state / "ledger.sqlite")


def staged(place: Path | PostgresPlace) -> int:
    with reading(place) as connection:
        sql = "SELECT count(*) FROM documents WHERE state = 'staged'"
        return int(connection.execute(sql).fetchone()[0])


def become_a_cluster(world: World, dsn: str) -> None:
    """Write [cluster] into the configuration, and make another one, of the node other."""
    (world.folder / "dsn").write_text(dsn)
    (world.folder / "shared").mkdir()
    text = world.config.read_text("utf-8")
    for path, name in ((world.config, "one"), (world.folder / "other.toml", "other")):
        own = text if name == "one" else text.replace('"var/state"', '"var/other"')
        section = f'dsn = {{ file = "dsn" }}\nshared_dir = "shared"\nnode = "{name}"\n'
        path.write_text(f"{own}\n[cluster]\n{section}", "utf-8")


def adopt(
    world: World, plan: Plan | None = None, prepare: Callable[[], object] | None = None
) -> tuple[int, str]:
    """The status of the command, and what it says."""
    output = world.folder / "adopted"
    output.unlink(missing_ok=True)
    arguments = ("cluster", "adopt", "--config", world.config)
    with running(*arguments, output=output, plan=plan, prepare=prepare) as process:
        return process.wait(), process.said()


def go_on(world: World, dsn: str) -> list[str]:
    """Call it again, run both nodes, and say what is wrong."""
    status, said = adopt(world)
    if status:
        return [f"the second call ended with {status}: {said}"]
    found = []
    for config in (world.config, world.folder / "other.toml", world.config):
        with running(
            "catch-up", "--config", config, output=world.folder / f"said-{config.stem}"
        ) as process:
            # What was quarantined stays there.
            if process.wait() not in (0, 1):
                found.append(process.said())
    world.take()
    if left := staged(PostgresPlace(dsn)):
        found.append(f"{left} staged")
    if not (world.folder / "shared" / "tokens" / "another").exists():
        found.append("a sign-in is lost")
    if not list((world.folder / "shared" / "quarantine").rglob("*.json")):
        found.append("the quarantine is lost")
    return found + world.problems()


def check(world: World, dsn: str) -> None:
    assert not go_on(world, dsn)


def test_staged_documents_are_finished_by_this_machine_before_nodes_begin(
    lasting: Host, tmp_path: Path, postgres: str
) -> None:
    with lasting.world(tmp_path, DOCUMENTS, companies=2) as world:
        alone(world)
        become_a_cluster(world, postgres)
        check(world, postgres)


def test_a_kill_at_any_call_loses_nothing_and_brings_nothing_twice(
    lasting: Host, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    calls: list[Any] = []
    with (
        postgres_server.database() as dsn,
        lasting.world(tmp_path / "record", DOCUMENTS, companies=2) as world,
    ):
        alone(world)
        become_a_cluster(world, dsn)
        file = tmp_path / "calls"
        status, said = adopt(world, Plan(world.folder, record=file))
        assert status == 0, said
        calls = [one for one in load(file) if "/logs/" not in one.paths[-1]]
        check(world, dsn)
    moves = [one.number for one in calls if one.name in ("rename", "replace", "renameat2")]
    others = [one.number for one in calls if one.number not in moves]
    numbers = sorted({*moves[:: max(len(moves) // TRIED, 1)], *others[:: len(others) // TRIED]})
    died = 0
    for number in numbers:
        with (
            postgres_server.database() as dsn,
            lasting.world(tmp_path / f"{number}", DOCUMENTS, companies=2) as world,
        ):
            alone(world)
            become_a_cluster(world, dsn)
            plan = Plan(world.folder, kill=number, after=bool(number % 2))
            died += adopt(world, plan)[0] == KILLED
            # Whatever is tried meanwhile is refused, or was carried over whole.
            check(world, dsn)
    assert died > len(numbers) // 2


def die_at(statement: str, *, after: bool) -> None:
    """Die at a statement of the transaction, or when the server has answered to it."""
    from pipeline.ledger.postgres_connection import PostgresConnection  # noqa: PLC0415 - in it

    execute = PostgresConnection.execute

    carrying = False

    def watched(self: PostgresConnection, sql: str, *parameters: Any) -> Any:
        nonlocal carrying
        # The tables were made by another transaction before.
        carrying = carrying or "DELETE FROM sources" in sql
        is_it = carrying and statement in sql
        if is_it and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = execute(self, sql, *parameters)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    PostgresConnection.execute = watched  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("statement", "after", "carried"),
    [
        ("DELETE FROM sources", True, False),
        ("INSERT INTO ledger_carried", True, False),
        ("COMMIT", False, False),
        ("COMMIT", True, True),
    ],
)
def test_a_kill_around_the_commit_leaves_all_rows_or_none(
    lasting: Host, tmp_path: Path, postgres: str, statement: str, after: bool, carried: bool
) -> None:
    with lasting.world(tmp_path, DOCUMENTS, companies=2) as world:
        alone(world)
        become_a_cluster(world, postgres)
        prepare = partial(die_at, statement, after=after)
        assert adopt(world, prepare=prepare)[0] == KILLED
        # Neither kind of start goes on as if nothing were.
        assert world.synqup("catch-up") == 1
        assert "that was broken off" in world.said()
        text = world.config.read_text("utf-8")
        world.config.write_text(text.partition("\n[cluster]")[0])
        assert world.synqup("catch-up") == 1
        assert "its ledger was being carried over into database" in world.said()
        world.config.write_text(text)
        world.take()
        with reading(PostgresPlace(postgres)) as connection:
            rows = connection.execute("SELECT count(*) FROM documents").fetchone()
        assert bool(rows and rows[0]) is carried
        check(world, postgres)


def test_a_folder_that_does_not_take_what_is_staged_keeps_all_as_it_is(
    lasting: Host, tmp_path: Path, postgres: str
) -> None:
    with lasting.world(tmp_path, DOCUMENTS, companies=2) as world:
        alone(world)
        become_a_cluster(world, postgres)
        with reading(world.state / "ledger.sqlite") as connection:
            rows = connection.execute("SELECT path FROM documents WHERE state = 'staged'")
            folders = {Path(path).parent for (path,) in rows}
        for folder in folders:
            folder.rename(tmp_path / f"away-{folder.parent.name}-{folder.name}")
            folder.touch()
        status, said = adopt(world)
        assert status == 1
        assert "can't become visible there" in said
        assert not (world.state / "node.json").exists()
        assert staged(world.state / "ledger.sqlite")
        for folder in folders:
            folder.unlink()
            (tmp_path / f"away-{folder.parent.name}-{folder.name}").rename(folder)
        check(world, postgres)


@pytest.mark.parametrize("carried", [False, True])
def test_who_stays_alone_after_a_kill_brings_nothing_twice_later_either(
    lasting: Host, tmp_path: Path, postgres: str, carried: bool
) -> None:
    """What the database got would lack what comes meanwhile: so it is not taken for the whole."""
    with lasting.world(tmp_path, DOCUMENTS, companies=2) as world:
        alone(world)
        become_a_cluster(world, postgres)
        assert adopt(world, prepare=partial(die_at, "COMMIT", after=carried))[0] == KILLED
        (world.state / "node.json").unlink()
        text = world.config.read_text("utf-8")
        world.config.write_text(text.partition("\n[cluster]")[0])
        assert world.synqup("catch-up") in (0, 1), world.said()
        world.take()
        assert not world.problems()
        world.config.write_text(text)
        if not carried:
            check(world, postgres)
            return
        status, said = adopt(world)
        assert status == 1
        assert "two ledgers can't be made one" in said
