"""One thing that the product does, alone, in a process of its own: a ceiling for the whole.

    python -m benchmarks.alone WHAT LIST FOLDER

LIST is that of the scripts in peers/: address, file name, bytes and SHA-256 in each line.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import aiohttp
import anyio

#: Requests at once, and documents of a group, as the product has them.
CONNECTIONS = 16
GROUP = 64

Row = Sequence[str]


def get(rows: Sequence[Row], _: Path) -> None:
    """GET and discard."""
    anyio.run(_fetch, rows, len)


def get_sha256(rows: Sequence[Row], _: Path) -> None:
    """GET and hash."""
    anyio.run(_fetch, rows, lambda data: sha256(data).digest())


async def _fetch(rows: Sequence[Row], use: Callable[[bytes], object]) -> None:
    left = iter(rows)

    async def work(session: aiohttp.ClientSession) -> None:
        for url, _, size, _ in left:
            async with session.get(url) as response:
                response.raise_for_status()
                data = await response.read()
                if len(data) != int(size):
                    raise SystemExit(f"{url}: {len(data)} of {size} bytes")
                use(data)

    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with anyio.create_task_group() as group:
            for _ in range(CONNECTIONS):
                group.start_soon(work, session)


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
    "get": get,
    "get-sha256": get_sha256,
    "write": write,
    "write-fsync": write_fsync,
    "write-fsync-2": partial(write_fsync_threads, threads=2),
    "write-fsync-8": partial(write_fsync_threads, threads=8),
    "write-group": write_group,
    "write-group-syncfs": write_group_syncfs,
}

if __name__ == "__main__":
    WHAT[sys.argv[1]](
        [line.split("\t") for line in Path(sys.argv[2]).read_text().splitlines()],
        Path(sys.argv[3]),
    )
