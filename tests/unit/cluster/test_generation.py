"""A database that is older than it was is noticed, and no other one is taken for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from structlog.testing import capture_logs

from pipeline.cluster import generation, join
from pipeline.cluster.database import Database
from pipeline.cluster.generation import (
    NAME,
    DatabaseOlder,
    accept_generation,
    begin_generation,
    compare_generation,
    go_on_with_generation,
    note_older,
)
from pipeline.cluster.join import open_cluster
from pipeline.cluster.nodes import Membership, identity
from pipeline.engine.error_reporter import leaf_exceptions
from pipeline.shared_mount import MARKER
from tests.helpers.clustering import Lost, eventually, execute, prepared, rows

NOTHING = "SELECT 1"


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    found = prepared(postgres)
    yield found
    found.close()


def number(database: Database) -> int:
    [(found,)] = rows(database, "SELECT number FROM cluster_generation")
    return int(found)


def put_back(database: Database, older: int) -> None:
    execute(database, "UPDATE cluster_generation SET number = %s", older)


def is_refused(folder: Path, database: Database) -> bool:
    try:
        compare_generation(folder, database)
    except DatabaseOlder:
        return True
    return False


def test_each_start_raises_it_in_both(tmp_path: Path, database: Database) -> None:
    for _ in range(3):
        begin_generation(tmp_path, database)
    assert number(database) == 3
    assert b'"number":3' in (tmp_path / NAME).read_bytes()


def test_an_older_database_is_refused_with_both_times(tmp_path: Path, database: Database) -> None:
    begin_generation(tmp_path, database)
    begin_generation(tmp_path, database)
    put_back(database, 1)
    before = (tmp_path / NAME).read_bytes()
    words = (
        r"it is of 20\d\d-.* UTC \(generation 1\), and nodes have worked with one of 20\d\d-.* UTC"
        r" \(generation 2\).*comes once more.*synqup cluster accept"
    )
    for look in (compare_generation, begin_generation, go_on_with_generation):
        with pytest.raises(DatabaseOlder, match=words):
            look(tmp_path, database)
    assert number(database) == 1
    assert (tmp_path / NAME).read_bytes() == before


def test_a_new_database_with_a_folder_in_use_is_refused(tmp_path: Path, database: Database) -> None:
    begin_generation(tmp_path, database)
    execute(database, "DROP TABLE cluster_generation")
    with pytest.raises(DatabaseOlder, match=r"it is new \(generation 0\)"):
        compare_generation(tmp_path, database)


def test_a_node_that_dies_between_the_two_alarms_nobody(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_generation(tmp_path, database)

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as dying, pytest.raises(SystemExit):
        dying.setattr(generation, "_write", die)
        begin_generation(tmp_path, database)
    assert number(database) == 2
    assert not is_refused(tmp_path, database)
    begin_generation(tmp_path, database)
    assert b'"number":3' in (tmp_path / NAME).read_bytes()


def test_an_older_folder_is_none_of_an_older_database(tmp_path: Path, database: Database) -> None:
    begin_generation(tmp_path, database)
    older = (tmp_path / NAME).read_bytes()
    begin_generation(tmp_path, database)
    for content in (older, b"", b"{damaged"):
        (tmp_path / NAME).write_bytes(content)
        with capture_logs():
            begin_generation(tmp_path, database)
    assert f'"number":{number(database)}'.encode() in (tmp_path / NAME).read_bytes()


def test_of_running_nodes_one_raises_it_in_an_interval(tmp_path: Path, database: Database) -> None:
    begin_generation(tmp_path, database)
    go_on_with_generation(tmp_path, database)
    assert number(database) == 1
    for clock in ("- interval '61 s'", "+ interval '1 h'"):
        before = number(database)
        execute(database, f"UPDATE cluster_generation SET at = now() {clock}")
        go_on_with_generation(tmp_path, database)
        go_on_with_generation(tmp_path, database)
        assert number(database) == before + 1
    (tmp_path / MARKER).unlink()
    with pytest.raises(OSError, match="not mounted there"):
        go_on_with_generation(tmp_path, database)


def test_what_a_running_node_has_seen_holds_until_it_is_accepted(
    tmp_path: Path, database: Database
) -> None:
    """However far the count of the older database has come by then."""
    begin_generation(tmp_path, database)
    assert not accept_generation(tmp_path, database, NOTHING)
    note_older(tmp_path)
    put_back(database, 50)
    with pytest.raises(DatabaseOlder, match=r"it went back to an earlier state while nodes were"):
        begin_generation(tmp_path, database)
    execute(database, "CREATE TABLE changed (number int)")
    assert accept_generation(tmp_path, database, "INSERT INTO changed VALUES (1)")
    assert rows(database, "SELECT * FROM changed") == [(1,)]
    begin_generation(tmp_path, database)


def test_what_was_accepted_is_newer_than_all_that_was(tmp_path: Path, database: Database) -> None:
    for _ in range(5):
        begin_generation(tmp_path, database)
    put_back(database, 2)
    assert accept_generation(tmp_path, database, NOTHING)
    begin_generation(tmp_path, database)
    assert number(database) == 7
    # The one that was lost, and is found again, lacks what came since.
    put_back(database, 5)
    assert is_refused(tmp_path, database)


STEPS = st.lists(
    st.sampled_from(["start", "die", "keep", "restore", "keep folder", "restore folder", "accept"]),
    max_size=14,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_it_is_refused_if_it_has_lost_a_raise_and_never_else(
    tmp_path: Path, database: Database, steps: list[str]
) -> None:
    """Unless the folder was put back as well: then an older database may pass for the latest."""
    file = tmp_path / NAME
    file.unlink(missing_ok=True)
    put_back(database, 0)
    kept, kept_folder = 0, b""
    told = lost = 0  # the highest that the folder was told of, and what the database has to hold
    is_folder_sound = True
    for step in steps:
        held = number(database)
        is_older = held < lost
        assert not is_refused(tmp_path, database) or is_older
        assert is_refused(tmp_path, database) or not is_older or not is_folder_sound
        if step == "start" and not is_refused(tmp_path, database):
            begin_generation(tmp_path, database)
            told = lost = number(database)
            is_folder_sound = True
        elif step == "die" and not is_refused(tmp_path, database):
            # The folder is not told, so that nobody can know what this database had.
            put_back(database, held + 1)
        elif step == "keep":
            kept = held
        elif step == "restore":
            put_back(database, kept)
        elif step == "keep folder":
            kept_folder = file.read_bytes() if file.exists() else b""
        elif step == "restore folder":
            file.write_bytes(kept_folder)
            is_folder_sound = False
        elif step == "accept" and accept_generation(tmp_path, database, NOTHING):
            told = lost = number(database)
            is_folder_sound = True
    assert told == lost


@pytest.mark.parametrize(
    "back",
    [
        "UPDATE cluster_nodes SET beats = 4",
        "UPDATE cluster_generation SET number = 1",
    ],
)
def test_a_running_node_sees_that_its_database_went_back(
    postgres: str, database: Database, back: str
) -> None:
    put_back(database, 2)
    execute(database, "UPDATE cluster_nodes SET beats = 0")
    lost = Lost()
    one = Membership(Database(postgres, "a"), identity("a", "1"), lost)
    one.register()
    for _ in range(8):
        assert one._try() is None
    execute(database, back)
    with pytest.raises(DatabaseOlder):
        one._try()
    one.start()
    assert lost.told.wait(30)
    assert isinstance(lost.error, DatabaseOlder)
    one.close()


@pytest.mark.parametrize(
    "harmless",
    [
        "TRUNCATE cluster_nodes CASCADE",
        # As after a heartbeat whose answer was lost.
        "UPDATE cluster_nodes SET beats = beats + 1",
        "SELECT pg_terminate_backend(backend) FROM cluster_nodes",
        "UPDATE cluster_generation SET number = number + 5",
    ],
)
def test_nothing_else_is_taken_for_it(postgres: str, database: Database, harmless: str) -> None:
    one = Membership(Database(postgres, "a"), identity("a", "1"), Lost())
    one.register()
    for _ in range(3):
        one._try()
    execute(database, harmless)
    with capture_logs():
        for _ in range(4):
            one._try()
    assert one._try() is None
    one.close()


@pytest.mark.anyio
async def test_a_node_raises_it_while_it_runs_and_ends_where_the_database_went_back(
    postgres: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "INTERVAL", 0.05)
    monkeypatch.setattr(generation, "INTERVAL", 0.05)
    with capture_logs(), pytest.raises(ExceptionGroup) as raised:
        async with open_cluster(postgres, "a", "1", shared_dir=tmp_path):
            with anyio.fail_after(60):
                while number(database) < 4:
                    await anyio.sleep(0.02)
                put_back(database, 1)
                await anyio.sleep_forever()
    assert isinstance(next(leaf_exceptions(raised.value)), DatabaseOlder)
    # For all starts to come, however often the older one is raised.
    put_back(database, 1000)
    eventually(lambda: is_refused(tmp_path, database))
    with pytest.raises(DatabaseOlder):
        async with open_cluster(postgres, "a", "1", shared_dir=tmp_path):
            pass
