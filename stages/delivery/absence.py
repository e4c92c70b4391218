"""Absence: tells a file that is not there from a share that is away.

Where a file is missing, a node takes it that somebody has given it its name. Of a share that can't
be reached Windows has errors of its own, which Python takes for files that are not there.
"""

from __future__ import annotations

#: ERROR_BAD_NETPATH, ERROR_BAD_NET_NAME.
AWAY = {53, 67}


def is_away(error: OSError) -> bool:
    """Whether an error says that the share of a file can't be reached; only so on Windows."""
    return getattr(error, "winerror", None) in AWAY
