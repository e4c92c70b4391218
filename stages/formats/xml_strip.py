"""XML with the long text of its attachments cut short, so that it costs what its markup does.

What is cut is only ever the middle of a stretch that is made of base64, white space and line ends
written as references. None of its characters opens or closes anything in XML, and all of them may
stand wherever text may: so the rest is well-formed if and only if the whole is, and every parser
finds the same elements in both, whatever the stretch stands in (text, CDATA, a comment, an
attribute). No name of an element decides what is cut, so none can be used to hide one.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from pipeline.payload import Payload
from stages.formats.content import Hostile, Unreadable

#: Bytes that are read at a time, and the least that a stretch has on either side of a cut.
BLOCK = 65_536
LEAST = 4096
#: What stands for the part that was cut. It is too long for anything that is read of a document.
CUT = b"A" * 2048
#: Bytes of XML, which Peppol's service providers limit to 100 MB.
LARGEST = 128 * 1024 * 1024
#: Beginnings of tags, and the quotes of attributes: as many as some ten thousand lines have.
MARKS = 1_500_000

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\t\n\r &#;"
#: Line ends as serializers write them that mean to keep them (XML 1.0, 2.11).
_LINE_ENDS = (b"&#13;", b"&#10;", b"&#xD;", b"&#xA;", b"&#xd;", b"&#xa;")

_DECLARED = re.compile(rb"^(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._:\-]+)")
_DECLARATION = re.compile(r"^\ufeff?(<\?xml[^>]*\?>)?")
#: Encodings in which markup is the same bytes as in ASCII, and which every parser knows.
_NATIVE = re.compile(rb"utf-?8|us-ascii|iso-8859-\d+|windows-125\d", re.IGNORECASE)
#: Others of one byte, or of several that never look like markup.
_OTHER = re.compile(
    r"ascii|iso_?8859-\d+|latin-?\d+|cp\d+|ibm\d+|koi8-[ru]|macintosh"
    r"|shift_jis|euc-(?:jp|kr)|iso-2022-jp|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
#: What programs name that write text to a file and mean the text as it was in memory.
_IN_MEMORY = re.compile(
    r"(?:utf|ucs|unicode|iso-10646-ucs)[-_]?(?:16|32|2|4)?(?:[bl]e)?", re.IGNORECASE
)

#: How others begin (XML 1.0, appendix F.1); the longer before the shorter.
_WIDE = (
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\xfe\xff", "utf-16"),
    (b"\xff\xfe", "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_WIDE_STARTS = tuple(start for start, _ in _WIDE)


def strip(payload: Payload) -> Iterable[bytes]:
    """The document as `strip_stream` gives it; a small one at once, if it needs no decoding."""
    data = payload.data
    if data is not None and len(data) <= BLOCK and not _encoding(data):
        return (data,)
    return _strip_opened(payload)


def _strip_opened(payload: Payload) -> Iterator[bytes]:
    with payload.open() as stream:
        yield from strip_stream(stream)


def strip_stream(stream: BinaryIO) -> Iterator[bytes]:
    """The document piece by piece, in UTF-8 or in the encoding that it declares.

    Hostile when there is more of it than any invoice has, Unreadable when its encoding is unknown
    or is not what the bytes are in.
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
        if total > MARKS:  # fewer bytes can't hold as many
            marks += block.count(b"<") + block.count(b'"') + block.count(b"'")
        if marks > MARKS:
            raise Hostile("the XML has more elements and attributes than any invoice needs")
        if held is not None:
            yield held
        stretch, held = 0, None
        yield block
    if held is not None:
        yield held


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of about the same length, none of which ends inside a reference."""
    total = 0
    rest = b""
    for block in ascii_markup(stream):
        total += len(block)
        if total > LARGEST:
            raise Hostile(f"the XML has more than {LARGEST:,} bytes, which no invoice needs")
        block = rest + block  # noqa: PLW2901 - what the block before it left over
        at = block.rfind(b"&", -8)
        rest = block[at:] if at >= 0 else b""
        yield block[:at] if at >= 0 else block
    if rest:
        yield rest


def _is_cuttable(block: bytes) -> bool:
    if len(block) < LEAST or b"<" in block or block.translate(None, _BASE64):
        return False
    others = block.count(b"&")
    for reference in _LINE_ENDS:
        if not others:
            break
        others -= block.count(reference)
    return not others


def ascii_markup(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks in which markup is ASCII: as they are, or in UTF-8 in place of what they were in."""
    first = stream.read(BLOCK)
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
        raise Unreadable(f"the XML is in an encoding that nobody knows ({encoding})") from None
    except UnicodeError:
        raise Unreadable(f"the XML is not in the encoding that it names ({encoding})") from None


def _encoding(head: bytes) -> str:
    """What it has to be decoded from before markup can be found in it; mostly nothing."""
    if head.startswith(_WIDE_STARTS):
        return next(encoding for start, encoding in _WIDE if head.startswith(start))
    declared = _DECLARED.match(head)
    if declared is None or _NATIVE.fullmatch(declared[1]):
        return "" if declared is None or not head.startswith(codecs.BOM_UTF8) else "utf-8-sig"
    name = declared[1].decode()
    if _IN_MEMORY.fullmatch(name):
        return "utf-8"
    if not _OTHER.fullmatch(name):
        raise Unreadable(f"the XML is in an encoding that no invoice is in ({name})")
    return name
