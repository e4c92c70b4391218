"""The service polls again and again: less often while a source fails, which is said once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pipeline.app.lock import only_process
from pipeline.app.service import LONGEST_PAUSE, Service, running
from pipeline.app.wiring import Config, open_application
from pipeline.config.types import Duration
from pipeline.errors import RetryableError, SourceUnavailable
from pipeline.retry import LONGEST_REST
from stages.sandbox import Planned
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio


def often(it: Trial) -> Config:
    config = it.config()
    service = structs.replace(config.service, poll_interval=Duration(0.05))
    return structs.replace(config, service=service)


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Service]:
    with only_process(config.service.state_dir):
        async with (
            open_application(config) as application,
            running(application, config) as service,
            application.dispatcher.running(),
            anyio.create_task_group() as group,
        ):
            service.start(group)
            yield service
            group.cancel_scope.cancel()


async def until(condition: object) -> None:
    assert callable(condition)
    with anyio.fail_after(100):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.parametrize(
    "planned",
    [Planned("unavailable"), Planned("invalid-json"), Planned("error", on="token")],
    ids=lambda planned: planned.name,
)
async def test_a_source_that_fails_is_reported_once_and_serves_again(
    tmp_path: Path, planned: Planned
) -> None:
    strikes = 10 if planned.on == "token" else 60
    async with trial(tmp_path, planned, documents=12) as it:
        with capture_logs() as logs:
            async with serving(often(it)):
                # Several polls: each tries a list, or a token, three times.
                await until(lambda: it.faults.struck[planned.name] > strikes)
                it.faults.planned = ()
                await until(lambda: it.delivered() == it.held())
                await until(lambda: "source serves again" in [line["event"] for line in logs])
        events = [line["event"] for line in logs if line["event"] in EVENTS]
        assert events == ["poll failed", "source serves again"]
        failed = [line for line in logs if line["event"] == "poll failed"]
        assert all(line["source"] == "billtobox" for line in failed)


EVENTS = ("poll failed", "source serves again")


async def test_another_trouble_is_reported_as_well(tmp_path: Path) -> None:
    async with trial(tmp_path, Planned("unavailable"), documents=3) as it:
        with capture_logs() as logs:
            async with serving(often(it)):
                await until(lambda: "poll failed" in [line["event"] for line in logs])
                it.faults.planned = (Planned("unauthorized"),)
                await until(lambda: [line["event"] for line in logs].count("poll failed") == 2)
        reasons = [line["reason"] for line in logs if line["event"] == "poll failed"]
        assert len(reasons) == 2
        assert "503" in reasons[0]
        assert "refuses a new token" in reasons[1]


async def test_new_documents_are_brought_by_the_next_poll(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=6) as it, serving(often(it)):
        await until(lambda: it.delivered() == it.held())
        it.mailbox.grow(6)
        await until(lambda: it.delivered() == it.held())
        assert len(it.mailbox) == 12


async def test_polls_grow_rarer_up_to_a_bound(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=0) as it, serving(it.config()) as service:
        down = SourceUnavailable("source")
        assert [service._pause(down, failures) for failures in (1, 2, 3, 99)] == [
            *(600, 1200, LONGEST_PAUSE, LONGEST_PAUSE)
        ]
        assert service._pause(None, 0) == 300
        busy = RetryableError("source", retry_after=7000)
        assert service._pause(busy, 1) == 7000
        assert service._pause(RetryableError("source", retry_after=10**9), 1) == LONGEST_REST
        service.config = structs.replace(
            service.config,
            service=structs.replace(service.config.service, poll_interval=Duration(86400)),
        )
        assert service._pause(down, 5) == 86400
