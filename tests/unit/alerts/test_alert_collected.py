"""Alerts by the health that the collector makes of real parts, in simulated time."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from pipeline.alerts.alerts import Watched
from pipeline.alerts.conditions import Seen
from pipeline.alerts.facts import read_facts
from pipeline.alerts.memory import new_memory
from pipeline.alerts.rules import look, needs
from pipeline.alerts.saying import said
from pipeline.alerts.settings import AlertSettings
from pipeline.document import Document, Key
from pipeline.engine import observer as observer_module
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import SourceUnreachable, SynqupError
from pipeline.health import collector as collector_module, refreshed
from pipeline.health.collector import Collector
from pipeline.health.progress import ProgressMonitor, VitalSigns
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import Staged, Unwritable
from pipeline.source import Source
from pipeline.stage import Stage, one_by_one
from stages.delivery import destinations as destinations_module
from stages.delivery.destinations import Destinations
from stages.delivery.lanes import Lanes
from tests.helpers.alerting import DAY, HOUR, LANGUAGES, MINUTE, MORNING, ROOM, told
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio

COMPANY = "BE0403170701"
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


class SignedIn(Farm):
    ends_at: float | None = None

    @property
    def sign_in_ends_at(self) -> float | None:
        return self.ends_at


class Running:
    """A service of real parts whose clock is set by hand. trouble: of its one source."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.now = MORNING
        self.ledger = ledger
        self.path = folder / "ledger"
        self.source = SignedIn()
        self.trouble: SynqupError | None = None
        self.free = int(ROOM)
        self.into: Sequence[Path] = (folder / "a", folder / "b")
        #: Documents leave the only stage while this is set.
        self.awake = anyio.Event()
        self.awake.set()
        self.engine = Engine(
            [Stage("stage", one_by_one(self._work))], ledger, Quarantine(folder / "quarantine")
        )
        self.lanes = Lanes()
        self.destinations = Destinations(self.lanes)
        self.settings = AlertSettings(summary="never")
        self.memory = new_memory(self.now)
        self.messages: list[str] = []

    def collect(self, folder: Path) -> None:
        self.collector = Collector(
            lambda: VitalSigns(
                self.engine.observer.snapshot(), {}, self.ledger.unwritable is not None
            ),
            self.ledger,
            self.destinations,
            self,
            folder / "state",
        )
        self.collector._progress = ProgressMonitor(float("inf"), lambda: self.now)

    @property
    def paused(self) -> Mapping[str, tuple[float, str]]:
        return {}

    def sources(self) -> Mapping[str, Source | None]:
        return {"farm": self.source}

    async def folders(self) -> Sequence[Path]:
        return self.into

    async def _work(self, document: Document) -> Document:
        await self.awake.wait()
        return document

    def poll(self) -> None:
        if self.trouble is None:
            with self.engine.observer.polling("farm"):
                pass
        else:
            self.engine.observer.poll_failed("farm", self.trouble)

    async def run(self, seconds: float, step: float = MINUTE) -> list[str]:
        """Let time go by, and return what is told meanwhile."""
        before, end = len(self.messages), self.now + seconds
        while self.now < end:
            self.now = min(self.now + step, end)
            self.poll()
            wanted = needs(self.memory, self.settings, self.now, UTC)
            companies = {COMPANY: Watched("Bakkerij Peeters", frozenset({"farm"}))}
            seen = Seen(
                self.now,
                await self.collector.current(),
                self.settings,
                "office",
                companies,
                read_facts(self.path, wanted, self.now),
                UTC,
            )
            self.memory, news = look(self.memory, seen)
            messages = [said(one, LANGUAGES["en"]) for one in news]
            self.messages += told(messages)
        return self.messages[before:]


@pytest.fixture
async def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    async with running(tmp_path, monkeypatch) as one:
        yield one


@asynccontextmanager
async def running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    async with open_ledger(folder / "ledger") as ledger:
        one = Running(folder, ledger)
        clock = SimpleNamespace(time=lambda: one.now, monotonic=time.monotonic)
        for module in (observer_module, collector_module, destinations_module):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(refreshed, "MAX_AGE", 0.0)
        monkeypatch.setattr(refreshed, "MAX_SHARE", 0)
        usage = SimpleNamespace(disk_usage=lambda _: shutil._ntuple_diskusage(0, 0, one.free))
        monkeypatch.setattr(destinations_module, "shutil", usage)
        one.collect(folder)
        async with one.engine.running(), anyio.create_task_group() as group:
            group.start_soon(one.collector.run)
            yield one
            group.cancel_scope.cancel()
        one.lanes.close()


