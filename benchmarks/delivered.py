"""Holds what a contender delivered against what was served: no figure without the files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from benchmarks.dataset import Item
from benchmarks.failure import BenchmarkError

#: Every so many-th file is read and hashed.
SAMPLE = 20


def check(folder: Path, items: Sequence[Item]) -> None:
    """Raise BenchmarkError unless the folder holds the documents and nothing else.

    All files are counted and their sizes compared; of a sample the content is hashed.
    """
    known = {item.sha256 for item in items}
    for path in check_sizes(folder, items)[::SAMPLE]:
        if sha256(Path(path).read_bytes()).hexdigest() not in known:
            raise BenchmarkError(f"{path} is none of the documents")


def check_sizes(folder: Path, items: Sequence[Item]) -> list[str]:
    """Raise BenchmarkError unless there are as many files of the same sizes; return their paths."""
    files = sorted(_files(folder))
    if len(files) != len(items):
        raise BenchmarkError(f"{folder}: {len(files):,} files for {len(items):,} documents")
    if sorted(size for _, size in files) != sorted(item.size for item in items):
        raise BenchmarkError(f"{folder}: the sizes of the files are not those of the documents")
    return [path for path, _ in files]


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for parent, folders, names in os.walk(folder):
        # What lies in hidden folders, such as a cluster's markers of volumes, nobody imports.
        folders[:] = [one for one in folders if not one.startswith(".")]
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118 - a Path for each costs too much
            yield path, os.stat(path).st_size  # noqa: PTH116
