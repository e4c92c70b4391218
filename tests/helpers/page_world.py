"""What the page asks, of which a test says what is so."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from pipeline.alerts.settings import AlertSettings
from pipeline.engine.counters import Counters
from pipeline.engine.observer import Snapshot
from pipeline.health.model import DestinationHealth, Health, SourceHealth
from pipeline.ledger.schema import SCHEMA
from pipeline.monitor.page.overview import Overviewer
from pipeline.monitor.page.parts import Member, Members, Parts
from pipeline.monitor.page.tally import DAY, Tally

NOW = time.time()


class World:
    """Everything that the page asks, of which a test says what is so."""

    def __init__(self, folder: Path, companies: int = 3) -> None:
        self.folder = folder
        self.sources = [SourceHealth("box", NOW), SourceHealth("sftp", NOW)]
        self.destinations: list[DestinationHealth] = []
        self.made_of = Members(
            {
                f"BE{number:03}": Member(
                    f"BE{number:03}",
                    f"Company {number:03}",
                    f"FILE{number}",
                    frozenset({"box" if number % 2 else "sftp"}),
                    (f"/out/{number:03}",),
                )
                for number in range(companies)
            }
        )
        self.ledger = folder / "ledger.sqlite"
        self.connection = sqlite3.connect(self.ledger)
        self.connection.executescript(SCHEMA)

    async def members(self) -> Members:
        return self.made_of

    async def current(self) -> Health:
        return Health(
            at=time.time(),
            started_at=NOW - DAY,
            progress_at=time.time(),
            sources=tuple(self.sources),
            destinations=tuple(self.destinations),
            quarantined=0,
            waiting=0,
            unacknowledged=0,
            ledger_bytes=1,
        )

    def snapshot(self) -> Snapshot:
        return Snapshot(time.time(), 1.0, Counters(), {}, None, {})  # type: ignore[arg-type] # not asked

    def document(
        self, id_: str, company: str, state: str, reason: str = "", at: float = NOW
    ) -> None:
        self.connection.execute(
            "INSERT INTO documents (source, id, revision, label, state, company, kind, reason,"
            " seen_at, changed_at, delivered_at)"
            " VALUES ('box', ?, '', ?, ?, ?, 'sales', ?, ?, ?, ?)",
            (id_, f"invoice {id_}", state, company, reason, at, at, at),
        )
        self.connection.commit()


@asynccontextmanager
async def overviewer(
    world: Any, tally: Tally | None = None, parts: Parts | None = None
) -> AsyncIterator[Overviewer]:
    parts = parts or Parts(world, world, tally or Tally(), world, world.ledger, AlertSettings)
    one = Overviewer(parts)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        with anyio.fail_after(60):
            yield one
        group.cancel_scope.cancel()
