"""Whatever goes wrong with a running service gives one alert and one recovery on a receiver.

Its health is the real one, and its waits are short; test_alerts.py holds the same in simulated
time, and test_alert_service.py a kill.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from msgspec import structs
from yarl import URL

from pipeline.alerts.settings import AlertSettings, WebhookSettings
from pipeline.app.wiring import Config
from pipeline.app.wiring_sandbox import serve_sandbox
from pipeline.config.types import Duration, Size
from pipeline.document import Document
from stages import verify
from stages.sandbox import FaultSpec
from tests.helpers.authority import Authority
from tests.helpers.receivers import WebReceiver, receiving
from tests.helpers.services import often, running, until
from tests.helpers.trial import trial
from tests.helpers.volumes import fill, volume

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

#: Many looks.
A_WHILE = 0.5
HOUR = Duration(3600)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.alerts.runner.INTERVAL", 0.02)
    monkeypatch.setattr("pipeline.app.poller.LONGEST_PAUSE", 0.05)
    monkeypatch.setattr("pipeline.app.service.patience", lambda _: 0.0)
    monkeypatch.setattr("pipeline.health.refreshed.MAX_AGE", 0.0)
    monkeypatch.setattr("pipeline.health.refreshed.MAX_SHARE", 0)


def alerting(config: Config, receiver: WebReceiver, stuck: Duration = HOUR) -> Config:
    """A megabyte counts as room: a volume of a test is small."""
    alerts = AlertSettings(
        webhooks=(WebhookSettings("hook", f"{receiver.url}hook"),),
        grace=Duration(1),
        stuck=stuck,
        disk_free=Size(1_000_000),
        summary="never",
    )
    return structs.replace(often(config), alerts=alerts)


def told(receiver: WebReceiver) -> list[str]:
    return [f"{one['cause']} {one['state']}" for one in receiver.messages()]


async def until_told(receiver: WebReceiver, *expected: str) -> None:
    """Wait for these messages, and see that a while later there are no others."""
    await until(lambda: len(told(receiver)) >= len(expected))
    await anyio.sleep(A_WHILE)
    assert told(receiver) == list(expected)


async def test_a_stage_that_sleeps_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, process = anyio.Event(), verify.process

    async def sleep(document: Document) -> Document:
        await released.wait()
        return await process(document)

    monkeypatch.setattr(verify, "process", sleep)
    async with (
        receiving() as receiver,
        trial(tmp_path) as it,
        running(alerting(it.config(), receiver, stuck=Duration(2))),
    ):
        await until_told(receiver, "stuck problem")
        assert "nothing has moved" in receiver.messages()[0]["text"]
        released.set()
        await until_told(receiver, "stuck problem", "stuck over")
        await until(lambda: it.delivered() == it.held())


async def test_a_disk_of_destinations_that_is_full(tmp_path: Path) -> None:
    with volume(tmp_path / "out", "8m"):
        filler = fill(tmp_path / "out")
        async with (
            receiving() as receiver,
            trial(tmp_path) as it,
            running(alerting(it.config(), receiver)),
        ):
            await until_told(receiver, "disk problem")
            filler.unlink()
            await until_told(receiver, "disk problem", "disk over")
            await until(lambda: it.delivered() == it.held())


async def test_a_disk_of_the_state_folder_that_is_full(tmp_path: Path) -> None:
    with volume(tmp_path / "state", "16m"):
        async with (
            receiving() as receiver,
            trial(tmp_path) as it,
            running(alerting(it.config(), receiver)),
        ):
            await until(lambda: it.delivered() == it.held())
            filler = fill(tmp_path / "state")
            await until_told(receiver, "disk problem")
            filler.unlink()
            await until_told(receiver, "disk problem", "disk over")


async def test_a_token_that_is_revoked(tmp_path: Path) -> None:
    async with (
        receiving() as receiver,
        trial(tmp_path) as it,
        running(alerting(it.config(), receiver)),
    ):
        await until(lambda: it.delivered() == it.held())
        it.faults.specs = (FaultSpec("sign-in-refused"), FaultSpec("unauthorized"))
        await until_told(receiver, "source problem")
        assert receiver.messages()[0]["remedy"]
        it.faults.specs = ()
        await until_told(receiver, "source problem", "source over")


async def test_a_network_that_is_cut(tmp_path: Path) -> None:
    async with AsyncExitStack() as served, receiving() as receiver:
        it = await served.enter_async_context(trial(tmp_path))
        port = URL(it.sandbox.url).port or 0
        async with running(alerting(it.config(), receiver)):
            await until(lambda: it.delivered() == it.held())
            await served.aclose()
            await until_told(receiver, "source problem")
            assert f"127.0.0.1:{port}" in receiver.messages()[0]["text"]
            async with serve_sandbox(it.mailbox, port=port):
                await until_told(receiver, "source problem", "source over")


async def test_a_certificate_that_has_expired(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    expired = authority.certificate("127.0.0.1", days=-0.1)
    async with AsyncExitStack() as served, receiving() as receiver:
        it = await served.enter_async_context(trial(tmp_path, tls=expired))
        port = URL(it.sandbox.url).port or 0
        config = it.config(f'ca_file = "{authority.root.as_posix()}"\n')
        async with running(alerting(config, receiver)):
            await until_told(receiver, "source problem")
            assert "expired" in receiver.messages()[0]["text"]
            await served.aclose()
            renewed = authority.certificate("127.0.0.1")
            async with serve_sandbox(it.mailbox, port=port, tls=renewed):
                await until_told(receiver, "source problem", "source over")
                await until(lambda: it.delivered() == it.held())
