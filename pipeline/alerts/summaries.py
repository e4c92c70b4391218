"""Summaries: what a day or a week has brought, told at an hour of the machine's time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from pipeline.alerts import texts
from pipeline.alerts.conditions import Seen
from pipeline.alerts.facts import Delivered
from pipeline.alerts.memory import Memory
from pipeline.alerts.message import Message
from pipeline.alerts.rendering import few, name_of, notice
from pipeline.alerts.settings import AlertSettings
from pipeline.alerts.texts import moment

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


def summary(memory: Memory, seen: Seen, delivered: Sequence[Delivered]) -> Message:
    """The summary since the one before."""
    health = seen.health
    is_well = not memory.incidents and health.state is None
    values = {
        "delivered": f"{sum(one.documents for one in delivered):,}",
        "since": moment(memory.summary_at, seen.zone),
        "state": texts.ALL_WELL if is_well else texts.NOT_WELL,
    }
    lines = [*few(list(_open(memory, seen))), *few(list(_sources(seen)))]
    left = {
        "quarantined": f"{health.quarantined:,}",
        "waiting": f"{health.waiting:,}",
        "unacknowledged": f"{health.unacknowledged:,}",
    }
    lines.append(texts.LEFT.format_map(left))
    if health.disk_free is not None:
        lines.append(texts.DISK.format(free=texts.size(health.disk_free)))
    lines += few(list(_companies(seen, delivered)))
    return notice(seen, "summary", texts.SUMMARY, values, lines)


def _open(memory: Memory, seen: Seen) -> Iterator[str]:
    for one in memory.incidents:
        known = texts.CAUSES[one.cause]
        text = known.one if len(one.members) == 1 else known.many
        name, count = name_of(one.cause, one.members[0], seen), f"{len(one.members):,}"
        yield f"{text.subject.format(name=name, count=count)} ({moment(one.since, seen.zone)})"


def _sources(seen: Seen) -> Iterator[str]:
    for one in seen.health.sources:
        name = name_of("source", one.name, seen)
        if one.last_good_poll is None:
            yield texts.NOT_READ.format(name=name)
        else:
            yield texts.SOURCE.format(name=name, at=moment(one.last_good_poll, seen.zone))
        if one.sign_in_ends_at is not None:
            yield texts.SIGN_IN.format(name=name, at=moment(one.sign_in_ends_at, seen.zone))


def _companies(seen: Seen, delivered: Sequence[Delivered]) -> Iterator[str]:
    """A line for each company, the one with most documents first."""
    totals: Counter[str] = Counter()
    kinds: dict[str, Counter[str]] = {}
    for one in delivered:
        totals[one.company] += one.documents
        kinds.setdefault(one.company, Counter())[one.kind or texts.NO_KIND] += one.documents
    for company, documents in totals.most_common():
        said = ", ".join(f"{number:,} {kind}" for kind, number in kinds[company].most_common())
        name = name_of("quiet", company, seen)
        yield texts.COMPANY.format(name=name, documents=f"{documents:,}", kinds=said)
