"""Units: the parts of the sources that are polled each by itself, and what is kept of their polls.

A unit is due by this table alone: the engine's jobs are hints, so that one that is lost costs an
interval at most. Its token counts the polls that have begun; what an earlier one has to say, of a
node that was given up and came back, is not taken.

A node on which a folder has refused documents of a unit leaves that unit to others, as they may see
the folder; for a while, and unless all of them refuse.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from msgspec import Struct

from pipeline.cluster.database import Connection
from pipeline.cluster.nodes import ALIVE

#: Units that failed which are named in what is said of their source, at most.
NAMED = 3
#: Seconds for which a node is not given a unit whose documents a folder has refused there.
LOOK_AGAIN = 300.0

#: SQL: whether some node that is alive can poll the unit `u`.
SERVED = (
    "EXISTS (SELECT 1 FROM cluster_sources c JOIN cluster_nodes n ON n.node = c.node"  # noqa: S608 - constants only
    f" WHERE c.source = u.source AND u.slice = ANY (c.slices) AND {ALIVE})"
)

#: SQL: the nodes that can poll the unit `u`, as `c` and `n`, with what a folder has refused there
#: lately, as `r`. One that may use no connection of a source takes none of its jobs.
ABLE = (
    "cluster_sources c JOIN cluster_nodes n ON n.node = c.node LEFT JOIN cluster_refusals r"  # noqa: S608 - constants only
    " ON r.source = u.source AND r.slice = u.slice AND r.node = n.node"
    f" AND r.at > now() - interval '{LOOK_AGAIN} seconds'"
    f" WHERE c.source = u.source AND u.slice = ANY (c.slices) AND {ALIVE} AND NOT EXISTS ("
    "SELECT 1 FROM cluster_shares h WHERE (h.source, h.node, h.slots) = (u.source, n.node, 0))"
)


class Failure(Struct, frozen=True):
    """Why a poll failed. kind: the name of its error's class; the rest as in SynqupError.

    retry_after: seconds that the source has asked for, None if it has not.
    """

    kind: str
    subject: str
    reason: str
    remedy: str = ""
    retry_after: float | None = None


class Claimed(Struct, frozen=True):
    """A unit whose poll begins. token: of this poll; before: the ledger's number of the last one.

    cursor: where a walk may begin. failures: polls that have failed in a row.
    """

    source: str
    slice: str
    token: int
    before: int
    cursor: str
    failures: int

    @property
    def name(self) -> str:
        """Its name in the table, and that of its job's lock."""
        return name_of(self.source, self.slice)


def name_of(source: str, slice_: str) -> str:
    """The name of a unit."""
    return f"{source}\n{slice_}"


class Ended(Struct, frozen=True):
    """How the poll of a unit has ended. due_in: seconds until the next one is due.

    poll: its number in the ledger. cursor: where a later walk may begin, None as before.
    unreadable: documents that had to be left out, None if that was not found out. is_complete:
    whether nothing was left for a next poll. heeds_hints: whether a hint may have the next one come
    sooner. is_refused: whether a folder has refused documents, which another node may deliver.
    """

    due_in: float
    poll: int
    cursor: str | None = None
    unreadable: int | None = None
    failure: Failure | None = None
    is_complete: bool = True
    heeds_hints: bool = True
    is_refused: bool = False


class SourceState(Struct, frozen=True):
    """What all units of a source say together.

    units, failing: numbers of them. complete_at: when the one that was polled completely the
    longest ago was, in seconds since 1970; None if one of them never was. unreadable: documents
    left out. failures: of some units that fail.
    """

    units: int
    failing: int
    complete_at: float | None
    unreadable: int
    failures: Sequence[Failure] = ()


def reason_of(failures: Sequence[Failure], failing: int) -> str:
    """Why parts of a source fail. failures: the first of them, at least one; failing: of all."""
    reason = failures[0].reason
    if others := [one.subject for one in failures[1:]]:
        hidden = failing - len(failures)
        more = f" and {hidden:,} more" if hidden else ""
        reason += f"; there is trouble too with {', '.join(others)}{more}"
    return reason


