"""Document ids of the sandbox: UUIDs that do not reveal the order and need no table."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

#: Bytes of a UUID that hold its version, its variant and a digest; the rest holds the index.
HEAD = 9
TAIL = 16 - HEAD


class Ids:
    """A keyed bijection between the indices of documents and their ids.

    An id is a digest of the index followed by the index itself, masked by a digest of that
    digest (a synthetic initialisation vector, as in RFC 5297), so a foreign id is recognised.
    """

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()

    def of(self, index: int) -> str:
        """The id of a document."""
        plain = index.to_bytes(TAIL)
        head = UUID(bytes=self._digest(b"index", plain, HEAD) + bytes(TAIL), version=4).bytes[:HEAD]
        return str(UUID(bytes=head + self._masked(head, plain)))

    def index(self, text: str) -> int | None:
        """The index of an id's document, or None for a foreign id."""
        try:
            given = UUID(text).bytes
        except ValueError:
            return None
        index = int.from_bytes(self._masked(given[:HEAD], given[HEAD:]))
        return index if self.of(index) == text else None

    def _masked(self, head: bytes, tail: bytes) -> bytes:
        mask = self._digest(b"mask", head, TAIL)
        return bytes(one ^ other for one, other in zip(tail, mask, strict=True))

    def _digest(self, purpose: bytes, data: bytes, size: int) -> bytes:
        return blake2b(data, digest_size=size, key=self._key, person=purpose).digest()
