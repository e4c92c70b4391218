"""What people see of a cluster of two nodes is the same whichever of them is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from pipeline.app.command_status import print_status
from pipeline.app.control_alone import do_alone
from pipeline.app.wiring import load_config
from pipeline.control.actions import ActionResult
from pipeline.control.client import NoService
from pipeline.errors import ControlError
from pipeline.ledger.place import PostgresPlace
from pipeline.ledger.search import find
from pipeline.monitor.page import live, overview
from tests.helpers.services import PATIENCE, Visitor, until, watched
from tests.helpers.trial import trial
from tests.helpers.two_nodes import node, node_of, two_nodes

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL", 0.1)
    monkeypatch.setattr(live, "MAX_SHARE", 1)
    monkeypatch.setattr(overview, "SHARED_AGE", 0.1)


async def until_metrics(visitor: Visitor, wanted: Callable[[dict[str, float]], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not wanted(found := await visitor.metrics()):
            await anyio.sleep(0.1)
    assert found


async def test_either_node_tells_of_both(
    tmp_path: Path, postgres: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with trial(tmp_path, documents=30, companies=120) as it:
        config = watched(it.config(), interval=0.5)
        async with two_nodes(config, tmp_path, postgres) as both:
            await until(lambda: it.delivered() == it.held())
            for visitor in both:
                await visitor.until_ready()
                await until_metrics(
                    visitor,
                    lambda found: (
                        found.get('synqup_cluster_nodes{state="alive"}') == 2
                        and found['synqup_cluster_nodes{state="silent"}'] == 0
                        and found["synqup_cluster_overdue_parts"] == 0
                        and found['synqup_disk_free_bytes{disk="shared"}'] > 0
                        and found["synqup_cluster_round_trip_seconds"] > 0
                        and found["synqup_cluster_heartbeat_age_seconds"] < 60
                    ),
                )
                page = visitor.service.monitor.site
                assert page is not None
                # Whoever has delivered them, and whichever page is looked at.
                with anyio.fail_after(PATIENCE):
                    while True:
                        told, _ = await page._overviewer.make()
                        if told.flow.total == 30 and len(told.nodes) == 2:
                            break
                        await anyio.sleep(0.1)
                assert [one.name for one in told.nodes] == ["n1", "n2"]
                assert sum(one.is_own for one in told.nodes) == 1
                assert sum(one.today for one in told.companies) == 30
            text = it.path.read_text("utf-8")
        # From any machine, also where no node runs.
        path = tmp_path / "any.toml"
        section = f'dsn = {{ file = "{tmp_path}/dsn" }}\nshared_dir = "shared"\nnode = "x"'
        path.write_text(f"{text}\n[cluster]\n{section}\n")
        print_status(path, as_json=False)
        said = capsys.readouterr().out
        assert "cluster: no node has joined it" in said
        assert "synchronous_commit = on" in said
        print_status(path, as_json=True)
        told_json = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert next(iter(told_json)) == "cluster"
        assert told_json["cluster"]["nodes"] == []
        assert load_config(path).cluster is not None


async def test_what_is_asked_at_one_node_is_done_once_by_all(tmp_path: Path, postgres: str) -> None:
    async with trial(tmp_path, documents=20, companies=120) as it:
        config = watched(it.config(), interval=0.5)
        async with two_nodes(config, tmp_path, postgres) as (one, two):
            await until(lambda: it.delivered() == it.held())
            keys = [found.key for found in find(PostgresPlace(postgres), "invoice")]
            assert keys
            # Each of them asks for all, at the other's side as well.
            first, second = one.service.control.actions, two.service.control.actions
            results = [
                await first.redeliver(keys, who="ann", wait=PATIENCE),
                await second.redeliver(keys, who="jan", wait=PATIENCE),
            ]
            assert [(of.open, of.failed, of.orders) for of in results] == [(0, 0, len(keys))] * 2
            assert (it.delivered() - it.held()).total() == 2 * len(keys)
            # Paused at one, it is paused at both, and on both pages.
            name = config.sources[0].name
            await first.pause(name, "ann")
            await until(lambda: name in two.service.paused)
            it.mailbox.grow(3)
            with anyio.fail_after(PATIENCE):
                while not (await two.service.collector.current()).sources[0].paused_since:
                    await anyio.sleep(0.1)
            with pytest.raises(ControlError, match="paused"):
                await second.poll(None, "jan")
            before = it.delivered()
            await anyio.sleep(2)
            assert it.delivered() == before
            await second.resume(name, "jan")
            await until(lambda: name not in one.service.paused)
            await until(lambda: it.delivered().total() == before.total() + 3)
            await first.poll(name, "ann")


async def test_a_command_without_a_service_of_its_own_is_done_by_the_nodes(
    tmp_path: Path, postgres: str
) -> None:
    async with trial(tmp_path, documents=6, companies=3) as it:
        config = watched(it.config(), interval=600)
        mine = node_of(config, tmp_path, postgres, "mine")
        name = config.sources[0].name

        async def asked(action: str, **arguments: object) -> ActionResult:
            return await do_alone(mine, action, arguments, "ann", lambda _: None)

        with pytest.raises(NoService):
            await asked("poll", source=name)
        async with node(node_of(config, tmp_path, postgres, "n1")) as one:
            await until(lambda: it.delivered() == it.held())
            it.mailbox.grow(2)
            assert (await asked("poll", source=name)).done == 1
            await until(lambda: it.delivered() == it.held())
            await asked("pause", source=name)
            await until(lambda: name in one.service.paused)
            await asked("resume", source=name)
            await until(lambda: name not in one.service.paused)
            keys = [
                (found.key.source, found.key.id, found.key.revision)
                for found in find(PostgresPlace(postgres), "invoice")
            ]
            result = await asked("redeliver", keys=keys, wait=PATIENCE)
            assert (result.open, result.failed, result.orders) == (0, 0, len(keys))
            assert (it.delivered() - it.held()).total() == len(keys)
        # Where no node runs, the command does it itself.
        result = await asked("redeliver", keys=keys[:1])
        assert (result.open, result.failed) == (0, 0)
        assert (it.delivered() - it.held()).total() == len(keys) + 1
