"""Rhythms: whether a sign-in comes to its end, and whether a company is quiet that usually is not.

Both are learned by watching: a sign-in that renews itself never ends, and a company that gets a
document each quarter is not quiet after a month.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import structs

from pipeline.alerts import texts
from pipeline.alerts.conditions import Seen
from pipeline.alerts.facts import DAY, History
from pipeline.alerts.memory import Condition, Memory, SignInSeen
from pipeline.health.model import SourceHealth

#: Days before the end of a sign-in at which its user is told, and the level of each.
SIGN_IN_DAYS = ((3, 2), (14, 1))
#: Seconds by which two answers may differ that state the same end.
SAME_END = 120.0
#: Seconds after which a sign-in that has not renewed itself is one that somebody has to renew.
UNRENEWED = 3 * 3600.0

#: Gaps between days with documents from which a usual one is learned.
MIN_GAPS = 3
#: How many times its usual gap a company has to be quiet.
FACTOR = 2
#: Seconds between two readings of the ledger for this.
QUIET_EVERY = 6 * 3600.0
#: Seconds for which a source has to have been watched, and within which it has to have been read.
WATCHED = DAY


def watch_sign_ins(memory: Memory, seen: Seen) -> Memory:
    """The memory of the ends of sign-ins after this look."""
    kept: dict[str, SignInSeen] = {}
    for source in seen.health.sources:
        before = memory.sign_ins.get(source.name)
        if source.sign_in_ends_at is None:
            # Somebody has signed in anew if it is read after that end.
            if before is not None and (source.last_good_poll or 0) <= before.ends_at + DAY:
                kept[source.name] = before
        elif before is None:
            kept[source.name] = SignInSeen(source.sign_in_ends_at, seen.now)
        elif abs(source.sign_in_ends_at - before.ends_at) <= SAME_END:
            kept[source.name] = before
        else:
            life = source.sign_in_ends_at - seen.now
            kept[source.name] = SignInSeen(source.sign_in_ends_at, seen.now, life)
    return structs.replace(memory, sign_ins=kept)


def sign_in_conditions(memory: Memory, seen: Seen) -> list[Condition]:
    """The sign-ins that end soon, as far as nobody renews them."""
    found = (_sign_in(memory, seen, source) for source in seen.health.sources)
    return [one for one in found if one is not None]


def _sign_in(memory: Memory, seen: Seen, source: SourceHealth) -> Condition | None:
    known = memory.sign_ins.get(source.name)
    if known is None:
        return None
    left = known.ends_at - seen.now
    renews_itself = seen.now - known.since < UNRENEWED
    for days, level in SIGN_IN_DAYS:
        # One that is good for no longer at its best is not told of whenever it is renewed.
        is_short = known.life is not None and known.life <= days * DAY
        if left <= days * DAY and not is_short and not renews_itself:
            at = texts.moment(known.ends_at, seen.zone)
            reason = texts.ENDS.format(at=at, days=days)
            return Condition("sign-in", source.name, known.since, reason, level=level)
    return None


def usual_gap(days: Sequence[int]) -> int | None:
    """The longest gap between days with documents, but for the longest tenth of all gaps.

    None where there are too few to learn from.
    """
    gaps = sorted(after - before for before, after in pairwise(days))
    return gaps[len(gaps) - 1 - len(gaps) // 10] if len(gaps) >= MIN_GAPS else None


def watch_quiet(memory: Memory, seen: Seen) -> Memory:
    """The memory of quiet companies after this look, which may have read their histories."""
    histories = seen.facts.histories
    if histories is None:
        return memory
    before = {one.member: one for one in memory.quiet}
    quiet = []
    for history in histories:
        found = before.get(history.company)
        if _can_judge(memory, seen, history.company):
            found = _quiet(seen, history)
        if found is not None and history.company in seen.companies:
            quiet.append(found)
    return structs.replace(memory, quiet=tuple(quiet), quiet_at=seen.now)


def _can_judge(memory: Memory, seen: Seen, company: str) -> bool:
    """Whether documents for a company would have come, if there were any."""
    watched = seen.companies.get(company)
    if watched is None or seen.now - memory.watched_since < WATCHED:
        return False
    sources = [one for one in seen.health.sources if one.name in watched.sources]
    return bool(sources) and all(
        one.trouble is None
        and one.last_good_poll is not None
        and seen.now - one.last_good_poll < WATCHED
        for one in sources
    )


def _quiet(seen: Seen, history: History) -> Condition | None:
    gap = usual_gap(history.days)
    if gap is None:
        return None
    if seen.now - history.last < max(seen.settings.quiet_company, FACTOR * gap * DAY):
        return None
    since = texts.moment(history.last, seen.zone)
    reason = texts.QUIET.format(since=since, days=gap)
    return Condition("quiet", history.company, history.last, reason)