def publish(
    connection: Connection, node: str, source: str, slices: Sequence[str], every: float,
    *, sticky: bool,
) -> None:  # fmt: skip
    """Have units for the parts of a source that a node knows of; those that no node knows go.

    every: seconds between two polls. sticky: whether a unit stays with the node that has it.
    """
    connection.execute(
        "INSERT INTO cluster_sources (source, node, slices) VALUES (%s, %s, %s)"
        " ON CONFLICT (source, node) DO UPDATE SET slices = excluded.slices",
        (source, node, list(slices)),
    )
    # Without a target: two that insert the same at once may meet at either constraint.
    connection.execute(
        "INSERT INTO cluster_units (source, slice, every, sticky)"
        " SELECT %s, s, %s, %s FROM unnest(%s::text[]) s ORDER BY s ON CONFLICT DO NOTHING",
        (source, every, sticky, list(slices)),
    )
    connection.execute(
        "UPDATE cluster_units SET every = %(every)s, sticky = %(sticky)s,"
        " due = least(due, now() + %(every)s * interval '1 s')"
        " WHERE source = %(source)s AND slice = ANY (%(slices)s)"
        " AND (every, sticky) IS DISTINCT FROM (%(every)s::float8, %(sticky)s::boolean)",
        {"source": source, "slices": list(slices), "every": every, "sticky": sticky},
    )
    _drop_unknown(connection, source)


def withdraw(connection: Connection, node: str, source: str) -> None:
    """Note that a node does not know a source any more; units that none knows go."""
    connection.execute(
        "DELETE FROM cluster_sources WHERE source = %s AND node = %s", (source, node)
    )
    connection.execute("DELETE FROM cluster_shares WHERE source = %s AND node = %s", (source, node))
    _drop_unknown(connection, source)


def _drop_unknown(connection: Connection, source: str) -> None:
    connection.execute(
        "DELETE FROM cluster_units u WHERE source = %s AND NOT EXISTS (SELECT 1 FROM"
        " cluster_sources c WHERE c.source = u.source AND u.slice = ANY (c.slices))",
        (source,),
    )


def claim(connection: Connection, node: str, source: str, slice_: str) -> Claimed | None:
    """Begin the poll of a unit: it is due again in an interval, whatever becomes of this one.

    None if there is no such unit any more, or somebody has paused its source.
    """
    row = connection.execute(
        "UPDATE cluster_units SET token = token + 1, taken_from = CASE WHEN node <> %(node)s AND"
        " (ended IS NULL OR ended < began) THEN node ELSE '' END, node = %(node)s, began = now(),"
        " wanted = NULL, due = now() + every * interval '1 second'"
        " WHERE source = %(source)s AND slice = %(slice)s AND NOT EXISTS (SELECT 1 FROM sources l"
        " WHERE l.name = cluster_units.source AND l.paused_at IS NOT NULL)"
        " RETURNING token, poll, cursor, failures",
        {"node": node, "source": source, "slice": slice_},
    ).fetchone()
    return Claimed(source, slice_, *row) if row is not None else None


#: SQL: note that a folder has refused documents of a unit on the node that polls it, or that none
#: has.
_REFUSE = (
    "INSERT INTO cluster_refusals (source, slice, node, at) SELECT u.source, u.slice, n.node, now()"
    " FROM cluster_units u JOIN cluster_nodes n ON n.node = u.node WHERE u.source = %(source)s"
    " AND u.slice = %(slice)s AND u.token = %(token)s"
    " ON CONFLICT (source, slice, node) DO UPDATE SET at = excluded.at"
)
_TAKE = (
    "DELETE FROM cluster_refusals r USING cluster_units u WHERE r.source = u.source"
    " AND r.slice = u.slice AND r.node = u.node AND u.source = %(source)s"
    " AND u.slice = %(slice)s AND u.token = %(token)s"
)


