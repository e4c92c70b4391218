"""View: reads what people see of a cluster, from any machine, also where no node runs.

It only reads, in one short transaction, and no more rows than a screen can show: what grows with
the number of companies is counted by the database.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pipeline.cluster.database import SUBJECT, Connection
from pipeline.cluster.digests import differences
from pipeline.cluster.nodes import ALIVE, STALLED
from pipeline.cluster.schema import VERSION
from pipeline.cluster.units import NAMED, SERVED, Failure, reason_of
from pipeline.errors import StateError
from pipeline.nodes import (
    ClusterView,
    DatabaseView,
    InHand,
    JobCounts,
    NodeReport,
    NodeView,
    Overdue,
    OverduePart,
    PolledSource,
    Reason,
    StagedLeft,
)

#: Nodes, sources, parts in hand, overdue parts, and staged documents that are read, at most.
NODES, SOURCES, IN_HAND, FEW = 200, 5000, 2000, 20
#: Seconds beyond which a staged document is told; and which a poll that goes well may take, so that
#: no part is overdue by less.
STAGED_FOR, POLL = 60.0, 180.0
#: Seconds for which what a node has told of itself is told on when it is silent.
REPORT_AGE = 600.0

#: SQL: when the poll of a part `u` should have begun, as far as there was a node to do it.
_EXPECTED = (
    "greatest(coalesce(u.ended, u.since) + u.every * interval '1 s', u.wanted, p.until,"  # noqa: S608 - constants only
    f" (SELECT min(n.started) FROM cluster_nodes n WHERE {ALIVE}))"
)
#: SQL: the parts that are overdue by more than two intervals.
_LATE = f"""
FROM cluster_units u LEFT JOIN sources l ON l.name = u.source
LEFT JOIN cluster_pauses p ON p.source = u.source
WHERE l.paused_at IS NULL AND NOT (u.failures > 0 AND u.due > now())
AND now() - {_EXPECTED} > greatest(2 * u.every, {POLL}) * interval '1 s'
"""

_NODES = f"""
SELECT n.node, n.host, n.version, extract(epoch FROM now() - n.heartbeat)::float8, {ALIVE},
    extract(epoch FROM n.started)::float8, extract(epoch FROM n.ended)::float8, n.digest,
    extract(epoch FROM n.configured)::float8, r.report::text
FROM cluster_nodes n LEFT JOIN cluster_reports r
    ON r.node = n.node AND r.at > now() - interval '{REPORT_AGE} s'
ORDER BY n.node LIMIT {NODES}
"""  # noqa: S608 - constants only

_LEFT = f"""
SELECT r.node, r.report::text FROM cluster_reports r WHERE r.at > now() - interval '{REPORT_AGE} s'
AND NOT EXISTS (SELECT 1 FROM cluster_nodes n WHERE n.node = r.node) ORDER BY 1 LIMIT {NODES}
"""  # noqa: S608 - constants only

_IN_HAND = f"""
SELECT u.node, u.source, u.slice, extract(epoch FROM u.began)::float8, u.taken_from
FROM procrastinate_jobs j JOIN cluster_units u ON u.name = j.lock
WHERE j.status = 'doing' AND u.began > coalesce(u.ended, '-infinity')
ORDER BY u.source, u.slice LIMIT {IN_HAND}
"""  # noqa: S608 - constants only

_JOBS = f"""
SELECT count(*) FILTER (WHERE j.status = 'todo'), count(*) FILTER (WHERE j.status = 'doing'),
    count(*) FILTER (WHERE j.status = 'doing' AND (
        w.id IS NULL OR w.last_heartbeat < now() - interval '{STALLED} seconds'))
