"""Service status: what a service manager says of one service, and how it is asked for things."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

#: Takes a sentence about what has been done.
Say = Callable[[str], None]
#: Asks for the password of an account; called only if that account needs one.
Password = Callable[[], str]


class ServiceStatus(Struct, frozen=True):
    """installed, running: by the manager. sentence: for the user."""

    installed: bool
    running: bool
    sentence: str
