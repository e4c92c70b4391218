"""Nodes as people see them: what the nodes of a cluster tell of themselves, and their database.

Times are in seconds since 1970, unless they are said to be seconds that have passed.
"""

from __future__ import annotations

from msgspec import Struct


class Reason(Struct, frozen=True):
    """Why something does not work, since when, and what to do.

    latest: when it was last found not to work; 0 if that is not known.
    """

    since: float
    reason: str
    remedy: str = ""
    latest: float = 0.0


class NodeReport(Struct, frozen=True):
    """What one node tells of itself every few seconds: that which no other one knows.

    silence: seconds for which nothing has moved though documents are under way. disk_free: bytes on
    the disk of its state folder. folders: those that refuse documents; more: how many others do.
    taken: when folders last took a document that others say refuse them. sources: those that it
    can't open. sign_ins: when they end. in_flight: documents by source. queues: by stage, documents
    and bound.
    """

    silence: float = 0.0
    disk_free: int | None = None
    folders: dict[str, Reason] = {}
    more: int = 0
    taken: dict[str, float] = {}
    sources: dict[str, Reason] = {}
    sign_ins: dict[str, float] = {}
    in_flight: dict[str, int] = {}
    queues: dict[str, tuple[int, int]] = {}


class InHand(Struct, frozen=True):
    """A part of a source that a node polls since a moment; taken_from: who had begun it before."""

    source: str
    slice: str
    since: float
    taken_from: str = ""


class NodeView(Struct, frozen=True):
    """One node. silence: seconds since its heartbeat. is_alive: whether the others count on it.

    ended_at: when the process before this one ended without a stop; None if it was stopped.
    differs: in what its configuration is not that of most, a sentence each. report: None where it
    has told nothing lately.
    """

    node: str
    host: str
    version: str
    silence: float
    is_alive: bool
    started_at: float
    ended_at: float | None = None
    in_hand: tuple[InHand, ...] = ()
    differs: tuple[str, ...] = ()
    report: NodeReport | None = None


class OverduePart(Struct, frozen=True):
    """A part of a source that should have been polled so many seconds ago; node: that polls it."""

    source: str
    slice: str
    node: str
    seconds: float


class Overdue(Struct, frozen=True):
    """How many of the parts of a source are overdue by more than two intervals, and since when."""

    source: str
    overdue: int
    parts: int
    since: float


class StagedLeft(Struct, frozen=True):
    """A document that has lain ready for so many seconds. node: that has it in hand.

    silence: seconds since the heartbeat of that node; None if it is not there any more.
    """

    source: str
    label: str
    node: str
    seconds: float
    silence: float | None
    is_alive: bool


class JobCounts(Struct, frozen=True):
    """The engine's jobs. stalled: those in hand of a worker that is silent."""

    waiting: int = 0
    doing: int = 0
    stalled: int = 0


class PolledSource(Struct, frozen=True):
    """What the parts of a source say together. completed_at: when the last of them was polled well.

    It is None where one never was. parts, failing: numbers. failed: why the first one fails.
    paused_at, paused_by: since when, and by whom, it is paused.
    """

    source: str
    parts: int
    failing: int = 0
    completed_at: float | None = None
    failed: Reason | None = None
    paused_at: float | None = None
    paused_by: str = ""


class DatabaseView(Struct, frozen=True):
    """The database. round_trip: seconds of one question. analyzed_at: its table of jobs, last."""

    round_trip: float
    synchronous_commit: str
    analyzed_at: float | None = None


class ClusterView(Struct, frozen=True):
    """All that is seen of a cluster at one moment, by the clock of the database.

    overdue: by source. late: the parts that are overdue the longest. staged: documents that have
    lain ready for more than a minute, the oldest; of all of them there are staged_count. pauses:
    seconds for which a source is left alone that has asked for it. differs_since: since when nodes
    have been configured differently.
    """

    at: float
    database: DatabaseView
    nodes: tuple[NodeView, ...] = ()
    sources: tuple[PolledSource, ...] = ()
    overdue: tuple[Overdue, ...] = ()
    late: tuple[OverduePart, ...] = ()
    staged: tuple[StagedLeft, ...] = ()
    staged_count: int = 0
    jobs: JobCounts = JobCounts()
    pauses: dict[str, float] = {}
    differs_since: float | None = None
    left: dict[str, NodeReport] = {}

    @property
    def alive(self) -> tuple[NodeView, ...]:
        """The nodes that are counted on."""
        return tuple(one for one in self.nodes if one.is_alive)
