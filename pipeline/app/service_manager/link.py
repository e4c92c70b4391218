"""Link to a service manager: what a running service tells the manager that has started it."""

from __future__ import annotations

from typing import Protocol


class Link(Protocol):
    """Takes messages for the service manager, at once and without ever failing.

    alive_every: seconds within which alive() is expected again and again; None if it is not.
    """

    @property
    def alive_every(self) -> float | None:
        """Seconds within which alive() is expected again and again; None if it is not."""

    def starting(self, seconds: float) -> None:
        """It is still starting, and asks for so many seconds from now on."""

    def ready(self) -> None:
        """It has started, or has applied another configuration."""

    def reloading(self) -> None:
        """It begins to apply another configuration; ready() follows."""

    def stopping(self, seconds: float) -> None:
        """It is stopping, and asks for so many seconds from now on."""

    def alive(self) -> None:
        """It makes progress, or has nothing to do."""

    def status(self, words: str) -> None:
        """What it is about, in a sentence."""


class NoLink:
    """No service manager: it was started by hand, or by one that does not listen."""

    alive_every: float | None = None

    def starting(self, seconds: float) -> None:
        """Do nothing."""

    def ready(self) -> None:
        """Do nothing."""

    def reloading(self) -> None:
        """Do nothing."""

    def stopping(self, seconds: float) -> None:
        """Do nothing."""

    def alive(self) -> None:
        """Do nothing."""

    def status(self, words: str) -> None:
        """Do nothing."""
