"""Unwrapper: takes a document out of what only carries it.

That is base64, gzip, a ZIP of one file, an e-mail with one attachment, or a string of JSON.

One call takes off one layer. What carries several documents, can't be opened or is damaged stays
what it is, and is described so. Nothing is unpacked beyond the bounds of scratch.py.
"""

from __future__ import annotations

import binascii
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, cast

from msgspec import DecodeError, json

from pipeline.payload import Payload
from stages.formats import mail
from stages.formats.content import Hostile, Other, Reading
from stages.formats.scratch import Room, collected

#: Bytes that are read or unpacked at once.
BLOCK = 65_536
#: Bytes from the beginning of a document by which its wrapping is told.
HEAD = 4096
#: Members of a gzip file; some programs write one for each block.
MAX_MEMBERS = 10_000
#: Bytes of a ZIP's directory: some thousand files, of which only one would count.
MAX_DIRECTORY = 256 * 1024
#: Characters of base64 that are at least taken for it: words may consist of them, too.
MIN_BASE64 = 32

_GZIP = b"\x1f\x8b\x08"
_ZIP = b"PK\x03\x04"
_ENCRYPTED = 1
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
#: Files of a ZIP that systems and programs leave there by themselves.
_LITTER = re.compile(
    r"(?:^|/)(?:__MACOSX/|\.|Thumbs\.db$|ehthumbs\.db$|desktop\.ini$)", re.IGNORECASE
)
#: What a ZIP that is damaged, or made to do harm, may cause.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, struct.error),
    *(RuntimeError, ValueError, LookupError, ArithmeticError),
)

#: What may stand before base64: the address of a data URI (RFC 2397), the armour of PEM (RFC 7468),
#: a quote.
_URI = re.compile(rb"[\"']?data:[^,\"'\s]{0,200};\s?base64,", re.IGNORECASE)
_ARMOUR = re.compile(rb"-----BEGIN [^\r\n-]{0,64}-----\s+(?:[\w-]{1,40}: [^\n]*\n)*+")
_ARMOUR_END = b"-----"
#: Signs as JSON and percent-encoding spell them; a blank stands for nothing.
_ESCAPE = re.compile(rb"\\[/rnt]|%(?:2[BFbf]|3[Dd]|0[ADad]|20)")
_OPEN_ESCAPE = re.compile(rb"(?:\\|%.?)\Z", re.DOTALL)
_UNESCAPED = {b"\\/": b"/", b"%2b": b"+", b"%2f": b"/", b"%3d": b"="}
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#: The alphabet of URLs and file names (RFC 4648, 5).
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_BLANKS = b" \t\r\n\v\f\0\x1a\"'"

#: A string of JSON (RFC 8259, 7) that begins as markup, MT940 or CODA does.
_JSON_STRING = re.compile(rb'\s*"(?:\\ufeff|\\[rn]|\s)*+(?:<|\\u003[cC]|:2|\{1:|00000)')
#: Bytes of such a string.
MAX_STRING = 32 * 1024 * 1024


class _NoBase64(Exception):
    """What begins like base64 is something else."""


def is_wrapped(head: bytes) -> bool:
    """Whether a document that begins with these bytes may be wrapped in something."""
    return (
        head.startswith((_GZIP, _ZIP))
        or mail.is_mail(head)
        or _base64_start(head) is not None
        or _JSON_STRING.match(head) is not None
    )


def unwrapped(payload: Payload, room: Room) -> Payload | Reading | None:
    """Take one layer off a document.

    Return what is inside, which the caller has to discard; what the document is where that can't be
    had, or is more than one; None if it is not wrapped. Hostile and OSError as by collected().
    """
    head = payload.head(HEAD)
    with payload.open() as stream:
        if head.startswith(_GZIP):
            return _gzip(stream, payload.size, room)
        if head.startswith(_ZIP):
            return _zip(stream, payload.size, room)
        if (is_mail := mail.is_mail(head)) or _JSON_STRING.match(head):
            data = (mail.only_attachment if is_mail else _json_string)(stream, payload.size)
            return None if data is None else collected([data], payload.size, room)
        if (start := _base64_start(head)) is None:
            return None
        stream.seek(start)
        blocks = _decoded(stream, is_armoured=head.startswith(_ARMOUR_END))
        try:
            return collected(blocks, payload.size, room)
        except _NoBase64:
            return None


