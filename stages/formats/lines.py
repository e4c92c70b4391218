"""Lines of a text file that a bank has written, without ever holding all of it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from pipeline.payload import Payload
from stages.formats.content import Unreadable

#: Bytes that are read at a time.
CHUNK = 65_536
#: Bytes above which a line is of no format that comes in lines.
LINE = 4096

#: What some systems put behind the last line: Ctrl-Z, and NUL to fill a block.
_PADDING = "\x1a\0"


def lines(payload: Payload) -> Iterator[str]:
    """The lines that are not blank, without their ends (CRLF, LF or CR).

    Unreadable at a line that is longer than LINE.
    """
    rest = b""
    with payload.open() as stream:
        first = stream.read(CHUNK)
        chunk = first.removeprefix(codecs.BOM_UTF8)
        while chunk:
            whole, rest = _split(rest + chunk)
            if len(rest) > LINE:
                break
            yield from _decoded(whole)
            chunk = stream.read(CHUNK)
    if len(rest) > LINE:
        raise Unreadable(f"a line has more than {LINE} characters")
    yield from _decoded(rest)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """What has come as far as the last end of a line, and the rest."""
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data[:end], data[end:]


def _decoded(data: bytes) -> Iterator[str]:
    """One character for each position: ASCII as a rule, Windows-1252, or UTF-8 by mistake."""
    if data.isascii():
        text = data.decode("ascii").strip(_PADDING)
        for line in text.replace("\r", "\n").split("\n"):
            if line and not line.isspace():
                yield line
        return
    for raw in data.replace(b"\r", b"\n").split(b"\n"):
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            line = raw.decode("cp1252", "replace")
        line = line.strip(_PADDING)
        if line and not line.isspace():
            yield line
