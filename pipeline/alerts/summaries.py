"""Summaries: what a day or a week has brought, told at an hour of the machine's time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from pipeline.alerts import texts
from pipeline.alerts.conditions import Seen
from pipeline.alerts.facts import Delivered
from pipeline.alerts.memory import Memory
from pipeline.alerts.message import News
from pipeline.alerts.rendering import few, name_of, notice
from pipeline.alerts.settings import AlertSettings
from pipeline.language.texts import Listed, Moment, Size, Text, counted, said

DAILY, NEVER = "daily", "never"


def last_due(settings: AlertSettings, now: float, zone: tzinfo | None) -> float | None:
    """The latest moment at which a summary was due; None if there are to be none."""
    if settings.summary == NEVER:
        return None
    local = datetime.fromtimestamp(now, zone)
    days = 1 if settings.summary == DAILY else 7
    back = 0 if days == 1 else local.weekday()
    # Without a zone, timestamp() takes the machine's, with its summer time of that day.
    due = datetime(local.year, local.month, local.day, settings.summary_hour, tzinfo=zone)
    due -= timedelta(days=back)
    if due.timestamp() > now:
        due -= timedelta(days=days)
    return due.timestamp()


def is_due(memory: Memory, settings: AlertSettings, now: float, zone: tzinfo | None) -> bool:
    """Whether a summary is to be made now."""
    due = last_due(settings, now, zone)
    return due is not None and memory.summary_at < due


def summary(memory: Memory, seen: Seen, delivered: Sequence[Delivered]) -> News:
    """The summary since the one before."""
    health = seen.health
    is_well = not memory.incidents and health.state is None
    documents = sum(one.documents for one in delivered)
    lines = [*few(list(_open(memory, seen))), *few(list(_sources(seen)))]
    lines.append(
        said(
            texts.LEFT,
            quarantined=health.quarantined,
            waiting=health.waiting,
            unacknowledged=health.unacknowledged,
        )
    )
    if health.disk_free is not None:
        lines.append(said(texts.DISK, free=Size(health.disk_free)))
    lines += few(list(_companies(seen, delivered)))
    return notice(
        seen,
        "summary",
        counted(*texts.SUMMARY, documents, since=Moment(memory.summary_at)),
        said(texts.ALL_WELL if is_well else texts.NOT_WELL),
        lines,
    )


def _open(memory: Memory, seen: Seen) -> Iterator[Text]:
    for one in memory.incidents:
        known = texts.CAUSES[one.cause]
        words = known.one if len(one.members) == 1 else known.many
        name, count = name_of(one.cause, one.members[0], seen), len(one.members)
        what = said(words.subject, name=name, count=count)
        yield said(texts.OPEN, what=what, since=Moment(one.since))


def _sources(seen: Seen) -> Iterator[Text]:
    for one in seen.health.sources:
        name = name_of("source", one.name, seen)
        if one.last_good_poll is None:
            yield said(texts.NOT_READ, name=name)
        else:
            yield said(texts.SOURCE, name=name, at=Moment(one.last_good_poll))
        if one.sign_in_ends_at is not None:
            yield said(texts.SIGN_IN, name=name, at=Moment(one.sign_in_ends_at))


def _companies(seen: Seen, delivered: Sequence[Delivered]) -> Iterator[Text]:
    """A line for each company, the one with most documents first."""
    totals: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    for one in delivered:
        totals[one.company] += one.documents
        kinds.setdefault(one.company, Counter())[one.kind] += one.documents
    for company, documents in totals.most_common():
        parts = [_of_kind(kind, number) for kind, number in kinds[company].most_common()]
        name = name_of("quiet", company, seen)
        yield counted(*texts.COMPANY, documents, name=name, kinds=Listed(tuple(parts)))


def _of_kind(kind: str, number: int) -> Text:
    return said(texts.KINDS.get(kind, texts.KINDS[""]), count=number)
