"""Alert conditions: what is wrong at one moment, by a health and the facts of the ledger.

A condition says nothing of whether it has been told. Where one trouble follows from another, the
first one alone is a condition: a full disk, and not each folder on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo

from msgspec import Struct

from pipeline.alerts import texts
from pipeline.alerts.alerts import Watched
from pipeline.alerts.facts import Facts
from pipeline.alerts.memory import Condition, Memory
from pipeline.alerts.node_conditions import node_conditions, places_of
from pipeline.alerts.settings import AlertSettings
from pipeline.health.model import Health, SourceHealth, Trouble
from pipeline.text import sanitized

#: The disk of the state folder, as a member of conditions.
STATE = "the state folder"
ENGINE = "synqup"
#: Free bytes below which a disk counts as full; and below which what is wrong with a folder on it
#: counts as its fault.
FULL = 20_000_000
NEARLY_FULL = 100_000_000
#: How much more than the limit has to be free before a disk has room again.
ROOM = 1.1
#: Levels of disks.
LOW, IS_FULL = 1, 2
#: Characters of a reason, and of a remedy.
MAX_REASON = 500

#: What differs between the same failures of two sources: names of hosts, addresses, numbers.
_OWN_WORDS = re.compile(r'"[^"]*"|\S*[.:/]\S+|\d+')


class Seen(Struct, frozen=True):
    """What one look sees. now: in seconds since 1970. machine: the name of the installation.

    companies: by their identifiers. zone: of the times that messages say; None: the machine's.
    """

    now: float
    health: Health
    settings: AlertSettings
    machine: str = ""
    companies: Mapping[str, Watched] = {}
    facts: Facts = Facts()
    zone: tzinfo | None = None


class Look(Struct, frozen=True):
    """What one look sees, by its names: there may be thousands of folders.

    places: each folder that needs room, the bytes free, and what is wrong with it. low, full: the
    folders whose disks have been told to run low, and to be full.
    """

    seen: Seen
    memory: Memory
    sources: dict[str, SourceHealth]
    places: dict[str, tuple[int | None, Trouble | None]]
    low: frozenset[str]
    full: frozenset[str]


def look_at(seen: Seen, memory: Memory) -> Look:
    """Order what is seen by names."""
    health = seen.health
    places = {one.folder: (one.free_bytes, one.trouble) for one in health.destinations}
    state: dict[str, tuple[int | None, Trouble | None]] = {STATE: (health.disk_free, health.state)}
    if health.cluster is not None:
        state = {name: (free, None) for name, free in places_of(health).items()}
    disks = [one for one in memory.incidents if one.cause == "disk"]
    return Look(
        seen,
        memory,
        {one.name: one for one in health.sources},
        {**state, **places},
        frozenset(member for one in disks for member in one.members),
        frozenset(member for one in disks if one.level >= IS_FULL for member in one.members),
    )


def conditions(look: Look) -> list[Condition]:
    """All that is wrong, of each cause in turn, but sign-ins and companies (see `rhythms`)."""
    return [one for find in CONDITIONS for one in find(look)]


def _sources(look: Look) -> Iterable[Condition]:
    for source in look.seen.health.sources:
        if source.trouble is not None and source.paused_since is None:
            yield _condition("source", source.name, source.trouble)


def _folders(look: Look) -> Iterable[Condition]:
    """The folders, the state folder among them, but for what is the fault of their disks."""
    for place, (free, trouble) in look.places.items():
        if trouble is not None and not _is_of_disk(look, place, free):
            yield _condition("state" if place == STATE else "folder", place, trouble)


def _disks(look: Look) -> Iterable[Condition]:
    seen = look.seen
    for place, (free, trouble) in look.places.items():
        if free is None:
            continue
        limit = seen.settings.disk_free * (ROOM if place in look.low else 1.0)
        if trouble is not None and _is_of_disk(look, place, free):
            said = texts.FULL.format(free=texts.size(free), reason=trouble.reason)
            yield Condition("disk", place, seen.now, sanitized(said, MAX_REASON), level=IS_FULL)
        elif free < limit:
            level = IS_FULL if free < min(FULL, limit) else LOW
            reason = texts.FREE.format(free=texts.size(free))
            yield Condition("disk", place, seen.now, reason, level=level)


def _stuck(look: Look) -> Iterable[Condition]:
    seen, since = look.seen, look.seen.health.progress_at
    if seen.health.cluster is not None:
        return
    # A ledger that can't be written keeps everything waiting; that is told instead.
    if seen.health.state is None and since + seen.settings.stuck <= seen.now:
        minutes = int((seen.now - since) / 60)
        reason = texts.NO_MOVE.format(minutes=f"{minutes:,}")
        yield Condition("stuck", ENGINE, since, reason)


def _ended(look: Look) -> Iterable[Condition]:
    if look.memory.ended and look.seen.health.cluster is None:
        yield Condition("ended", ENGINE, look.memory.ended[-1], texts.KILLED)


def _nodes(look: Look) -> Iterable[Condition]:
    return node_conditions(look.seen.health, look.seen.settings, look.seen.now)


CONDITIONS: tuple[Callable[[Look], Iterable[Condition]], ...] = (
    _ended,
    _disks,
    _stuck,
    _sources,
    _folders,
    _nodes,
)


def _is_of_disk(look: Look, place: str, free: int | None) -> bool:
    """Whether what is wrong with a folder is told as the fault of its disk.

    It is until a document has found the room that there is again.
    """
    if free is None:
        return False
    return free < min(look.seen.settings.disk_free, NEARLY_FULL) or place in look.full


def _condition(cause: str, member: str, trouble: Trouble) -> Condition:
    reason = sanitized(trouble.reason, MAX_REASON).rstrip(". ")
    return Condition(
        cause,
        member,
        trouble.since,
        reason,
        sanitized(trouble.remedy, MAX_REASON).rstrip(". "),
        alike=f"{cause}: {_OWN_WORDS.sub('', reason)}",
    )


def settled(health: Health, now: float, grace: float) -> bool:
    """Whether this process has had the time to meet again what was wrong before it began."""
    polled = all(one.last_good_poll is not None or one.paused_since for one in health.sources)
    return polled and now - health.started_at >= 2 * grace


def at_work(health: Health, now: float, grace: float) -> bool:
    """Whether this process works: each source has been tried, and it has not ended at once."""
    tried = all(
        one.last_good_poll is not None or one.trouble or one.paused_since for one in health.sources
    )
    return tried and now - health.started_at >= grace


def is_known(cause: str, member: str, run: float, look: Look) -> bool:
    """Whether no condition means that nothing is wrong; else it is not known yet.

    run: when the process began that has told of it.
    """
    health, now = look.seen.health, look.seen.now
    match cause:
        case "source":
            source = look.sources.get(member)
            if source is None or source.paused_since is not None:
                return False
            return source.last_good_poll is not None
        case "folder" | "state":
            return run == health.started_at or settled(health, now, look.seen.settings.grace)
        case "disk":
            return look.places.get(member, (None, None))[0] is not None
        case "node" | "configuration" | "overdue":
            # As long as nobody sees the others, nothing is known of them.
            return health.cluster is not None
        case _:
            return True


def is_gone(cause: str, member: str, look: Look) -> bool:
    """Whether the configuration does not name what a message was about any more."""
    match cause:
        case "source" | "sign-in" | "overdue":
            return member not in look.sources
        case "node":
            view = look.seen.health.cluster
            return view is not None and member not in {one.node for one in view.nodes}
        case "folder" | "disk":
            return member not in look.places
        case "quiet":
            return member not in look.seen.companies
        case _:
            return False
