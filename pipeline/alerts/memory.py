"""Alert memory: what has been told, and what is being gathered, so that nothing is told twice.

It is kept in the state folder and survives a restart. Times are in seconds since 1970.
"""

from __future__ import annotations

from msgspec import Struct, structs


class Condition(Struct, frozen=True):
    """Something that is wrong at this moment.

    member: what it concerns, as its user knows it. since: when it began. reason: the middle of a
    sentence. level: a higher one is told again. alike: what is wrong at once and has the same text
    here is told in one message.
    """

    cause: str
    member: str
    since: float
    reason: str = ""
    remedy: str = ""
    level: int = 1
    alike: str = ""


class Incident(Struct, frozen=True):
    """What has been told and is not over. run: when the process began that told it."""

    id: str
    cause: str
    members: tuple[str, ...]
    level: int
    since: float
    told_at: float
    run: float


class Told(Struct, frozen=True):
    """That something was told; key: what the messages that may not follow each other share."""

    key: str
    at: float


class SignInSeen(Struct, frozen=True):
    """The end of a sign-in as it was seen. since: when it was seen first.

    life: seconds that the sign-in had to go when it was renewed; None before that was seen.
    """

    ends_at: float
    since: float
    life: float | None = None


class Gathered(Struct, frozen=True):
    """A quarantined document that is to be told. reason: as the ledger has recorded it."""

    label: str
    reason: str


class Gathering(Struct, frozen=True):
    """Quarantined documents that are to be told. until: up to when the ledger has been read.

    began: when the first of them was found; None if there are none. few: the first of them, as
    lines where an earlier version has gathered them.
    """

    until: float
    began: float | None = None
    count: int = 0
    few: tuple[Gathered | str, ...] = ()


class Memory(Struct, frozen=True):
    """All that the rules know from earlier looks.

    looked_at: of the latest look. watched_since: since when looks follow each other without a gap
    of a day. ended: when earlier processes ended without a stop, as far as that is not over. quiet:
    the companies that were quiet at quiet_at. summary_at: up to when summaries have told.
    """

    looked_at: float
    watched_since: float
    summary_at: float
    quarantine: Gathering
    incidents: tuple[Incident, ...] = ()
    told: tuple[Told, ...] = ()
    sign_ins: dict[str, SignInSeen] = {}
    ended: tuple[float, ...] = ()
    quiet: tuple[Condition, ...] = ()
    quiet_at: float = 0.0

    def turned_back(self, now: float) -> Memory:
        """The same, where the clock was set back: nothing of it lies in the future."""
        if self.looked_at <= now:
            return self
        return structs.replace(
            self,
            looked_at=now,
            watched_since=min(self.watched_since, now),
            summary_at=min(self.summary_at, now),
            quiet_at=min(self.quiet_at, now),
            quarantine=structs.replace(
                self.quarantine,
                until=min(self.quarantine.until, now),
                began=None if self.quarantine.began is None else min(self.quarantine.began, now),
            ),
            told=tuple(structs.replace(one, at=min(one.at, now)) for one in self.told),
        )


def new_memory(now: float) -> Memory:
    """The memory of an installation that has told nothing; what was before is not told."""
    return Memory(now, now, now, Gathering(now))
