"""JSON text reader: takes a document that is one text of a JSON answer, piece by piece.

Some platforms send XML as a text within JSON (RFC 8259, 7). A document of 40 MB must not be in
memory as a whole, nor what is around it: attachments may stand there a second time.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from pipeline.errors import RetryableError, SourceError

#: What means something outside of texts.
STRUCTURE = re.compile(r'["\[\]{}:]')
BLANKS = " \t\r\n"
#: A whole part of a text: signs, and escapes of which none is cut in two.
PART = re.compile(
    r'(?:[^"\\]++|\\[^u]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+",
    re.DOTALL,
)
#: Signs of the longest escape: two halves of a surrogate.
LONGEST_ESCAPE = 12
#: Signs of the name of a member that can matter, and how deep things may lie.
LONGEST_NAME = 100
DEEPEST = 100
#: The encoding that an XML document states of itself.
STATED = re.compile(
    r"""\ufeff?\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']"""
)
LONGEST_DECLARATION = 200


class NoText(SourceError):
    """The answer is whole, and there is no text at that place."""

    reason = "the answer holds no document"
    remedy = "Look for it at the platform"


class JsonText:
    """The text at one place of a JSON answer. path: the names of the members that lead there."""

    def __init__(self, chunks: AsyncIterator[bytes], path: Sequence[str], subject: str) -> None:
        self._chunks = chunks
        self._path = tuple(path)
        self._subject = subject
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._text = ""
        self._at = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the text as bytes: in the encoding that XML states of itself, else in UTF-8.

        NoText if there is none; RetryableError if the answer breaks off, or is no JSON.
        """
        await self._find()
        encoder: codecs.IncrementalEncoder | None = None
        begun = ""
        async for part in self._parts():
            begun += part
            if encoder is None and len(begun) < LONGEST_DECLARATION:
                continue
            encoder = encoder or encoder_for(begun)
            yield encoder.encode(begun)
            begun = ""
        encoder = encoder or encoder_for(begun)
        yield encoder.encode(begun, final=True)
        async for _ in self._chunks:
            pass  # what follows means nothing, and the connection can be used again

    async def _find(self) -> None:
        """Read up to the text, and past its first quote."""
        names: list[str] = []
        latest = ""
        while True:
            match = STRUCTURE.search(self._text, self._at)
            if match is None:
                self._at = len(self._text)
                await self._more()
                continue
            self._at = match.end()
            match match[0]:
                case '"':
                    latest = await self._short_text()
                case "{" | "[":
                    if len(names) == DEEPEST:
                        raise self._broken()
                    names.append("")
                case "}" | "]":
                    if len(names) < 2:
                        raise NoText(self._subject)
                    names.pop()
                case ":" if names:
                    names[-1] = latest
                    if tuple(names) == self._path:
                        await self._begin()
                        return

    async def _begin(self) -> None:
        """Read past the quote with which the text begins; NoText if something else stands there."""
        while not (bare := self._text[self._at :].lstrip(BLANKS)):
            await self._more()
        self._text, self._at = bare, 1
        if bare[0] != '"':
            raise NoText(self._subject)

    async def _short_text(self) -> str:
        """Read to the end of a text; of a long one the beginning is returned."""
        found = ""
        async for part in self._parts():
            found = (found + part)[: LONGEST_NAME + 1]
        return found

    async def _parts(self) -> AsyncGenerator[str, None]:
        """The parts of a text, up to its last quote and past it."""
        while True:
            match = PART.match(self._text, self._at)
            assert match is not None
            if match[0]:
                self._at = match.end()
                try:
                    yield json.loads(f'"{match[0]}"', strict=False)
                except ValueError:
                    raise self._broken() from None
            if self._text.startswith('"', self._at):
                self._at += 1
                return
            if len(self._text) - self._at >= LONGEST_ESCAPE:
                raise self._broken()
            await self._more()

    async def _more(self) -> None:
        """Read what follows, and let go of what has been read."""
        async for chunk in self._chunks:
            try:
                self._text = self._text[self._at :] + self._decoder.decode(chunk)
            except UnicodeDecodeError:
                raise self._broken() from None
            self._at = 0
            return
        raise self._broken()

    def _broken(self) -> RetryableError:
        return RetryableError(self._subject, "the answer broke off, or is no JSON")


def encoder_for(begin: str) -> codecs.IncrementalEncoder:
    """An encoder for a text that begins so; what its encoding lacks is written as XML can."""
    match = STATED.match(begin)
    try:
        make = codecs.getincrementalencoder(match[1] if match else "utf-8")
        is_one = isinstance(make().encode("<"), bytes)
    except (LookupError, ValueError, TypeError):
        is_one = False
    if not is_one:
        make = codecs.getincrementalencoder("utf-8")
    return make("xmlcharrefreplace")
