"""Ledger models: what the ledger records of a document, and what it is asked and answers.

A row goes from `seen` to `staged` to `delivered`, or is a `duplicate` of a delivered one, or is
`skipped` by a rule, `quarantined`, or `waiting` when it failed for now; `acknowledged_at` says when
the source was told. Times are for people to read: what happens next hangs on none of them.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from pipeline.document import Key


class State(StrEnum):
    """What a row says of its document."""

    SEEN = "seen"
    STAGED = "staged"
    DELIVERED = "delivered"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    QUARANTINED = "quarantined"
    WAITING = "waiting"


#: The ends of a document that its source is told of as accepted (ack).
ACKED = (State.DELIVERED, State.DUPLICATE, State.SKIPPED)
#: All ends of a document that its source is told of; the others are nacked.
ENDED = (*ACKED, State.QUARANTINED)


class Known(Struct, frozen=True):
    """What the lister needs of a row.

    poll: the number of its source's poll in which it last was started, failed, was left out or was
    acknowledged; clocks go back and forward, and polls are counted. acknowledged_at: in seconds
    since 1970. sha256: of what the source sent, in hexadecimal; empty before it is
    staged.
    """

    state: State
    poll: int
    acknowledged_at: float | None
    reason: str
    sha256: str = ""


class Staged(Struct, frozen=True):
    """A document about to become visible: everything that a delivery records of it.

    staged: its temporary file, flushed. sidecars: extensions of the files that go beside it,
    whose temporary files are `staged` and a dot and the extension. path: the name that it would
    like; first: the number of the first of that name's alternatives that nothing on the disk has.
    identity: the same for documents that are one and the same, None if that can't be told.
    number_hash: the same for documents that bear one number. may_repeat: whether it gets a name
    although the same is delivered. sha256: of what the source sent, which is not the file where
    another form of it is delivered. checksum: what vouched for that, "structure" if nothing else
    did.
    """

    key: Key
    staged: str
    sidecars: tuple[str, ...]
    path: str
    company: str
    kind: str
    sha256: str
    size: int
    checksum: str
    warnings: str
    verified_at: float
    first: int = 1
    identity: int | None = None
    number_hash: int | None = None
    may_repeat: bool = False


class Claim(Struct, frozen=True):
    """The name that a staged document was given: the n-th alternative of the one that it liked.

    corrects: the label of a delivered document that bears the same number and says otherwise.
    repeats: the label of a delivered document that is the same.
    """

    path: str
    number: int = 1
    corrects: str = ""
    repeats: str = ""


class Duplicate(Struct, frozen=True):
    """The document of which a staged one is a duplicate, so that it gets no name."""

    key: Key
    label: str
    state: State


class Unrecorded(Struct, frozen=True):
    """The ledger can't hold that a document is staged, so it gets no name.

    state: what its row says: that it is staged or delivered already. None: there is no row, for
    the one that was noted when it was listed has not been written.
    """

    state: State | None


#: What becomes of a document that asks for a name.
Allocation = Claim | Duplicate | Unrecorded


class Unfinished(Struct, frozen=True):
    """A document that is staged: its temporary file, its sidecars, and the name it is to get."""

    key: Key
    staged: str
    sidecars: tuple[str, ...]
    path: str


class Taken(Struct, frozen=True):
    """A staged document whose name somebody else took before it became visible.

    path: the name that it would like; first: the number of the first alternative to try now.
    """

    key: Key
    path: str
    first: int


def columns(key: Key) -> tuple[str, str, str]:
    """A key as the ledger's tables have it: source, id and revision."""
    return (key.source, key.id, key.revision)