FROM procrastinate_jobs j LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
WHERE j.status IN ('todo', 'doing')
"""  # noqa: S608 - constants only

_SOURCES = f"""
SELECT u.source, count(*), count(*) FILTER (WHERE u.failures > 0),
    CASE WHEN count(*) = count(u.completed) THEN extract(epoch FROM min(u.completed))::float8 END,
    extract(epoch FROM min(u.failed_since) FILTER (WHERE u.failures > 0))::float8,
    (array_agg(u.error ORDER BY u.failed_since, u.slice)
        FILTER (WHERE u.failures > 0))[1:{NAMED}],
    l.paused_at, coalesce(l.paused_by, '')
FROM cluster_units u LEFT JOIN sources l ON l.name = u.source
WHERE {SERVED} GROUP BY u.source, l.paused_at, l.paused_by ORDER BY u.source LIMIT {SOURCES}
"""  # noqa: S608 - constants only

_STAGED = """
FROM documents WHERE state = 'staged' AND changed_at < extract(epoch FROM now()) - %s
"""


def is_there(connection: Connection) -> bool:
    """Whether there are the tables of a cluster. StateError if another version has made them."""
    row = connection.execute(
        "SELECT to_regclass('cluster_schema'), to_regclass('documents'), to_regclass('sources')"
    ).fetchone()
    if row is None or None in row:
        return False
    found = connection.execute("SELECT version FROM cluster_schema").fetchone()
    version = found[0] if found else 0
    if version > VERSION:
        raise StateError(
            SUBJECT,
            f"its tables are of version {version}, and this program knows {VERSION}",
            "Update this node to the version of the others",
        )
    return bool(version == VERSION)


class Viewer:
    """Reads views, one after the other. It keeps what is known of differences."""

    def __init__(self) -> None:
        #: The digests of configurations, and in what the others differ from that of most.
        self._differs: tuple[frozenset[str], str, Mapping[str, Sequence[str]]]
        self._differs = (frozenset(), "", {})

    def read(self, connection: Connection) -> ClusterView:
        """The view of this moment."""
        connection.execute("SET TRANSACTION READ ONLY")
        began = time.monotonic()
        row = connection.execute(
            "SELECT extract(epoch FROM now())::float8, current_setting('synchronous_commit'),"
            " extract(epoch FROM greatest(last_analyze, last_autoanalyze))::float8"
            " FROM (SELECT 1) AS one LEFT JOIN pg_stat_user_tables"
            " ON relid = to_regclass('procrastinate_jobs')"
        ).fetchone()
        assert row is not None
        database = DatabaseView(time.monotonic() - began, row[1], row[2])
        if not is_there(connection):
            return ClusterView(row[0], database)
        nodes, since = self._nodes(connection)
        paused = connection.execute(
            "SELECT source, extract(epoch FROM until - now())::float8 FROM cluster_pauses"  # noqa: S608 - constants only
            f" WHERE until > now() ORDER BY 1 LIMIT {SOURCES}"
        )
        jobs = connection.execute(_JOBS).fetchone()
        assert jobs is not None
        count, staged = _staged(connection)
        return ClusterView(
            at=row[0],
            database=database,
            nodes=nodes,
            sources=tuple(_source(*one) for one in connection.execute(_SOURCES)),
            overdue=_overdue(connection),
            late=_late(connection),
            staged=staged,
            staged_count=count,
            jobs=JobCounts(*jobs),
            pauses=dict(paused.fetchall()),
            differs_since=since,
            left=_left(connection),
        )

    def _nodes(self, connection: Connection) -> tuple[tuple[NodeView, ...], float | None]:
        """The nodes; and since when they are configured differently."""
        rows = connection.execute(_NODES).fetchall()
        in_hand: dict[str, list[InHand]] = {}
        for node, *rest in connection.execute(_IN_HAND):
            in_hand.setdefault(node, []).append(InHand(*rest))
        alive = [row for row in rows if row[4] and row[7]]
        differs = self._differences(connection, [(row[0], row[7]) for row in alive])
        since = max((row[8] for row in alive if row[8] is not None), default=None)
        nodes = tuple(
            NodeView(
                node=row[0],
                host=row[1],
                version=row[2],
                silence=row[3],
                is_alive=row[4],
                started_at=row[5],
                ended_at=row[6],
                in_hand=tuple(in_hand.get(row[0], ())),
                differs=tuple(differs.get(row[7], ())) if row[4] else (),
                report=_report(row[9]),
            )
            for row in rows
        )
        return nodes, since if differs else None

    def _differences(
        self, connection: Connection, alive: Sequence[tuple[str, str]]
    ) -> Mapping[str, Sequence[str]]:
        """In what configurations differ from that of most nodes, by their digests."""
        found = {digest: node for node, digest in reversed(alive)}
        counts = Counter(digest for _, digest in alive)
        if len(found) < 2:
            return {}
        most = max(counts, key=lambda one: (counts[one], found[one]))
        if (frozenset(found), most) != self._differs[:2]:
            parts: dict[str, Mapping[str, str]] = dict(
                connection.execute(
                    "SELECT digest, parts FROM cluster_nodes WHERE node = ANY (%s)",
                    (list(found.values()),),
                ).fetchall()
            )
            told = {
                digest: differences(found[most], parts[most], node, parts[digest])
                for digest, node in found.items()
                if digest != most and digest in parts and most in parts
            }
            self._differs = (frozenset(found), most, told)
        return self._differs[2]


def _left(connection: Connection) -> dict[str, NodeReport]:
    told = ((row[0], _report(row[1])) for row in connection.execute(_LEFT))
    return {node: report for node, report in told if report is not None}


def _report(text: str | None) -> NodeReport | None:
    """What a node tells of itself; None also where another version has told it otherwise."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=NodeReport)
    except msgspec.DecodeError:
        return None


