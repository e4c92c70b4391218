"""JSON content reader: takes a document out of one text of a JSON answer, piece by piece.

Some platforms send a document as base64 within JSON (RFC 4648, 4). A document of 40 MB must not be
in memory as a whole, so the text is decoded as it arrives, and what is around it is kept apart.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import AsyncGenerator, AsyncIterator

from pipeline.errors import RetryableError, SourceError
from stages.sources.http.lenient_json import JSON_ERRORS, members

#: Bytes of an answer besides the document, at most.
MAX_AROUND = 1_000_000
#: Tokens of JSON: texts, the brackets that tell how deep they lie, the quote of an unended text.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
#: What follows the name of a member, up to the quote that begins its text.
VALUE = re.compile(rb"\s*:\s*")
#: Escapes that a base64 text may hold; all other characters stand for themselves.
ESCAPES = {b"\\/": b"/", b"\\n": b"", b"\\r": b"", b"\\t": b""}
ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
#: An escape that is cut in two.
BEGUN = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
URL_SAFE = bytes.maketrans(b"-_", b"+/")
BLANKS = b" \t\r\n"


class JsonContent:
    """The document in one member of a JSON object, as base64.

    name: of the member, at the top level of the object; spelt in any case. subject: for errors.
    around: once `pieces` has ended, the other members of the object, each still encoded.
    """

    def __init__(self, chunks: AsyncIterator[bytes], name: str, subject: str) -> None:
        self.around: dict[str, bytes] = {}
        self._chunks = chunks
        self._name = name.lower().encode()
        self._subject = subject

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the document.

        RetryableError if the answer breaks off; SourceError if it holds no such text, or the text
        is no base64.
        """
        head, rest = await self._find()
        decoder = Base64Decoder()
        try:
            while (end := rest.find(b'"')) < 0:
                if piece := decoder.decode(rest):
                    yield piece
                rest = await self._next()
            if piece := decoder.decode(rest[:end]) + decoder.finish():
                yield piece
        except (binascii.Error, ValueError):
            raise SourceError(
                self._subject, "the answer holds a document that is no base64", "Tell the platform"
            ) from None
        tail = bytearray(rest[end + 1 :])
        async for chunk in self._chunks:
            tail += chunk
            if len(tail) > MAX_AROUND:
                raise self._too_long()
        try:
            self.around = dict(members(head + b'"' + bytes(tail)))
        except JSON_ERRORS:
            raise RetryableError(self._subject, "the answer broke off, or is no JSON") from None

    async def _find(self) -> tuple[bytes, bytes]:
        """What is before the text, up to its first quote and with it; what has come of the rest."""
        seen = bytearray()
        depth = at = 0
        while True:
            seen += await self._next()
            while token := TOKEN.search(seen, at):
                word = token.group()
                if word == b'"':
                    break  # more has to come
                if word[:1] != b'"':
                    depth += 1 if word in b"{[" else -1
                elif depth == 1 and word[1:-1].lower() == self._name:
                    value = VALUE.match(seen, token.end())
                    if value is None or value.end() == len(seen):
                        break
                    if seen[value.end() : value.end() + 1] != b'"':
                        raise SourceError(
                            self._subject, "the answer holds no document", "Tell the platform"
                        )
                    start = value.end() + 1
                    if start > MAX_AROUND:
                        raise self._too_long()
                    return bytes(seen[:start]), bytes(seen[start:])
                at = token.end()
            if len(seen) > MAX_AROUND:
                raise self._too_long()

    async def _next(self) -> bytes:
        async for chunk in self._chunks:
            return chunk
        raise RetryableError(self._subject, "the answer holds no whole document")

    def _too_long(self) -> SourceError:
        return SourceError(
            self._subject, f"the answer has more than {MAX_AROUND:,} bytes beside its document"
        )


class Base64Decoder:
    """Decodes base64 that comes in pieces, with or without padding, blanks and JSON's escapes."""

    def __init__(self) -> None:
        self._rest = b""
        self._ended = False

    def decode(self, text: bytes) -> bytes:
        """The bytes of one more piece. ValueError if it is no base64."""
        text = self._rest + text
        self._rest = b""
        if b"\\" in text:
            if cut := BEGUN.search(text):
                text, self._rest = text[: cut.start()], cut.group()
            text = ESCAPE.sub(_unescaped, text)
        text = text.translate(URL_SAFE, BLANKS)
        if self._ended and text.strip(b"="):
            raise ValueError("there is more after the padding")
        whole = len(text) - len(text) % 4
        self._rest = text[whole:] + self._rest
        self._ended = self._ended or b"=" in text[:whole]
        return binascii.a2b_base64(text[:whole], strict_mode=True) if whole else b""

    def finish(self) -> bytes:
        """The bytes of what is left. ValueError if that is no whole of base64."""
        rest = self._rest.rstrip(b"=")
        return binascii.a2b_base64(rest + b"=" * (-len(rest) % 4), strict_mode=True)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    text = escape.group()
    if text[1:2] == b"u":
        return bytes((int.from_bytes(bytes.fromhex(text[2:].decode())),))
    if text in ESCAPES:
        return ESCAPES[text]
    raise ValueError("base64 has no such sign")
