"""Ledger models: the states of a document, and the arguments and results of the ledger's methods.

A document goes from `seen` to `staged` to `delivered`; or it becomes the `duplicate` of a
delivered one, is `skipped` by a rule, is `quarantined` because it failed for good, or is `waiting`
because it failed for now. `acknowledged_at` says when its source was told. Times are in seconds
since 1970 and for people to read: no decision depends on them.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from pipeline.document import Key


class State(StrEnum):
    """The state of a document; docs/delivery.md says what is durable in each."""

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


class Unwritable(Struct, frozen=True):
    """Why the ledger can't be written for now, while all changes wait; remedy: what to do.

    since: of the first attempt that was refused.
    """

    since: float
    reason: str
    remedy: str


class Known(Struct, frozen=True):
    """The columns of a document's row that decide what becomes of it when it is listed again.

    poll: the number of its source's poll in which it last was seen, failed, was skipped or was
    acknowledged; a count, because clocks may go back. acknowledged_at: None before the source was
    told. sha256: of what the source sent, in hexadecimal; empty before it is staged. seen_at: when
    it was listed first, for a source that waits for what it does not have yet, and not for ever.
    company: its identifier, where the source has yet to be told.
    """

    state: State
    poll: int
    acknowledged_at: float | None
    reason: str
    sha256: str = ""
    seen_at: float | None = None
    company: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether it waited, and its source does not list it any more; see gone.py."""
        return self.state is State.QUARANTINED and self.poll < 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to come of it while its source lists it."""
        return self.state in ENDED and not self.is_gone


class Staged(Struct, frozen=True):
    """A document that is about to become visible: everything that the ledger records of it.

    staged: its temporary file, which is flushed, and whose name no other attempt has. sidecars:
    extensions of the files that go beside it, whose temporary files are `staged`, a dot and the
    extension. path: the preferred name; first: the number of the first alternative of that name
    which is free on the disk.
    identity: equal for documents that may be one and the same. marks: what tells apart documents of
    one identity (see pipeline/ledger/marks.py).
    number_hash: equal for documents that bear the same number. may_repeat: whether it gets a name
    although the same document is delivered. sha256: of what the source sent, which differs from
    the file where another form of it is delivered. checksum: which check confirmed that,
    "structure" if there was no other. details: what it says of itself (pipeline/ledger/details.py).
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
    marks: str = ""
    number_hash: int | None = None
    may_repeat: bool = False
    details: str = ""


class AllocatedName(Struct, frozen=True):
    """The name that was allocated to a staged document.

    number: which alternative of the preferred name it is, from 1. corrects: the label of a staged
    or delivered document that bears the same number and has other content. repeats: the label of
    one that is the same document. Both are empty if there is none.
    """

    path: str
    number: int = 1
    corrects: str = ""
    repeats: str = ""


class Duplicate(Struct, frozen=True):
    """No name was allocated, because this document is the same and is staged or delivered."""

    key: Key
    label: str
    state: State


class Unrecorded(Struct, frozen=True):
    """No name was allocated, because the document's row can't become staged.

    state: of its row, which is staged or delivered already. None: there is no row, because the one
    of its listing could not be written.
    """

    state: State | None


#: The result of allocating a name to a document.
Allocation = AllocatedName | Duplicate | Unrecorded


class Unfinished(Struct, frozen=True):
    """A document that an earlier process left staged.

    staged: its temporary file. sidecars: as in Staged. path: the name that was allocated to it.
    label, company, kind, sha256: as the log tells of it. node: which one staged it; "" without a
    cluster.
    """

    key: Key
    staged: str
    sidecars: tuple[str, ...]
    path: str
    label: str = ""
    company: str = ""
    kind: str = ""
    sha256: str = ""
    node: str = ""


class NameTaken(Struct, frozen=True):
    """A staged document whose allocated name another program took before it became visible.

    path: the preferred name; first: the number of the first alternative to try now. staged: its
    temporary file. taken: the name that was allocated.
    """

    key: Key
    path: str
    first: int
    staged: str
    taken: str


def columns(key: Key) -> tuple[str, str, str]:
    """The primary key of the table `documents`: source, id and revision."""
    return (key.source, key.id, key.revision)
