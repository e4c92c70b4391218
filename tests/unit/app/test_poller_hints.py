"""Hints shorten the wait until the next poll, as far as the source bears it; that is all."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs

from pipeline.app.poller import Poller
from pipeline.app.wiring import Config
from pipeline.config.push import PushSettings
from pipeline.config.types import Duration
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.errors import PartFailed, SourceError, SourceUnavailable, SynqupError
from pipeline.hints import HintOutcome
from pipeline.traits import Traits
from stages.sources.billtobox.source import BilltoboxSource
from tests.helpers.documents import configured
from tests.helpers.services import often

pytestmark = pytest.mark.anyio


#: Of a source that may be polled at any time.
FREE = Traits()


class Hinted(BilltoboxSource):
    """A source whose hints a test gives; opened, closed: how often they were listened to."""

    opened = closed = 0
    fails = False

    async def hints(self) -> AsyncGenerator[str, None]:
        self.opened += 1
        self.come = anyio.Event()
        try:
            if self.fails:
                raise ZeroDivisionError
            while True:
                await self.come.wait()
                self.come = anyio.Event()
                yield "lane"
        finally:
            self.closed += 1


class World:
    """A poller, its source, and an application that counts its polls."""

    def __init__(self, folder: Path, pause: float, interval: float, traits: Traits) -> None:
        config = often(configured(folder), interval)
        self.config: Config = structs.replace(config, push=PushSettings("", Duration(pause)))
        self.source = Hinted(config.sources[0], folder / "state")  # type: ignore[arg-type]
        self.source.traits = traits
        self.polls = 0
        self.error: SynqupError | None = None
        self.may_end = anyio.Event()
        self.may_end.set()
        self.told: Counter[HintOutcome] = Counter()
        self.error_reporter = ErrorReporter()
        self.ledger: Any = self
        application: Any = self
        self.poller = Poller(
            config.sources[0], self.source, application, self.config, hinted=self.note
        )

    def note(self, outcome: HintOutcome) -> None:
        self.told[outcome] += 1

    async def poll(self, *_: object) -> int:
        self.polls += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return 0

    async def polled(self, *_: object) -> None:
        pass

    async def hint(self) -> None:
        self.source.come.set()
        await anyio.wait_all_tasks_blocked()


@asynccontextmanager
async def world(
    folder: Path,
    pause: float = 0,
    interval: float = 3600,
    traits: Traits = FREE,
    *,
    fails: bool = False,
) -> AsyncIterator[World]:
    """fails: whether its hints fail for a while."""
    one = World(folder, pause, interval, traits)
    one.source.fails = fails
    async with anyio.create_task_group() as group:
        group.start_soon(one.poller.run)
        await anyio.wait_all_tasks_blocked()
        yield one
        one.poller.stop()
    assert one.source.opened == one.source.closed


async def test_a_hint_begins_the_next_poll(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        for polls in (1, 2, 3):
            assert one.polls == polls
            await one.hint()
    assert one.told == {HintOutcome.POLL: 3}


async def test_hints_in_the_middle_of_a_poll_make_one_more_at_its_end(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.may_end = anyio.Event()
        await one.hint()
        for _ in range(10):
            await one.hint()
        assert one.polls == 2
        one.may_end.set()
        await anyio.wait_all_tasks_blocked()
        assert one.polls == 3
    assert one.told == {HintOutcome.POLL: 2, HintOutcome.JOINED: 9}


@pytest.mark.parametrize(
    ("pause", "traits"), [(3600, Traits()), (0, Traits(pause=3000)), (10**6, Traits())]
)
async def test_no_hint_has_it_polled_sooner_than_it_bears(
    tmp_path: Path, pause: float, traits: Traits
) -> None:
    async with world(tmp_path, pause, traits=traits) as one:
        for _ in range(100):
            await one.hint()
        assert one.polls == 1
    assert one.told == {HintOutcome.POLL: 1, HintOutcome.JOINED: 99}


async def test_the_pause_after_a_hint_is_no_longer_than_the_interval(tmp_path: Path) -> None:
    async with world(tmp_path, pause=10**6, interval=0.05) as one:
        with anyio.fail_after(60):
            while one.polls < 3:
                await anyio.sleep(0.01)


@pytest.mark.parametrize(
    "error",
    [
        SourceUnavailable("source box", retry_after=3000),
        SourceUnavailable("source box"),
        SourceError("source box"),
    ],
)
async def test_a_pause_after_a_failure_is_kept(tmp_path: Path, error: SynqupError) -> None:
    async with world(tmp_path) as one:
        one.error = error
        await one.hint()
        assert one.polls == 2
        await one.hint()
        assert one.polls == 2


async def test_the_trouble_of_one_part_keeps_no_hint_of_another_waiting(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.error = PartFailed("source box, Dupont")
        await one.hint()
        await one.hint()
        assert one.polls == 3


async def test_a_source_that_is_held_is_not_polled_by_hints(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.poller.hold()
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            await one.hint()
        assert one.polls == 1
        one.poller.release()
        await anyio.wait_all_tasks_blocked()
        assert one.polls == 2


async def test_an_edit_of_the_configuration_keeps_the_hints(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        one.poller.apply(one.config)
        await anyio.wait_all_tasks_blocked()
        assert one.polls == 2
        await one.hint()
        assert (one.polls, one.source.opened) == (3, 1)


async def test_hints_that_fail_are_begun_anew_and_it_is_polled_meanwhile(tmp_path: Path) -> None:
    async with world(tmp_path, interval=0.02, fails=True) as one:
        with anyio.fail_after(60):
            while one.source.opened < 3 or one.polls < 3:
                await anyio.sleep(0.01)
        one.source.fails = False
        with anyio.fail_after(60):
            while one.told[HintOutcome.POLL] < 2:
                one.source.come.set()
                await anyio.sleep(0.01)


async def test_a_source_without_hints_is_polled_as_ever(tmp_path: Path) -> None:
    one = World(tmp_path, 0, 0.02, Traits())
    one.poller.source = BilltoboxSource(one.config.sources[0], tmp_path)  # type: ignore[arg-type]
    async with anyio.create_task_group() as group:
        group.start_soon(one.poller.run)
        with anyio.fail_after(60):
            while one.polls < 3:
                await anyio.sleep(0.01)
        one.poller.stop()
    assert not one.told
