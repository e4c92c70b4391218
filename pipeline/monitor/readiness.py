"""Readiness: the JSON that says whether every source and destination works, and if not, why.

It names sources and no companies: a folder, whose path may hold a company's name, is told by a
digest of its path, and what a server has said of itself is left out.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.health.model import DestinationHealth, Health, SourceHealth, Trouble

#: Folders in trouble that are told; the others are only counted.
MAX_TROUBLES = 20
#: Digits of the digest of a path.
DIGITS = 12
#: Words of a server, up to the last quotation mark, for they may hold some; and long numbers, which
#: may be a company's.
_QUOTED = re.compile(r'"[^\n]*"')
_NUMBER = re.compile(r"\b(?:[A-Z]{2})?(?<![.\d])(?:\d{8,}|\d{3,4}\.\d{3}\.\d{3})(?![.\d])")


def readiness(health: Health) -> Mapping[str, Any]:
    """The answer to /ready, for JSON. Times are in UTC (RFC 3339)."""
    failing = [one for one in health.destinations if one.trouble is not None]
    return {
        "ready": health.ready,
        "at": _time(health.at),
        "sources": [_source(one, health.started_at) for one in health.sources],
        "destinations": {
            "working": len(health.destinations) - len(failing),
            "failing": len(failing),
            "troubles": _destinations(failing[:MAX_TROUBLES]),
        },
        "state": _trouble(health.state),
    }


def folder_digest(folder: str) -> str:
    """The digest that stands for a folder: the first digits of the SHA-256 of its path."""
    return hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


def _source(source: SourceHealth, started_at: float) -> Mapping[str, Any]:
    trouble = source.trouble
    if source.paused_since is not None:
        trouble = None
    elif trouble is None and source.last_good_poll is None:
        trouble = Trouble(started_at, "it has not been polled to its end so far")
    return {
        "name": source.name,
        "last_good_poll": _time(source.last_good_poll),
        "sign_in_ends_at": _time(source.sign_in_ends_at),
        "paused_since": _time(source.paused_since),
        "trouble": _trouble(trouble),
    }


def _destinations(failing: Sequence[DestinationHealth]) -> list[Mapping[str, Any]]:
    return [
        {"folder": folder_digest(one.folder), **_trouble(one.trouble)}
        for one in failing
        if one.trouble is not None
    ]


def _trouble(trouble: Trouble | None) -> Any:
    if trouble is None:
        return None
    return {
        "since": _time(trouble.since),
        "reason": _NUMBER.sub("…", _QUOTED.sub('"…"', trouble.reason)),
        "remedy": trouble.remedy,
    }


def _time(at: float | None) -> str | None:
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
