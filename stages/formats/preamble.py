"""Preamble: what may stand before a document and in front of its characters, and does no harm.

Programs leave byte-order marks (one, or one more at each conversion), blank lines and NULs in front
of a document, and write the text of a bank in UTF-16 or UTF-32. Readers see the document without
them, and in UTF-8; what is delivered stays as it came.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

#: Bytes that are read at once; a preamble is shorter.
BLOCK = 65_536

#: Blanks, NULs, byte-order marks (also those that were converted once more, from Windows-1252),
#: and blanks of no width.
_BLANK = re.compile(
    rb"(?:[\0\t-\r ]|\xef\xbb\xbf|\xc3\xaf\xc2\xbb\xc2\xbf|\xc2\xa0|\xe2\x80\x8b|\xe2\x81\xa0)*+"
)
_BLANKS = "\0\t\n\v\f\r \ufeff\u00a0\u200b\u2060"
#: The first bytes of all those and of wide encodings.
_SUSPECT = b"\0\t\n\v\f\r \xef\xc3\xc2\xe2\xff\xfe"

#: Byte-order marks of wide encodings; longer ones before shorter ones.
_MARKS = (
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\xfe\xff", "utf-16"),
    (b"\xff\xfe", "utf-16"),
)
#: How ASCII looks in them without a mark.
_UNMARKED = (
    (re.compile(rb"(?:[\t\n\r -~]\0\0\0){2}"), "utf-32-le"),
    (re.compile(rb"(?:\0\0\0[\t\n\r -~]){2}"), "utf-32-be"),
    (re.compile(rb"(?:[\t\n\r -~]\0){3}"), "utf-16-le"),
    (re.compile(rb"(?:\0[\t\n\r -~]){3}"), "utf-16-be"),
)


def wide_encoding(head: bytes) -> str:
    """Return the encoding of a text in UTF-16 or UTF-32, with or without a mark, else ""."""
    if head[:1] not in b"\0\xff\xfe" and head[1:2] != b"\0":
        return ""
    for start, encoding in _MARKS:
        if head.startswith(start):
            return encoding
    return next((encoding for look, encoding in _UNMARKED if look.match(head)), "")


def trimmed(head: bytes) -> bytes:
    """Return the beginning of a document without what stands before it.

    Of several byte-order marks of UTF-8 one is kept, which says something of the encoding.
    """
    if head[:1] not in _SUSPECT or wide_encoding(head):
        return head
    end = _end(head)
    has_mark = codecs.BOM_UTF8 in head[:end] and not wide_encoding(head[end:])
    return (codecs.BOM_UTF8 if has_mark else b"") + head[end:]


def plain(head: bytes) -> bytes:
    """Return the beginning of a document as readers see it: in UTF-8, and without a preamble."""
    if head[:1] not in _SUSPECT and head[1:2] != b"\0":
        return head
    rest = head if wide_encoding(head) else head[_end(head) :]
    if encoding := wide_encoding(rest):
        # The beginning may end in the middle of a character.
        text = _decoder(encoding).decode(rest).lstrip(_BLANKS)
        # Markup that is damaged is still markup; other bytes are something else altogether.
        rest = text.encode() if text.startswith("<") or "\ufffd" not in text else head
    return rest


def plain_blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield a whole document as plain() shows its beginning."""
    first = stream.read(BLOCK)
    rest = first if wide_encoding(first) else first[_end(first) :]
    encoding = wide_encoding(rest)
    if not encoding:
        yield rest
        while block := stream.read(BLOCK):
            yield block
        return
    # What is left over at the end is less than a character, such as the Ctrl-Z of DOS.
    decoder = _decoder(encoding)
    yield decoder.decode(rest).lstrip(_BLANKS).encode()
    while block := stream.read(BLOCK):
        yield decoder.decode(block).encode()


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)("replace")


def _end(head: bytes) -> int:
    found = _BLANK.match(head)
    assert found is not None
    return found.end()
