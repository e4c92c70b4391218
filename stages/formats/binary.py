"""Binary file reader: names images, archives and office files by their signatures.

None of them is opened here; unwrap.py takes out the one document that some of them only carry. An
image may be an invoice if the list calls it one, for it is a picture of the paper, as a plain PDF
is. An archive or an office file may not: nothing could be imported from it, and its content has not
been checked.
"""

from __future__ import annotations

from msgspec import Struct

from pipeline.payload import Payload
from stages.formats.content import INVOICE_KINDS, Content, Other, Reading

#: Bytes at the end in which the end mark of a format stands: a ZIP may have a comment after it.
TAIL = 66_000


class _Signature(Struct, frozen=True):
    """The signature of one format.

    start: the first bytes. end: bytes that stand near the end of a whole file, b"" if not known.
    """

    start: bytes
    format: str
    description: str
    extension: str
    is_image: bool = False
    end: bytes = b""


_SIGNATURES = (
    _Signature(b"\x89PNG\r\n\x1a\n", "png", "an image (PNG)", "png", is_image=True, end=b"IEND"),
    _Signature(b"\xff\xd8\xff", "jpeg", "an image (JPEG)", "jpg", is_image=True, end=b"\xff\xd9"),
    _Signature(b"II*\0", "tiff", "an image (TIFF)", "tif", is_image=True),
    _Signature(b"MM\0*", "tiff", "an image (TIFF)", "tif", is_image=True),
    _Signature(b"GIF87a", "gif", "an image (GIF)", "gif", is_image=True, end=b";"),
    _Signature(b"GIF89a", "gif", "an image (GIF)", "gif", is_image=True, end=b";"),
    _Signature(b"PK\x03\x04", "zip", "a ZIP archive", "zip", end=b"PK\x05\x06"),
    _Signature(b"PK\x05\x06", "zip", "an empty ZIP archive", "zip"),
    _Signature(b"\x1f\x8b", "gzip", "a file compressed with gzip", "gz"),
    _Signature(b"BZh", "bzip2", "a file compressed with bzip2", "bz2"),
    _Signature(b"\xfd7zXZ\0", "xz", "a file compressed with xz", "xz"),
    _Signature(b"7z\xbc\xaf\x27\x1c", "7z", "a 7-Zip archive", "7z"),
    _Signature(b"Rar!\x1a\x07", "rar", "a RAR archive", "rar"),
    _Signature(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole", "an old Word, Excel or Outlook file", "ole"
    ),
    _Signature(rb"{\rtf", "rtf", "a text in RTF", "rtf", end=b"}"),
)
_STARTS = tuple(signature.start for signature in _SIGNATURES)

#: Names in a ZIP that say which office file it is (ECMA-376; OASIS OpenDocument 1.3, part 2).
_INSIDE = (
    (b"word/document.xml", "docx", "a Word document"),
    (b"xl/workbook.xml", "xlsx", "an Excel workbook"),
    (b"ppt/presentation.xml", "pptx", "a PowerPoint presentation"),
    (b"application/vnd.oasis.opendocument.text", "odt", "an OpenDocument text"),
    (b"application/vnd.oasis.opendocument.spreadsheet", "ods", "an OpenDocument spreadsheet"),
)


def recognises(head: bytes) -> bool:
    """Whether the document starts with one of the signatures."""
    return head.startswith(_STARTS)


def read(payload: Payload) -> Reading:
    """Return what it is, and what is wrong with it."""
    return Reading(_content(payload), tuple(_problems(payload)))


def _content(payload: Payload) -> Content:
    """Return what it is; its content is not read."""
    signature = _signature(payload)
    possible_kinds = INVOICE_KINDS if signature.is_image else ()
    if signature.format == "zip":
        # The names stand with each file and, in any ZIP, once more in the directory at its end.
        names = payload.head(TAIL) + _tail(payload)
        for name, format_, what in _INSIDE:
            if name in names:
                return Other(format_, what, format_)
    return Other(
        signature.format, signature.description, signature.extension, possible_kinds=possible_kinds
    )


def _problems(payload: Payload) -> list[str]:
    """Return that the end of the file is missing, if it is."""
    signature = _signature(payload)
    return (
        []
        if signature.end in _tail(payload)
        else [f"the end of {signature.description} is missing"]
    )


def is_quick(data: bytes) -> bool:
    """Return True: only the beginning and the end are read."""
    return True


def _signature(payload: Payload) -> _Signature:
    head = payload.head(16)
    return next(one for one in _SIGNATURES if head.startswith(one.start))


def _tail(payload: Payload) -> bytes:
    with payload.open() as stream:
        stream.seek(max(payload.size - TAIL, 0))
        return stream.read(TAIL)
