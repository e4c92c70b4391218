"""Health model: what works and what does not, at one moment. It says nothing about documents.

Times are in seconds since 1970.
"""

from __future__ import annotations

from msgspec import Struct

from pipeline.nodes import ClusterView


class Trouble(Struct, frozen=True):
    """Why something does not work. since: when that began; remedy: what its user can do."""

    since: float
    reason: str
    remedy: str = ""


class SourceHealth(Struct, frozen=True):
    """One source. last_good_poll: None before the first one.

    sign_in_ends_at: when its user has to sign in again at the latest; None if that is not known.
    paused_since, paused_by: when, and by whom, it was paused; None and "" if it is not.
    """

    name: str
    last_good_poll: float | None = None
    trouble: Trouble | None = None
    sign_in_ends_at: float | None = None
    paused_since: float | None = None
    paused_by: str = ""

    @property
    def works(self) -> bool:
        """Whether it has been polled well, or is not to be polled."""
        is_polled = self.trouble is None and self.last_good_poll is not None
        return is_polled or self.paused_since is not None


class DestinationHealth(Struct, frozen=True):
    """One folder. free_bytes: of its disk; None if that is not known."""

    folder: str
    trouble: Trouble | None = None
    free_bytes: int | None = None


class Health(Struct, frozen=True):
    """All of a running service.

    progress_at: when the engine last made progress, or had nothing to do. quarantined, waiting,
    unacknowledged, staged: documents by the ledger. disk_free: bytes free on the disk of the state
    folder; shared_free: on that of the folder that all nodes share. state: why the ledger can't be
    written, so that everything waits.

    cluster: where it is that of several nodes; node: the one that tells. started_at, progress_at,
    disk_free and state are those of this one then, shared_free is as it sees it, and all else is of
    all of them.
    """

    at: float
    started_at: float
    progress_at: float
    sources: tuple[SourceHealth, ...]
    destinations: tuple[DestinationHealth, ...]
    quarantined: int
    waiting: int
    unacknowledged: int
    ledger_bytes: int
    disk_free: int | None = None
    shared_free: int | None = None
    staged: int = 0
    state: Trouble | None = None
    cluster: ClusterView | None = None
    node: str = ""

    @property
    def ready(self) -> bool:
        """Whether every source has been polled well, and every source and destination works.

        A source that somebody has paused is no failure.
        """
        polled = all(one.works for one in self.sources)
        return polled and self.state is None and not any(one.trouble for one in self.destinations)
