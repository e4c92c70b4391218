"""The health of a service is what its parts know; what takes time to read delays nobody."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import SourceUnavailable
from pipeline.health import refreshed
from pipeline.health.collector import Collector
from pipeline.health.model import Health, Trouble
from pipeline.health.progress import VitalSigns
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import Unwritable
from pipeline.source import Source
from pipeline.stage import Stage, one_by_one
from stages.delivery import destinations as destinations_module, lanes as lanes_module
from stages.delivery.destinations import Destinations
from stages.delivery.lanes import Lanes
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


class SignedIn(Farm):
    @property
    def sign_in_ends_at(self) -> float | None:
        return 5e9


class World:
    """A collector and its parts."""

    def __init__(self, folder: Path, ledger: Ledger, shared: Path | None) -> None:
        self.ledger = ledger
        stage = Stage("stage", one_by_one(anyio.lowlevel.checkpoint))  # type: ignore[arg-type]
        self.engine = Engine([stage], ledger, Quarantine(folder / "quarantine"))
        self.lanes = Lanes()
        self.destinations = Destinations(self.lanes)
        self.open: dict[str, Source | None] = {"farm": Farm()}
        self.paused: Mapping[str, tuple[float, str]] = {}
        self.into: Sequence[Path] = (folder / "a", folder / "b")
        self.collector = Collector(
            lambda: VitalSigns(self.engine.observer.snapshot()),
            ledger,
            self.destinations,
            self,
            folder / "state",
            shared,
        )

    def sources(self) -> Mapping[str, Source | None]:
        return self.open

    async def folders(self) -> Sequence[Path]:
        return self.into

    async def health(self) -> Health:
        return await self.collector.current()


@asynccontextmanager
async def world(folder: Path, shared: Path | None = None) -> AsyncIterator[World]:
    async with open_ledger(folder / "ledger") as ledger:
        one = World(folder, ledger, shared)
        async with one.engine.running(), anyio.create_task_group() as group:
            group.start_soon(one.collector.run)
            yield one
            group.cancel_scope.cancel()
        one.lanes.close()


async def test_it_is_ready_once_every_source_was_polled_well(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        health = await one.health()
        assert not health.ready
        assert health.started_at <= health.progress_at <= health.at
        assert health.ledger_bytes > 0
        assert health.disk_free
        assert health.shared_free is None
        with one.engine.observer.polling("farm"):
            pass
        health = await one.health()
        assert health.ready
        (source,) = health.sources
        assert (source.trouble, source.sign_in_ends_at) == (None, None)
        assert [Path(to.folder) for to in health.destinations] == list(one.into)
        assert all(to.free_bytes for to in health.destinations)


async def test_the_room_in_the_folder_that_nodes_share_is_told(tmp_path: Path) -> None:
    async with world(tmp_path, tmp_path / "shared") as one:
        health = await one.health()
        assert health.shared_free
        assert len(health.destinations) == len(one.into)


async def test_the_sources_are_those_of_the_configuration_in_its_order(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        observer = one.engine.observer
        for name in ("removed", "farm"):
            with pytest.raises(SourceUnavailable), observer.polling(name):
                raise SourceUnavailable(f"source {name}", "no answer", "Look at the cable")
        observer.poll_failed("closed", SourceUnavailable("source closed"))
        one.open = {"new": SignedIn(), "farm": Farm(), "closed": None}
        health = await one.health()
        assert [source.name for source in health.sources] == ["new", "farm", "closed"]
        new, farm, closed = health.sources
        assert (new.trouble, new.last_good_poll, new.sign_in_ends_at) == (None, None, 5e9)
        assert farm.trouble is not None
        assert (farm.trouble.reason, farm.trouble.remedy) == ("no answer", "Look at the cable")
        assert closed.trouble is not None
        with observer.polling("farm"):
            pass
        assert (await one.health()).sources[1].trouble is None


async def test_a_folder_is_told_as_long_as_it_is_configured(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        with one.engine.observer.polling("farm"):
            pass
        refusing = {tmp_path / "a": OSError(28, "No space left on device")}
        one.destinations.record_folders(set(), refusing)
        health = await one.health()
        a, b = health.destinations
        assert a.trouble is not None
        assert (a.trouble.reason, b.trouble) == ("the system says: No space left on device", None)
        assert not health.ready
        # What has not changed is not made again.
        assert (await one.health()).destinations is health.destinations
        one.into = (tmp_path / "b",)
        assert (await one.health()).ready
        one.into = (tmp_path / "a", tmp_path / "b")
        assert not (await one.health()).ready
        one.destinations.record_folders({tmp_path / "a"}, {})
        assert (await one.health()).ready


async def test_a_ledger_that_can_not_be_written_is_no_readiness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as one:
        with one.engine.observer.polling("farm"):
            pass
        one.ledger._writer.unwritable = Unwritable(7.0, "it is full", "Make room")
        health = await one.health()
        assert (health.ready, health.state) == (False, Trouble(7.0, "it is full", "Make room"))


async def test_a_disk_that_hangs_delays_nobody_and_shows_since_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes_module, "TIMEOUT", 0.2)
    monkeypatch.setattr(refreshed, "PATIENCE", 0.05)
    monkeypatch.setattr(refreshed, "MAX_AGE", 0.0)
    monkeypatch.setattr(refreshed, "MAX_SHARE", 0)
    free = threading.Event()
    monkeypatch.setattr(destinations_module.shutil, "disk_usage", lambda _: free.wait() and None)
    async with world(tmp_path) as one:
        with anyio.fail_after(60):
            health = await one.health()
            assert (health.disk_free, health.destinations[0].free_bytes) == (None, None)
            while health.destinations[0].trouble is None:
                health = await one.health()
            first = health.destinations[0].trouble
            assert "has not answered" in first.reason
            for _ in range(20):
                assert (await one.health()).destinations[0].trouble == first
        free.set()


async def test_counts_of_the_ledger_come_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refreshed, "MAX_AGE", 0.0)
    monkeypatch.setattr(refreshed, "MAX_SHARE", 0)
    async with world(tmp_path) as one:
        keys = [Farm().document(str(number)).key for number in range(5)]
        await one.ledger.waiting([(key, "why") for key in keys[:3]], 1.0)
        await one.ledger.quarantined([(key, "why") for key in keys[3:]], 1.0)
        health = await one.health()
        assert (health.waiting, health.quarantined) == (3, 2)
        assert (health.unacknowledged, health.staged) == (2, 0)


async def test_a_source_that_is_paused_is_told_so(tmp_path: Path) -> None:
    async with world(tmp_path) as one:
        assert not (await one.health()).ready
        one.paused = {"farm": (7.0, "jan")}
        health = await one.health()
        (source,) = health.sources
        assert (source.paused_since, source.paused_by) == (7.0, "jan")
        assert health.ready
