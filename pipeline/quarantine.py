"""Keeps what can't be delivered: the bytes and the reason, side by side, durable."""

from __future__ import annotations

import os
import re
import shutil
import time
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import anyio.to_thread
import msgspec

from pipeline.document import Document


class Quarantine:
    """A folder for each source; in it, for each document, NAME.bin and NAME.json."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def keep(self, document: Document[Any], reason: str) -> None:
        """Set a document aside; again under the same key replaces what was kept. OSError."""
        await anyio.to_thread.run_sync(self._keep, document, reason)

    def _keep(self, document: Document[Any], reason: str) -> None:
        folder = self.folder / _plain(document.key.source)
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        folder.mkdir(mode=0o750, exist_ok=True)
        base = folder / _name(document)
        if document.payload is not None:
            with document.payload.open() as source:
                _replace(base.with_name(base.name + ".bin"), source)
        note = {
            "source": document.key.source,
            "id": document.key.id,
            "revision": document.key.revision,
            "document": document.entry.label,
            "reason": reason,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "size": document.payload.size if document.payload else None,
            "sha256": document.payload.sha256 if document.payload else None,
        }
        text = msgspec.json.format(msgspec.json.encode(note), indent=2)
        _replace(base.with_name(base.name + ".json"), BytesIO(text + b"\n"))


def _name(document: Document[Any]) -> str:
    """A name that a person recognises and that no other document gets."""
    return f"{_plain(document.entry.label)[:80]}-{document.key.digest[:12]}"


def _plain(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_") or "unnamed"


def _replace(path: Path, source: BinaryIO) -> None:
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as target:
        shutil.copyfileobj(source, target)
        target.flush()
        os.fsync(target.fileno())
    temporary.replace(path)
