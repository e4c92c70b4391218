"""Alerts of a cluster: told once, by whichever node has the turn; the next one goes on with it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from msgspec import structs

pytest.importorskip("procrastinate", reason="procrastinate is not installed (the extra 'cluster')")

import psycopg

from pipeline.alerts.settings import AlertSettings, WebhookSettings
from pipeline.cluster import telling
from pipeline.config.types import Duration
from stages.sandbox import FaultSpec
from tests.helpers.node_config import write_node
from tests.helpers.processes import SYNQUP, Mailbox, mailbox
from tests.helpers.receivers import ALERTS, receiving
from tests.helpers.services import often, until
from tests.helpers.trial import trial
from tests.helpers.two_nodes import node, node_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.skipif(os.name != "posix", reason="processes are stopped by POSIX signals"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def teller(dsn: str) -> str:
    """The node whose turn it is to tell."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT node FROM cluster_telling WHERE until > now() AND holder <> ''"
        ).fetchone()
        return str(row[0]) if row else ""


async def test_the_next_node_goes_on_with_what_one_has_told(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.alerts.runner.INTERVAL", 0.2)
    monkeypatch.setattr("pipeline.app.poller.LONGEST_PAUSE", 0.2)
    monkeypatch.setattr(telling, "TRY", 0.2)
    async with receiving() as receiver, trial(tmp_path, FaultSpec("error", on="token")) as it:
        alerts = AlertSettings(
            webhooks=(WebhookSettings("hook", f"{receiver.url}hook"),),
            grace=Duration(1),
            summary="never",
        )
        config = structs.replace(often(it.config(), 0.5), alerts=alerts)
        async with node(node_of(config, tmp_path, postgres, "n1")):
            await until(lambda: teller(postgres) == "n1")
            async with node(node_of(config, tmp_path, postgres, "n2")):
                await until(lambda: receiver.told() == ["source problem"])
                await anyio.sleep(2)
                assert teller(postgres) == "n1"
        # It was stopped: another one is told of nothing anew, and of what is over once.
        async with node(node_of(config, tmp_path, postgres, "n3")):
            await until(lambda: teller(postgres) == "n3")
            await anyio.sleep(2)
            assert receiver.told() == ["source problem"]
            it.faults.specs = ()
            await until(lambda: receiver.told() == ["source problem", "source over"])
            await anyio.sleep(1)
        assert receiver.told() == ["source problem", "source over"]


@contextmanager
def processes(box: Mailbox, folder: Path, dsn: str, url: str) -> Iterator[dict[str, list[str]]]:
    """The commands of two nodes, by their names."""
    commands = {}
    for name in ("n1", "n2"):
        config = write_node(folder / name, box, dsn, name, "2s")
        config.write_text(config.read_text() + ALERTS.format(url=url))
        commands[name] = [*SYNQUP, "run", "--config", str(config)]
    yield commands


def start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_node_that_dies_or_hangs_is_told_of_once_by_another(
    postgres: str, how: signal.Signals
) -> None:
    """It is the one that tells: the next one knows what was told. One that wakes tells nothing."""
    with tempfile.TemporaryDirectory() as name:
        async with receiving() as receiver:
            folder = Path(name)
            with (
                mailbox(folder / "box", "--documents", 5) as box,
                processes(box, folder, postgres, receiver.url) as commands,
            ):
                running = {one: start(command) for one, command in commands.items()}
                try:
                    await until(lambda: "/beat" in receiver.paths)
                    first = teller(postgres)
                    running[first].send_signal(how)
                    await until(lambda: receiver.told() == ["node problem"])
                    second = teller(postgres)
                    assert second not in ("", first)
                    running[first].send_signal(signal.SIGCONT)
                    await until(lambda: running[first].poll() is not None)
                    running[first] = start(commands[first])
                    await until(lambda: receiver.told() == ["node problem", "node over"])
                    assert teller(postgres) == second
                    assert "/beat/start" not in receiver.paths
                    for one in running.values():
                        one.send_signal(signal.SIGTERM)
                    await until(lambda: all(one.poll() == 0 for one in running.values()))
                    assert receiver.told() == ["node problem", "node over"]
                finally:
                    for one in running.values():
                        one.kill()
                        one.wait()
