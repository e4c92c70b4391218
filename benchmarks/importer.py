"""An importer: takes away what is delivered, as accounting packages do, and keeps count of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from benchmarks.failure import BenchmarkError

#: Every so many-th file is read before it is removed.
SAMPLE = 50


class Importer:
    """Empties the folders below one. taken, bytes: how many files, and how long they were."""

    def __init__(self, folder: Path) -> None:
        self.taken = self.bytes = 0
        self._folder = folder
        self._hashes: dict[str, str] = {}

    def take(self) -> None:
        """Take what is there now; files whose names are hidden are not meant for it."""
        for entry in _files(self._folder):
            if self.taken % SAMPLE == 0:
                self._hashes[entry.path] = sha256(Path(entry.path).read_bytes()).hexdigest()
            self.bytes += entry.stat().st_size
            self.taken += 1
            Path(entry.path).unlink()

    def check(self, ledger: Path, documents: int) -> None:
        """Raise BenchmarkError unless each document came once and is as the ledger has it.

        All are counted; of a sample the ledger's SHA-256 is that of the file at its path.
        """
        if self.taken != documents:
            raise BenchmarkError(f"{self.taken:,} files came for {documents:,} documents")
        left = dict(self._hashes)
        with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
            for path, digest in connection.execute("SELECT path, sha256 FROM documents"):
                if left.pop(path, digest) != digest:
                    raise BenchmarkError(f"{path} is another document than the ledger says")
        if left:
            raise BenchmarkError(f"the ledger knows nothing of {next(iter(left))}")


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        shown = [one for one in entries if not one.name.startswith(".")]
    for one in shown:
        if one.is_dir(follow_symlinks=False):
            yield from _files(one.path)
        else:
            yield one
