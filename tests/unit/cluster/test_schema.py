"""Schema: made once, by whichever node comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.cluster.database import Database
from pipeline.cluster.schema import VERSION, prepare
from pipeline.errors import StateError
from tests.helpers.clustering import execute, prepared, rows


def test_nodes_that_start_at_once_make_it_once(postgres: str) -> None:
    databases = [Database(postgres, str(number)) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(prepare, databases))
    found = rows(databases[0], "SELECT version, engine > '' FROM cluster_schema")
    assert found == [(VERSION, True)]
    assert rows(databases[0], "SELECT count(*) FROM procrastinate_jobs") == [(0,)]
    for one in databases:
        one.close()


def test_tables_of_a_newer_program_are_refused(postgres: str) -> None:
    database = prepared(postgres)
    execute(database, "UPDATE cluster_schema SET version = version + 1")
    with pytest.raises(StateError, match="Update this node"):
        prepare(database)
    database.close()


def test_scripts_of_a_newer_engine_are_applied(postgres: str) -> None:
    database = prepared(postgres)
    [(latest,)] = rows(database, "SELECT engine FROM cluster_schema")
    execute(database, "UPDATE cluster_schema SET engine = '03.04.00_50'")
    prepare(database)
    assert rows(database, "SELECT engine FROM cluster_schema") == [(latest,)]
    database.close()
