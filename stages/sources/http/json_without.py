"""JSON without its long texts: what a list that holds whole documents says of them.

A page of such a list may have hundreds of megabytes, of which a few kilobytes are wanted.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from pipeline.errors import SourceError

#: Bytes of a text that is kept, at most.
LONGEST = 10_000
#: The end of a text, and what may hide it.
END = re.compile(rb'["\\]')


async def without_long_texts(chunks: AsyncIterator[bytes], limit: int, subject: str) -> bytes:
    """Read a JSON answer; an empty text stands in place of each long one.

    SourceError if it has more than so many bytes without them.
    """
    reader = _Reader()
    async for chunk in chunks:
        at = 0
        while at < len(chunk):
            at = reader.read(chunk, at)
        if len(reader.kept) > limit:
            reader.kept.clear()  # the traceback of the error would keep it in memory
            raise SourceError(subject, f"the answer is longer than {limit:,} bytes")
    return bytes(reader.kept)


class _Reader:
    """Reads JSON piece by piece. kept: what is kept of it."""

    def __init__(self) -> None:
        self.kept = bytearray()
        #: Where in `kept` the text begins that is being read; None outside of texts.
        self._begun: int | None = None
        self._is_escaped = self._is_long = False

    def read(self, chunk: bytes, at: int) -> int:
        """Read on from a place up to where something changes; return that place."""
        if self._begun is not None:
            return self._text(chunk, at, self._begun)
        end = chunk.find(b'"', at) + 1 or len(chunk)
        self.kept += chunk[at:end]
        if chunk[end - 1 : end] == b'"':
            self._begun = len(self.kept)
        return end

    def _text(self, chunk: bytes, at: int, begun: int) -> int:
        match = None if self._is_escaped else END.search(chunk, at)
        end = at + 1 if self._is_escaped else len(chunk)
        end = end if match is None else match.end()
        self._is_escaped = match is not None and match[0] == b"\\"
        if not self._is_long:
            self.kept += chunk[at:end]
            if len(self.kept) - begun > LONGEST:
                del self.kept[begun:]
                self._is_long = True
        if match is not None and match[0] == b'"':
            if self._is_long:
                self.kept += b'"'
            self._begun, self._is_long = None, False
        return end
