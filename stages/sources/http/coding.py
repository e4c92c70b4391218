"""Content codings (RFC 9110, 8.4.1): unpacks an answer piece by piece, and knows whether it ended.

What a server packs may be cut short with its framing intact, may unpack to a thousand times its
size, and may consist of nothing but empty parts without end.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from aiohttp import hdrs
from multidict import CIMultiDictProxy

#: Bytes that are unpacked at a time, and that one step gives at most.
PIECE = 16_384
STEP = 65_536
#: Parts that a gzip may have: a tool that splits a file makes one for each 64 kB.
PARTS = 10_000

GZIP = 16 + zlib.MAX_WBITS
#: What we unpack.
PACKED = ("gzip", "x-gzip", "deflate")
#: What servers write there that is no coding of the document: as it is, a charset, or the framing
#: of an upload to Amazon S3.
PLAIN = ("", "identity", "none", "binary", "7bit", "8bit", "utf-8", "utf8", "aws-chunked")


class Mispacked(Exception):
    """the answer can't be unpacked"""


class Unpacker:
    """One answer being unpacked, from gzip or from deflate."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding != "deflate"
        self._parts = 0
        self._part: zlib._Decompress | None = None

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to, in pieces of STEP bytes at most. Raises Mispacked."""
        try:
            for start in range(0, len(data), PIECE):
                yield from self._unpack(data[start : start + PIECE])
        except zlib.error as error:
            raise Mispacked(f"it can't be unpacked: {error}") from None

    def finish(self) -> None:
        """Nothing follows. Raises Mispacked unless the packed answer has come to its own end."""
        if self._part is not None:
            raise Mispacked("what was packed ends in the middle")

    def _unpack(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._part is None and not (data := self._begin(data)):
                return
            assert self._part is not None
            piece = self._part.decompress(data, STEP)
            if piece:
                yield piece
            while not self._part.eof and len(piece) == STEP:
                # The limit was met: more may be to come, even of what has been taken in.
                if piece := self._part.decompress(self._part.unconsumed_tail, STEP):
                    yield piece
            if not self._part.eof:
                return
            data, self._part = self._part.unused_data, None

    def _begin(self, data: bytes) -> bytes:
        if self._parts and self._gzip:
            # Zeros may fill up what follows a part (RFC 1952 is silent, and every reader does it).
            data = data.lstrip(b"\0")
            if not data:
                return data
        if self._parts >= (PARTS if self._gzip else 1):
            raise Mispacked("something follows the end of what was packed")
        self._parts += 1
        # RFC 9110, 8.4.1.2: deflate means zlib's format, and some send it without its header.
        plain = data[0] & 0x0F != zlib.DEFLATED
        wbits = GZIP if self._gzip else -zlib.MAX_WBITS if plain else zlib.MAX_WBITS
        self._part = zlib.decompressobj(wbits)
        return data


def unpacker(headers: CIMultiDictProxy[str]) -> Unpacker | None:
    """What unpacks an answer with these headers; None if it came as it is.

    Raises Mispacked for a coding that we don't know, for its bytes are not the document's.
    """
    transfer = headers.get(hdrs.TRANSFER_ENCODING, "chunked").strip().lower()
    if transfer not in ("chunked", "identity"):
        raise Mispacked(f'it came by the transfer coding "{transfer}", which nobody asked for')
    if hdrs.CONTENT_ENCODING not in headers:
        return None
    said = ",".join(headers.getall(hdrs.CONTENT_ENCODING)).lower().split(",")
    codings = [coding for one in said if (coding := one.strip()) not in PLAIN]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in PACKED:
        raise Mispacked(f'it came packed as "{", ".join(codings)}", which nobody asked for')
    return Unpacker(codings[0])
