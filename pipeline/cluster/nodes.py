"""Nodes: the place of one node among the others, which it keeps by its heartbeat.

A session of its own holds a lock on the node's name, so that no second process has that name. A
thread of its own keeps the heartbeat, whatever else the program does. A node that has not reached
the database for SILENCE ends its work: from STALLED on, the others take it over.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

import structlog
from msgspec import Struct

from pipeline.cluster.database import SUBJECT, Connection, Database, DatabaseLost
from pipeline.cluster.digests import Parts, differences, digest_of
from pipeline.cluster.generation import DatabaseOlder, known_number
from pipeline.cluster.schema import NODE_LOCK
from pipeline.errors import StateError, StateInUse

log = structlog.get_logger(__name__)

#: Seconds between two heartbeats; after which a silent node ends its work; and after which the
#: others no longer count on it.
BEAT, SILENCE, STALLED = 5.0, 10.0, 15.0
#: Seconds that one try to reach the database may take, and between two of them.
TRY, PAUSE = 4.0, 0.5
#: Days after which a node that is not there any more is forgotten.
FORGET = 1

#: SQL: whether a row is written again by the process that has written it.
_SAME = "cluster_nodes.instance = excluded.instance"
#: SQL: whether the node `n` is alive.
ALIVE = f"n.heartbeat > now() - interval '{STALLED} seconds'"


class Identity(Struct, frozen=True):
    """Who a node is. instance: of its process, which no other one ever has."""

    node: str
    host: str
    version: str
    instance: str


class Progress(Struct, frozen=True):
    """What only grows in a database, unless it is an older one. beats: of one process."""

    beats: int = 0
    generation: int = 0


class NodeState(Struct, frozen=True):
    """A node as the database knows it. silence: seconds since its heartbeat."""

    node: str
    host: str
    version: str
    silence: float

    @property
    def is_alive(self) -> bool:
        """Whether the others count on it."""
        return self.silence < STALLED


def identity(node: str, version: str) -> Identity:
    """The identity of this process."""
    return Identity(node, socket.gethostname(), version, uuid.uuid4().hex)


class Membership:
    """One node's place among the others: register(), then start(); close() at the end.

    on_lost: called in the heartbeat's thread, once, with the sentence that says why the node has to
    end its work at once.
    """

    def __init__(
        self, database: Database, who: Identity, on_lost: Callable[[StateError], None]
    ) -> None:
        """database: for the heartbeat alone."""
        self._database = database
        self._who = who
        self._on_lost = on_lost
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        #: The digest and the parts that the others are to know of, and the digest that they know.
        self._current: tuple[str, Parts] = ("", {})
        self._published = ""
        self._told: Mapping[str, Sequence[str]] = {}
        #: The others' parts, by the digests of them.
        self._known: dict[str, tuple[str, Parts]] = {}
        self._reached = time.monotonic()
        #: Heartbeats of this process that are known to be in the database, and its generation; and
        #: those of the transaction that is under way.
        self._sure = self._unsure = Progress()
        #: Why the latest try failed; None if it did not.
        self._failure: DatabaseLost | None = None
        self.nodes: Mapping[str, NodeState] = {}

    @property
    def node(self) -> str:
        """The name of this node."""
        return self._who.node

    @property
    def differences(self) -> Mapping[str, Sequence[str]]:
        """In what the other nodes' configurations differ from this one's, a sentence each."""
        return self._told

    @property
    def is_sure(self) -> bool:
        """Whether the others certainly count on this node still. Asks nobody."""
        return time.monotonic() - self._reached < SILENCE

    def is_alive(self, node: str) -> bool:
        """Whether a node was counted on when this one's heart beat last. Asks nobody."""
        if node == self._who.node:
            return True
        found = self.nodes.get(node)
        return found is not None and found.is_alive

    def register(self) -> None:
        """Take the name. StateInUse if another process has it; DatabaseLost.

        A process of this name that has been silent for STALLED loses it.
        """
        try:
            self._database.run(self._take)
        except StateError:
            self._database.close()
            raise
        self._reached = time.monotonic()

    def publish(self, parts: Parts) -> None:
        """Tell the others of a configuration, with the next heartbeat, which comes at once."""
        self._current = (digest_of(parts), parts)
        self._wake.set()

    def start(self) -> None:
        """Keep the heartbeat from now on, in a thread."""
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the name back; raises nothing."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(TRY + CLOSE)
        if self._thread is None or not self._thread.is_alive():
            try:
                self._database.run(self._leave, TRY)
            except (DatabaseLost, StateError) as error:
                log.warning("the cluster was not told that this node stops", reason=str(error))
            self._database.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                failure = self._try()
            except StateError as error:
                self._on_lost(error)
                return
            silent = time.monotonic() - self._reached
            if failure is not None and silent >= SILENCE:
                self._on_lost(
                    StateError(
                        f"node {self._who.node}",
                        f"it has not reached the cluster's database for {silent:.0f} s"
                        f" ({failure.reason}), so the other nodes take over its work",
                        "It goes on when it is started again; its service manager does that",
                    )
                )
                return
            self._wake.wait(BEAT if failure is None else PAUSE)

    def _try(self) -> DatabaseLost | None:
        """Let the heart beat once; why that failed. StateError where there is no going on."""
        left = SILENCE - (time.monotonic() - self._reached)
        if left <= 0:
            # Others may have its work already. Where nothing failed before, it was stopped or hung.
            return self._failure or DatabaseLost(SUBJECT, "this process stood still")
        began = time.monotonic()
        try:
            self._database.run(self._beat, min(TRY, max(left, 0.1)))
        except DatabaseLost as error:
            log.warning("no heartbeat", node=self._who.node, reason=str(error))
            self._failure = error
            return error
        self._reached, self._failure, self._sure = began, None, self._unsure
        return None

    def _beat(self, connection: Connection) -> None:
        who = self._who
        mine = connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            " AND classid = %s AND objsubid = 2",
            (NODE_LOCK,),
        ).fetchone()
        if mine is None:
            # The connection is a new one.
            self._take(connection)
        # Another configuration may be published meanwhile: the next beat tells of that.
        digest, parts = self._current
        changed = digest != self._published
        row = connection.execute(
            "UPDATE cluster_nodes SET heartbeat = now(), beats = beats + 1"
            " WHERE node = %s AND instance = %s RETURNING beats",
            (who.node, who.instance),
        ).fetchone()
        if row is None:
            self._take(connection)
            changed = True
        self._advance(connection, row[0] if row is not None else 0)
        if changed:
            connection.execute(
                "UPDATE cluster_nodes SET configured = CASE WHEN digest = %(digest)s"
                " THEN configured ELSE now() END, digest = %(digest)s, parts = %(parts)s"
                " WHERE node = %(node)s",
                {"digest": digest, "parts": json.dumps(parts), "node": who.node},
            )
        self._look(connection, digest, parts)
        self._published = digest

    def _advance(self, connection: Connection, beats: int) -> None:
        """See that the database has all that it had. beats: with this one; 0 for a new row."""
        now = Progress(beats, known_number(connection))
        if now.generation < self._sure.generation or 1 < now.beats <= self._sure.beats:
            raise DatabaseOlder(SUBJECT)
        self._unsure = now

    def _look(self, connection: Connection, own: str, parts: Parts) -> None:
        """See who else is there, and in what they differ."""
        rows = connection.execute(
            "SELECT node, host, version, extract(epoch FROM now() - heartbeat)::float8, digest"
            " FROM cluster_nodes"
        ).fetchall()
        self.nodes = {row[0]: NodeState(*row[:4]) for row in rows}
        others = {row[0]: row[4] for row in rows if row[3] < STALLED and row[0] != self._who.node}
        told = {}
        for node, digest in others.items():
            if not digest or not own or digest == own:
                continue
            if self._known.get(node, ("", {}))[0] != digest:
                row = connection.execute(
                    "SELECT parts FROM cluster_nodes WHERE node = %s", (node,)
                ).fetchone()
                self._known[node] = (digest, row[0] if row else {})
            told[node] = differences(self._who.node, parts, node, self._known[node][1])
        for node, sentences in told.items():
            if self._told.get(node) != sentences:
                log.warning(
                    "nodes are configured differently",
                    differences=list(sentences),
                    remedy="Give all nodes the same companies, sources and folders",
                )
        self._told = told

    def _take(self, connection: Connection) -> None:
        """Take the name for this session."""
        who = self._who
        if not self._lock(connection):
            self._evict(connection)
            if not self._lock(connection):
                raise _in_use(who.node)
        connection.execute(
            "INSERT INTO cluster_nodes (node, instance, backend, host, version)"  # noqa: S608 - below
            " VALUES (%s, %s, pg_backend_pid(), %s, %s) ON CONFLICT (node) DO UPDATE SET"
            " instance = excluded.instance, backend = excluded.backend, host = excluded.host,"
            f" beats = CASE WHEN {_SAME} THEN cluster_nodes.beats ELSE 0 END,"
            " version = excluded.version, heartbeat = now(), parts = '{}', digest ="
            f" CASE WHEN {_SAME} THEN cluster_nodes.digest ELSE '' END, started = CASE WHEN {_SAME}"
            " THEN cluster_nodes.started ELSE now() END, ended = CASE WHEN"
            f" {_SAME} THEN cluster_nodes.ended ELSE cluster_nodes.heartbeat END",
            (who.node, who.instance, who.host, who.version),
        )
        self._published = ""
        connection.execute(
            f"DELETE FROM cluster_nodes WHERE heartbeat < now() - interval '{FORGET} days'"  # noqa: S608 - a constant
        )

    def _lock(self, connection: Connection) -> bool:
        row = connection.execute(
            "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (NODE_LOCK, self._who.node)
        ).fetchone()
        return bool(row and row[0])

    def _evict(self, connection: Connection) -> None:
        """End the session that has the name, if it is an earlier one of ours, or a silent one's."""
        row = connection.execute(
            "SELECT instance, host, extract(epoch FROM now() - heartbeat)::float8,"
            " extract(epoch FROM now() - started)::float8 FROM cluster_nodes WHERE node = %s",
            (self._who.node,),
        ).fetchone()
        if row is not None and row[0] != self._who.instance and row[2] < STALLED:
            raise _in_use(self._who.node, row[1], row[3])
        connection.execute(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND classid = %s AND objid = hashtext(%s)::oid AND objsubid = 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND pid <> pg_backend_pid()",
            (NODE_LOCK, self._who.node),
        )

    def _leave(self, connection: Connection) -> None:
        connection.execute(
            "DELETE FROM cluster_nodes WHERE node = %s AND instance = %s",
            (self._who.node, self._who.instance),
        )
        connection.execute("SELECT pg_advisory_unlock_all()")


#: Seconds that the heartbeat's thread is given to end, beyond its try.
CLOSE = 1.0


def _in_use(node: str, host: str = "", seconds: float | None = None) -> StateInUse:
    where = f" on {host}" if host else ""
    since = f", for {seconds:,.0f} s" if seconds is not None else ""
    return StateInUse(
        f"node {node}",
        f"another process of this name is at work{where}{since}",
        "Give each node a name of its own (node in [cluster]), or stop that one; one that has died"
        f" keeps its name for {STALLED:.0f} s",
    )
