"""What people see of a cluster of two nodes is the same whichever of them is asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from pipeline.app.command_status import print_status
from pipeline.app.wiring import load_config
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
        path.write_text(f'{text}\n[cluster]\ndsn = {{ file = "{tmp_path}/dsn" }}\nnode = "x"\n')
        print_status(path, as_json=False)
        said = capsys.readouterr().out
        assert "cluster: no node has joined it" in said
        assert "synchronous_commit = on" in said
        print_status(path, as_json=True)
        told_json = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert next(iter(told_json)) == "cluster"
        assert told_json["cluster"]["nodes"] == []
        assert load_config(path).cluster is not None