def _gzip(stream: BinaryIO, size: int, room: Room) -> Payload | Reading:
    try:
        return collected(_unpacked(stream), size, room)
    except (zlib.error, EOFError) as error:
        what = "a file compressed with gzip"
        return Reading(Other("gzip", what, "gz"), (f"{what} is damaged ({error})",))


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what is in a gzip file (RFC 1952), of all its members.

    zlib.error if it is damaged, EOFError if it breaks off. What follows the members is ignored.
    """
    for _ in range(MAX_MEMBERS):
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        while not unpacker.eof:
            packed = unpacker.unconsumed_tail or stream.read(BLOCK)
            block = unpacker.decompress(packed, BLOCK)
            if not packed and not block:
                raise EOFError("it breaks off")
            yield block
        # Go back to where the member has ended.
        stream.seek(-len(unpacker.unused_data), io.SEEK_CUR)
        if stream.read(len(_GZIP)) != _GZIP:
            return
        stream.seek(-len(_GZIP), io.SEEK_CUR)
    raise Hostile(f"it has more than {MAX_MEMBERS:,} members of gzip")


class _Bounded(io.BufferedIOBase):
    """A stream that refuses to read a directory of many files at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any stream does. BadZipFile if it is more than the directory of a few files."""
        is_all = size is None or size < 0
        data = self._stream.read(MAX_DIRECTORY + 1 if is_all else min(size or 0, MAX_DIRECTORY + 1))
        if len(data) > MAX_DIRECTORY:
            raise zipfile.BadZipFile
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Seek as any stream does. BadZipFile before the beginning."""
        if offset < 0 and whence == io.SEEK_SET:
            raise zipfile.BadZipFile
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Tell as any stream does."""
        return self._stream.tell()

    def seekable(self) -> bool:
        """Return True."""
        return True


def _zip(stream: BinaryIO, size: int, room: Room) -> Payload | Reading | None:
    """Return the one file that counts; None if there are more, or the directory can't be read."""
    try:
        archive = zipfile.ZipFile(cast("BinaryIO", _Bounded(stream)))
        files = [one for one in archive.infolist() if _counts(one)]
    except _BROKEN:
        return None
    if len(files) != 1:
        return None
    (file,) = files
    if file.flag_bits & _ENCRYPTED:
        return _archive("a ZIP archive that is protected by a password")
    if file.compress_type not in _ZIP_METHODS:
        return _archive("a ZIP archive that is compressed in a way that synqup does not know")
    try:
        with archive.open(file) as member:
            return collected(iter(partial(member.read, BLOCK), b""), size, room)
    except _BROKEN as error:
        what = "a ZIP archive"
        return _archive(what, f"{what} is damaged ({error})")


def _archive(what: str, *problems: str) -> Reading:
    return Reading(Other("zip", what, "zip"), problems)


def _counts(file: zipfile.ZipInfo) -> bool:
    """Whether a file of a ZIP is more than a folder, litter or nothing."""
    return bool(file.file_size) and not file.is_dir() and not _LITTER.search(file.filename)


def _json_string(stream: BinaryIO, size: int) -> bytes | None:
    """Return the text of a string of JSON in UTF-8, None if it is none to its end."""
    if size > MAX_STRING:
        return None
    try:
        return json.decode(stream.read().strip(b" \t\r\n\0\x1a"), type=str).encode()
    except (DecodeError, UnicodeError):
        return None


def _base64_start(head: bytes) -> int | None:
    """Return where base64 begins in a document that seems to consist of it, else None."""
    before = _URI.match(head) or _ARMOUR.match(head)
    start = before.end() if before else 0
    text = head[start:]
    if head.startswith(_ARMOUR_END):
        text = text.partition(_ARMOUR_END)[0]
    signs = _signs(text[: len(text) - _open_escape(text)])
    is_base64 = len(signs) >= MIN_BASE64 and not signs.rstrip(b"=").translate(None, _ALPHABET)
    return start if is_base64 else None


def _decoded(stream: BinaryIO, *, is_armoured: bool) -> Iterator[bytes]:
    """Yield what a stream of base64 stands for. _NoBase64 if it is not that, to its end."""
    text = signs = b""
    while block := stream.read(BLOCK):
        text += block
        if is_armoured and (end := text.find(_ARMOUR_END)) >= 0:
            text = text[:end]
            break
        # What may go on in the next block: an escape, or the end of the armour.
        kept = _open_escape(text)
        if is_armoured:
            kept = max(kept, len(text) - len(text.rstrip(b"-")))
        signs += _signs(text[: len(text) - kept])
        text = text[len(text) - kept :]
        whole = len(signs) // 4 * 4
        if b"=" not in signs:
            yield _bytes_of(signs[:whole])
            signs = signs[whole:]
        elif len(signs) > BLOCK + 4:
            raise _NoBase64
    signs = (signs + _signs(text)).rstrip(b"=")
    if len(signs) % 4 == 1:
        raise _NoBase64
    yield _bytes_of(signs + b"=" * (-len(signs) % 4))


def _signs(text: bytes) -> bytes:
    """Return only the signs of base64, in the standard alphabet."""
    if b"\\" in text or b"%" in text:
        text = _ESCAPE.sub(_unescaped, text)
    return text.translate(_FROM_URL, _BLANKS)


def _open_escape(text: bytes) -> int:
    """Return how many bytes at the end may be the beginning of an escape."""
    found = _OPEN_ESCAPE.search(text[-2:])
    return len(found[0]) if found else 0


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return _UNESCAPED.get(escape[0].lower(), b"")


def _bytes_of(signs: bytes) -> bytes:
    # Without strict_mode signs of no alphabet would be left out, and padding in the middle pass.
    try:
        return binascii.a2b_base64(signs, strict_mode=True)
    except binascii.Error:
        raise _NoBase64 from None
