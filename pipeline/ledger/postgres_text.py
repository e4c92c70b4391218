"""PostgreSQL text: stores each text of Python, also what PostgreSQL takes for no text.

It refuses NUL and, as all UTF-8 does, lone surrogates, which ids of a source may hold. Each of them
is stored as a mark and four hexadecimal digits. The mark is a code point that Unicode keeps free of
characters for ever (noncharacters, Unicode 16.0, 23.7); where a text has it, it is stored likewise.
"""

from __future__ import annotations

import re

from psycopg.abc import Buffer
from psycopg.adapt import Dumper, Loader

MARK = "\ufdd0"
_REFUSED = re.compile("[\0\ud800-\udfff\ufdd0]")
_STORED = re.compile("\ufdd0([0-9a-f]{4})")


def stored(text: str) -> str:
    """A text as it is stored."""
    if text.isascii() and "\0" not in text:
        return text
    return _REFUSED.sub(lambda found: f"{MARK}{ord(found[0]):04x}", text)


def restored(text: str) -> str:
    """The text of which stored() made this."""
    return _STORED.sub(lambda found: chr(int(found[1], 16)), text) if MARK in text else text


class TextDumper(Dumper):
    """Writes a text as a parameter whose type the statement tells."""

    def dump(self, obj: str) -> bytes:
        """See Dumper."""
        return stored(obj).encode()


class TextLoader(Loader):
    """Reads a text; the connection speaks UTF-8."""

    def load(self, data: Buffer) -> str:
        """See Loader."""
        return restored(str(data, "utf-8"))


class BoolDumper(Dumper):
    """Writes a truth value as the number that the ledger keeps of it, as SQLite does."""

    oid = 21  # int2

    def dump(self, obj: bool) -> bytes:
        """See Dumper."""
        return b"1" if obj else b"0"