def _source(
    source: str,
    parts: int,
    failing: int,
    completed: float | None,
    since: float | None,
    errors: Sequence[Mapping[str, Any]] | None,
    paused_at: float | None,
    paused_by: str,
) -> PolledSource:
    failed = None
    if errors and since is not None:
        failures = [Failure(**one) for one in errors]
        failed = Reason(since, reason_of(failures, failing), failures[0].remedy)
    return PolledSource(source, parts, failing, completed, failed, paused_at, paused_by)


def _overdue(connection: Connection) -> tuple[Overdue, ...]:
    rows = connection.execute(
        "SELECT late.source, late.parts, (SELECT count(*) FROM cluster_units a WHERE"  # noqa: S608 - constants only
        f" a.source = late.source), late.since FROM (SELECT u.source, count(*) AS parts,"
        f" extract(epoch FROM min({_EXPECTED}))::float8 AS since {_LATE} GROUP BY u.source)"
        f" AS late ORDER BY late.since LIMIT {SOURCES}"
    )
    return tuple(Overdue(*row) for row in rows)


def _late(connection: Connection) -> tuple[OverduePart, ...]:
    rows = connection.execute(
        "SELECT u.source, u.slice, u.node, extract(epoch FROM"  # noqa: S608 - constants only
        f" now() - {_EXPECTED})::float8 {_LATE} ORDER BY 4 DESC, 1, 2 LIMIT {FEW}"
    )
    return tuple(OverduePart(*row) for row in rows)


def _staged(connection: Connection) -> tuple[int, tuple[StagedLeft, ...]]:
    count = connection.execute(f"SELECT count(*) {_STAGED}", (STAGED_FOR,)).fetchone()
    rows = connection.execute(
        "SELECT d.source, d.label, d.node, d.seconds, extract(epoch FROM now() - n.heartbeat)"  # noqa: S608 - constants only
        f"::float8, coalesce({ALIVE}, false) FROM (SELECT source, label, split_part(node, '/', 1)"
        f" AS node, extract(epoch FROM now())::float8 - changed_at AS seconds {_STAGED}"
        f" ORDER BY changed_at LIMIT {FEW}) AS d LEFT JOIN cluster_nodes n ON n.node = d.node"
        " ORDER BY d.seconds DESC",
        (STAGED_FOR,),
    )
    return int(count[0]) if count else 0, tuple(StagedLeft(*row) for row in rows)
