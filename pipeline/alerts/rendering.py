"""Alert rendering: puts what is to be told into the words of `texts`, in no language yet."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.alerts import texts
from pipeline.alerts.conditions import STATE, Seen
from pipeline.alerts.incidents import Change, stable_id
from pipeline.alerts.memory import Condition, Incident, Memory
from pipeline.alerts.message import NOTICE, OVER, PROBLEM, News
from pipeline.alerts.node_conditions import SHARED
from pipeline.alerts.texts import Words
from pipeline.language.texts import Moment, Sentence, Text, Value, said
from pipeline.text import sanitized

#: Lines of details, and characters of a name in one.
MAX_DETAILS = 10
MAX_NAME = 200


def render(change: Change, memory: Memory, seen: Seen) -> News:
    """What to tell of a change of an incident."""
    if change.conditions:
        return _problem(change.incident, change.conditions, seen)
    return _over(change.incident, change.gone, memory, seen)


def notice(seen: Seen, cause: str, subject: Text, text: Text, details: Sequence[Text] = ()) -> News:
    """What to tell of something that has no end."""
    id_ = stable_id(seen, cause)
    return News(
        id=f"{id_}-notice",
        incident=id_,
        cause=cause,
        state=NOTICE,
        at=seen.now,
        machine=seen.machine,
        subject=subject,
        text=text,
        details=tuple(details),
    )


def news(
    seen: Seen,
    id_: str,
    incident: str,
    cause: str,
    state: str,
    words: Words,
    values: dict[str, Value],
    details: Sequence[Text] = (),
    remedy: str = "",
) -> News:
    """What to tell, by its words. details: few lines. remedy: if the words have none."""
    found = said(words.remedy, **values) if words.remedy else None
    return News(
        id_,
        incident,
        cause,
        state,
        seen.now,
        seen.machine,
        said(words.subject, **values),
        said(words.text, **values),
        found or (Sentence(remedy) if remedy else None),
        tuple(details),
    )


def few(lines: Sequence[Text]) -> tuple[Text, ...]:
    """The first lines of details, and how many more there are."""
    left = len(lines) - MAX_DETAILS
    return (*lines[:MAX_DETAILS], said(texts.MORE, count=left)) if left > 0 else tuple(lines)


def name_of(cause: str, member: str, seen: Seen) -> str | Sentence:
    """How people know what a condition concerns."""
    if cause == "quiet" and (company := seen.companies.get(member)):
        return sanitized(company.name, MAX_NAME)
    if member.startswith((STATE, SHARED)):
        # With a cluster, the name of its node follows.
        return Sentence(sanitized(member, MAX_NAME))
    return sanitized(member, MAX_NAME)


def _problem(incident: Incident, conditions: Sequence[Condition], seen: Seen) -> News:
    cause = incident.cause
    first = min(conditions, key=lambda one: one.since)
    words = texts.CAUSES[cause].one if len(conditions) == 1 else texts.CAUSES[cause].many
    values: dict[str, Value] = {
        "name": name_of(cause, first.member, seen),
        "count": len(conditions),
        "since": Moment(first.since),
        "reason": Sentence(first.reason),
    }
    lines = [
        said(texts.LINE, name=name_of(cause, one.member, seen), reason=Sentence(one.reason))
        for one in conditions
    ]
    return news(
        seen,
        f"{incident.id}-{incident.level}",
        incident.id,
        cause,
        PROBLEM,
        words,
        values,
        few(lines) if len(lines) > 1 else (),
        first.remedy,
    )


def _over(incident: Incident, gone: bool, memory: Memory, seen: Seen) -> News:
    cause, members = incident.cause, incident.members
    words = texts.CAUSES[cause].one_over if len(members) == 1 else texts.CAUSES[cause].many_over
    known = memory.sign_ins.get(members[0])
    if cause == "sign-in" and known is None:
        words = texts.STILL_SIGNED_IN
    values: dict[str, Value] = {
        "name": name_of(cause, members[0], seen),
        "count": len(members),
        "since": Moment(incident.since),
        "until": Moment(known.ends_at) if known else "",
    }
    lines = [said("{name}", name=name_of(cause, one, seen)) for one in members]
    return news(
        seen,
        f"{incident.id}-over",
        incident.id,
        cause,
        OVER,
        _gone(cause) if gone else words,
        values,
        few(lines) if len(members) > 1 else (),
    )


def _gone(cause: str) -> Words:
    return texts.NODE_GONE if cause == "node" else texts.GONE
