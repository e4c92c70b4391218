"""The parts of a source in a cluster: what each has to say is told of the source as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from msgspec import structs

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

from pipeline.app import unit_poller
from pipeline.app.clustering import joined
from pipeline.app.service import Service, open_service
from pipeline.app.wiring import Config, open_application
from pipeline.cluster.database import Database
from pipeline.cluster.slices import slices
from pipeline.config.cluster import ClusterSettings
from pipeline.config.types import Secret
from tests.helpers import einvoice
from tests.helpers.clustering import rows
from tests.helpers.services import often

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part for each company."""
    monkeypatch.setattr(unit_poller, "slices", partial(slices, most=1))


def in_cluster(config: Config, folder: Path, dsn: str, interval: float = 0.3) -> Config:
    (folder / "dsn").write_text(dsn)
    (folder / "shared").mkdir(exist_ok=True)
    cluster = ClusterSettings(Secret(file=str(folder / "dsn")), folder / "shared", "a")
    return structs.replace(often(config, interval), cluster=cluster)


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Service]:
    async with (
        joined(config) as cluster,
        open_application(config) as application,
        open_service(application, config, cluster) as service,
        application.engine.running(),
        anyio.create_task_group() as group,
    ):
        service.start(group)
        yield service
        group.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    with anyio.fail_after(60):
        while not condition():
            await anyio.sleep(0.05)


async def test_one_company_s_trouble_is_told_of_the_source_and_keeps_no_other(
    tmp_path: Path, postgres: str
) -> None:
    database = Database(postgres, "test")
    async with einvoice.platform() as one:
        one.refused = {"key-1"}
        config = in_cluster(einvoice.configure(tmp_path, one, two=True), tmp_path, postgres)
        async with serving(config) as service:
            source = "SELECT error, polled_at IS NOT NULL FROM sources WHERE name = 'peppol'"
            await until(lambda: database_has(database, source) and rows(database, source)[0][0])
            await until(
                lambda: rows(
                    database,
                    "SELECT 1 FROM cluster_units WHERE completed IS NOT NULL AND token > 2",
                )
            )
            [(error, _)] = rows(database, source)
            assert "One" in error
            assert "trouble too" not in error
            with anyio.fail_after(60):
                while not (await service.collector.current()).sources[0].trouble:
                    await anyio.sleep(0.1)
            # The part that fails is asked less and less often.
            one.refused = set()
            service.poll_now("peppol")
            await until(lambda: rows(database, source) == [("", True)])
            # What is seen of all nodes is some seconds old.
            with anyio.fail_after(60):
                while (health := (await service.collector.current()).sources[0]).trouble:
                    await anyio.sleep(0.1)
            assert health.last_good_poll is not None
    database.close()


async def test_each_part_has_a_cursor_of_its_own_and_the_source_the_sum(
    tmp_path: Path, postgres: str
) -> None:
    database = Database(postgres, "test")
    async with einvoice.platform() as one:
        one.boxes = {
            (key, "inbox"): [einvoice.document(1), {"id": 5}] for key in ("key-1", "key-2")
        }
        config = in_cluster(einvoice.configure(tmp_path, one, two=True), tmp_path, postgres)
        async with serving(config):
            units = "SELECT cursor, unreadable FROM cluster_units WHERE token > 2"
            await until(lambda: database_has(database, units) and len(rows(database, units)) == 2)
            found = rows(database, units)
            await until(
                lambda: rows(database, "SELECT unreadable FROM sources") == [
                    (sum(row[1] for row in found),)
                ]
            )  # fmt: skip
            assert rows(database, "SELECT cursor FROM sources") == [("",)]
        marked = [row[0] for row in rows(database, "SELECT cursor FROM cluster_units")]
        assert all("BE" in one for one in marked)
        assert len(set(marked)) == 2
    database.close()


async def test_another_configuration_is_applied_to_the_parts(tmp_path: Path, postgres: str) -> None:
    database = Database(postgres, "test")
    async with einvoice.platform() as one:
        both = in_cluster(einvoice.configure(tmp_path, one, two=True), tmp_path, postgres)
        alone = structs.replace(both, companies=both.companies[:1])
        names = "SELECT slice FROM cluster_units WHERE completed IS NOT NULL"
        async with serving(alone) as service:
            await until(lambda: database_has(database, names))
            await until(lambda: rows(database, names) == [("all",)])
            service.apply(both)
            await until(lambda: len(rows(database, names)) == 2)
            assert ("all",) not in rows(database, names)
            renamed = structs.replace(both.sources[0], name="other")
            service.apply(structs.replace(both, sources=(renamed,)))
            sources = "SELECT DISTINCT source FROM cluster_units"
            await until(lambda: rows(database, sources) == [("other",)])
    database.close()


def database_has(database: Database, sql: str) -> bool:
    """Whether the tables of a query are there, and it has rows."""
    tables = rows(database, "SELECT to_regclass('sources'), to_regclass('cluster_units')")
    return None not in tables[0] and bool(rows(database, sql))
