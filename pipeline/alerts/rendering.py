"""Alert rendering: puts what is to be told into the words of `texts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.alerts import texts
from pipeline.alerts.conditions import Seen
from pipeline.alerts.incidents import Change, stable_id
from pipeline.alerts.memory import Condition, Incident, Memory
from pipeline.alerts.message import NOTICE, OVER, PROBLEM, Message
from pipeline.alerts.texts import Text, moment
from pipeline.text import sanitized

#: Lines of details, and characters of a name in one.
MAX_DETAILS = 10
MAX_NAME = 200


def render(change: Change, memory: Memory, seen: Seen) -> Message:
    """The message on a change of an incident."""
    if change.conditions:
        return _problem(change.incident, change.conditions, seen)
    return _over(change.incident, change.gone, memory, seen)


def notice(
    seen: Seen, cause: str, text: Text, values: Mapping[str, str], details: Sequence[str] = ()
) -> Message:
    """A message on something that has no end."""
    id_ = stable_id(seen, cause)
    return message(seen, f"{id_}-notice", id_, cause, NOTICE, text, values, details)


def message(
    seen: Seen,
    id_: str,
    incident: str,
    cause: str,
    state: str,
    text: Text,
    values: Mapping[str, str],
    details: Sequence[str] = (),
    remedy: str = "",
) -> Message:
    """A message by its text. details: lines, few and sanitized. remedy: if the text has none."""
    return Message(
        id_,
        incident,
        cause,
        state,
        seen.now,
        seen.machine,
        sanitized(text.subject.format_map(values), 4 * MAX_NAME),
        _sentence(text.text.format_map(values)),
        text.remedy.format_map(values) or (f"{remedy}." if remedy else ""),
        tuple(details),
    )


def few(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines of details, and how many more there are."""
    shown = tuple(sanitized(one, 4 * MAX_NAME) for one in lines[:MAX_DETAILS])
    left = len(lines) - len(shown)
    return (*shown, texts.MORE.format(count=f"{left:,}")) if left else shown


def name_of(cause: str, member: str, seen: Seen) -> str:
    """How people know what a condition concerns."""
    if cause == "quiet" and (company := seen.companies.get(member)):
        return sanitized(company.name, MAX_NAME)
    return sanitized(member, MAX_NAME)


def _problem(incident: Incident, conditions: Sequence[Condition], seen: Seen) -> Message:
    cause = incident.cause
    first = min(conditions, key=lambda one: one.since)
    text = texts.CAUSES[cause].one if len(conditions) == 1 else texts.CAUSES[cause].many
    values = {
        "name": name_of(cause, first.member, seen),
        "count": f"{len(conditions):,}",
        "since": moment(first.since, seen.zone),
        "reason": first.reason,
    }
    lines = [f"{name_of(cause, one.member, seen)}: {one.reason}" for one in conditions]
    return message(
        seen,
        f"{incident.id}-{incident.level}",
        incident.id,
        cause,
        PROBLEM,
        text,
        values,
        few(lines) if len(lines) > 1 else (),
        first.remedy,
    )


def _over(incident: Incident, gone: bool, memory: Memory, seen: Seen) -> Message:
    cause, members = incident.cause, incident.members
    text = texts.CAUSES[cause].one_over if len(members) == 1 else texts.CAUSES[cause].many_over
    known = memory.sign_ins.get(members[0])
    if cause == "sign-in" and known is None:
        text = texts.STILL_SIGNED_IN
    values = {
        "name": name_of(cause, members[0], seen),
        "count": f"{len(members):,}",
        "since": moment(incident.since, seen.zone),
        "until": moment(known.ends_at, seen.zone) if known else "",
    }
    return message(
        seen,
        f"{incident.id}-over",
        incident.id,
        cause,
        OVER,
        texts.GONE if gone else text,
        values,
        few([name_of(cause, one, seen) for one in members]) if len(members) > 1 else (),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