def end(connection: Connection, claimed: Claimed, ended: Ended) -> bool:
    """Record how a poll has ended; False if another one has begun since, and nothing is recorded.

    The next one is due sooner if a hint came meanwhile; and at once, and this one not complete, if
    a folder has refused documents here and another node has not tried them yet.
    """
    failure = ended.failure
    said = json.dumps(_fields(failure)) if failure is not None else None
    refusal = _REFUSE if ended.is_refused else _TAKE
    left = f"%(refused)s AND EXISTS (SELECT 1 FROM {ABLE} AND n.node <> u.node AND r.at IS NULL)"  # noqa: S608 - constants only
    row = connection.execute(
        f"WITH refusal AS ({refusal})"  # noqa: S608 - constants only
        " UPDATE cluster_units u SET ended = now(), poll = %(poll)s,"
        f" due = CASE WHEN {left} THEN now()"
        " ELSE least(now() + %(due_in)s * interval '1 second',"
        " CASE WHEN %(hints)s THEN wanted END) END,"
        " cursor = coalesce(%(cursor)s, cursor), unreadable = coalesce(%(unreadable)s, unreadable),"
        " error = %(error)s::jsonb, failures = CASE WHEN %(failed)s THEN failures + 1 ELSE 0 END,"
        " failed_since = CASE WHEN %(failed)s THEN coalesce(failed_since, now()) END,"
        f" completed = CASE WHEN %(complete)s AND NOT ({left}) THEN now() ELSE completed END,"
        " heeds_hints = %(hints)s"
        " WHERE source = %(source)s AND slice = %(slice)s AND token = %(token)s RETURNING 1",
        {
            "poll": ended.poll,
            "hints": ended.heeds_hints,
            "due_in": ended.due_in,
            "cursor": ended.cursor,
            "unreadable": ended.unreadable,
            "error": said,
            "failed": failure is not None,
            "complete": ended.is_complete and failure is None,
            "refused": ended.is_refused,
            "source": claimed.source,
            "slice": claimed.slice,
            "token": claimed.token,
        },
    ).fetchone()
    return row is not None


def due_again(connection: Connection, claimed: Claimed) -> None:
    """Give a unit back whose poll was broken off: it is due at once, for whoever may have it."""
    connection.execute(
        "UPDATE cluster_units SET due = now(), node = CASE WHEN sticky THEN node ELSE '' END"
        " WHERE source = %s AND slice = %s AND token = %s",
        (claimed.source, claimed.slice, claimed.token),
    )


def due_now(connection: Connection, source: str) -> None:
    """Have all units of a source polled at once."""
    connection.execute(
        "UPDATE cluster_units SET due = least(due, now()), wanted = now() WHERE source = %s",
        (source,),
    )


def hint(connection: Connection, source: str, pause: float) -> None:
    """Have the units of a source polled sooner, but no sooner than `pause` after the last poll.

    It changes nothing for those whose source has asked for a rest, or that have to recover.
    """
    connection.execute(
        "UPDATE cluster_units SET due = least(due, w.at), wanted = least(wanted, w.at)"
        " FROM (SELECT source, slice, greatest(now(), began + %s * interval '1 s') AS at"
        " FROM cluster_units WHERE source = %s) w WHERE cluster_units.source = w.source"
        " AND cluster_units.slice = w.slice AND heeds_hints",
        (pause, source),
    )


def state(connection: Connection, source: str) -> SourceState:
    """What the units of a source say together that some node can poll."""
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE failures > 0),"  # noqa: S608 - constants only
        " CASE WHEN count(*) = count(completed) THEN extract(epoch FROM min(completed))::float8"
        " END, coalesce(sum(unreadable), 0)::bigint"
        f" FROM cluster_units u WHERE source = %s AND {SERVED}",
        (source,),
    ).fetchone()
    assert row is not None
    failures: list[Failure] = []
    if row[1]:
        rows = connection.execute(
            "SELECT error FROM cluster_units u WHERE source = %s AND failures > 0"  # noqa: S608 - constants only
            f" AND {SERVED} ORDER BY failed_since, slice LIMIT %s",
            (source, NAMED),
        ).fetchall()
        failures = [Failure(**one[0]) for one in rows]
    return SourceState(row[0], row[1], row[2], row[3], failures)


def unfinished(
    connection: Connection, since: float, wanted: Mapping[str, Sequence[str]]
) -> list[tuple[str, str]]:
    """The units among the wanted, slices by source, that have not been brought to an end since.

    since: in seconds since 1970, of this server. A unit that fails counts as brought to its end,
    and so does one of a source that somebody has paused.
    """
    pairs = [(source, one) for source, slices in wanted.items() for one in slices]
    rows = connection.execute(
        "SELECT w.source, w.slice FROM unnest(%s::text[], %s::text[]) AS w(source, slice)"
        " LEFT JOIN cluster_units u ON u.source = w.source AND u.slice = w.slice"
        " LEFT JOIN sources l ON l.name = w.source WHERE l.paused_at IS NULL AND NOT coalesce("
        " u.began >= to_timestamp(%s) AND (u.completed >= u.began"
        " OR u.failures > 0 AND u.ended >= u.began), false)",
        ([one for one, _ in pairs], [one for _, one in pairs], since),
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


def _fields(failure: Failure) -> Mapping[str, object]:
    return {name: getattr(failure, name) for name in failure.__struct_fields__}
