"""Content decoder (RFC 9110, 8.4.1): decodes gzip and deflate in pieces, and detects truncation.

Compressed data may be truncated though the HTTP framing is intact, may decode to a thousand times
its size, and may consist of empty gzip members without end.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache

from aiohttp import hdrs
from multidict import CIMultiDictProxy

#: Bytes that are decoded at a time, and that one step yields at most.
INPUT_BYTES = 16_384
OUTPUT_BYTES = 65_536
#: Members that a gzip stream may have: some tools make one for each 64 kB.
MAX_MEMBERS = 10_000

GZIP = 16 + zlib.MAX_WBITS
#: Codings that are decoded.
CODINGS = ("gzip", "x-gzip", "deflate")
#: Values that some servers send although the document is not coded: "identity", the encodings of
#: mail, the framing of an upload to Amazon S3; and, beside these, charsets and media types.
NO_CODINGS = frozenset(
    {
        *("", "*", "identity", "none", "no", "null", "false", "undefined", "plain", "raw"),
        *("binary", "7bit", "8bit", "base64", "quoted-printable", "aws-chunked", "chunked"),
    }
)


class DecodingError(Exception):
    """The data can't be decoded, or is incomplete."""


class ContentDecoder:
    """Decoder of one answer, in gzip or deflate."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._members = 0
        self._member: zlib._Decompress | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, in pieces of at most OUTPUT_BYTES. Raises DecodingError."""
        try:
            for start in range(0, len(data), INPUT_BYTES):
                yield from self._decode(data[start : start + INPUT_BYTES])
        except zlib.error as error:
            raise DecodingError(f"it can't be decompressed: {error}") from None

    def finish(self) -> None:
        """End the answer. Raises DecodingError unless the compressed data is complete."""
        if self._member is not None:
            raise DecodingError("the compressed data ends too early")

    def _decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member is None and not (data := self._begin(data)):
                return
            assert self._member is not None
            piece = self._member.decompress(data, OUTPUT_BYTES)
            if piece:
                yield piece
            while not self._member.eof and len(piece) == OUTPUT_BYTES:
                # The output limit was reached: consumed input may still yield more.
                if piece := self._member.decompress(self._member.unconsumed_tail, OUTPUT_BYTES):
                    yield piece
            if not self._member.eof:
                return
            data, self._member = self._member.unused_data, None

    def _begin(self, data: bytes) -> bytes:
        if self._members and self._gzip:
            # Zero padding after a member is skipped, as every reader does (RFC 1952 is silent).
            data = data.lstrip(b"\0")
            if not data:
                return data
        if self._members >= (MAX_MEMBERS if self._gzip else 1):
            raise DecodingError("something follows the end of the compressed data")
        self._members += 1
        # RFC 9110, 8.4.1.2: deflate means zlib's format, and some send it without its header.
        plain = data[0] & 0x0F != zlib.DEFLATED
        wbits = GZIP if self._gzip else -zlib.MAX_WBITS if plain else zlib.MAX_WBITS
        self._member = zlib.decompressobj(wbits)
        return data


def content_codings(
    headers: CIMultiDictProxy[str], name: str = hdrs.CONTENT_ENCODING
) -> tuple[str, ...]:
    """The codings that a header states, without what is none; in lower case."""
    if name not in headers:
        return ()
    said = ",".join(headers.getall(name)).lower().split(",")
    # Without parameters, which no coding has.
    plain = (one.partition(";")[0].strip().strip("\"'").removeprefix("charset=") for one in said)
    return tuple(one for one in plain if one not in NO_CODINGS and not _is_of_text(one))


@lru_cache(64)
def _is_of_text(name: str) -> bool:
    """Whether this is the name of a charset or a media type."""
    if name in CODINGS:  # no module has to be loaded to see that
        return False
    try:
        # Of a codec that is no charset, such as "gzip" or "hex", this is a LookupError too.
        return "/" in name or "".encode(name) is not None
    except (LookupError, ValueError):
        return False


def content_decoder(headers: CIMultiDictProxy[str]) -> ContentDecoder | None:
    """The decoder for an answer with these headers; None if it is not coded.

    Raises DecodingError for an unknown coding, whose bytes can't be turned into the document.
    """
    transfer = headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower()
    if transfer not in ("chunked", "identity"):
        raise DecodingError(f'it has the transfer coding "{transfer}", which was not requested')
    codings = content_codings(headers)
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in CODINGS:
        raise DecodingError(
            f'it has the content coding "{", ".join(codings)}", which was not requested'
        )
    return ContentDecoder(codings[0])
