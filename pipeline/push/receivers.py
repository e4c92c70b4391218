"""Receivers of pushes: what the server has to know of the sources of a service."""

from __future__ import annotations

from typing import Protocol

from pipeline.hints import HintOutcome, Pushed


class Receivers(Protocol):
    """The sources of the configuration in force."""

    def pushed(self, source: str) -> Pushed | None:
        """What takes the pushes of a source; None if there is none, or it takes no pushes."""

    def hinted(self, source: str, outcome: HintOutcome) -> None:
        """Count a push that became no hint of its own."""
