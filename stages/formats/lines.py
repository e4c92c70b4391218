"""Line reader: the lines of a bank's text file, with bounds, in memory of one chunk."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from pipeline.payload import Payload
from stages.formats.content import Hostile, Unreadable

#: Bytes that are read at once.
CHUNK = 65_536
#: Lines of one file, enough for some hundred thousand movements.
MAX_LINES = 1_000_000
#: Bytes of one line; no format of lines has longer ones.
MAX_LINE = 4096

#: Characters that some systems put after the last line: Ctrl-Z, and NUL to fill a block.
_PADDING = "\x1a\0"


def lines(payload: Payload, also: bytes = b"") -> Iterator[str]:
    """Yield the lines that are not blank, without their ends (CRLF, LF or CR).

    also: what ends a line too, because some system writes it in place of an end. Unreadable at a
    line of more than MAX_LINE bytes, Hostile at more than MAX_LINES lines.
    """
    for group in groups(payload, also):
        yield from group


def groups(payload: Payload, also: bytes = b"") -> Iterator[list[str]]:
    """Yield the same lines in groups, one for each chunk that is read; no group is empty."""
    rest = b""
    count = 0
    with payload.open() as stream:
        first = stream.read(CHUNK)
        chunk = first.removeprefix(codecs.BOM_UTF8)
        while chunk:
            data = rest + chunk
            whole, rest = _split(data.replace(also, b"\n") if also else data)
            if len(rest) > MAX_LINE:
                break
            found = _decoded(whole)
            count += len(found)
            if count > MAX_LINES:
                raise Hostile(f"it has more than {MAX_LINES:,} lines, which no statements have")
            if group := _written(found):
                yield group
            chunk = stream.read(CHUNK)
    if len(rest) > MAX_LINE:
        raise Unreadable(f"a line has more than {MAX_LINE} characters")
    if group := _written(_decoded(rest)):
        yield group


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Split at the last end of a line: the whole lines, and what has come of the next one."""
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data[:end], data[end:]


def _decoded(data: bytes) -> list[str]:
    """Decode whole lines so that each position is one character.

    They are ASCII as a rule; others are UTF-8, or else Windows-1252.
    """
    if data.isascii():
        # A replacement of CRLF in the whole takes ten times as long as this.
        raw = data.strip(_PADDING.encode()).splitlines()
        return b"\n".join(raw).decode("ascii").split("\n")
    return [_line(raw) for raw in data.splitlines()]


def _written(lines: list[str]) -> list[str]:
    """Return the lines that are not blank."""
    return [line for line in lines if line and not line.isspace()]


def _line(raw: bytes) -> str:
    try:
        return raw.decode().strip(_PADDING)
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace").strip(_PADDING)
