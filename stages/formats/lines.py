"""Lines of a text file that a bank has written, without ever holding all of it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from pipeline.payload import Payload
from stages.formats.content import Hostile, Unreadable

#: Bytes that are read at a time.
CHUNK = 65_536
#: Lines of one file: those of some hundred thousand movements.
MOST = 1_000_000
#: Bytes above which a line is of no format that comes in lines.
LINE = 4096

#: What some systems put behind the last line: Ctrl-Z, and NUL to fill a block.
_PADDING = "\x1a\0"


def lines(payload: Payload) -> Iterator[str]:
    """The lines that are not blank, without their ends (CRLF, LF or CR).

    Unreadable at a line that is longer than LINE, Hostile when there are more than MOST.
    """
    for group in groups(payload):
        yield from group


def groups(payload: Payload) -> Iterator[list[str]]:
    """The same, those together that are read at a time; none of the groups is empty."""
    rest = b""
    count = 0
    with payload.open() as stream:
        first = stream.read(CHUNK)
        chunk = first.removeprefix(codecs.BOM_UTF8)
        while chunk:
            whole, rest = _split(rest + chunk)
            if len(rest) > LINE:
                break
            count += max(whole.count(b"\n"), whole.count(b"\r"))
            if count > MOST:
                raise Hostile(f"it has more than {MOST:,} lines, which no statements have")
            if group := _decoded(whole):
                yield group
            chunk = stream.read(CHUNK)
    if len(rest) > LINE:
        raise Unreadable(f"a line has more than {LINE} characters")
    if group := _decoded(rest):
        yield group


def _split(data: bytes) -> tuple[bytes, bytes]:
    """What has come as far as the last end of a line, and the rest."""
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data[:end], data[end:]


def _decoded(data: bytes) -> list[str]:
    """One character for each position: ASCII as a rule, Windows-1252, or UTF-8 by mistake."""
    if data.isascii():
        text = data.decode("ascii").strip(_PADDING)
        found = text.replace("\r", "\n").split("\n")
    else:
        found = [_line(raw) for raw in data.replace(b"\r", b"\n").split(b"\n")]
    return [line for line in found if line and not line.isspace()]


def _line(raw: bytes) -> str:
    try:
        return raw.decode().strip(_PADDING)
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace").strip(_PADDING)
