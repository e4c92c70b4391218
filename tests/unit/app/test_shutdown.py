"""The first wish to stop drains, the second stops at once."""

from __future__ import annotations

import os
import signal

import anyio
import pytest

from pipeline.app.shutdown import Stop, stop_on_signals

pytestmark = pytest.mark.anyio


async def test_the_first_wish_ends_the_feeding_and_lets_the_rest_go_on() -> None:
    stop = Stop(grace=60)
    drained = False
    with stop.scope:
        async with anyio.create_task_group() as group:
            group.start_soon(stop.feed, anyio.sleep_forever)
            await anyio.sleep(0.01)
            stop.request("a test")
        await anyio.sleep(0.01)
        drained = True
    assert drained
    assert not stop.at_once


async def test_the_second_wish_stops_at_once() -> None:
    stop = Stop(grace=60)
    with stop.scope:
        stop.request("a test")
        stop.request("a test")
        await anyio.sleep_forever()
    assert stop.at_once


async def test_after_the_grace_it_stops() -> None:
    stop = Stop(grace=0.01)
    with stop.scope:
        stop.request("a test")
        await anyio.sleep_forever()
    assert stop.at_once


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_signals_are_such_wishes_and_are_given_back(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    stop = Stop(grace=60)
    with stop_on_signals(stop):
        os.kill(os.getpid(), number)
        with anyio.fail_after(60):
            await stop.requested.wait()
    assert signal.getsignal(number) == before
