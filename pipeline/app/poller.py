"""Poller: polls one source again and again, less often while it fails, until it is stopped.

A hint that there is something new has the next poll come sooner, as far as the source bears it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import structlog

from pipeline.app.hinting import heed_hints
from pipeline.app.wiring import Application, Config
from pipeline.errors import PartFailed, RetryableError, SignInRefused, StateError, SynqupError
from pipeline.hints import HintOutcome
from pipeline.retry import MAX_RETRY_AFTER
from pipeline.source import Source

log = structlog.get_logger(__name__)

#: Seconds between the polls of a source that fails, at most, unless it asks for a longer rest.
LONGEST_PAUSE = 1800.0
#: How many times as long as the configured interval the pause may become.
LONGEST_FACTOR = 6


class Poller:
    """The polling of one source, by the configuration in force.

    settings: the section of the configuration that the source was opened with.
    Whatever ends a poll early, what the source has in flight drains.
    """

    def __init__(
        self,
        settings: object,
        source: Source,
        application: Application,
        config: Config,
        *,
        held: bool = False,
        hinted: Callable[[HintOutcome], None] = lambda _: None,
    ) -> None:
        """held: whether nothing is to be polled before release(). hinted: is told of each hint."""
        self.settings = settings
        self.source = source
        self._application = application
        self._config = config
        self._applied = anyio.Event()
        self._released = anyio.Event()
        self._hinted = hinted
        #: Whether there was a hint since the latest poll began.
        self._hint = anyio.Event()
        if not held:
            self._released.set()
        #: Ends the polling.
        self._scope = anyio.CancelScope()
        #: Ends one poll, after which the next begins.
        self._poll_scope = anyio.CancelScope()

    async def run(self) -> None:
        """Poll until stopped. Raises StateError alone, in a group: it has to end the program.

        A failure that lasts is logged once, whichever document or list it meets next.
        """
        with self._scope:
            async with anyio.create_task_group() as group:
                group.start_soon(
                    heed_hints, self.source, self._application, self._interval, self._heed
                )
                await self._poll_again_and_again()

    def apply(self, config: Config) -> None:
        """Begin a new poll under another configuration, so that it applies to a backlog's rest."""
        self._config = config
        self._poll_scope.cancel()
        self.poll_now()

    def poll_now(self) -> None:
        """Begin the next poll as soon as the one that is under way has ended."""
        self._applied.set()
        self._applied = anyio.Event()

    def hold(self) -> None:
        """Poll no more until release(); a poll that is under way ends, and what it began drains."""
        self._released = anyio.Event()
        self._poll_scope.cancel()
        self.poll_now()

    def release(self) -> None:
        """Poll again, beginning at once."""
        self._released.set()

    def stop(self) -> None:
        """Let run() return."""
        self._scope.cancel()

    def _interval(self) -> float:
        """Seconds between two polls: as configured, but no fewer than the source bears."""
        own: float | None = getattr(self.settings, "poll_interval", None)
        return max(own or float(self._config.service.poll_interval), self.source.traits.pause)

    def _least_pause(self) -> float:
        """Seconds between a poll and one that a hint asks for, at least."""
        return max(min(self._interval(), float(self._config.push.pause)), self.source.traits.pause)

    async def _poll_again_and_again(self) -> None:
        failed: SynqupError | None = None
        failures = 0
        while True:
            await self._released.wait()
            applied, self._hint = self._applied, anyio.Event()
            with anyio.CancelScope() as self._poll_scope:
                error = await self._poll()
            if self._poll_scope.cancelled_caught:
                continue
            if error is not None and type(error) is not type(failed):
                log.error("poll failed", source=self.source.name, reason=str(error))
            elif failed is not None and error is None:
                log.info("source serves again", source=self.source.name)
            failed, failures = error, failures + 1 if error else 0
            with anyio.move_on_after(pause(self._interval(), error, failures)):
                await self._rest(applied, error)

    def _heed(self) -> None:
        """Let a hint of the source have the next poll come sooner."""
        is_first = not self._hint.is_set()
        self._hint.set()
        self._hinted(HintOutcome.POLL if is_first else HintOutcome.JOINED)

    async def _rest(self, applied: anyio.Event, error: SynqupError | None) -> None:
        """Wait for another configuration or a hint; where it was refused, for a new sign-in."""
        soonest = anyio.current_time() + self._least_pause()
        async with anyio.create_task_group() as group:

            async def sign_in() -> None:
                try:
                    await self.source.signed_in_anew()
                except Exception as failure:  # noqa: BLE001 - the next poll finds it then
                    place = f"source {self.source.name}"
                    self._application.error_reporter.report(place, failure)
                    return
                log.info("there is a new sign-in", source=self.source.name)
                group.cancel_scope.cancel()

            async def hint() -> None:
                await self._hint.wait()
                await anyio.sleep_until(soonest)
                group.cancel_scope.cancel()

            if isinstance(error, SignInRefused):
                group.start_soon(sign_in)
            if error is None or isinstance(error, PartFailed):
                # Else it was asked for a longer pause, or has to recover: a hint changes nothing.
                group.start_soon(hint)
            await applied.wait()
            group.cancel_scope.cancel()

    async def _poll(self) -> SynqupError | None:
        """Poll once; returns why it failed, which the ledger records."""
        try:
            await self._application.poll(self.source, self._config)
        except StateError:
            raise
        except SynqupError as error:
            await self._application.ledger.polled(self.source.name, time.time(), str(error))
            return error
        return None


def pause(interval: float, error: SynqupError | None, failures: int) -> float:
    """Seconds until the next poll: twice as many after each failure in a row, up to a bound.

    interval: seconds between two polls as configured. error: why the last poll failed; where the
    source has asked for a longer rest, that is given, up to MAX_RETRY_AFTER. Where a part of the
    source failed, the other parts are not to wait for that.
    """
    if isinstance(error, PartFailed):
        return interval
    longest = max(interval, min(interval * LONGEST_FACTOR, LONGEST_PAUSE))
    backoff = min(interval * 2.0 ** min(failures, 16), longest)
    asked = error.retry_after if isinstance(error, RetryableError) else None
    return max(backoff, min(asked or 0.0, MAX_RETRY_AFTER))
