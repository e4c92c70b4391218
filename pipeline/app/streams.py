r"""Makes a process stand on its own, however it was started and whoever reads what it prints.

Showing never stops the work: a stream that is closed, full or broken takes what it can, and signs
that its encoding does not have are written as \u escapes.
"""

from __future__ import annotations

import io
import logging
import os
import select
import sys
from contextlib import suppress
from typing import Any, TextIO

#: Seconds to wait for whoever reads standard error, and bytes for which a pipe either has room.
PATIENCE = 1.0
PIECE = 4096


def prepare_process() -> None:
    """Prepare the whole process; before anything is printed or opened."""
    _speak_utf8()
    _hold_standard_streams()
    sys.stdout = _forgiving(sys.stdout, 1)
    # The log goes there, and nobody's documents wait for somebody to read it.
    sys.stderr = _forgiving(sys.stderr, 2, PATIENCE)
    # What can't be logged is not worth a traceback on a stream that is likely as broken.
    logging.raiseExceptions = False


def _speak_utf8() -> None:
    """Begin anew where names of files would be in an encoding that lacks most names.

    Names of documents and companies may be of any letters, and Linux takes UTF-8 under any locale.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.name == "posix" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


def _hold_standard_streams() -> None:
    """Open what was closed, lest a file of ours be opened in its place and be written into."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                # The lowest that is free is taken, which is this one.
                os.open(os.devnull, os.O_RDWR)


def _forgiving(stream: TextIO | None, descriptor: int, patience: float | None = None) -> TextIO:
    raw: io.RawIOBase | None = getattr(getattr(stream, "buffer", None), "raw", None)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with suppress(OSError, ValueError):
        raw = raw or io.FileIO(descriptor, "w", closefd=False)
    if raw is None:
        return open(os.devnull, "w", encoding=encoding)  # noqa: PTH123 - it lasts
    return io.TextIOWrapper(
        io.BufferedWriter(_Forgiving(raw, stream, patience)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )


class _Forgiving(io.RawIOBase):
    """A stream that takes all that is written, and drops what can't be.

    patience: seconds to wait for a reader who does not read; None for as long as it takes.
    """

    def __init__(self, raw: io.RawIOBase, stream: TextIO | None, patience: float | None) -> None:
        self._raw = raw
        # Without it, raw would be closed.
        self._stream = stream
        self._patience = patience
        self._is_stuck = False

    def writable(self) -> bool:
        """It is, always."""
        return True

    def isatty(self) -> bool:
        """Whether a person is likely to read it."""
        return self._raw.isatty()

    def fileno(self) -> int:
        """As of any stream."""
        return self._raw.fileno()

    def write(self, data: Any, /) -> int:
        """Write what can be written, and say that all was."""
        view = memoryview(data).cast("B")
        done = 0
        with suppress(OSError, ValueError):
            while done < len(view) and self._has_room():
                done += self._raw.write(view[done : done + PIECE]) or 0
        return len(view)

    def _has_room(self) -> bool:
        if os.name == "nt":
            return True  # select() is for sockets alone there
        patience = 0.0 if self._is_stuck else self._patience
        self._is_stuck = not select.select((), (self._raw,), (), patience)[1]
        return not self._is_stuck
