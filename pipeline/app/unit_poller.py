"""Unit poller: polls the parts of one source that fall to this node of a cluster.

It does for the jobs of a cluster what `poller` does alone: when a part is due the cluster says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial

import anyio
import anyio.to_thread
import structlog

from pipeline.app.hinting import heed_hints
from pipeline.app.poller import pause
from pipeline.app.unit_part import UnitPart, failure_in
from pipeline.app.wiring import Application, Config, companies_of
from pipeline.cluster.cluster import Cluster, Job
from pipeline.cluster.database import DatabaseLost
from pipeline.cluster.slices import ALL, slices, within
from pipeline.cluster.units import Claimed, SourceState
from pipeline.errors import SignInRefused, StateError, SynqupError
from pipeline.hints import HintOutcome
from pipeline.source import Source

log = structlog.get_logger(__name__)

#: Seconds until another try to tell the cluster something; and between two hints that are told.
AGAIN, HINT_PACE = 1.0, 1.0
#: Seconds between two looks how the source is by the polls of other nodes.
WATCH = 5.0


class UnitPoller:
    """The polling of one source by a node, by the configuration in force; see Poller.

    parts: the companies of each part, as the configuration in force divides them. published: set
    once the other nodes know of them.
    """

    def __init__(
        self,
        settings: object,
        source: Source,
        application: Application,
        config: Config,
        cluster: Cluster,
        *,
        hinted: Callable[[HintOutcome], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.source = source
        self.parts: Mapping[str, Collection[str]] = {}
        self.published = anyio.Event()
        self._application = application
        self._config = config
        self._cluster = cluster
        self._hinted = hinted
        self._jobs = cluster.serve(source.name, source.throttles)
        #: What the cluster is to be told, and that there is something.
        self._chores = {"publish": self._publish}
        self._wake = anyio.Event()
        self._wake.set()
        self._is_removed = self._is_polling = False
        self._failed: str | None = None
        self._awaits_sign_in = False
        self._scope = anyio.CancelScope()
        self._poll_scope = anyio.CancelScope()

    async def run(self) -> None:
        """Poll until stopped. Raises StateError alone, in a group: it has to end the program."""
        try:
            with self._jobs, self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(
                        heed_hints, self.source, self._application, self._interval, self._heed
                    )
                    group.start_soon(self._tell)
                    group.start_soon(self._watch)
                    async for job in self._jobs:
                        try:
                            await self._do(job, group.start_soon)
                        finally:
                            job.end()
                    await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self._withdraw()

    def apply(self, config: Config) -> None:
        """Apply another configuration, from the next poll on, which begins at once."""
        self._config = config
        self._poll_scope.cancel()
        self._add("publish", self._publish)
        self.poll_now()

    def poll_now(self) -> None:
        """Have all parts polled at once, by whichever node."""
        self._add("poll", partial(self._cluster.poll_now, self.source.name))

    def hold(self) -> None:
        """End a poll that is under way; no other begins while the ledger says that it is paused."""
        self._poll_scope.cancel()

    def release(self) -> None:
        """Poll again, beginning at once."""
        self.poll_now()

    def stop(self) -> None:
        """Let run() return: the source is polled no more."""
        self._is_removed = True
        self._scope.cancel()

    def _interval(self) -> float:
        own: float | None = getattr(self.settings, "poll_interval", None)
        return max(own or float(self._config.service.poll_interval), self.source.traits.pause)

    def _heed(self) -> None:
        least = max(min(self._interval(), float(self._config.push.pause)), self.source.traits.pause)
        is_first = "hint" not in self._chores
        self._add("hint", partial(self._cluster.hint, self.source.name, least))
        self._hinted(HintOutcome.POLL if is_first else HintOutcome.JOINED)

    def _add(self, name: str, chore: Callable[[], object]) -> None:
        self._chores[name] = chore  # type: ignore[assignment]
        self._wake.set()

    async def _tell(self) -> None:
        """Tell the cluster what it is to be told, in its turn; until that has succeeded."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            while self._chores:
                # The parts come first, for the others are told of them.
                name = min(self._chores, key=["publish", "poll", "hint"].index)
                chore = self._chores.pop(name)
                try:
                    await chore()
                except DatabaseLost as error:
                    self._chores.setdefault(name, chore)
                    log.info("the cluster is told later", what=name, reason=str(error))
                    await anyio.sleep(AGAIN)
                if name == "hint":
                    await anyio.sleep(HINT_PACE)

    async def _watch(self) -> None:
        """Note how the source is by the polls of all nodes: this one may have few of them, or none.

        So each tells the same of it.
        """
        name, observer = self.source.name, self._application.engine.observer
        while True:
            await anyio.sleep(WATCH)
            with suppress(DatabaseLost):
                state = (await self._cluster.states([name]))[name]
                if self._is_polling:
                    continue
                if (failure := failure_in(state)) is not None:
                    observer.poll_failed(name, failure)
                elif state.complete_at is not None:
                    observer.polled_elsewhere(name, state.complete_at)

    async def _publish(self) -> None:
        config, name = self._config, self.source.name
        self.parts = {ALL: ()}
        if self.source.by_company(config):
            self.parts = await anyio.to_thread.run_sync(lambda: slices(companies_of(config, name)))
        is_one = len(self.parts) == 1
        await self._cluster.publish(name, list(self.parts), self._interval(), sticky=is_one)
        self.published.set()

    async def _withdraw(self) -> None:
        """Take no more jobs. Where the source was removed, its parts go, if no node knows them."""
        try:
            name, jobs = self.source.name, self._jobs
            await self._cluster.withdraw(name, jobs, forget=self._is_removed)
        except DatabaseLost as error:
            log.info("the cluster is not told", source=self.source.name, reason=str(error))

    async def _do(self, job: Job, start_soon: Callable[..., object]) -> None:
        """Poll the part that a job is of; where the cluster can't be reached, it is due later."""
        try:
            claimed = await self._cluster.claim(job)
            if claimed is not None:
                self._is_polling = True
                await self._poll(claimed, start_soon)
        except DatabaseLost as error:
            log.warning("a poll can't be recorded", source=job.source, reason=str(error))
        finally:
            self._is_polling = False

    async def _poll(self, claimed: Claimed, start_soon: Callable[..., object]) -> None:
        application, name = self._application, self.source.name
        await application.recover_staged()
        part = UnitPart(claimed, self._companies(claimed.slice), application.ledger)
        state: SourceState | None = None
        try:
            engine = application.engine
            with engine.journal.polling(name), engine.observer.polling(name):
                state, error = await self._poll_part(claimed, part)
                if state is not None and (failure := failure_in(state)) is not None:
                    raise failure
        except StateError:
            raise
        except SynqupError as failure:
            if state is None:
                raise
            await self._record(state, failure)
        else:
            await self._record(state, None)
        if isinstance(error, SignInRefused) and not self._awaits_sign_in:
            self._awaits_sign_in = True
            start_soon(self._await_sign_in)

    async def _poll_part(
        self, claimed: Claimed, part: UnitPart
    ) -> tuple[SourceState | None, SynqupError | None]:
        """Poll a part, and record how that ended; what all parts say then, and why it failed."""
        error: SynqupError | None = None
        more = done = False
        began = time.monotonic()
        try:
            with anyio.CancelScope() as self._poll_scope:
                try:
                    lister = await self._application.poll_part(self.source, self._config, part)
                    more = lister.more
                except StateError:
                    raise
                except SynqupError as failure:
                    error = failure
                done = True
        finally:
            # Also where the program stops: another node goes on with it.
            with anyio.CancelScope(shield=True):
                due_in = 0.0 if more else pause(self._interval(), error, claimed.failures + 1)
                if error is None and not more:
                    due_in = self._interval()
                refused = self._application.flow.destinations.refused_of(self.source.name, began)
                ended = part.ended(due_in, error, more=more, refused=refused) if done else None
                state = await self._cluster.end(claimed, ended)
        return state, error

    def _companies(self, slice_: str) -> Collection[str] | None:
        """The companies of a part; None where it is all of the source."""
        if slice_ == ALL:
            return None
        found = self.parts.get(slice_)
        if found is None:
            # As a node with another configuration divides them.
            found = within(slice_, companies_of(self._config, self.source.name))
        return found

    async def _record(self, state: SourceState | None, failure: SynqupError | None) -> None:
        """Record of the source what all of its parts say together."""
        if state is None:
            return
        ledger, name = self._application.ledger, self.source.name
        await ledger.unreadable(name, state.unreadable)
        if failure is not None:
            await ledger.polled(name, time.time(), str(failure))
        elif state.complete_at is not None:
            await ledger.polled(name, state.complete_at)
        kind = failure.subject if failure is not None else None
        if kind is not None and kind != self._failed:
            log.error("poll failed", source=name, reason=str(failure))
        elif kind is None and self._failed is not None:
            log.info("source serves again", source=name)
        self._failed = kind

    async def _await_sign_in(self) -> None:
        try:
            await self.source.signed_in_anew()
        except Exception as failure:  # noqa: BLE001 - the next poll finds it then
            place = f"source {self.source.name}"
            self._application.error_reporter.report(place, failure)
        else:
            log.info("there is a new sign-in", source=self.source.name)
            self.poll_now()
        finally:
            self._awaits_sign_in = False
