r"""Standard-stream hardening: the program runs however it was started and whoever reads its output.

Guarantees: output never stops the work. A stream that is closed, full or broken takes what it can,
the rest is dropped, and characters that its encoding lacks are written as \u escapes.
"""

from __future__ import annotations

import io
import logging
import os
import select
import sys
from contextlib import suppress
from typing import Any, TextIO

#: Seconds to wait for the reader of standard error.
TIMEOUT = 1.0
#: Bytes that are written at once: a pipe that select() calls writable has room for so many.
CHUNK = 4096


def prepare_process() -> None:
    """Prepare the whole process; to be called before anything is printed or opened."""
    _ensure_utf8()
    _open_missing_streams()
    sys.stdout = _lossy(sys.stdout, 1)
    # The log goes there, and documents must not wait until a reader of the log goes on.
    sys.stderr = _lossy(sys.stderr, 2, TIMEOUT)
    # Logging would print a traceback about a broken stream to a stream that is likely as broken.
    logging.raiseExceptions = False


def _ensure_utf8() -> None:
    """Execute the program again in UTF-8 mode where names of files would have another encoding.

    Names of documents and companies may hold any letters, and Linux takes UTF-8 under any locale.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.name == "posix" and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


def _open_missing_streams() -> None:
    """Open streams that were closed: else a file of ours would take their place, and the output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                # The system takes the lowest free descriptor, which is this one.
                os.open(os.devnull, os.O_RDWR)


def _lossy(stream: TextIO | None, descriptor: int, timeout: float | None = None) -> TextIO:
    raw: io.RawIOBase | None = getattr(getattr(stream, "buffer", None), "raw", None)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with suppress(OSError, ValueError):
        raw = raw or io.FileIO(descriptor, "w", closefd=False)
    if raw is None:
        return open(os.devnull, "w", encoding=encoding)  # noqa: PTH123 - it lasts
    return io.TextIOWrapper(
        io.BufferedWriter(_LossyStream(raw, stream, timeout)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=descriptor == 2 or raw.isatty(),
    )


class _LossyStream(io.RawIOBase):
    """Output stream that never fails: what can't be written is dropped.

    timeout: seconds to wait for a reader that does not read; None for no limit.
    """

    def __init__(self, raw: io.RawIOBase, stream: TextIO | None, timeout: float | None) -> None:
        self._raw = raw
        # Kept, for raw is closed when the stream is collected.
        self._stream = stream
        self._timeout = timeout
        self._is_stuck = False

    def writable(self) -> bool:
        """Always true."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._raw.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream below."""
        return self._raw.fileno()

    def write(self, data: Any, /) -> int:
        """Write what can be written, and return as if all of it had been."""
        view = memoryview(data).cast("B")
        done = 0
        with suppress(OSError, ValueError):
            while done < len(view) and self._has_room():
                done += self._raw.write(view[done : done + CHUNK]) or 0
        return len(view)

    def _has_room(self) -> bool:
        if os.name == "nt":
            return True  # select() is for sockets alone there
        timeout = 0.0 if self._is_stuck else self._timeout
        self._is_stuck = not select.select((), (self._raw,), (), timeout)[1]
        return not self._is_stuck
