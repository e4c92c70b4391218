"""Files of one document: the document itself and its sidecars, all under one base name.

All functions are for the threads of a lane.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.alternatives import alternative, first_free
from pipeline.durable import new_file
from pipeline.long_paths import StrPath, local_path
from pipeline.payload import Payload

#: Bytes that are written between two heartbeats.
CHUNK = 1 << 20


def sidecar_path(path: Path, extension: str) -> Path:
    """The file beside another one that has this extension; the path itself if that is empty."""
    return path.with_suffix(f".{extension}") if extension else path


def file_path(path: StrPath, extension: str) -> StrPath:
    """As sidecar_path(), without making a Path where that is not needed."""
    return sidecar_path(local_path(path), extension) if extension else path


def write_file(
    payload: Payload, path: StrPath, mode: int, heartbeat: Callable[[], None], *, flush: bool
) -> None:
    """Write a new file, never over another one and through no link. OSError.

    heartbeat: called between two chunks. flush: make its bytes durable. A file that could not be
    written whole is removed.
    """
    try:
        _write(payload, path, mode, heartbeat, flush=flush)
    except OSError as error:
        # The system reports a full disk without a path: the message has to say which disk it is.
        error.filename = error.filename or str(path)
        raise


def free_number(target: Path, sidecars: Sequence[str], start: int = 1) -> int:
    """The number of an alternative of a name that no file on the disk has, counted from one."""

    def taken(number: int) -> bool:
        path = local_path(alternative(str(target), number))
        return any(os.path.lexists(sidecar_path(path, one)) for one in ("", *sidecars))

    return first_free(taken, start)


def remove_files(path: Path, sidecars: Sequence[str]) -> None:
    """Remove a document and its sidecars, as far as they are there. OSError."""
    for extension in ("", *sidecars):
        sidecar_path(path, extension).unlink(missing_ok=True)


def _write(
    payload: Payload, path: StrPath, mode: int, heartbeat: Callable[[], None], *, flush: bool
) -> None:
    descriptor = new_file(path, mode)
    try:
        if payload.data is not None:
            _write_all(descriptor, payload.data, heartbeat)
        else:
            with payload.open() as source:
                while chunk := source.read(CHUNK):
                    _write_all(descriptor, chunk, heartbeat)
                    heartbeat()
        if flush:
            os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            Path(path).unlink()
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, heartbeat: Callable[[], None]) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left[:CHUNK]) :]
        if left:
            heartbeat()
