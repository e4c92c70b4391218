"""The remote systems: one folder for each kind, and one line here."""

from __future__ import annotations

from pathlib import Path

from pipeline.source import Grant, Source
from stages.settings import Billtobox
from stages.sources.billtobox.source import BilltoboxSource


def open_source(
    settings: Billtobox, state_dir: Path, workers: int = 1, borrow: Grant | None = None
) -> Source:
    """The source that a [[sources]] section describes; nothing is asked of it yet.

    workers: how many processes share its connections out among them. borrow: in one of them, where
    it gets its credential; the first process, which reads the lists, signs in for all.
    """
    connections = settings.connections
    if workers > 1:
        each = max((connections - 1) // workers, 1)
        connections = each if borrow is not None else max(connections - workers * each, 1)
    match settings:
        case Billtobox():
            return BilltoboxSource(settings, state_dir, connections, borrow)
