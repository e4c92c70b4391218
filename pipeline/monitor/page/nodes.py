"""Nodes: a row for each node of a cluster, with what it has in hand and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.health.model import Health
from pipeline.language.texts import Sentence, Text, both, counted, mark as _, said
from pipeline.monitor.page.model import ORDER, Level, NodeRow
from pipeline.nodes import InHand, NodeView

State = tuple[Level, Text]

ALIVE: State = ("ok", said(_("alive")))
SILENT: State = ("bad", said(_("silent")))
DIFFERS: State = ("warn", said(_("configured differently")))
TROUBLED: State = ("warn", said(_("in trouble")))

#: Lines of work, and of what is wrong, of one node; and nodes of the first screen.
MAX_LINES = 5
MAX_NODES = 50

_PARTS = both("reads {name}", "reads {n} parts of {name}")
_TAKEN = both(
    "has taken over a part of {name} from {node}", "has taken over {n} parts of {name} from {node}"
)
_STAGED = both(
    "{n} document has lain ready for more than a minute; a node takes it over with its next poll",
    "{n} documents have lain ready for more than a minute; nodes take them over with their next"
    " polls",
)
_FOLDER = _("can't deliver into {name}: {reason}")
_SOURCE = _("can't open source {name}: {reason}")


def node_rows(health: Health) -> tuple[NodeRow, ...]:
    """A row for each node, those in trouble first; none where there is no cluster."""
    view = health.cluster
    if view is None:
        return ()
    rows = [_row(one, health.node, view.at) for one in view.nodes]
    return tuple(sorted(rows, key=lambda one: (ORDER[one.level], one.name.casefold())))[:MAX_NODES]


def others_of(health: Health) -> tuple[NodeView, ...]:
    """The other nodes that are alive."""
    alive = health.cluster.alive if health.cluster is not None else ()
    return tuple(one for one in alive if one.node != health.node)


def staged(health: Health) -> Text | None:
    """What has lain ready for long; None if nothing has."""
    if health.cluster is None or not health.cluster.staged_count:
        return None
    return counted(*_STAGED, health.cluster.staged_count)


def _row(one: NodeView, own: str, now: float) -> NodeRow:
    problems: list[Text | Sentence] = [Sentence(sentence) for sentence in one.differs]
    if one.is_alive and one.report is not None:
        report = one.report
        for text, found in ((_SOURCE, report.sources), (_FOLDER, report.folders)):
            problems += [
                said(text, name=name, reason=Sentence(why.reason)) for name, why in found.items()
            ]
    level, state = ALIVE
    if not one.is_alive:
        level, state = SILENT
    elif one.differs:
        level, state = DIFFERS
    elif problems:
        level, state = TROUBLED
    return NodeRow(
        name=one.node,
        host=one.host,
        version=one.version,
        level=level,
        state=state,
        is_own=one.node == own,
        silent_since=None if one.is_alive else round(now - one.silence),
        work=tuple(_work(one.in_hand))[:MAX_LINES],
        problems=tuple(problems[:MAX_LINES]),
    )


def _work(in_hand: Iterable[InHand]) -> Iterable[Text]:
    """What a node has in hand, by source, and from whom it has taken it over."""
    parts: dict[tuple[str, str], int] = {}
    for one in in_hand:
        parts[one.source, one.taken_from] = parts.get((one.source, one.taken_from), 0) + 1
    for (source, taken_from), n in parts.items():
        if taken_from:
            yield counted(*_TAKEN, n, name=source, node=taken_from)
        else:
            yield counted(*_PARTS, n, name=source)
