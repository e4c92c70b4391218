"""Retention: removes in small steps, beside all other work, what is not to be kept any more.

What the quarantine keeps goes when its document was delivered later, whatever the settings say, and
after `keep_quarantine`. The ledger loses after `keep_ledger` what ledger/retention.py allows. A
copy of what was delivered goes after `keep_delivered`. The log is bounded by whoever writes it
(log_file.py).
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection

import anyio
import anyio.to_thread
import structlog

from pipeline.app.wiring import Application, Config, quarantine_in
from pipeline.document import Key
from pipeline.engine.quarantine import Kept
from pipeline.errors import StateError
from pipeline.files import os_reason
from pipeline.ledger.models import ACKED, State
from pipeline.ledger.retention import LedgerReader, Row

log = structlog.get_logger(__name__)

#: Seconds from the start of a service to the first sweep, and from one to the next.
FIRST = 30.0
INTERVAL = 6 * 3600.0
#: Seconds between two steps of a sweep, in which others have the disk for themselves.
PAUSE = 0.1
#: Seconds for which a clock may have been unobserved, and by which it may be off, without a doubt.
MAX_GAP = 45 * 86_400.0
MAX_DRIFT = 86_400.0
#: Seconds that the service runs before a clock that is in doubt is believed.
DOUBT = 7 * 86_400.0


class ClockGuard:
    """Tells whether the clock is good enough to remove anything by it.

    A clock that is wrong by years (an empty battery, a restored machine) makes everything old. It
    is in doubt when it says that no poll was made for MAX_GAP, or runs away from the monotonic one;
    and is believed once the program has run for DOUBT.
    """

    def __init__(
        self,
        last_poll_at: float | None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._began = self._offset()
        self._doubted: float | None = None
        if last_poll_at is not None and abs(clock() - last_poll_at) > MAX_GAP:
            self._doubt()

    def is_good(self) -> bool:
        """Whether the clock may be believed."""
        if abs(self._offset() - self._began) > MAX_DRIFT:
            self._began = self._offset()
            self._doubt()
        if self._doubted is None:
            return True
        return self._monotonic() - self._doubted > DOUBT

    def _offset(self) -> float:
        return self._clock() - self._monotonic()

    def _doubt(self) -> None:
        self._doubted = self._monotonic()
        log.warning(
            "nothing is removed by its age for now",
            reason="the clock of this machine has moved, or there was no poll for a long time",
            remedy="Correct the clock if it is wrong; else do nothing",
        )


class Retention:
    """The retention of one running program.

    config: gives the configuration in force. prepare() comes before the first poll.
    """

    def __init__(self, application: Application, config: Callable[[], Config]) -> None:
        self._config = config
        self._ledger = application.ledger
        self._copies = application.keeper.copies
        self._quarantine = quarantine_in(application.service.state_dir)
        self._is_in_flight = application.dispatcher.is_id_in_flight
        self._reader = LedgerReader(application.ledger.place)
        self._clock = ClockGuard(None)

    async def prepare(self) -> None:
        """Hold the clock against the time of the last poll of an earlier run."""
        try:
            last = await anyio.to_thread.run_sync(self._reader.last_poll_at)
        except StateError as error:
            log.warning("what is not to be kept can't be removed", reason=str(error))
        else:
            self._clock = ClockGuard(last)

    async def run(self) -> None:
        """Sweep now and then, and after an edit of the settings, until cancelled."""
        done, swept_at = None, 0.0
        while True:
            await anyio.sleep(FIRST)
            service = self._config().service
            wanted = (service.keep_quarantine, service.keep_ledger, service.keep_delivered)
            if wanted != done or time.monotonic() - swept_at > INTERVAL:
                await self.sweep()
                done, swept_at = wanted, time.monotonic()

    async def sweep(self) -> None:
        """Remove once what is not to be kept; what can't be is logged and left to the next time."""
        try:
            await self._sweep_quarantine()
            await self._sweep_ledger()
            await self._sweep_copies()
        except (OSError, StateError, sqlite3.Error) as error:
            reason = os_reason(error) if isinstance(error, OSError) else str(error)
            log.warning("what is not to be kept can't be removed", reason=reason)

    def _before(self, keep: float | None) -> float | None:
        """The time before which something is too old; None if nothing is."""
        return time.time() - keep if keep is not None and self._clock.is_good() else None

    async def _sweep_quarantine(self) -> None:
        config = self._config()
        before = self._before(config.service.keep_quarantine)
        configured = {source.name for source in config.sources}
        removed: Counter[str] = Counter()
        for kept in await self._quarantine.kept():
            rows = await anyio.to_thread.run_sync(self._reader.rows_of, kept.key.id)
            delivered = was_delivered(kept, rows, configured)
            if not delivered and not (before and kept.at < before and _was_told(kept, rows)):
                continue
            if self._is_in_flight(kept.key.source, kept.key.id):
                continue
            if not await self._quarantine.discard(kept):
                continue
            removed["delivered_since" if delivered else "too_old"] += 1
            if delivered:
                await self._ledger.forget_quarantined(kept.key)
            else:
                await self._ledger.not_kept(kept.key, "its bytes were removed by keep_quarantine")
            await anyio.sleep(PAUSE)
        if removed:
            log.info("quarantine tidied up", **removed)

    async def _sweep_ledger(self) -> None:
        before = self._before(self._config().service.keep_ledger)
        if before is None:
            return
        kept = {(one.key.source, one.key.id) for one in await self._quarantine.kept()}
        shrunk = removed = notes = 0
        last: Key | None = None
        while old := await anyio.to_thread.run_sync(self._reader.old, before, last):
            last = old[-1].key
            shrinking = [one.key for one in old if one.shrinks]
            # As long as its bytes are kept, a row says where they come from; and one that is listed
            # just now is needed when its source is told again.
            going = [
                one.key
                for one in old
                if not one.shrinks
                and (one.key.source, one.key.id) not in kept
                and not self._is_in_flight(one.key.source, one.key.id)
            ]
            await self._ledger.shrink(shrinking, before)
            await self._ledger.remove(going, before)
            shrunk, removed = shrunk + len(shrinking), removed + len(going)
            await anyio.sleep(PAUSE)
        while some := await self._ledger.remove_notes(before):
            notes += some
            await anyio.sleep(PAUSE)
        if shrunk or removed or notes:
            log.info("ledger tidied up", shrunk=shrunk, removed=removed, notes=notes)

    async def _sweep_copies(self) -> None:
        keep = self._config().service.keep_delivered
        # Where none are to be kept any more, no clock is needed to say so.
        before = time.time() if keep is None else self._before(keep)
        if before is None:
            return
        removed = 0
        while some := await anyio.to_thread.run_sync(self._copies.remove, before):
            removed += some
            await anyio.sleep(PAUSE)
        if removed:
            log.info("copies tidied up", removed=removed)


def was_delivered(kept: Kept, rows: list[Row], configured: Collection[str]) -> bool:
    """Whether a document that the quarantine keeps was delivered, or left out, since then.

    rows: all of its id. The same id of its own source counts, in whatever revision, if that came
    in a later poll. If its source is configured no more, it may bear another name now: the same id
    and the same bytes count that another source has brought. Of a source that is configured the
    same bytes may be another's document: the sale of one company is the purchase of another.
    """
    own = [row for row in rows if row.source == kept.key.source]
    quarantined = max((row.poll for row in own if row.state is State.QUARANTINED), default=-1)
    if any(row.state in ACKED and row.poll > quarantined for row in own):
        return True
    if kept.key.source in configured or not kept.sent_sha256:
        return False
    return any(row.state is State.DELIVERED and row.sha256 == kept.sent_sha256 for row in rows)


def _was_told(kept: Kept, rows: list[Row]) -> bool:
    """Whether the source knows that the document can't be delivered; or nothing is known of it."""
    own = [row for row in rows if row.source == kept.key.source]
    return all(row.is_acknowledged for row in own if row.state is State.QUARANTINED)
