"""Traits of a source: what its list does, and how it takes acknowledgements."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Acknowledging(StrEnum):
    """How a source takes acknowledgements.

    EACH: one document at a time, in any order. OFFSET: a place in a lane; everything before it
    counts as acknowledged too. GROUP: several entries by one acknowledgement, once all of them have
    come to their end. NONE: it takes none.
    """

    EACH = "each"
    OFFSET = "offset"
    GROUP = "group"
    NONE = "none"


class Traits(Struct, frozen=True):
    """What the engine has to know of a source's list.

    shrinks: whether a document leaves the list when it is acknowledged. If not, one that has come
    to its end is listed for ever, and that means nothing. acknowledges: see Acknowledging.
    says_error: whether a nack means something at the source, so that a document that is listed
    again after it was put back there by somebody. If not, a quarantined document starts again only
    when a person here says so. exact_revisions: whether a document that is listed again under the
    same id and revision certainly is the same one; if not, its bytes are compared. window: how many
    documents the list shows at most; None if all. pause: seconds between two walks over the list,
    at least, so that a poll makes only one.
    """

    shrinks: bool = True
    acknowledges: Acknowledging = Acknowledging.EACH
    says_error: bool = False
    exact_revisions: bool = True
    window: int | None = None
    pause: float = 0.0

    @property
    def in_order(self) -> bool:
        """Whether an acknowledgement depends on what became of other documents of the list."""
        return self.acknowledges in (Acknowledging.OFFSET, Acknowledging.GROUP)
