"""Quarantine: keeps documents that can't be delivered, each with its reason, durably on return.

Nodes of a cluster share its folder. They change what lies there of one source one after the other:
two that keep the same document under two labels would each remove what the other has kept.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec
from msgspec import Struct

from pipeline.document import Document, Key
from pipeline.durable import make_folder, replace_file
from pipeline.files import read_file
from pipeline.folder_lock import folder_lock
from pipeline.shared_mount import ensure_mounted

#: Bytes of the label in a file's name, so that the whole name fits into 255.
LABEL_BYTES = 120
#: Digits of the digest of a document's id in the names of its files, which makes them unique.
DIGITS = 12
#: Bytes of a note, at most.
MAX_NOTE = 1_000_000
#: The files of one document.
ENDINGS = (".bin", ".json")


class Kept(Struct, frozen=True):
    """What the quarantine keeps of one document.

    at: when it was kept last, in seconds since 1970. sent_sha256: of what its source sent, in
    hexadecimal; empty if nothing was fetched. files: with the time of the change of each, in
    nanoseconds.
    """

    key: Key
    at: float
    sent_sha256: str
    files: tuple[tuple[Path, int], ...]


class Stored(Struct, frozen=True):
    """The bytes that are kept of one document, and what is known of them.

    sha256: of these bytes; sent_sha256: of what its source sent. hints: what its list said.
    revision: of the document; empty if it is not known.
    """

    path: Path
    sha256: str
    sent_sha256: str
    hints: Mapping[str, str]
    revision: str = ""


class Quarantine:
    """A folder for each source; in it, for each id, NAME.bin (bytes) and NAME.json (reason).

    shared: whether other nodes change it as well.
    """

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        self.folder = folder
        self._is_shared = shared
        #: The marks of all that is kept, where nobody else changes it; and by folder, where others
        #: do.
        self._kept: set[str] | None = None
        self._listings: dict[Path, frozenset[str]] = {}

    async def keep(self, document: Document[Any], reason: str) -> None:
        """Keep a document, in place of what was kept under the same id before. Raises OSError."""
        await anyio.to_thread.run_sync(self._keep, document, reason)

    async def remove(self, key: Key) -> None:
        """Remove what is kept of a document, if anything is. Raises OSError."""
        if self._is_shared:
            await self._remove_shared(key)
            return
        if self._kept is None:
            self._kept = await anyio.to_thread.run_sync(self._look)
        # Most keep nothing, and to work out a mark takes as long as all else here.
        if self._kept and _mark(key) in self._kept:
            await anyio.to_thread.run_sync(self._remove, key)
            self._kept.discard(_mark(key))

    async def holds(self, key: Key) -> bool:
        """Whether it keeps the bytes of a document. Raises OSError."""
        return await anyio.to_thread.run_sync(self._holds, key)

    async def stored(self, key: Key) -> Stored | None:
        """The bytes that it keeps of a document; None if there are none. Raises OSError."""
        return await anyio.to_thread.run_sync(self.look, key)

    async def kept(self) -> list[Kept]:
        """All that is kept and says what it is. Raises OSError."""
        return await anyio.to_thread.run_sync(self._all_kept)

    async def discard(self, kept: Kept) -> bool:
        """Remove what is kept of a document; False if it has been kept anew since. OSError."""
        is_same = await anyio.to_thread.run_sync(self._discard, kept)
        if is_same and self._kept is not None:
            self._kept.discard(_mark(kept.key))
        return is_same

    def _ensure_there(self) -> None:
        if self._is_shared:
            ensure_mounted(self.folder.parent)

    def _all_kept(self) -> list[Kept]:
        self._ensure_there()
        self._listings.clear()
        found = [self._kept_by(path) for path in sorted(self.folder.glob("*/*.json"))]
        return [one for one in found if one is not None]

    def _kept_by(self, path: Path) -> Kept | None:
        """What a note tells; None for one that is no note of ours, or is gone by now."""
        try:
            note = msgspec.json.decode(read_file(path, MAX_NOTE), type=_Note)
            key = Key(note.source, note.id, note.revision)
            files = [(one, one.stat().st_mtime_ns) for one in self._files(key)]
        except (OSError, msgspec.DecodeError):
            return None
        at = max((changed for _, changed in files), default=0) / 1e9
        return Kept(key, at, note.sent_sha256 or note.sha256 or "", tuple(files))

    def _keep(self, document: Document[Any], reason: str) -> None:
        self._ensure_there()
        folder = self._folder(document.key)
        make_folder(folder, 0o750)
        with self._locked(folder):
            self._write(folder, document, reason)

    def _write(self, folder: Path, document: Document[Any], reason: str) -> None:
        base = f"{_shortened(_plain(document.entry.label))}-{_mark(document.key)}"
        before = self._files(document.key)
        if document.payload is not None:
            with document.payload.open() as source:
                replace_file(folder / f"{base}.bin", source, 0o640)
        note = {
            "source": document.key.source,
            "id": document.key.id,
            "revision": document.key.revision,
            "document": document.entry.label,
            "reason": reason,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "size": document.payload.size if document.payload else None,
            "sha256": document.payload.sha256 if document.payload else None,
            "sent_sha256": document.fetched or None,
            "listed": getattr(document.entry.meta, "hints", {}),
        }
        text = msgspec.json.format(msgspec.json.encode(note), indent=2)
        replace_file(folder / f"{base}.json", BytesIO(text + b"\n"), 0o640)
        # Files under an earlier label are removed; earlier bytes stay where no new ones are here.
        for path in before:
            if path.stem != base and (path.suffix == ".json" or document.payload is not None):
                path.unlink(missing_ok=True)
        if self._kept is not None:
            self._kept.add(_mark(document.key))
        self._listings.pop(folder, None)

    def _look(self) -> set[str]:
        """The marks of all documents that are kept, read from the names of their files."""
        return {path.stem[-DIGITS:] for path in self.folder.glob("*/*") if path.suffix in ENDINGS}

    def look(self, key: Key) -> Stored | None:
        """As stored(), for callers in a thread."""
        files = {path.suffix: path for path in self._files(key)}
        if ".bin" not in files:
            return None
        note = _Note(key.source, key.id)
        if ".json" in files:
            with suppress(msgspec.DecodeError):
                note = msgspec.json.decode(read_file(files[".json"], MAX_NOTE), type=_Note)
        sent = note.sent_sha256 or ""
        return Stored(files[".bin"], note.sha256 or "", sent, note.listed, note.revision)

    def _holds(self, key: Key) -> bool:
        return any(path.suffix == ".bin" for path in self._files(key))

    def _remove(self, key: Key) -> None:
        for path in self._files(key):
            path.unlink(missing_ok=True)

    async def _remove_shared(self, key: Key) -> None:
        """As remove(); what another node has kept since the latest kept() stays until the next."""
        folder = self._folder(key)
        known = self._listings.get(folder)
        if known is None:
            known = await anyio.to_thread.run_sync(self._list, folder)
        if known and _mark(key) in known:
            await anyio.to_thread.run_sync(self._remove_locked, key)

    def _remove_locked(self, key: Key) -> None:
        with suppress(FileNotFoundError), self._locked(self._folder(key)):
            self._remove(key)

    def _list(self, folder: Path) -> frozenset[str]:
        """The marks of what is kept in a folder."""
        names = [path for path in folder.glob("*") if path.suffix in ENDINGS]
        found = self._listings[folder] = frozenset(path.stem[-DIGITS:] for path in names)
        return found

    def _discard(self, kept: Kept) -> bool:
        folder = self._folder(kept.key)
        try:
            with self._locked(folder):
                return _discard(kept)
        except FileNotFoundError:
            return True

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        if not self._is_shared:
            yield
            return
        with folder_lock(folder):
            yield

    def _files(self, key: Key) -> list[Path]:
        found = self._folder(key).glob(f"*-{_mark(key)}.*")
        return [path for path in found if path.suffix in ENDINGS]

    def _folder(self, key: Key) -> Path:
        return self.folder / _shortened(_plain(key.source))


class _Note(Struct):
    """What is read of a note; an earlier version did not say what its source had sent."""

    source: str
    id: str
    revision: str = ""
    sha256: str | None = None
    sent_sha256: str | None = None
    listed: Mapping[str, str] = {}


def _discard(kept: Kept) -> bool:
    for path, changed in kept.files:
        try:
            if path.stat().st_mtime_ns != changed:
                return False
        except FileNotFoundError:
            continue
    for path, _ in kept.files:
        path.unlink(missing_ok=True)
    return True


def _mark(key: Key) -> str:
    """A mark in the names of files, the same for all revisions of an id: the latest is kept."""
    return Key(key.source, key.id, "").digest[:DIGITS]


def _plain(text: str) -> str:
    return re.sub(r"[^\w-]+", "_", text).strip("_") or "unnamed"


def _shortened(text: str) -> str:
    """Cut it to LABEL_BYTES of UTF-8, at the end of a character."""
    return text.encode("utf-8", "replace")[:LABEL_BYTES].decode("utf-8", "ignore")
