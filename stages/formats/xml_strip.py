"""XML stripper: shortens base64 text of attachments, so that parsing costs what the markup does.

It cuts only the middle of a stretch that consists of base64, white space and line ends written as
references. None of these characters opens or closes anything in XML, and all of them may stand
wherever text may. So the result is well-formed if and only if the whole is, and every parser finds
the same elements in both, wherever the stretch stands (text, CDATA, a comment, an attribute). What
is cut does not depend on names of elements, so no name can be used to hide an element.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from pipeline.payload import Payload
from stages.formats.content import Hostile, Unreadable
from stages.formats.preamble import trimmed, wide_encoding

#: Bytes that are read at once.
BLOCK = 65_536
#: Bytes of a block that may be cut, at least.
MIN_BLOCK = 4096
#: The text that replaces the part that was cut; no text that is read from a document is as long.
CUT = b"A" * 2048
#: Bytes of a document; service providers of Peppol allow 100 MB.
MAX_SIZE = 128 * 1024 * 1024
#: Beginnings of tags and quotes of attributes, enough for some ten thousand lines.
MAX_MARKS = 1_500_000

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\t\n\r &#;"
#: Line ends as some serializers write them, to preserve them (XML 1.0, 2.11).
_LINE_ENDS = (b"&#13;", b"&#10;", b"&#xD;", b"&#xA;", b"&#xd;", b"&#xa;")

_DECLARED = re.compile(rb"^(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._:\-]+)")
_DECLARATION = re.compile(r"^[\ufeff\0\s]*+(<\?xml[^>]*\?>)?")
#: Encodings in which markup has the same bytes as in ASCII, and which every parser knows.
_NATIVE = re.compile(rb"utf-?8|us-ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
#: Other encodings, of one byte, or of several bytes that never look like markup.
_OTHER = re.compile(
    r"ascii|iso_?8859-\d+|latin-?\d+|cp\d+|ibm\d+|koi8-[ru]|macintosh"
    r"|shift_jis|euc-(?:jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
#: Encodings that some programs declare because their text was in it in memory; the file is UTF-8.
_IN_MEMORY = re.compile(
    r"(?:utf|ucs|unicode|iso-10646-ucs)[-_]?(?:16|32|2|4)?(?:[bl]e)?", re.IGNORECASE
)


def strip(payload: Payload) -> Iterable[bytes]:
    """Return a document in blocks, stripped as by strip_stream(); a small one as it is.

    Hostile if it is larger than any invoice, Unreadable if its encoding is unknown or wrong.
    """
    data = payload.data
    if data is not None and len(data) <= BLOCK:
        data = trimmed(data)
        if not _encoding(data):
            return (data,)
    return _strip_opened(payload)


def _strip_opened(payload: Payload) -> Iterator[bytes]:
    with payload.open() as stream:
        yield from strip_stream(stream)


def strip_stream(stream: BinaryIO) -> Iterator[bytes]:
    """Yield a document in blocks, stripped, in UTF-8 or in the encoding that it declares.

    Hostile if it is larger or has more markup than any invoice, Unreadable if its encoding is
    unknown or is not that of its bytes.
    """
    held: bytes | None = None
    stretch = marks = total = 0
    for block in _blocks(stream):
        if _is_cuttable(block):
            stretch += 1
            if stretch == 1:
                yield block
                continue
            if stretch == 3:
                yield CUT
            held = block
            continue
        total += len(block)
        if total > MAX_MARKS:  # fewer bytes can't hold so many
            marks += block.count(b"<") + block.count(b'"') + block.count(b"'")
        if marks > MAX_MARKS:
            raise Hostile("the XML has more elements and attributes than any invoice needs")
        if held is not None:
            yield held
        stretch, held = 0, None
        yield block
    if held is not None:
        yield held


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield blocks of about the same length, none of which ends inside a reference."""
    total = 0
    rest = b""
    for block in ascii_markup(stream):
        total += len(block)
        if total > MAX_SIZE:
            raise Hostile(f"the XML has more than {MAX_SIZE:,} bytes, which no invoice needs")
        block = rest + block  # noqa: PLW2901 - with the rest of the block before
        at = block.rfind(b"&", -8)
        rest = block[at:] if at >= 0 else b""
        yield block[:at] if at >= 0 else block
    if rest:
        yield rest


def _is_cuttable(block: bytes) -> bool:
    """Whether a block consists of nothing but base64, white space and referenced line ends."""
    if len(block) < MIN_BLOCK or b"<" in block or block.translate(None, _BASE64):
        return False
    references = block.count(b"&")
    for line_end in _LINE_ENDS:
        if not references:
            break
        references -= block.count(line_end)
    return not references


def ascii_markup(stream: BinaryIO) -> Iterator[bytes]:
    """Yield a document in blocks in which markup is ASCII: unchanged, or converted to UTF-8.

    What stands before the markup is left out.
    """
    first = trimmed(stream.read(BLOCK))
    encoding = _encoding(first)
    if not encoding:
        while first:
            yield first
            first = stream.read(BLOCK)
        return
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        yield _DECLARATION.sub("", decoder.decode(first)).encode()
        while block := stream.read(BLOCK):
            yield decoder.decode(block).encode()
        decoder.decode(b"", final=True)
    except LookupError:
        raise Unreadable(f"the XML is in an unknown encoding ({encoding})") from None
    except UnicodeError:
        raise Unreadable(f"the XML is not in the encoding that it names ({encoding})") from None


def _encoding(head: bytes) -> str:
    """Return the encoding from which to convert a document, "" if markup is ASCII in it."""
    if wide := wide_encoding(head):
        return wide
    declared = _DECLARED.match(head)
    if declared is None or _NATIVE.fullmatch(declared[1]):
        return "" if declared is None or not head.startswith(codecs.BOM_UTF8) else "utf-8-sig"
    name = declared[1].decode()
    if _IN_MEMORY.fullmatch(name):
        return "utf-8"
    if not _OTHER.fullmatch(name):
        raise Unreadable(f"the XML is in an encoding that is not supported ({name})")
    return name
