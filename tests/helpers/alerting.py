"""A service in simulated time, as the rules of alerts see it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import structs

from pipeline.alerts.alerts import Watched
from pipeline.alerts.conditions import Seen
from pipeline.alerts.facts import Delivered, Facts, History, Quarantined
from pipeline.alerts.memory import Memory, new_memory
from pipeline.alerts.message import Message
from pipeline.alerts.rules import look, needs
from pipeline.alerts.saying import languages, said
from pipeline.alerts.settings import AlertSettings
from pipeline.health.model import DestinationHealth, Health, SourceHealth, Trouble
from pipeline.language.codes import LOCALES

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
#: A Tuesday.
MORNING = datetime(2026, 9, 1, 9, 30, tzinfo=UTC).timestamp()
ROOM = 50_000_000_000
NO_ROOM = Trouble(0, "there is no room left on its disk", "Make room")

LANGUAGES = languages(LOCALES, UTC)
COMPANIES = {
    "BE0403170701": Watched("Bakkerij Peeters", frozenset({"box"})),
    "BE0428759497": Watched("Garage Dupont", frozenset({"box"})),
}


class Simulation:
    """A service that is polled every five minutes and looked at every minute.

    sources, folders: what is wrong with each, None if nothing. messages: all that was told.
    """

    def __init__(
        self,
        sources: Sequence[str] = ("box",),
        folders: Sequence[str] = ("/srv/a", "/srv/b"),
        language: str = "en",
    ) -> None:
        self.language = LANGUAGES[language]
        self.now = self.started_at = MORNING
        self.settings = AlertSettings(summary="never")
        self.memory: Memory = new_memory(self.now)
        self.messages: list[Message] = []
        self.sources: dict[str, Trouble | None] = dict.fromkeys(sources)
        self.folders: dict[str, Trouble | None] = dict.fromkeys(folders)
        self.polled: dict[str, float] = {}
        self.free = ROOM
        self.state: Trouble | None = None
        self.stuck_since: float | None = None
        self.sign_in_ends_at: float | None = None
        self.quarantined = 0
        self.newly_quarantined: list[tuple[str, str]] = []
        self.histories: tuple[History, ...] = ()
        self.delivered: tuple[Delivered, ...] = ()

    def health(self) -> Health:
        for name, trouble in self.sources.items():
            if trouble is None and self.now - self.polled.get(name, 0) >= 5 * MINUTE:
                self.polled[name] = self.now
        return Health(
            at=self.now,
            started_at=self.started_at,
            progress_at=self.now if self.stuck_since is None else self.stuck_since,
            sources=tuple(
                SourceHealth(name, self.polled.get(name), trouble, self.sign_in_ends_at)
                for name, trouble in self.sources.items()
            ),
            destinations=tuple(
                DestinationHealth(name, trouble, self.free)
                for name, trouble in self.folders.items()
            ),
            quarantined=self.quarantined,
            waiting=0,
            unacknowledged=0,
            ledger_bytes=4096,
            disk_free=self.free,
            state=self.state,
        )

    def facts(self) -> Facts:
        wanted = needs(self.memory, self.settings, self.now, UTC)
        new, self.newly_quarantined = self.newly_quarantined, []
        return Facts(
            Quarantined(self.now, len(new), tuple(new[:5])),
            self.histories if wanted.histories else None,
            self.delivered if wanted.delivered_after is not None else None,
        )

    def look(self) -> list[Message]:
        seen = Seen(self.now, self.health(), self.settings, "office", COMPANIES, self.facts(), UTC)
        self.memory, news = look(self.memory, seen)
        told = [said(one, self.language) for one in news]
        self.messages += told
        return told

    def run(self, seconds: float, step: float = MINUTE) -> list[Message]:
        """Let time go by, and return what is told meanwhile."""
        before = len(self.messages)
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + step, end)
            self.look()
        return self.messages[before:]

    def restart(self, after: float = MINUTE, ended_at: float | None = None) -> None:
        """Begin another process, that knows what is in the memory and has met no trouble yet."""
        self.now += after
        self.started_at = self.now
        self.polled = {}
        self.sources = dict.fromkeys(self.sources)
        self.folders = dict.fromkeys(self.folders)
        self.state = self.stuck_since = None
        if ended_at is not None:
            self.memory = structs.replace(self.memory, ended=(*self.memory.ended, ended_at))

    def trouble(self, reason: str, remedy: str = "") -> Trouble:
        return Trouble(self.now, reason, remedy)

    def fill(self) -> None:
        """Fill the one disk, so that whatever needs it fails."""
        self.free = 0
        no_room = structs.replace(NO_ROOM, since=self.now)
        self.state = Trouble(self.now, "the ledger can't be written: disk is full", "Make room")
        self.folders = dict.fromkeys(self.folders, no_room)
        self.stuck_since = self.now

    def empty(self) -> None:
        self.free = ROOM
        self.state = self.stuck_since = None
        self.folders = dict.fromkeys(self.folders)


def told(messages: Sequence[Message]) -> list[str]:
    """The causes and the states of messages."""
    return [f"{one.cause} {one.state}" for one in messages]
