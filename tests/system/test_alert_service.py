"""Alerts of the real program: a service that is killed, fails and is edited; and its commands."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from msgspec import structs

from pipeline.alerts.settings import AlertSettings, HeartbeatSettings, WebhookSettings
from pipeline.config.types import Duration
from stages.sandbox import FaultSpec
from tests.helpers.processes import mailbox, process, synqup
from tests.helpers.receivers import ALERTS, WebReceiver, receiving
from tests.helpers.services import often, running, until
from tests.helpers.trial import trial

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


def alerted(receiver: WebReceiver) -> AlertSettings:
    return AlertSettings(
        heartbeats=(HeartbeatSettings(f"{receiver.url}beat"),),
        webhooks=(WebhookSettings("hook", f"{receiver.url}hook"),),
        grace=Duration(1),
        summary="never",
    )


@pytest.mark.slow
async def test_a_service_that_was_killed_says_so_when_it_starts_again(tmp_path: Path) -> None:
    async with receiving() as receiver:
        with mailbox(tmp_path, "--documents", 10) as box:
            with box.config.open("a") as file:
                file.write(ALERTS.format(url=receiver.url))
            running = tmp_path / "state" / "alerts" / "running"
            with process("run", "--config", box.config) as service:
                await until(lambda: "/beat/start" in receiver.paths and running.exists())
                service.kill()
                await until(lambda: service.poll() is not None)
            assert running.exists()
            with process("run", "--config", box.config) as service:
                await until(lambda: receiver.told() == ["ended problem", "ended over"])
                service.send_signal(signal.SIGTERM)
                await until(lambda: service.poll() is not None)
                assert service.returncode == 0
            assert not running.exists()
            with process("run", "--config", box.config) as service:
                await until(lambda: receiver.paths.count("/beat/start") == 3)
                await until(running.exists)
            assert receiver.told() == ["ended problem", "ended over"]


async def test_a_source_that_fails_is_told_by_the_service_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.alerts.runner.INTERVAL", 0.05)
    monkeypatch.setattr("pipeline.app.poller.LONGEST_PAUSE", 0.05)
    async with receiving() as receiver, trial(tmp_path, FaultSpec("error", on="token")) as it:
        config = structs.replace(often(it.config()), alerts=alerted(receiver))
        async with running(config):
            await until(lambda: receiver.told() == ["source problem"])
            it.faults.specs = ()
            await until(lambda: receiver.told() == ["source problem", "source over"])
            await until(lambda: "/beat" in receiver.paths)
        assert receiver.paths.count("/beat/fail") == 1
        assert not (config.service.state_dir / "alerts" / "running").exists()


async def test_alerts_are_applied_by_an_edit_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.alerts.runner.INTERVAL", 0.05)
    async with receiving() as receiver, trial(tmp_path) as it:
        config = often(it.config())
        async with running(config) as service:
            await until(lambda: it.delivered() == it.held())
            assert not (config.service.state_dir / "alerts").exists()
            service.apply(structs.replace(config, alerts=alerted(receiver)))
            await until(lambda: "/beat" in receiver.paths)
            service.apply(config)
            await until(lambda: not service.alerts.settings.tells)


async def test_a_catch_up_tells_monitors_that_it_begins_and_how_it_ends(tmp_path: Path) -> None:
    async with receiving() as receiver:
        with mailbox(tmp_path, "--documents", 10) as box:
            with box.config.open("a") as file:
                file.write(ALERTS.format(url=receiver.url))
            command = partial(synqup, "catch-up", "--config", box.config)
            await anyio.to_thread.run_sync(command)
            assert receiver.paths == ["/beat/start", "/beat/0"]
            assert b"10 delivered, 0 quarantined" in receiver.calls[-1].body
            box.process.kill()
            box.process.wait()
            text = box.config.read_text().replace("client_secret", "attempts = 1\nclient_secret")
            box.config.write_text(text)
            await anyio.to_thread.run_sync(partial(command, expect=3))
            assert receiver.paths[2:] == ["/beat/start", "/beat/3"]
            assert b"1 sources failed" in receiver.calls[-1].body


async def test_a_monitor_that_is_not_there_changes_nothing_of_a_catch_up(tmp_path: Path) -> None:
    async with receiving() as receiver:
        gone = receiver.url
    with mailbox(tmp_path, "--documents", 5) as box:
        with box.config.open("a") as file:
            file.write(ALERTS.format(url=gone))
        said = await anyio.to_thread.run_sync(partial(synqup, "catch-up", "--config", box.config))
        assert "5 delivered" in said


async def test_a_test_of_alerts_says_what_came_of_each(tmp_path: Path) -> None:
    async with receiving() as receiver:
        with mailbox(tmp_path, "--documents", 1) as box:
            bare = box.config.read_text()
            command = partial(synqup, "alert", "--config", box.config)
            said = await anyio.to_thread.run_sync(partial(command, "--test", expect=2))
            assert "nobody is told" in said
            box.config.write_text(bare + ALERTS.format(url=receiver.url))
            assert "--test" in await anyio.to_thread.run_sync(partial(command, expect=2))
            said = await anyio.to_thread.run_sync(partial(command, "--test"))
            assert "ok    heartbeat 1: the message was taken." in said
            assert "ok    webhook hook: the message was taken." in said
            receiver.status = 410
            said = await anyio.to_thread.run_sync(partial(command, "--test", "--json", expect=1))
            assert [one["ok"] for one in json.loads(said)] == [False, False]
    assert sorted(receiver.paths[:2]) == ["/beat", "/hook"]
