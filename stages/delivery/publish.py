"""The files of one document: written in the temporary folder, then given their names together.

A document with sidecars (the PDF beside its XML) is visible when it is itself: they go by the
same name and are there before it. Each rename takes a file out of the temporary folder, and the
process that renames knows what it saw; only for one that died has that folder to tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from pipeline.alternatives import alternative, first_free
from pipeline.durable import new_file
from pipeline.payload import Payload
from stages.delivery.rename import rename_exclusively, renames_in_one_step

#: Bytes that are written before the next sign of life.
PIECE = 1 << 20


class Vanished(FileNotFoundError):
    """The temporary file is gone, and not because this process gave it a name."""


class Attempt(Struct, frozen=True):
    """What came of giving a document its name: error is None if it has become visible.

    out: sidecars that are not in the temporary folder any more although the document is not
    visible: they could not be taken back, or somebody has taken them.
    """

    error: OSError | None = None
    out: tuple[str, ...] = ()

    @property
    def taken(self) -> bool:
        """Whether somebody else has the name, so that another one may do."""
        return isinstance(self.error, FileExistsError)


def write_file(
    payload: Payload, path: Path, mode: int, beat: Callable[[], None], *, flush: bool
) -> None:
    """Write a new temporary file; beat: called at each piece, as a sign of life. OSError."""
    try:
        _write(payload, path, mode, beat, flush=flush)
    except OSError as error:
        # A full disk is told without a name: say at least on which one it was.
        error.filename = error.filename or str(path)
        raise


def _write(
    payload: Payload, path: Path, mode: int, beat: Callable[[], None], *, flush: bool
) -> None:
    descriptor = new_file(path, mode)
    try:
        if payload.data is not None:
            _write_all(descriptor, payload.data, beat)
        else:
            with payload.open() as source:
                while piece := source.read(PIECE):
                    _write_all(descriptor, piece, beat)
                    beat()
        if flush:
            os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, beat: Callable[[], None]) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left[:PIECE]) :]
        if left:
            beat()


def sidecar(path: Path, extension: str) -> Path:
    """The file beside another one that has this extension; itself if that is empty."""
    return path.with_suffix(f".{extension}") if extension else path


def free_number(target: Path, sidecars: Sequence[str], start: int = 1) -> int:
    """The number, from one on, of an alternative of a name that nothing on the disk has."""

    def taken(number: int) -> bool:
        path = Path(alternative(str(target), number))
        return any(os.path.lexists(sidecar(path, one)) for one in ("", *sidecars))

    return first_free(taken, start)


def publish(staged: Path, sidecars: Sequence[str], target: Path) -> Attempt:
    """Give the files of a document their final names, sidecars first; what came of it.

    Never overwrites. Where the document can't have its name, what went ahead of it comes back.
    """
    done: list[str] = []
    for extension in (*sidecars, ""):
        source = sidecar(staged, extension)
        try:
            rename_exclusively(source, sidecar(target, extension))
        except OSError as error:
            out = _taken_back(staged, target, done)
            if isinstance(error, FileNotFoundError) and not os.path.lexists(source):
                return Attempt(Vanished(error.errno, error.strerror, str(source)), out)
            return Attempt(error, out)
        done.append(extension)
    return Attempt()


def resume(staged: Path, sidecars: Sequence[str], target: Path) -> Attempt:
    """As publish(), of a document that another process may have brought part of the way.

    What is not in the temporary folder any more has become visible.
    """
    left = [one for one in sidecars if is_waiting(sidecar(staged, one))]
    attempt = publish(staged, left, target)
    if attempt.error is None:
        remove(staged, sidecars)
    return attempt


def is_waiting(staged: Path) -> bool:
    """Whether a file that another process staged has not become visible. OSError.

    Where a rename takes two steps, a second name of the same file is the proof that it has.
    """
    try:
        links = os.lstat(staged).st_nlink
    except FileNotFoundError:
        return False
    return links == 1 or renames_in_one_step(staged.parent)


def remove(staged: Path, sidecars: Sequence[str]) -> None:
    """Remove the temporary files of a document that does not need them. OSError."""
    for extension in ("", *sidecars):
        sidecar(staged, extension).unlink(missing_ok=True)


def _taken_back(staged: Path, path: Path, extensions: Sequence[str]) -> tuple[str, ...]:
    """Which of these sidecars don't come back: who took one meanwhile keeps it."""
    out = []
    for extension in extensions:
        try:
            rename_exclusively(sidecar(path, extension), sidecar(staged, extension))
        except OSError:
            out.append(extension)
    return tuple(out)
