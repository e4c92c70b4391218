"""Planner: makes a job of each unit that is due, and sets those free whose node has died.

Each node plans; a unit is planned by one of them. Whoever comes first has it, but for a unit that
stays with a node, or that some nodes can't deliver. A stalled job is never set to be retried:
beside one that waits with the same lock it would block both for ever. It is ended, and its unit is
due.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.sync_psycopg_connector import SyncPsycopgConnector

from pipeline.cluster.database import Connection
from pipeline.cluster.nodes import ALIVE, STALLED
from pipeline.cluster.units import ABLE, LOOK_AGAIN, SERVED

#: Seconds between two looks for what is due, and for what is stalled.
PLAN_INTERVAL, RESCUE_INTERVAL = 1.0, 2.0
#: Units that are planned at once; and jobs made at once after which the statistics are renewed.
AT_ONCE, MANY = 1000, 100

#: The engine's name of the only kind of job.
TASK = "poll"

#: SQL: the node that is to poll a unit of which some can't deliver all documents: one that can, or
#: the one that has tried the longest ago.
_CHOSEN = f"SELECT n.node FROM {ABLE} ORDER BY r.at NULLS FIRST, n.node <> u.node, random() LIMIT 1"  # noqa: S608 - constants only

_DUE = f"""
SELECT u.source, u.slice, u.name, CASE WHEN EXISTS (
    SELECT 1 FROM cluster_refusals r WHERE r.source = u.source AND r.slice = u.slice
    AND r.at > now() - interval '{LOOK_AGAIN} seconds'
) THEN coalesce(({_CHOSEN}), '') WHEN u.sticky AND EXISTS (
    SELECT 1 FROM cluster_sources c JOIN cluster_nodes n ON n.node = c.node
    WHERE c.source = u.source AND c.node = u.node AND u.slice = ANY (c.slices) AND {ALIVE}
) THEN u.node ELSE '' END
FROM cluster_units u
LEFT JOIN sources l ON l.name = u.source
LEFT JOIN cluster_pauses p ON p.source = u.source AND p.until > now()
WHERE u.due <= now() AND l.paused_at IS NULL AND p.source IS NULL AND {SERVED}
AND NOT EXISTS (
    SELECT 1 FROM procrastinate_jobs j WHERE j.queueing_lock = u.name AND j.status = 'todo'
) AND NOT EXISTS (
    SELECT 1 FROM procrastinate_jobs j WHERE j.lock = u.name AND j.status = 'doing'
)
ORDER BY u.due LIMIT {AT_ONCE} FOR UPDATE OF u SKIP LOCKED
"""  # noqa: S608 - constants only

#: SQL: whether a unit `u` was not touched for so long that its job would have been ended by now.
_QUIET = f"greatest(u.began, u.ended, u.due) < now() - interval '{STALLED} seconds'"

#: Jobs that nobody works on: of workers that are silent or gone; and, as the engine loses what was
#: sent when a connection broke, those whose unit is not being polled, by all that the table and
#: this node know.
_STALLED = f"""
SELECT j.id, j.args ->> 'source', j.args ->> 'slice' FROM procrastinate_jobs j
LEFT JOIN procrastinate_workers w ON w.id = j.worker_id
LEFT JOIN cluster_units u ON u.name = j.lock
WHERE j.status = 'doing' AND (
    w.id IS NULL OR w.last_heartbeat < now() - interval '{STALLED} seconds'
    OR coalesce(u.ended >= u.began, u.began IS NULL) AND {_QUIET}
    OR u.node = %s AND u.name <> ALL (%s) AND {_QUIET.replace("u.due", "u.began")}
) ORDER BY j.id FOR UPDATE OF j SKIP LOCKED
"""  # noqa: S608 - constants only

#: Jobs that wait where nobody fetches them: of a unit that is gone, or for a node that is, or that
#: has let a whole interval pass.
_LEFT = f"""
SELECT j.id, j.args ->> 'source', j.args ->> 'slice' FROM procrastinate_jobs j
LEFT JOIN cluster_units u ON u.name = j.lock
WHERE j.status = 'todo' AND (
    u.name IS NULL OR j.args ->> 'node' <> '' AND (u.due < now() OR NOT EXISTS (
        SELECT 1 FROM cluster_sources c JOIN cluster_nodes n ON n.node = c.node
        WHERE n.node = j.args ->> 'node' AND c.source = j.args ->> 'source' AND {ALIVE}))
) ORDER BY j.id FOR UPDATE OF j SKIP LOCKED
"""  # noqa: S608 - constants only


class Planner:
    """Makes jobs, on connections that it is given."""

    def __init__(self) -> None:
        self._jobs = JobManager(SyncPsycopgConnector())

    def plan(self, connection: Connection) -> int:
        """Make a job of each unit that is due, and has none; how many were made.

        A unit is due again in an interval, should its job be lost.
        """
        rows = connection.execute(_DUE).fetchall()
        if not rows:
            return 0
        connection.execute(
            "UPDATE cluster_units SET due = now() + every * interval '1 second'"
            " WHERE name = ANY (%s)",
            ([row[2] for row in rows],),
        )
        self._jobs.batch_defer_jobs([_job(*row) for row in rows], connection)
        return len(rows)

    def rescue(self, connection: Connection, node: str, in_hand: Sequence[str]) -> int:
        """End the jobs that nobody works on; their units are due. How many there were.

        in_hand: the names of the units that this node polls.
        """
        stalled = connection.execute(_STALLED, (node, list(in_hand))).fetchall()
        for id_, source, slice_ in stalled:
            connection.execute("SELECT procrastinate_finish_job_v1(%s, 'failed', true)", (id_,))
            _set_due(connection, source, slice_)
        left = connection.execute(_LEFT).fetchall()
        for id_, source, slice_ in left:
            connection.execute("SELECT procrastinate_cancel_job_v1(%s, false, true)", (id_,))
            _set_due(connection, source, slice_)
            # Whoever comes first may have it.
            connection.execute(
                "UPDATE cluster_units SET node = '' WHERE source = %s AND slice = %s",
                (source, slice_),
            )
        return len(stalled) + len(left)


def analyze(connection: Connection) -> None:
    """Renew the statistics of the engine's table; beside a mass of new jobs they mean nothing."""
    connection.execute("ANALYZE procrastinate_jobs")


def queues(source: str, node: str) -> Sequence[str]:
    """The queues from which a node takes the jobs of a source: everybody's, and its own."""
    return [queue(source), queue(source, node)]


def queue(source: str, node: str = "") -> str:
    """The queue of a source; node: of jobs that only this node is to do.

    It is a hash, as the engine makes of it the name of a channel, which has 63 bytes at most.
    """
    return "q" + hashlib.sha256(f"{source}\n{node}".encode()).hexdigest()[:32]


def _job(source: str, slice_: str, name: str, node: str) -> Job:
    return Job(
        id=None,
        queue=queue(source, node),
        lock=name,
        queueing_lock=name,
        task_name=TASK,
        task_kwargs={"source": source, "slice": slice_, "node": node},
    )


def _set_due(connection: Connection, source: str, slice_: str) -> None:
    connection.execute(
        "UPDATE cluster_units SET due = least(due, now()) WHERE source = %s AND slice = %s",
        (source, slice_),
    )
