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
from pipeline.alerts.settings import AlertSettings
from pipeline.health.model import Health, Trouble
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


def conditions(seen: Seen, memory: Memory) -> list[Condition]:
    """All that is wrong, of each cause in turn, but sign-ins and companies (see `rhythms`)."""
    return [one for find in CONDITIONS for one in find(seen, memory)]


def _sources(seen: Seen, _: Memory) -> Iterable[Condition]:
    for source in seen.health.sources:
        if source.trouble is not None:
            yield _condition("source", source.name, source.trouble)


def _state(seen: Seen, memory: Memory) -> Iterable[Condition]:
    trouble = seen.health.state
    if trouble is not None and not _is_of_disk(seen, memory, STATE, seen.health.disk_free):
        yield _condition("state", STATE, trouble)


def _folders(seen: Seen, memory: Memory) -> Iterable[Condition]:
    for one in seen.health.destinations:
        if one.trouble and not _is_of_disk(seen, memory, one.folder, one.free_bytes):
            yield _condition("folder", one.folder, one.trouble)


def _disks(seen: Seen, memory: Memory) -> Iterable[Condition]:
    told = _told_disks(memory, LOW)
    for place, free, trouble in _places(seen.health):
        if free is None:
            continue
        limit = seen.settings.disk_free * (ROOM if place in told else 1.0)
        reason = texts.FREE.format(free=texts.size(free))
        if trouble is not None and _is_of_disk(seen, memory, place, free):
            said = texts.FULL.format(free=texts.size(free), reason=trouble.reason)
            yield Condition("disk", place, seen.now, sanitized(said, MAX_REASON), level=IS_FULL)
        elif free < limit:
            level = IS_FULL if free < min(FULL, limit) else LOW
            yield Condition("disk", place, seen.now, reason, level=level)


def _stuck(seen: Seen, _: Memory) -> Iterable[Condition]:
    # A ledger that can't be written keeps everything waiting; that is told instead.
    if seen.health.state is None and seen.health.progress_at + seen.settings.stuck <= seen.now:
        minutes = int((seen.now - seen.health.progress_at) / 60)
        reason = texts.NO_MOVE.format(minutes=f"{minutes:,}")
        yield Condition("stuck", ENGINE, seen.health.progress_at, reason)


def _ended(_: Seen, memory: Memory) -> Iterable[Condition]:
    if memory.ended:
        yield Condition("ended", ENGINE, memory.ended[-1], texts.KILLED)


CONDITIONS: tuple[Callable[[Seen, Memory], Iterable[Condition]], ...] = (
    _ended,
    _disks,
    _state,
    _stuck,
    _sources,
    _folders,
)


def _places(health: Health) -> Iterable[tuple[str, int | None, Trouble | None]]:
    """Each folder that needs room: what it is called, the bytes free, and what is wrong with it."""
    yield STATE, health.disk_free, health.state
    for one in health.destinations:
        yield one.folder, one.free_bytes, one.trouble


def _told_disks(memory: Memory, level: int) -> set[str]:
    """The folders whose disks have been told of, at this level or above."""
    told = (one for one in memory.incidents if one.cause == "disk" and one.level >= level)
    return {member for one in told for member in one.members}


def _is_of_disk(seen: Seen, memory: Memory, place: str, free: int | None) -> bool:
    """Whether what is wrong with a folder is told as the fault of its disk.

    It is until a document has found the room that there is again.
    """
    if free is None:
        return False
    is_full = free < min(seen.settings.disk_free, NEARLY_FULL)
    return is_full or place in _told_disks(memory, IS_FULL)


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
    polled = all(one.last_good_poll is not None for one in health.sources)
    return polled and now - health.started_at >= 2 * grace


def at_work(health: Health, now: float, grace: float) -> bool:
    """Whether this process works: each source has been tried, and it has not ended at once."""
    tried = all(one.last_good_poll is not None or one.trouble for one in health.sources)
    return tried and now - health.started_at >= grace


def is_known(cause: str, member: str, run: float, seen: Seen) -> bool:
    """Whether no condition means that nothing is wrong; else it is not known yet.

    run: when the process began that has told of it.
    """
    health, grace = seen.health, seen.settings.grace
    match cause:
        case "source":
            return any(
                one.name == member and one.last_good_poll is not None for one in health.sources
            )
        case "folder" | "state":
            return run == health.started_at or settled(health, seen.now, grace)
        case "disk":
            return any(place == member and free is not None for place, free, _ in _places(health))
        case _:
            return True


def is_gone(cause: str, member: str, seen: Seen) -> bool:
    """Whether the configuration does not name what a message was about any more."""
    health = seen.health
    match cause:
        case "source" | "sign-in":
            return all(one.name != member for one in health.sources)
        case "folder" | "disk":
            return member != STATE and all(one.folder != member for one in health.destinations)
        case "quiet":
            return member not in seen.companies
        case _:
            return False
