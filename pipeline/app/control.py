"""Control assembly: the actions on an application, and the worker that carries out its orders."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from pipeline.app.wiring import (
    Application,
    Config,
    Kind,
    OrderDocuments,
    ReadableDocuments,
    company_named,
)
from pipeline.config.types import CONTROL
from pipeline.control.actions import Actions, Running
from pipeline.control.worker import Claim, Worker
from pipeline.ledger.orders import OrderBook
from pipeline.source import Source
from pipeline.traits import Traits


class Polling(Protocol):
    """What holds the sources: the service, or a command that does without it."""

    @property
    def config(self) -> Config:
        """The configuration in force."""

    def source(self, name: str) -> Source | None:
        """A source that is open; None if it is not."""

    def poll_now(self, source: str) -> None:
        """Let the next poll of a source begin at once."""

    def hold(self, source: str, since: float | None, by: str) -> None:
        """Poll a source no more; since None: poll it again."""


class Control:
    """The actions on one application. worker: has to run for those that concern documents."""

    def __init__(
        self, application: Application, polling: Polling, claim: Claim | None = None
    ) -> None:
        """claim: where several nodes have the same orders."""
        place = application.ledger.place
        self.book = OrderBook(application.ledger)
        documents = OrderDocuments(
            application.keeper.copies,
            application.quarantine,
            lambda: polling.config,
            polling.source,
        )
        #: Makes what was brought readable.
        self.readables = ReadableDocuments(
            place,
            application.keeper.copies,
            application.quarantine,
            lambda: polling.config,
            polling.source,
        )
        self.worker = Worker(
            self.book,
            application.ledger,
            place,
            application.dispatcher,
            documents.make,
            application.recover_staged,
            claim,
        )
        self.actions = Actions(
            self.book,
            place,
            application.quarantine,
            _Running(polling, (application.service.state_dir, application.shared_dir)),
            application.dispatcher.is_id_in_flight,
            self.worker.wake,
        )


class _Running(Running):
    """The service as actions see it."""

    def __init__(self, polling: Polling, own: Collection[Path]) -> None:
        self._polling = polling
        self._own = own

    def poll_now(self, source: str) -> None:
        self._polling.poll_now(source)

    def hold(self, source: str, since: float | None, by: str) -> None:
        self._polling.hold(source, since, by)

    @property
    def source_names(self) -> Collection[str]:
        return [one.name for one in self._polling.config.sources]

    def traits(self, source: str) -> Traits | None:
        found = self._polling.source(source)
        return found.traits if found is not None else None

    def company(self, named: str) -> str | None:
        return company_named(self._polling.config, named)

    @property
    def kinds(self) -> Collection[str]:
        config = self._polling.config
        known = [one for one in Kind if one is not Kind.UNKNOWN]
        return [*known, Kind.UNKNOWN] if config.delivery.others_path else known

    def destination_problem(self, folder: str) -> str:
        if CONTROL.search(folder) or not Path(folder).is_absolute():
            return "this is no absolute path of a folder"
        path = Path(folder)
        if any(path == own or own in path.parents for own in self._own):
            return "this is the folder of synqup itself"
        if path.exists() and not path.is_dir():
            return "this is no folder"
        return ""