async def test_a_healthy_week_gives_none_but_the_summaries(it: Running) -> None:
    it.settings = AlertSettings(summary="daily")
    assert await it.run(7 * DAY, 30 * MINUTE) == ["summary notice"] * 7


async def test_a_source_that_fails_and_works_again(it: Running) -> None:
    await it.run(HOUR)
    it.trouble = SourceUnreachable("source farm", "it is barred", "Open it")
    assert await it.run(DAY, 5 * MINUTE) == ["source problem"]
    it.trouble = None
    assert await it.run(DAY, 5 * MINUTE) == ["source over"]


async def test_a_stage_that_sleeps_for_ever(it: Running) -> None:
    await it.run(HOUR)
    it.awake = anyio.Event()
    await it.engine._runners[0].queue.put(it.source.document("1"))
    assert await it.run(10 * MINUTE) == []
    assert await it.run(3 * HOUR) == ["stuck problem"]
    it.awake.set()
    with anyio.fail_after(60):
        while it.engine.observer.snapshot().stages["stage"].queue.documents:
            await anyio.sleep(0.01)
    assert await it.run(3 * HOUR) == ["stuck over"]


async def test_a_full_disk_is_one_trouble_although_all_that_needs_it_fails(it: Running) -> None:
    await it.run(HOUR)
    it.free = 0
    it.destinations.record_folders(set(), dict.fromkeys(it.into, NO_ROOM))
    it.ledger._writer.unwritable = Unwritable(it.now, "the disk is full", "Make room")
    assert await it.run(DAY, 5 * MINUTE) == ["disk problem"]
    it.free = int(ROOM)
    it.ledger._writer.unwritable = None
    it.destinations.record_folders(set(it.into), {})
    assert await it.run(DAY, 5 * MINUTE) == ["disk over"]


async def test_a_disk_that_runs_low_is_told_before_it_is_full_and_then_again(it: Running) -> None:
    await it.run(HOUR)
    it.free = 1_900_000_000
    assert await it.run(DAY, 10 * MINUTE) == ["disk problem"]
    it.free = 10_000_000
    assert await it.run(DAY, 10 * MINUTE) == ["disk problem"]
    it.free = int(ROOM)
    assert await it.run(DAY, 10 * MINUTE) == ["disk over"]


async def test_a_folder_that_refuses_is_told_by_itself(it: Running) -> None:
    await it.run(HOUR)
    it.destinations.record_folders(set(), {it.into[0]: PermissionError(errno.EACCES, "Denied")})
    assert await it.run(DAY, 5 * MINUTE) == ["folder problem"]
    it.destinations.record_folders({it.into[0]}, {})
    assert await it.run(DAY, 5 * MINUTE) == ["folder over"]


async def test_a_sign_in_is_told_within_14_and_3_days_of_its_end(it: Running) -> None:
    it.source.ends_at = it.now + 16 * DAY
    assert await it.run(DAY, HOUR) == []
    assert await it.run(2 * DAY, HOUR) == ["sign-in problem"]
    assert await it.run(9 * DAY, HOUR) == []
    assert await it.run(2 * DAY, HOUR) == ["sign-in problem"]
    it.source.ends_at = it.now + 90 * DAY
    assert await it.run(DAY, HOUR) == ["sign-in over"]


async def test_a_sign_in_that_is_renewed_without_an_end_is_over(it: Running) -> None:
    it.source.ends_at = it.now + 2 * DAY
    assert await it.run(DAY, HOUR) == ["sign-in problem"]
    it.source.ends_at = None
    # A restart, or another answer of the issuer: not known before the end has gone by.
    assert await it.run(DAY, HOUR) == []
    assert await it.run(2 * DAY, HOUR) == ["sign-in over"]


async def test_a_company_that_usually_gets_documents_and_got_none(it: Running) -> None:
    for number in range(10):
        await deliver(it.ledger, number, it.now - number * DAY)
    assert await it.run(13 * DAY, HOUR) == []
    assert await it.run(2 * DAY, HOUR) == ["quiet problem"]
    await deliver(it.ledger, 11, it.now)
    assert await it.run(DAY, HOUR) == ["quiet over"]


async def deliver(ledger: Ledger, number: int, at: float) -> None:
    key = Key("farm", f"{number}", "")
    await ledger.seen([(key, f"invoice {number}")], at)
    out = f"out/{number}.xml"
    staged = Staged(key, f"t/{number}", (), out, COMPANY, "purchase", "ab", 9, "", "", at)
    await ledger.stage([staged], at)
    await ledger.delivered([(key, staged.staged)], at)
