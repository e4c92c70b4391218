"""Manifest and journal: what a sandbox holds and which acknowledgements it got, as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import msgspec

from stages.sandbox.corpus import Document
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.wire import Record


def write_manifest(
    path: Path, mailbox: Mailbox, holds: Callable[[Document], bool] = lambda _: True
) -> None:
    """Write a line for each document. holds: whether the platform that is served has it.

    id, kind (purchase, sales, statement, unknown), company (its canonical number), number,
    media_type, size (bytes), sha256 (hexadecimal).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for document in filter(holds, mailbox):
            data = document.read()
            line = {
                "id": document.id,
                "kind": document.kind,
                "company": document.company.identifier,
                "number": document.number,
                "media_type": document.media_type,
                "size": len(data),
                "sha256": sha256(data).hexdigest(),
            }
            file.write(msgspec.json.encode(line) + b"\n")


@contextmanager
def open_journal(path: Path | None) -> Iterator[Record]:
    """Open a journal and give the function that appends a line to it, unbuffered; None: no journal.

    id, status (the platform's word), at (ISO 8601, UTC), and message if there is one.
    """
    if path is None:
        yield lambda _id, _status, _message: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:

        def record(id_: str, status: str, message: str) -> None:
            line = {"id": id_, "status": status, "at": datetime.now(UTC).isoformat()}
            if message:
                line["message"] = message
            file.write(msgspec.json.encode(line) + b"\n")

        yield record
