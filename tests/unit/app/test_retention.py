"""What is removed by its age is removed by a clock that can be believed, and never too early."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.app import retention
from pipeline.app.retention import DOUBT, MAX_GAP, ClockGuard, Retention
from pipeline.app.wiring import Application, open_application
from pipeline.config.types import Duration
from pipeline.document import Key
from pipeline.engine.quarantine import Quarantine
from pipeline.ledger.models import Staged
from stages.settings import Config
from tests.helpers.settings import GOOD, load

pytestmark = pytest.mark.anyio

DAY = 86_400.0
SHA = "ab" * 32


class Time:
    def __init__(self) -> None:
        self.wall, self.running = 1e9, 5.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


def guard(of: Time, last_poll_at: float | None) -> ClockGuard:
    return ClockGuard(last_poll_at, lambda: of.wall, lambda: of.running)


@pytest.mark.parametrize("gap", [None, 0, 40 * DAY])
def test_a_clock_that_goes_on_is_believed(gap: float | None) -> None:
    of = Time()
    one = guard(of, None if gap is None else of.wall - gap)
    assert one.is_good()
    of.passes(100 * DAY)
    assert one.is_good()


@pytest.mark.parametrize("gap", [MAX_GAP + 1, -MAX_GAP - 1, 20 * 365 * DAY])
def test_after_a_long_gap_it_is_believed_when_the_program_has_run_for_long(gap: float) -> None:
    of = Time()
    one = guard(of, of.wall - gap)
    assert not one.is_good()
    of.passes(DOUBT - 1)
    assert not one.is_good()
    of.passes(2)
    assert one.is_good()


@pytest.mark.parametrize("seconds", [400 * DAY, -400 * DAY, 2 * DAY])
def test_a_clock_that_jumps_is_in_doubt(seconds: float) -> None:
    of = Time()
    one = guard(of, of.wall)
    of.wall += seconds
    assert not one.is_good()
    of.passes(DOUBT + 1)
    assert one.is_good()


# The quarantine


@asynccontextmanager
async def sweeping(
    folder: Path, days: float | None = 7
) -> AsyncIterator[tuple[Application, Retention]]:
    keep = Duration(days * DAY) if days is not None else None
    config: Config = load(folder, GOOD)
    config = structs.replace(config, service=structs.replace(config.service, keep_quarantine=keep))
    config.service.state_dir.mkdir()
    async with open_application(config) as application, application.engine.running():
        one = Retention(application, lambda: config)
        await one.prepare()
        await application.ledger.begin_poll("billtobox")
        yield application, one


def keep(folder: Path, key: Key, *, days: float = 0, sha256: str = SHA) -> Path:
    """As the quarantine keeps it (tests/unit/engine hold that), so many days ago."""
    quarantine = Quarantine(folder / "state" / "quarantine")
    home = quarantine._folder(key)
    home.mkdir(parents=True, exist_ok=True)
    note = home / f"x-{Key(key.source, key.id, '').digest[:12]}.json"
    note.with_suffix(".bin").write_bytes(b"<bytes>")
    note.write_text(
        json.dumps({"source": key.source, "id": key.id, "revision": key.revision, "sha256": sha256})
    )
    for path in (note, note.with_suffix(".bin")):
        os.utime(path, (time.time() - days * DAY,) * 2)
    return note


ONE = Key("billtobox", "1", "")


async def quarantined(application: Application, key: Key, *, told: bool = True) -> None:
    await application.ledger.seen([(key, "invoice")], 1.0)
    await application.ledger.quarantined([(key, "no party is ours")], 1.0)
    if told:
        await application.ledger.acknowledged([key], 2.0)


async def states(application: Application, key: Key) -> dict[str, str]:
    rows = (await application.ledger.contents(key.source, [key.id])).get(key.id, {})
    return {revision: f"{row.state}: {row.reason}" for revision, row in rows.items()}


async def test_what_was_kept_for_long_enough_goes(tmp_path: Path) -> None:
    async with sweeping(tmp_path) as (application, one):
        old = keep(tmp_path, ONE, days=8)
        young = keep(tmp_path, Key("billtobox", "2", ""), days=6)
        untold = keep(tmp_path, Key("billtobox", "3", ""), days=8)
        lone = keep(tmp_path, Key("gone", "4", ""), days=8)
        foreign = old.with_name("notes.json")
        foreign.write_text("{}")
        os.utime(foreign, (1, 1))
        await quarantined(application, ONE)
        await quarantined(application, Key("billtobox", "3", ""), told=False)
        await one.sweep()
        assert not old.exists()
        assert not old.with_suffix(".bin").exists()
        assert not lone.exists()
        assert young.exists()
        assert untold.exists()
        assert foreign.exists()
        assert "removed by keep_quarantine" in (await states(application, ONE))[""]


async def test_without_a_setting_nothing_goes_by_its_age(tmp_path: Path) -> None:
    async with sweeping(tmp_path, days=None) as (application, one):
        old = keep(tmp_path, ONE, days=8000)
        await quarantined(application, ONE)
        await one.sweep()
        assert old.exists()


async def test_a_clock_in_doubt_removes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sweeping(tmp_path) as (application, one):
        old = keep(tmp_path, ONE, days=8)
        await application.ledger.polled("billtobox", time.time() - 100 * DAY)
        await application.ledger.begin_poll("billtobox")
        await one.prepare()
        await one.sweep()
        assert old.exists()


async def delivered(application: Application, key: Key, sha256: str = SHA) -> None:
    staged = Staged(
        key, "t/1", (), "out/7.xml", "BE1", "sales", sha256, 9, "Digest", "", 3.0, identity=5
    )
    await application.ledger.seen([(key, "invoice")], 3.0)
    await application.ledger.stage([staged], 3.0)
    await application.ledger.delivered([(key, "t/1")], 3.0)


async def test_another_revision_that_was_delivered_later_clears_it(tmp_path: Path) -> None:
    async with sweeping(tmp_path, days=None) as (application, one):
        note = keep(tmp_path, Key("billtobox", "1", "r1"))
        await quarantined(application, Key("billtobox", "1", "r1"))
        await application.ledger.begin_poll("billtobox")
        await delivered(application, Key("billtobox", "1", "r2"))
        await one.sweep()
        assert not note.exists()
        await application.ledger.begin_poll("billtobox")
        assert list(await states(application, ONE)) == ["r2"]


async def test_one_that_was_delivered_before_does_not(tmp_path: Path) -> None:
    async with sweeping(tmp_path, days=None) as (application, one):
        await delivered(application, Key("billtobox", "1", "r1"))
        await application.ledger.begin_poll("billtobox")
        note = keep(tmp_path, Key("billtobox", "1", "r2"))
        await quarantined(application, Key("billtobox", "1", "r2"))
        await one.sweep()
        assert note.exists()


@pytest.mark.parametrize(
    ("source", "other", "sha256", "cleared"),
    [
        ("renamed", "billtobox", SHA, True),
        ("renamed", "billtobox", "cd" * 32, False),
        # Both are configured: the sale of one company is the purchase of another.
        ("billtobox", "two", SHA, False),
    ],
)
async def test_the_same_document_of_a_source_that_was_renamed_clears_it(
    tmp_path: Path, source: str, other: str, sha256: str, cleared: bool
) -> None:
    async with sweeping(tmp_path, days=None) as (application, one):
        await application.ledger.begin_poll(other)
        note = keep(tmp_path, Key(source, "1", ""))
        await quarantined(application, Key(source, "1", ""))
        await delivered(application, Key(other, "1", ""), sha256)
        await one.sweep()
        assert note.exists() is not cleared


async def test_what_is_quarantined_anew_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sweeping(tmp_path) as (_, one):
        note = keep(tmp_path, ONE, days=8)
        (kept,) = await one._quarantine.kept()
        keep(tmp_path, ONE)
        assert not await one._quarantine.discard(kept)
        assert note.exists()
        assert note.with_suffix(".bin").exists()


async def test_what_cannot_be_removed_is_told_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sweeping(tmp_path) as (_, one):
        keep(tmp_path, ONE, days=8)

        def denied(*_: object, **__: object) -> None:
            raise PermissionError(13, "denied")

        monkeypatch.setattr(Path, "unlink", denied)
        await one.sweep()


def test_the_first_sweep_waits_until_the_start_is_over() -> None:
    assert 0 < retention.FIRST < retention.INTERVAL
