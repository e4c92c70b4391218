"""Incidents: from what is wrong to what is told of it: once when it begins, once when it is over.

What begins at once for the same reason is one incident. What comes and goes, or spreads from one
folder to the next, is told ever more rarely: after an hour at the earliest, then after two, four
and so on within a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from pipeline.alerts.conditions import Look, Seen, is_gone, is_known
from pipeline.alerts.memory import Condition, Incident, Memory, Told

#: Seconds before the same is told anew, which double with each time within a day.
FIRST_GAP = 3600.0
DAY = 86_400.0
#: Members of an incident that are remembered as told, one by one.
MAX_TOLD = 50
#: The causes that have to last before they are told.
LASTING = ("source", "folder", "state", "node")


class Change(Struct, frozen=True):
    """One thing to tell. incident: as it is now. conditions: what is wrong; none if it is over.

    gone: whether it is over because nobody asks for it any more.
    """

    incident: Incident
    conditions: tuple[Condition, ...] = ()
    gone: bool = False


def update(memory: Memory, found: Sequence[Condition], look: Look) -> tuple[Memory, list[Change]]:
    """The memory after a look that has found these conditions, and what is to be told."""
    seen = look.seen
    changes: list[Change] = []
    still_open: list[Incident] = []
    by_member = {(one.cause, one.member): one for one in found}
    for incident in memory.incidents:
        kept, change = _follow(incident, by_member, look)
        if kept is not None:
            still_open.append(kept)
        if change is not None:
            changes.append(change)
    known = {(one.cause, member) for one in still_open for member in one.members}
    told = [one for one in memory.told if seen.now - one.at < DAY]
    for group in _groups(one for one in found if (one.cause, one.member) not in known):
        ripe = [one for one in group if _has_lasted(one, seen)]
        if not ripe or _is_too_soon(ripe, told, seen.now):
            continue
        # What has only just begun for the same reason belongs to it.
        begun = _begin(group, seen)
        still_open.append(begun)
        told += [Told(key, seen.now) for key in _keys(group)]
        changes.append(Change(begun, tuple(group)))
    after = structs.replace(memory, incidents=tuple(still_open), told=tuple(told))
    return after, changes


def _follow(
    incident: Incident, found: dict[tuple[str, str], Condition], look: Look
) -> tuple[Incident | None, Change | None]:
    """What becomes of an incident that is open; None if it is over."""
    cause = incident.cause
    present = [one for name in incident.members if (one := found.get((cause, name)))]
    worse = tuple(one for one in present if one.level > incident.level)
    if worse:
        raised = structs.replace(
            incident, level=max(one.level for one in worse), told_at=look.seen.now
        )
        return raised, Change(raised, worse)
    if present:
        return incident, None
    left = [name for name in incident.members if not is_gone(cause, name, look)]
    if any(not is_known(cause, name, incident.run, look) for name in left):
        return incident, None
    return None, Change(incident, gone=not left)


def _groups(new: Iterable[Condition]) -> list[list[Condition]]:
    """The conditions that are told together."""
    groups: dict[tuple[str, str], list[Condition]] = {}
    for one in new:
        # Sign-ins have nothing to do with each other.
        alike = one.member if one.cause == "sign-in" else one.alike
        groups.setdefault((one.cause, alike), []).append(one)
    return list(groups.values())


def _has_lasted(one: Condition, seen: Seen) -> bool:
    return one.cause not in LASTING or seen.now - one.since >= seen.settings.grace


def _keys(group: Sequence[Condition]) -> list[str]:
    members = [f"{one.cause} {one.member}" for one in group[:MAX_TOLD]]
    alike = {one.alike for one in group if one.alike}
    return [*alike, *members]


def _is_too_soon(group: Sequence[Condition], told: Sequence[Told], now: float) -> bool:
    """Whether the same was told so recently, or so often, that it has to wait."""
    times: dict[str, list[float]] = {}
    for one in told:
        times.setdefault(one.key, []).append(one.at)
    return any(
        now - max(when) < FIRST_GAP * 2.0 ** (len(when) - 1)
        for key in _keys(group)
        if (when := times.get(key))
    )


def stable_id(seen: Seen, cause: str, *members: str) -> str:
    """What identifies an incident that begins at this look, on any machine."""
    named = "\n".join((seen.machine, repr(seen.health.started_at), repr(seen.now), *members))
    return f"{cause}-{hashlib.sha256(named.encode()).hexdigest()[:20]}"


def _begin(group: Sequence[Condition], seen: Seen) -> Incident:
    first = min(group, key=lambda one: one.since)
    members = tuple(one.member for one in group)
    return Incident(
        id=stable_id(seen, first.cause, *members),
        cause=first.cause,
        members=members,
        level=max(one.level for one in group),
        since=first.since,
        told_at=seen.now,
        run=seen.health.started_at,
    )
