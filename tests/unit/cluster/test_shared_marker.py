"""A node works with the folder that the others share, and with no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

from pipeline.cluster.database import Database
from pipeline.cluster.shared_marker import claim_marker, compare_marker
from pipeline.errors import RetryableError, StateError
from pipeline.shared_mount import MARKER

pytestmark = pytest.mark.slow


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    one = Database(postgres, "test")
    yield one
    one.close()


def test_the_first_node_marks_the_folder_and_the_others_know_it(
    tmp_path: Path, database: Database
) -> None:
    compare_marker(tmp_path, database)
    assert not list(tmp_path.iterdir())
    claim_marker(tmp_path, database)
    found = (tmp_path / MARKER).read_text()
    claim_marker(tmp_path, database)
    compare_marker(tmp_path, database)
    assert (tmp_path / MARKER).read_text() == found


def test_an_empty_mount_point_and_another_folder_are_refused(
    tmp_path: Path, database: Database
) -> None:
    right, bare, other = tmp_path / "right", tmp_path / "bare", tmp_path / "other"
    for folder in (right, bare, other):
        folder.mkdir()
    claim_marker(right, database)
    (other / MARKER).write_text("of-another-cluster\n")
    for check in (claim_marker, compare_marker):
        with pytest.raises(StateError, match="not the folder that the other nodes share"):
            check(bare, database)
        with pytest.raises(StateError, match="not the folder that the other nodes share"):
            check(other, database)
        with pytest.raises(StateError, match="is not there"):
            check(tmp_path / "none", database)
    assert not list(bare.iterdir())


def test_a_marked_folder_is_taken_by_a_new_database(tmp_path: Path, database: Database) -> None:
    (tmp_path / MARKER).write_text("of-before\n")
    claim_marker(tmp_path, database)
    (tmp_path / MARKER).unlink()
    with pytest.raises(StateError):
        claim_marker(tmp_path, database)


def test_nodes_that_begin_at_once_agree(tmp_path: Path, postgres: str) -> None:
    failures: list[BaseException] = []

    def begin() -> None:
        database = Database(postgres, "test")
        try:
            claim_marker(tmp_path, database)
        except BaseException as error:  # noqa: BLE001 - the test tells it
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert not failures


def test_without_a_database_nothing_is_said_of_the_folder(tmp_path: Path) -> None:
    database = Database("host=127.0.0.1 port=1 dbname=x user=x", "test")
    with pytest.raises(RetryableError):
        compare_marker(tmp_path, database)
