"""Naive designs: what nodes do otherwise that are known to be wrong, so that a proof can fail.

Each function changes the process that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger import allocation, takeover
from pipeline.ledger.ledger import Ledger
from pipeline.long_paths import local_path
from stages import write
from stages.delivery import forward, publish_shared, staging_shared
from stages.delivery.peers import Peers
from stages.delivery.recovery_shared import RecoveryShared


def aside_is_nothing() -> None:
    """Take back as one process alone does: the row first, then the files."""
    publish_shared.put_aside = lambda *_: forward.Kept.ASIDE


def fetch_again() -> None:
    """Take a file that is missing for one that was removed, whoever staged it."""
    Peers.is_own = lambda *_: True  # type: ignore[method-assign]
    takeover.release = _release_all


def share_names() -> None:
    """Give the temporary file of a document the same name in each attempt."""
    staging_shared.SharedStaging.new_name = lambda _, digest: f"{digest}-0-1"  # type: ignore[method-assign]


def replace_staged() -> None:
    """Fetch anew what a dead node has staged, rather than finish it."""

    async def _taken_up(self: Any, lane: Any, unfinished: Sequence[Any]) -> list[Any]:
        others = [one for one in unfinished if not self._peers.is_own(one)]
        await self._staging.learn_places({str(Path(one.staged).parent) for one in unfinished})
        rows = [(one.key, one.staged, "its node is dead") for one in others]
        await self._ledger.change(lambda connection: _release_all(rows, "", 0.0, connection))
        return [one for one in unfinished if self._peers.is_own(one)]

    RecoveryShared._taken_up = _taken_up  # type: ignore[method-assign]


def acknowledge_early() -> None:
    """Let a document count as delivered once it is staged."""
    real = Ledger.stage

    async def stage(self: Ledger, documents: Any, at: float) -> Any:
        found = await real(self, documents, at)
        await self.delivered([(one.key, one.staged) for one in documents], at)
        return found

    Ledger.stage = stage  # type: ignore[method-assign]


def sweep_without_fence() -> None:
    """Let a process stage what another one takes for leftovers and is about to remove."""
    allocation.is_retired = lambda *_: False


def clean_in_doubt() -> None:
    """Take no answer for a failure: what was to be staged is removed."""
    real = write.allocate_names

    async def allocate_names(ledger: Any, staged: Any) -> Any:
        try:
            return await real(ledger, staged)
        except StateError:
            for _, one in staged:
                forward.remove_all(local_path(one.staged), one.sidecars)
            raise

    write.allocate_names = allocate_names


def missing_is_visible() -> None:
    """Say of a file that is missing that it is visible, and look for none that is put aside."""
    forward.PutAside = forward.Vanished  # type: ignore[assignment, misc]


def use_all_connections() -> None:
    """Use all that a source bears, as if there were no other node."""
    from pipeline.cluster import shares  # noqa: PLC0415 - an extra

    shares.share = lambda _node, _shares, most: most


def _release_all(rows: Any, node: str, at: float, connection: Any) -> set[Key]:
    for key, staged, _ in rows:
        connection.execute(
            "UPDATE documents SET state = 'waiting', staged = '', name_hash = NULL,"
            " identity = NULL, number_hash = NULL WHERE source = ?1 AND id = ?2"
            " AND revision = ?3 AND state = 'staged' AND staged = ?4",
            (key.source, key.id, key.revision, staged),
        )
    return {key for key, *_ in rows}


#: Those of a delivery, by a name.
NAIVE: dict[str, Callable[[], None]] = {
    "again": fetch_again,
    "replace": replace_staged,
    "early": acknowledge_early,
    "aside": aside_is_nothing,
    "names": share_names,
    "fence": sweep_without_fence,
    "doubt": clean_in_doubt,
    "missing": missing_is_visible,
}
#: All of them.
ALL = NAIVE | {"connections": use_all_connections}
