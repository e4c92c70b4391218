"""Page parts: what the page tells of, and by what it acts; the program puts them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from pipeline.alerts.alerts import Watched
from pipeline.alerts.settings import AlertSettings
from pipeline.control.actions import Actions
from pipeline.engine.observer import Observer
from pipeline.health.model import Health
from pipeline.ledger.place import LedgerPlace
from pipeline.monitor.page.tally import Tally
from pipeline.readable import ReadableMaker


class Member(Struct, frozen=True):
    """A configured company. file: its accounting file. folders: its destinations."""

    identifier: str
    name: str
    file: str
    sources: frozenset[str]
    folders: tuple[str, ...] = ()


class Members(Struct, frozen=True):
    """The companies of one configuration, by their identifiers; made anew for another one."""

    companies: Mapping[str, Member] = {}

    def watched(self) -> Mapping[str, Watched]:
        """The same, as the rules of alerts want them."""
        return {key: Watched(one.name, one.sources) for key, one in self.companies.items()}

    def by_folder(self) -> Mapping[str, Sequence[Member]]:
        """The companies of each folder."""
        found: dict[str, list[Member]] = {}
        for one in self.companies.values():
            for folder in one.folders:
                found.setdefault(folder, []).append(one)
        return found


class Roster(Protocol):
    """What the configuration in force names."""

    async def members(self) -> Members:
        """Its companies; the same object as long as they are the same."""


class Collects(Protocol):
    """What tells the health, of one process or of all nodes of a cluster."""

    async def current(self) -> Health:
        """The health now."""


class Parts(Struct, frozen=True):
    """What the page tells of. ledger: where it lies. state_dir: the state folder, for people.

    settings: the rules by which something is wrong. actions: by what it acts; None where nothing
    can be done. machine: how people call it. readables: makes documents readable; None where
    nothing does. cluster: whether it is one of several nodes, all of which the health is of.
    """

    collector: Collects
    observer: Observer
    tally: Tally
    roster: Roster
    ledger: LedgerPlace
    settings: Callable[[], AlertSettings]
    actions: Actions | None = None
    machine: str = ""
    readables: ReadableMaker | None = None
    state_dir: str = ""
    cluster: bool = False
