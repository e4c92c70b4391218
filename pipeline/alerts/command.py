"""Alerts of commands: the heartbeats of one that begins and ends, and a trial of each way."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import anyio
import structlog
from msgspec import Struct

from pipeline.alerts import texts
from pipeline.alerts.alerts import machine_name
from pipeline.alerts.beats import START, Beat, Monitor, exit_beat
from pipeline.alerts.channels import open_channels
from pipeline.alerts.message import NOTICE, News
from pipeline.alerts.requests import Requests
from pipeline.alerts.saying import languages, said
from pipeline.alerts.settings import AlertSettings
from pipeline.errors import SynqupError
from pipeline.language.texts import Text
from pipeline.network.routes import Routes

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Seconds that the end of a command waits for monitors, and a trial for each way.
END_TIMEOUT = 10.0
TRIAL_TIMEOUT = 90.0


class Tried(Struct, frozen=True):
    """What came of a trial. way: a channel or a monitor. error: why the message was not taken."""

    way: str
    ok: bool
    error: str = ""


class Ended(Struct, frozen=True):
    """How a command has ended; text: a summary that names nobody."""

    status: int
    text: str


async def with_heartbeats(
    settings: AlertSettings,
    work: Callable[[], Awaitable[T]],
    ended: Callable[[T | Exception], Ended],
) -> T:
    """Do the work of a command, and tell monitors that it begins and how it has ended.

    The work does not wait for them. ended: says how it has, by its result or by what it has raised.
    """
    outcome: list[T | Exception] = []
    done = anyio.Event()

    async def tell(monitor: Monitor) -> None:
        await _call(monitor, START)
        await done.wait()
        last = ended(outcome[0])
        await _call(monitor, exit_beat(last.status, last.text))

    async with _monitors(settings) as monitors, anyio.create_task_group() as group:
        for monitor in monitors:
            group.start_soon(tell, monitor)
        try:
            outcome.append(await work())
        except Exception as error:  # noqa: BLE001 - it is raised below, when monitors know
            outcome.append(error)
        done.set()
        group.cancel_scope.deadline = anyio.current_time() + END_TIMEOUT
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


async def try_all(settings: AlertSettings) -> list[Tried]:
    """Send a message by each channel, and call each monitor."""
    news = News(
        id=f"test-{time.time_ns()}",
        incident="test",
        cause="test",
        state=NOTICE,
        at=time.time(),
        machine=machine_name(settings),
        subject=Text(texts.TEST.subject),
        text=Text(texts.TEST.text),
    )
    beat = Beat("", True, texts.TEST.text)
    tried: dict[str, Tried] = {}

    async def attempt(way: str, send: Callable[[], Awaitable[None]]) -> None:
        error = ""
        try:
            with anyio.fail_after(TRIAL_TIMEOUT):
                await send()
        except TimeoutError:
            error = "no answer in time."
        except SynqupError as failed:
            error = str(failed).removeprefix(f"{way}: ")
        tried[way] = Tried(way, not error, error)

    async with _monitors(settings) as monitors, _requests(settings) as requests:
        channels = open_channels(settings, requests)
        known = languages(one.language for one in channels)
        async with anyio.create_task_group() as group:
            for monitor in monitors:
                group.start_soon(attempt, monitor.name, lambda m=monitor: m.call(beat))
            for channel in channels:
                message = said(news, known[channel.language])
                send = partial(channel.send, message)
                group.start_soon(attempt, channel.name, send)
        ways = [*(one.name for one in monitors), *(one.name for one in channels)]
        return [tried[way] for way in ways]


@asynccontextmanager
async def _requests(settings: AlertSettings) -> AsyncIterator[Requests]:
    requests = Requests(Routes("alerts", settings.proxy_settings, settings.ca_file))
    try:
        yield requests
    finally:
        with anyio.move_on_after(2, shield=True):
            await requests.close()


@asynccontextmanager
async def _monitors(settings: AlertSettings) -> AsyncIterator[list[Monitor]]:
    async with _requests(settings) as requests:
        yield [Monitor(one, at, requests) for at, one in enumerate(settings.heartbeats, 1)]


async def _call(monitor: Monitor, beat: Beat) -> None:
    try:
        await monitor.call(beat)
    except Exception as error:
        known = isinstance(error, SynqupError)
        log.warning("heartbeat failed", reason=str(error), exc_info=None if known else error)
