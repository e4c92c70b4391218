"""Alert runner: looks at the health again and again, and sends what there is to tell.

It runs beside the documents and delays none: each channel and each monitor has a task of its own,
what it waits for is bounded in time, and whatever fails concerns alerts alone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import tzinfo
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from msgspec import Struct

from pipeline.alerts.alerts import Watched
from pipeline.alerts.aside import Aside
from pipeline.alerts.beats import START, Beat, Monitor, Rhythm, next_beat
from pipeline.alerts.channels import Channel, open_channels
from pipeline.alerts.conditions import Seen
from pipeline.alerts.errors import MessageRefused
from pipeline.alerts.facts import Facts, read_facts
from pipeline.alerts.memory import Memory
from pipeline.alerts.message import Message, News
from pipeline.alerts.outbox import first_for, only_for, with_message, without
from pipeline.alerts.requests import Requests
from pipeline.alerts.rules import look, needs
from pipeline.alerts.saying import languages, said
from pipeline.alerts.settings import AlertSettings
from pipeline.alerts.store import State, Store
from pipeline.errors import RetryableError, StateError, SynqupError
from pipeline.health.model import Health
from pipeline.language.codes import DEFAULT
from pipeline.language.languages import Language
from pipeline.ledger.place import LedgerPlace
from pipeline.network.routes import Routes
from pipeline.retry import MAX_RETRY_AFTER, RetryPolicy

log = structlog.get_logger(__name__)

ReadHealth = Callable[[], Awaitable[Health]]

#: Seconds between two looks.
INTERVAL = 15.0
#: Seconds that one look waits for the health, and for the disk of the state folder.
HEALTH_TIMEOUT = 30.0
DISK_TIMEOUT = 20.0
#: Seconds for one message by one channel, at most.
SEND_TIMEOUT = 90.0
#: Seconds until it is asked again whether something may be sent.
SOON = 1.0
#: Seconds that a stop waits for a message that is on its way.
LAST_SEND = 2.0
#: Waits between two tries to send, for as long as it takes; and how often a message is tried that
#: is refused for what it is.
RETRIES = RetryPolicy(attempts=5, first_wait=15.0, longest_wait=1800.0, longest_asked=6 * 3600.0)


class World(Struct, frozen=True):
    """What the runner lives in.

    health: tells how the service is. folder: for the files of alerts. ledger: its path. clock: the
    seconds since 1970. zone: of the times in messages; None: that of this machine. retries: of
    messages that can't be sent. may_tell: whether something may be sent at this moment.
    """

    health: ReadHealth
    folder: Path
    ledger: LedgerPlace
    clock: Callable[[], float] = time.time
    zone: tzinfo | None = None
    retries: RetryPolicy = RETRIES
    may_tell: Callable[[], bool] = lambda: True


class Runner:
    """Tells by one configuration of alerts, until cancelled; the store outlives it.

    companies: gives those of the configuration in force.
    """

    def __init__(
        self,
        settings: AlertSettings,
        machine: str,
        companies: Callable[[], Mapping[str, Watched]],
        store: Store,
        world: World,
    ) -> None:
        self._companies = companies
        self._settings = settings
        self._machine = machine
        self._store = store
        self._world = world
        self._requests = Requests(Routes("alerts", settings.proxy_settings, settings.ca_file))
        self._channels: list[Channel] = open_channels(settings, self._requests)
        self._monitors = [
            Monitor(one, number, self._requests)
            for number, one in enumerate(settings.heartbeats, 1)
        ]
        #: Those of the channels, and that of the log; read when they are needed first.
        self._languages: Mapping[str, Language] = {}
        self._disk = Aside(DISK_TIMEOUT)
        self._news = anyio.Event()
        self._rhythm = Rhythm()
        #: The latest call for monitors, and the event that tells of it.
        self._beat: Beat | None = None
        self._beats = anyio.Event()
        self._reported: set[str] = set()
        self._looking = anyio.Lock()

    async def run(self, *, is_start: bool) -> None:
        """Look and tell until cancelled. is_start: whether the process has just begun."""
        store = self._store
        names = [channel.name for channel in self._channels]
        store.put(State(store.state.memory, only_for(store.state.outbox, names)))
        try:
            async with anyio.create_task_group() as group:
                for channel in self._channels:
                    group.start_soon(self._send_all, channel)
                for monitor in self._monitors:
                    group.start_soon(self._call_all, monitor, START if is_start else None)
                while True:
                    await self.look()
                    await anyio.sleep(INTERVAL)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                await self._requests.close()

    async def look(self) -> None:
        """Look once: decide what is to be told, keep it, and have it sent."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        try:
            with anyio.fail_after(HEALTH_TIMEOUT):
                health = await self._world.health()
        except Exception as error:  # noqa: BLE001 - it concerns alerts alone
            self._report("alerts can't see the health of the service", error)
            return
        now = self._world.clock()
        self._rhythm, beat = next_beat(self._rhythm, health, self._settings, now)
        if beat is not None:
            self.beat(beat)
        if not self._channels:
            return
        memory = self._store.state.memory
        facts = await self._facts(memory, now)
        seen = Seen(
            now, health, self._settings, self._machine, self._companies(), facts, self._world.zone
        )
        memory, told = look(memory, seen)
        if told and not self._languages:
            codes = {DEFAULT, *(one.language for one in self._channels)}
            read = partial(languages, codes, self._world.zone)
            self._languages = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
        outbox = self._store.state.outbox
        still_wrong = {one.id for one in memory.incidents}
        for one in told:
            subject = said(one, self._languages[DEFAULT]).subject
            log.info("alert", cause=one.cause, state=one.state, subject=subject)
            for message, names in self._messages(one):
                outbox = with_message(outbox, message, names, still_wrong)
        self._store.put(State(memory, outbox))
        await self._save()
        if told:
            news, self._news = self._news, anyio.Event()
            news.set()

    def _messages(self, news: News) -> list[tuple[Message, list[str]]]:
        """The message in each language, and the channels that tell it."""
        channels: dict[str, list[str]] = {}
        for one in self._channels:
            if news.cause in one.causes:
                channels.setdefault(one.language, []).append(one.name)
        return [(said(news, self._languages[code]), names) for code, names in channels.items()]

    def beat(self, beat: Beat) -> None:
        """Have all monitors called. A call that was not begun yet is left out."""
        self._beat = beat
        beats, self._beats = self._beats, anyio.Event()
        beats.set()

    async def call_monitors(self, beat: Beat) -> None:
        """Call all monitors now, and wait until it is done."""
        try:
            async with anyio.create_task_group() as group:
                for monitor in self._monitors:
                    group.start_soon(self._call, monitor, beat)
        finally:
            await self._requests.close()

    async def _facts(self, memory: Memory, now: float) -> Facts:
        wanted = needs(memory, self._settings, now, self._world.zone)
        try:
            return await self._disk.run(partial(read_facts, self._world.ledger, wanted, now))
        except (StateError, OSError) as error:  # TimeoutError is one
            self._report("alerts can't read the ledger", error)
            return Facts()

    async def _save(self) -> None:
        """Write the state. What can't be written is told all the same."""
        if self._store.is_due:
            try:
                await self._disk.run(self._store.save)
            except TimeoutError as error:
                self._report("what alerts have told can't be written", error)

    async def _send_all(self, channel: Channel) -> None:
        """Send what the outbox has for a channel, the oldest first, for ever."""
        policy, tries, tried = self._world.retries, 0, ""
        while True:
            news = self._news
            message = first_for(self._store.state.outbox, channel.name)
            if message is None:
                await news.wait()
                continue
            if not self._world.may_tell():
                await anyio.sleep(SOON)
                continue
            tries = tries + 1 if message.id == tried else 1
            tried = message.id
            error = await self._send(channel, message)
            if error is not None:
                gives_up = isinstance(error, MessageRefused) and tries >= policy.attempts
                self._report(f"an alert can't be sent by {channel.name}", error, final=gives_up)
                if not gives_up:
                    await anyio.sleep(_pause(error, tries, policy))
                    continue
                self._leave_out(channel, message)
            await self._save()

    async def _send(self, channel: Channel, message: Message) -> Exception | None:
        """Send a message; returns why it has not arrived.

        A stop waits for one that is on its way, for a moment, so that it is not sent twice.
        """
        failure: Exception | None = None

        async def hurry() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                sending.deadline = min(sending.deadline, anyio.current_time() + LAST_SEND)

        async with anyio.create_task_group() as group:
            group.start_soon(hurry)
            try:
                with anyio.fail_after(SEND_TIMEOUT, shield=True) as sending:
                    await channel.send(message)
            except Exception as error:  # noqa: BLE001 - whatever it is concerns this message
                failure = error
            else:
                self._leave_out(channel, message)
                self._reported.discard(f"an alert can't be sent by {channel.name}")
                log.info("alert sent", by=channel.name, cause=message.cause, state=message.state)
            group.cancel_scope.cancel()
        return failure

    def _leave_out(self, channel: Channel, message: Message) -> None:
        state = self._store.state
        self._store.put(State(state.memory, without(state.outbox, channel.name, message.id)))

    async def _call_all(self, monitor: Monitor, first: Beat | None) -> None:
        """Call a monitor first of all, and whenever there is something new to say, for ever."""
        if first is not None:
            await self._call(monitor, first)
        called: Beat | None = None
        while True:
            beats, beat = self._beats, self._beat
            if beat is None or beat is called:
                await beats.wait()
                continue
            called = beat
            await self._call(monitor, beat)

    async def _call(self, monitor: Monitor, beat: Beat) -> None:
        try:
            with anyio.fail_after(SEND_TIMEOUT):
                await monitor.call(beat)
        except Exception as error:  # noqa: BLE001 - a heartbeat that fails is only logged
            self._report(f"{monitor.name} can't be called", error)
        else:
            self._reported.discard(f"{monitor.name} can't be called")

    def _report(self, what: str, error: Exception, *, final: bool = False) -> None:
        """Log a failure, once for as long as it goes on."""
        if what in self._reported and not final:
            return
        self._reported.add(what)
        known = isinstance(error, SynqupError | OSError)
        reason = str(error) or type(error).__name__
        log.warning(what, reason=reason, given_up=final, exc_info=None if known else error)


def _pause(error: Exception, tries: int, policy: RetryPolicy) -> float:
    """Seconds until the next try: twice as many after each, with jitter, or what is asked for."""
    wait = min(policy.first_wait * 2.0 ** min(tries - 1, 32), policy.longest_wait)
    asked = error.retry_after if isinstance(error, RetryableError) else None
    jitter = random.uniform(0.75, 1.25)  # noqa: S311 - spreads the tries of many machines
    return max(wait * jitter, min(asked or 0.0, policy.longest_asked, MAX_RETRY_AFTER))
