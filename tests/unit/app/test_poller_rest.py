"""A poller at rest after a refusal: a new sign-in wakes it, a fault meanwhile does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from pipeline.app.poller import Poller
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.errors import SignInRefused, SourceError, SynqupError
from stages.sources.billtobox.source import BilltoboxSource
from tests.helpers.documents import configured

pytestmark = pytest.mark.anyio

REFUSED = SignInRefused("source box", "the sign-in was refused")


class Watched(BilltoboxSource):
    """A source whose look-out for a new sign-in is a test's own."""

    fails = False

    async def signed_in_anew(self) -> None:
        if self.fails:
            raise ZeroDivisionError


def poller(folder: Path, *, fails: bool = False) -> Poller:
    config = configured(folder)
    source = Watched(config.sources[0], folder / "state")
    source.fails = fails
    application: Any = SimpleNamespace(error_reporter=ErrorReporter())
    return Poller(config.sources[0], source, application, config)


async def rests(one: Poller, error: SynqupError | None) -> bool:
    with anyio.move_on_after(0.2) as waited:
        await one._rest(anyio.Event(), error)
    return waited.cancelled_caught


async def test_a_new_sign_in_ends_the_rest_after_a_refusal(tmp_path: Path) -> None:
    assert not await rests(poller(tmp_path), REFUSED)


@pytest.mark.parametrize("error", [None, SourceError("source box")])
async def test_nothing_else_is_looked_out_for(tmp_path: Path, error: SynqupError | None) -> None:
    assert await rests(poller(tmp_path), error)


async def test_a_fault_in_the_look_out_ends_nothing(tmp_path: Path) -> None:
    assert await rests(poller(tmp_path, fails=True), REFUSED)


async def test_another_configuration_ends_it_as_well(tmp_path: Path) -> None:
    applied = anyio.Event()
    applied.set()
    with anyio.fail_after(60):
        await poller(tmp_path, fails=True)._rest(applied, REFUSED)


class Counted:
    """An application that counts polls, each of which lasts until it may end."""

    def __init__(self) -> None:
        self.error_reporter = ErrorReporter()
        self.polls = 0
        self.cancelled = 0
        self.may_end = anyio.Event()

    async def poll(self, *_: object) -> int:
        self.polls += 1
        try:
            await self.may_end.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return 0


@pytest.mark.parametrize("held", [False, True])
async def test_it_polls_when_it_is_asked_to_unless_it_is_held(tmp_path: Path, held: bool) -> None:
    config, counted = configured(tmp_path), Counted()
    source = Watched(config.sources[0], tmp_path / "state")
    application: Any = counted
    one = Poller(config.sources[0], source, application, config, held=held)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        await anyio.wait_all_tasks_blocked()
        assert counted.polls == (0 if held else 1)
        one.release()
        counted.may_end.set()
        await anyio.wait_all_tasks_blocked()
        assert counted.polls == 1
        for polls in (2, 3):
            one.poll_now()
            await anyio.wait_all_tasks_blocked()
            assert counted.polls == polls
        counted.may_end = anyio.Event()
        one.poll_now()
        await anyio.wait_all_tasks_blocked()
        # What is asked for in the middle of a poll follows it; a pause ends it.
        one.poll_now()
        await anyio.wait_all_tasks_blocked()
        assert counted.polls == 4
        one.hold()
        one.poll_now()
        await anyio.wait_all_tasks_blocked()
        assert (counted.polls, counted.cancelled) == (4, 1)
        one.apply(config)
        await anyio.wait_all_tasks_blocked()
        assert counted.polls == 4
        one.release()
        await anyio.wait_all_tasks_blocked()
        assert counted.polls == 5
        one.stop()
