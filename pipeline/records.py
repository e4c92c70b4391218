"""Record contract: what the log says of each delivered document, cheap enough for each of them.

The engine makes records on the way that each document takes, and hands those of a group to a sink,
which must not wait: the program's sink (pipeline/app/log_writer.py) has a thread write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct


class DeliveredTo(Struct, frozen=True):
    """What the last stage makes known of a document: its file, and the company and kind it is of.

    company: the configured identifier. kind: in the words of the ledger.
    """

    path: Path
    company: str
    kind: str


class DocumentRecord(Struct, tag_field="event", tag="document delivered", omit_defaults=True):
    """One line of the log: a document that was delivered.

    timestamp: when its source was told, or when that failed; seconds since 1970 until it is
    written. document: its label. sha256: of its file, in hexadecimal; sent_sha256: of what the
    source sent, where that is something else. seconds: from when it was listed until its source
    was told; acknowledged: whether it was.
    """

    timestamp: float | datetime
    level: str
    source: str
    id: str
    document: str
    company: str
    kind: str
    path: Path
    sha256: str
    sent_sha256: str = ""
    seconds: float | None = None
    acknowledged: bool = True


class RecordSink(Protocol):
    """Takes records from the event loop, without waiting for anything."""

    def __call__(self, records: Sequence[DocumentRecord], /) -> None:
        """Take some, which are not changed any more by the caller."""


def ignore(_: Sequence[DocumentRecord], /) -> None:
    """The sink of a program that keeps no log."""
