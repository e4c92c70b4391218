"""Alert rules: from what was told and what one look sees to what is told now. Nothing here waits.

One message when something goes wrong, one when it is over, none twice, and none but the summaries
while all is well.
"""

from __future__ import annotations

from datetime import tzinfo

from msgspec import structs

from pipeline.alerts import texts
from pipeline.alerts.conditions import Seen, at_work, conditions, look_at
from pipeline.alerts.facts import FEW, Needs
from pipeline.alerts.incidents import stable_id, update
from pipeline.alerts.memory import Condition, Gathered, Gathering, Incident, Memory
from pipeline.alerts.message import PROBLEM, News
from pipeline.alerts.rendering import news, render
from pipeline.alerts.rhythms import (
    QUIET_EVERY,
    WATCHED,
    sign_in_conditions,
    watch_quiet,
    watch_sign_ins,
)
from pipeline.alerts.settings import AlertSettings
from pipeline.alerts.summaries import is_due, last_due, summary
from pipeline.language.texts import Recorded, Sentence, Text, said
from pipeline.text import sanitized

QUARANTINE = "quarantine"
#: Characters of a label, and of a reason, that a message repeats.
MAX_LINE = 400
MAX_REASON = 1000


def needs(memory: Memory, settings: AlertSettings, now: float, zone: tzinfo | None) -> Needs:
    """What the next look has to read of the ledger."""
    memory = memory.turned_back(now)
    is_summary_due = is_due(memory, settings, now, zone)
    return Needs(
        memory.quarantine.until,
        now - memory.quiet_at >= QUIET_EVERY,
        memory.summary_at if is_summary_due else None,
    )


def look(memory: Memory, seen: Seen) -> tuple[Memory, list[News]]:
    """The memory after a look, and what is to be told."""
    memory = _watched(memory.turned_back(seen.now), seen)
    memory = _without_ended(watch_quiet(watch_sign_ins(memory, seen), seen), seen)
    looked = look_at(seen, memory)
    found = [*conditions(looked), *sign_in_conditions(memory, seen), *memory.quiet]
    found += _still_quarantined(memory, seen)
    memory, changes = update(memory, found, looked)
    messages = [render(change, memory, seen) for change in changes]
    memory, gathered = _quarantine(memory, seen)
    messages += gathered
    memory, summed = _summary(memory, seen)
    return memory, messages + summed


def _watched(memory: Memory, seen: Seen) -> Memory:
    is_after_gap = seen.now - memory.looked_at >= WATCHED
    since = seen.now if is_after_gap else memory.watched_since
    return structs.replace(memory, looked_at=seen.now, watched_since=since)


def _without_ended(memory: Memory, seen: Seen) -> Memory:
    """Forget how earlier processes ended when this has been told, and this process works."""
    told = any(one.cause == "ended" for one in memory.incidents)
    if not told or not at_work(seen.health, seen.now, seen.settings.grace):
        return memory
    return structs.replace(memory, ended=())


def _still_quarantined(memory: Memory, seen: Seen) -> list[Condition]:
    """A told quarantine is over when it is empty."""
    health = seen.health
    # Before the ledger has been read, none of its numbers is known.
    is_over = health.ledger_bytes and not health.quarantined and memory.quarantine.began is None
    return [
        Condition(QUARANTINE, member, one.since)
        for one in memory.incidents
        if one.cause == QUARANTINE and not is_over
        for member in one.members
    ]


def _quarantine(memory: Memory, seen: Seen) -> tuple[Memory, list[News]]:
    """Gather what was quarantined; tell it when it has been gathered for long enough."""
    gathering, new = memory.quarantine, seen.facts.quarantined
    if new is not None:
        lines = tuple(
            Gathered(sanitized(label, MAX_LINE), sanitized(reason, MAX_REASON))
            for label, reason in new.few
        )
        gathering = Gathering(
            max(new.until, gathering.until),
            seen.now if gathering.began is None and new.count else gathering.began,
            gathering.count + new.count,
            (*gathering.few, *lines)[:FEW],
        )
    if gathering.began is None or seen.now - gathering.began < seen.settings.gather:
        return structs.replace(memory, quarantine=gathering), []
    told = _quarantine_message(gathering, seen)
    kept = tuple(one for one in memory.incidents if one.cause != QUARANTINE)
    begun = Incident(
        id=told.incident,
        cause=QUARANTINE,
        members=(QUARANTINE,),
        level=1,
        since=gathering.began,
        told_at=seen.now,
        run=seen.health.started_at,
    )
    emptied = Gathering(gathering.until)
    return structs.replace(memory, quarantine=emptied, incidents=(*kept, begun)), [told]


def _quarantine_message(gathering: Gathering, seen: Seen) -> News:
    known = texts.CAUSES[QUARANTINE]
    left = gathering.count - len(gathering.few)
    lines = [_line(one) for one in gathering.few]
    if left:
        lines.append(said(texts.MORE, count=left))
    id_ = stable_id(seen, QUARANTINE)
    return news(
        seen,
        f"{id_}-1",
        id_,
        QUARANTINE,
        PROBLEM,
        known.one if gathering.count == 1 else known.many,
        {"count": gathering.count},
        lines,
    )


def _line(one: Gathered | str) -> Text:
    if isinstance(one, str):
        return said("{line}", line=one)
    reason = Recorded(one.label, one.reason)
    return said(texts.LINE, name=Sentence(one.label), reason=reason)


def _summary(memory: Memory, seen: Seen) -> tuple[Memory, list[News]]:
    if seen.facts.delivered is None:
        # Where there are to be none, the first that is wanted does not tell of all the time before.
        due = last_due(seen.settings, seen.now, seen.zone)
        return (memory if due else structs.replace(memory, summary_at=seen.now)), []
    made = summary(memory, seen, seen.facts.delivered)
    return structs.replace(memory, summary_at=seen.now), [made]
