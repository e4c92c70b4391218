"""The remote systems: one folder for each kind, and one line here."""

from __future__ import annotations

from pathlib import Path

from pipeline.source import Source
from stages.settings import Billtobox
from stages.sources.billtobox.source import BilltoboxSource


def open_source(settings: Billtobox, state_dir: Path) -> Source:
    """The source that a [[sources]] section describes; nothing is asked of it yet."""
    match settings:
        case Billtobox():
            return BilltoboxSource(settings, state_dir)
