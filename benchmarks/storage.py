"""A ceiling: what one process writes, in each of the ways in which a file can be made durable.

    python -m benchmarks.storage WHAT LIST FOLDER

LIST is that of the scripts in peers/: address, file name, bytes and SHA-256 in each line.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

#: Documents of a group, as the product has them.
GROUP = 64

Row = Sequence[str]


def write(rows: Sequence[Row], folder: Path) -> None:
    """Write, and leave the rest to the system."""
    for path, data in _files(rows, folder):
        os.close(_written(path, data))


def write_fsync(rows: Sequence[Row], folder: Path) -> None:
    """Write and flush each, one after another."""
    for path, data in _files(rows, folder):
        _flushed(path, data)


def write_fsync_threads(rows: Sequence[Row], folder: Path, threads: int) -> None:
    """Write and flush each, several at once: the file system may flush them together."""
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda file: _flushed(*file), _files(rows, folder)):
            pass


def write_group(rows: Sequence[Row], folder: Path) -> None:
    """Write a group, then flush each of its files, then their folder."""
    for group in _batched(_files(rows, folder)):
        descriptors = [_written(path, data) for path, data in group]
        for descriptor in descriptors:
            os.fsync(descriptor)
            os.close(descriptor)
        _flush_folder(folder)


def write_group_syncfs(rows: Sequence[Row], folder: Path) -> None:
    """Write a group, then flush the whole file system once (syncfs(2), Linux alone)."""
    syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    descriptor = os.open(folder, os.O_RDONLY)
    for group in _batched(_files(rows, folder)):
        for path, data in group:
            os.close(_written(path, data))
        if syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    os.close(descriptor)


def _batched(files: Iterator[tuple[Path, memoryview]]) -> Iterator[list[tuple[Path, memoryview]]]:
    group = []
    for file in files:
        group.append(file)
        if len(group) == GROUP:
            yield group
            group = []
    yield group


def _files(rows: Sequence[Row], folder: Path) -> Iterator[tuple[Path, memoryview]]:
    """Each file's path and as many bytes as its document has, that no disk can compress."""
    noise = memoryview(os.urandom(max(int(row[2]) for row in rows)))
    return ((folder / row[1], noise[: int(row[2])]) for row in rows)


def _written(path: Path, data: memoryview) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    os.write(descriptor, data)
    return descriptor


def _flushed(path: Path, data: memoryview) -> None:
    descriptor = _written(path, data)
    os.fsync(descriptor)
    os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


WHAT: dict[str, Callable[[Sequence[Row], Path], None]] = {
    "write": write,
    "write-fsync": write_fsync,
    "write-fsync-8": partial(write_fsync_threads, threads=8),
    "write-group": write_group,
    "write-group-syncfs": write_group_syncfs,
}

if __name__ == "__main__":
    WHAT[sys.argv[1]](
        [line.split("\t") for line in Path(sys.argv[2]).read_text().splitlines()],
        Path(sys.argv[3]),
    )
