"""The files of one document on their way from the temporary folder to their final names.

A document has one file that counts and may have companions, which go beside it under the same
base name and are there before it. Each rename takes a file out of the temporary folder: so that
folder alone tells what has become visible, wherever an importer may have taken it since.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from pipeline.payload import Payload
from stages.folders.names import twins
from stages.folders.rename import rename_exclusively


def write_file(payload: Payload, path: Path, mode: int, *, flush: bool) -> None:
    """Write a temporary file, in place of any that a crash has left there. OSError."""
    try:
        _write(payload, path, mode, flush=flush)
    except OSError as error:
        # A full disk is told without a name: say at least on which one it was.
        error.filename = error.filename or str(path)
        raise


def _write(payload: Payload, path: Path, mode: int, *, flush: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, mode)
    try:
        if payload.data is not None:
            left = memoryview(payload.data)
            while left:
                left = left[os.write(descriptor, left) :]
        else:
            with payload.open() as source, os.fdopen(descriptor, "wb", closefd=False) as target:
                shutil.copyfileobj(source, target, 1 << 20)
        if flush:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def companion(path: Path, extension: str) -> Path:
    """The file beside another one that has this extension; itself if that is empty."""
    return path.with_suffix(f".{extension}") if extension else path


def names(target: Path, companions: Sequence[str]) -> Iterator[Path]:
    """The names that a document may get, the best first: those that nothing on the disk has."""
    for path in _twin_paths(target):
        beside = (companion(path, extension) for extension in companions)
        if not any(os.path.lexists(one) for one in (path, *beside)):
            yield path


def publish(
    staged: Path, companions: Sequence[str], target: Path, *, resumed: bool = False
) -> Path:
    """Give the files of a document their final names, companions first; the name that it got.

    resumed: what an earlier call has done already stays done. Never overwrites: a name that
    somebody took in this instant is left to him, and what went ahead under it comes back.
    Raises OSError as it is.
    """
    files = (*companions, "")
    left = [extension for extension in files if not resumed or _waits(staged, extension)]
    for path in _twin_paths(target):
        done: list[str] = []
        try:
            for extension in left:
                rename_exclusively(companion(staged, extension), companion(path, extension))
                done.append(extension)
        except FileExistsError:
            left = [*_taken_back(staged, path, done), *left[len(done) :]]
            continue
        return path
    raise AssertionError("there is always another twin")


def visible(staged: Path, companions: Sequence[str]) -> bool:
    """Whether any of its files has become visible."""
    return not all(_waits(staged, extension) for extension in ("", *companions))


def is_published(staged: Path) -> bool:
    """Whether the document itself has become visible; its temporary folder has to exist."""
    return not _waits(staged, "")


def remove(staged: Path, companions: Sequence[str]) -> None:
    """Remove the temporary files of a document that does not become visible. OSError."""
    for extension in ("", *companions):
        companion(staged, extension).unlink(missing_ok=True)


def _taken_back(staged: Path, path: Path, extensions: Sequence[str]) -> list[str]:
    """Which of these companions are in the temporary folder again: who took one keeps it."""
    back = []
    for extension in extensions:
        with suppress(FileNotFoundError):
            rename_exclusively(companion(path, extension), companion(staged, extension))
            back.append(extension)
    return back


def _waits(staged: Path, extension: str) -> bool:
    """Whether a file is in the temporary folder still, and nowhere else.

    A second name of the same file is the proof that it became visible, on file systems without
    an exclusive rename.
    """
    try:
        return companion(staged, extension).stat().st_nlink == 1
    except FileNotFoundError:
        return False


def _twin_paths(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(name) for name in islice(twins(path.name), 1, None))


_BINARY = getattr(os, "O_BINARY", 0)
