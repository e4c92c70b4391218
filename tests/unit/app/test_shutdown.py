"""The first request of a shutdown drains, the second stops at once."""

from __future__ import annotations

import signal

import anyio
import pytest

from pipeline.app.shutdown import SIGNALS, Shutdown, handle_signals

pytestmark = pytest.mark.anyio


async def test_the_first_request_ends_the_listing_and_lets_the_rest_go_on() -> None:
    shutdown = Shutdown(grace=60)
    drained = False
    with shutdown.scope:
        async with anyio.create_task_group() as group:
            group.start_soon(shutdown.run_until_requested, anyio.sleep_forever)
            await anyio.sleep(0.01)
            shutdown.request("a test")
        await anyio.sleep(0.01)
        drained = True
    assert drained
    assert not shutdown.forced


async def test_the_second_request_stops_at_once() -> None:
    shutdown = Shutdown(grace=60)
    with shutdown.scope:
        shutdown.request("a test")
        shutdown.request("a test")
        await anyio.sleep_forever()
    assert shutdown.forced


async def test_after_the_grace_period_it_stops() -> None:
    shutdown = Shutdown(grace=0.01)
    with shutdown.scope:
        shutdown.request("a test")
        await anyio.sleep_forever()
    assert shutdown.forced


@pytest.mark.parametrize("name", [one.name for one in SIGNALS])
async def test_signals_request_it_and_their_handlers_are_restored(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    shutdown = Shutdown(grace=60)
    with handle_signals(shutdown):
        signal.raise_signal(number)  # os.kill() would end the process on Windows
        with anyio.fail_after(60):
            await shutdown.requested.wait()
    assert signal.getsignal(number) == before
