"""Companies and sources: a row for each, with the worst that concerns it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeline.alerts.memory import Condition
from pipeline.engine.breaker import BreakerState
from pipeline.engine.observer import Snapshot
from pipeline.health.model import Health, SourceHealth
from pipeline.language.texts import Text, mark as _, said
from pipeline.monitor.page.model import ORDER, CompanyRow, Group, Level, SourceRow
from pipeline.monitor.page.nodes import others_of
from pipeline.monitor.page.parts import Member, Members
from pipeline.monitor.page.tally import Tally

State = tuple[Level, Text]

FAILS: State = ("bad", said(_("source fails")))
REFUSES: State = ("bad", said(_("folder refuses")))
DISK: State = ("warn", said(_("disk")))
QUARANTINE: State = ("bad", said(_("quarantine")))
WAITING: State = ("warn", said(_("waiting")))
QUIET: State = ("warn", said(_("silence")))
PAUSED: State = ("warn", said(_("paused")))
#: Seconds for which a source has to have asked to be left alone before that is told.
RESTING = 30.0
OVERDUE: State = ("warn", said(_("overdue")))
WELL: State = ("ok", said(_("well")))
#: The worst first: a company is told by the first that concerns it.
_RANKS = (FAILS, REFUSES, QUARANTINE, DISK, PAUSED, OVERDUE, QUIET, WAITING, WELL)


def company_rows(
    members: Members,
    tally: Tally,
    conditions: Iterable[Condition],
    groups: Iterable[Group],
    by_folder: Mapping[str, Sequence[Member]],
) -> tuple[CompanyRow, ...]:
    """A row for each company, the worst first, then by name."""
    of_source, states = _states(conditions, by_folder)
    opened: dict[str, int] = {}
    for group in groups:
        why = QUARANTINE if group.state == "quarantined" else WAITING
        for _key, _label, company, _at in group.documents:
            opened[company] = opened.get(company, 0) + 1
            states.setdefault(company, []).append(why)
    rows = []
    for one in members.companies.values():
        found = states.get(one.identifier, [])
        found = [*(state for name in one.sources for state in of_source.get(name, ())), *found]
        level, state = min(found, key=_RANKS.index, default=WELL)
        last, today, counts = tally.of(one.identifier)
        rows.append(
            CompanyRow(
                one.identifier,
                one.name,
                one.file,
                level,
                state,
                last,
                today,
                counts,
                opened.get(one.identifier, 0),
            )
        )
    ranks = {id(state[1]): rank for rank, state in enumerate(_RANKS)}
    return tuple(
        sorted(
            rows,
            key=lambda one: (ORDER[one.level], ranks[id(one.state)], one.name.casefold()),
        )
    )


#: What is wrong with all companies of a source, by the cause.
_OF_SOURCE = {"source": FAILS, "paused": PAUSED, "overdue": OVERDUE}


def _states(
    conditions: Iterable[Condition], by_folder: Mapping[str, Sequence[Member]]
) -> tuple[dict[str, list[State]], dict[str, list[State]]]:
    """What is wrong with sources, and what else is wrong with companies."""
    of_source: dict[str, list[State]] = {}
    states: dict[str, list[State]] = {}
    for one in conditions:
        if one.cause in _OF_SOURCE:
            of_source.setdefault(one.member, []).append(_OF_SOURCE[one.cause])
        elif one.cause == "quiet":
            states.setdefault(one.member, []).append(QUIET)
        elif one.cause in ("folder", "disk"):
            state = REFUSES if one.cause == "folder" or one.level > 1 else DISK
            for member in by_folder.get(one.member, ()):
                states.setdefault(member.identifier, []).append(state)
    return of_source, states


def source_rows(health: Health, snapshot: Snapshot) -> tuple[SourceRow, ...]:
    """A row for each source, those that fail first."""
    others = others_of(health)
    polling = {part.source for node in others for part in node.in_hand}
    in_flight: dict[str, int] = {}
    for node in others:
        for name, documents in (node.report.in_flight if node.report else {}).items():
            in_flight[name] = in_flight.get(name, 0) + documents
    pauses = health.cluster.pauses if health.cluster is not None else {}
    rows = [
        _source(
            one,
            snapshot,
            in_flight.get(one.name, 0),
            is_polled=one.name in polling,
            is_resting=pauses.get(one.name, 0.0) > RESTING,
        )
        for one in health.sources
    ]
    return tuple(sorted(rows, key=lambda one: (ORDER[one.level], one.name.casefold())))


def _source(
    source: SourceHealth, snapshot: Snapshot, in_flight: int, *, is_polled: bool, is_resting: bool
) -> SourceRow:
    """in_flight: documents on other nodes. is_polled: whether one of those polls it.

    is_resting: whether it has asked all nodes to leave it alone for a while.
    """
    seen = snapshot.sources.get(source.name)
    level, state = WELL
    if source.paused_since is not None:
        level, state = PAUSED
    elif source.trouble is not None:
        level, state = FAILS
    elif seen is not None and seen.breaker is BreakerState.OPEN:
        level, state = "warn", said(_("serves badly"))
    elif is_resting:
        level, state = "warn", said(_("asks to wait"))
    elif source.last_good_poll is None:
        level, state = "warn", said(_("first poll"))
    elif is_polled or (seen is not None and seen.poll.polling):
        level, state = "ok", said(_("being read"))
    return SourceRow(
        source.name,
        level,
        state,
        source.last_good_poll,
        in_flight + (seen.in_flight if seen is not None else 0),
        source.paused_since is not None,
    )
