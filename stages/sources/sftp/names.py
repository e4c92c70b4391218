"""Names: what the server's bytes are called as text, and which names are left alone.

A name at an SFTP server is any bytes. As text it is what those bytes are in UTF-8; a byte that is
none, a control character and "%" are written as %XX, so that the text can be stored and shown, and
the bytes can be had again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

#: Bytes of a name, and of a whole path, at most (NAME_MAX and PATH_MAX of Linux).
LONGEST_NAME = 255
LONGEST_PATH = 4096

_ESCAPED = re.compile("[%\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]")


def to_text(path: bytes) -> str:
    """The text of a name or a path."""
    return _ESCAPED.sub(_escape, as_typed(path))


def as_typed(name: bytes) -> str:
    """A name as people type it in a pattern; what is no UTF-8 is surrogates, not to be shown."""
    return name.decode("utf-8", "surrogateescape")


def shown(typed: str) -> str:
    """The text of to_text() for what as_typed() has made."""
    return to_text(typed.encode("utf-8", "surrogateescape"))


def to_bytes(text: str) -> bytes:
    """The name or path of a text that to_text() has made."""
    return unquote_to_bytes(text)


def is_sane(name: bytes) -> bool:
    """Whether a name of a listing is one: it leads nowhere else, and is of usual length."""
    return name not in (b"", b".", b"..") and b"/" not in name and len(name) <= LONGEST_NAME


def is_self(name: bytes) -> bool:
    """Whether it is the folder itself or the one above, which stand in every listing."""
    return name in (b".", b"..")


class NamePatterns:
    """Patterns of names with * and ?, regardless of case; `in` tells whether one matches."""

    def __init__(self, patterns: Sequence[str]) -> None:
        sources = [glob_source(pattern) for pattern in patterns]
        self._regex = re.compile("|".join(sources), re.IGNORECASE | re.DOTALL) if sources else None

    def __contains__(self, name: str) -> bool:
        return self._regex is not None and self._regex.fullmatch(name) is not None


@lru_cache(256)
def glob_source(pattern: str) -> str:
    """The regular expression of a name in which * is any text and ? any sign."""
    signs = {"*": ".*", "?": "."}
    # Several * in a row are one: a regular expression would try each split between them.
    return "".join(signs.get(sign) or re.escape(sign) for sign in re.sub(r"\*+", "*", pattern))


def stem_of(name: bytes) -> bytes:
    """A name without its extension."""
    stem, dot, _ = name.rpartition(b".")
    return stem if dot and stem else name


def free_names(name: bytes) -> Iterator[bytes]:
    """The name, then `name (2)`, `name (3)` …, each with its extension and of usual length."""
    yield name
    stem = stem_of(name)
    extension = name[len(stem) :]
    if len(extension) > LONGEST_NAME // 2:
        stem, extension = name, b""
    for number in range(2, 10_000):
        mark = b" (%d)" % number
        yield stem[: LONGEST_NAME - len(mark) - len(extension)] + mark + extension


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))
