"""Scratch space: where unpacked bytes lie, in memory if few, in a temporary file if many."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from pipeline.payload import Payload
from stages.formats.content import Hostile

#: Times its own size to which a document may expand; those of banks reach sixty.
RATIO = 250
#: Bytes to which even the smallest one may expand.
FREE = 2_000_000


class Room(Struct, frozen=True):
    """How much room unpacked bytes may take.

    folder: of temporary files; None for that of the system. in_memory: bytes above which they go to
    a file. most: bytes in all.
    """

    folder: Path | None = None
    in_memory: int = 1_000_000
    most: int = 500_000_000


def collected(blocks: Iterable[bytes], packed: int, room: Room) -> Payload:
    """Return unpacked bytes as a payload, which the caller has to discard.

    packed: how many bytes they were before. Hostile if they are too many, or out of all proportion;
    OSError if the file can't be written. Whatever `blocks` raises passes, and nothing is left.
    """
    most = min(room.most, max(FREE, packed * RATIO))
    digest = hashlib.sha256()
    target: BinaryIO = BytesIO()
    path: Path | None = None
    size = 0
    try:
        for block in blocks:
            size += len(block)
            if size > most:
                raise Hostile(f"what is packed in it has more than {most:,} bytes")
            digest.update(block)
            if isinstance(target, BytesIO) and size > room.in_memory:
                held = target.getvalue()
                target, path = _new_file(room.folder)
                target.write(held)
            target.write(block)
        data = target.getvalue() if isinstance(target, BytesIO) else None
        target.close()
    except BaseException:
        target.close()
        if path is not None:
            with suppress(OSError):
                path.unlink()
        raise
    return Payload(size, digest.hexdigest(), data, path)


def _new_file(folder: Path | None) -> tuple[BinaryIO, Path]:
    """Make a private file under a name of its own."""
    number, name = tempfile.mkstemp(prefix="unpacked-", dir=folder)
    return os.fdopen(number, "wb"), Path(name)
