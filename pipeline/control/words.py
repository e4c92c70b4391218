"""Words of actions: how their sentences name documents, sources and moments."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from pipeline.document import Key
from pipeline.ledger.models import State
from pipeline.ledger.selection import Selected
from pipeline.text import sanitized

#: Characters of what a person says of an action, and of what it was of.
MAX_WORDS = 1000
MAX_SUBJECT = 300
#: Documents that are named; others are counted.
FEW = 3


def redo(row: Selected) -> str:
    """What else can be done with a document that this can't be done with."""
    if row.state is State.DELIVERED:
        return "To have it once more: synqup redeliver"
    return "Look at it: synqup show"


def names(keys: Sequence[Key]) -> str:
    """Documents by their ids."""
    first = ", ".join(f"{key.source}:{key.id}" for key in keys[:FEW])
    return cut(f"{first} and {len(keys) - FEW:,} more" if len(keys) > FEW else first, MAX_SUBJECT)


def named(sources: Sequence[str]) -> str:
    """Sources by their names, as the subject of a sentence."""
    return f"source {sources[0]}" if len(sources) == 1 else f"each of {len(sources)} sources"


def listed(what: Collection[str]) -> str:
    """Names to choose from."""
    return ", ".join(what) or "none"


def cut(text: str, most: int = MAX_WORDS) -> str:
    """A person's words, printable and of a bounded length."""
    return sanitized(text.strip(), most)


def moment(at: float) -> str:
    """A moment in this machine's time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def ordered(
    documents: int, verb: str, orders: int, left: int, failed: int, why: str, waiting: int = 0
) -> str:
    """What has come of an action.

    verb: what is done to the documents. left: of the orders, those that are open. waiting: of
    those, the ones whose document waits. why: one of them was not done so far.
    """
    one = documents == 1
    what = "1 document" if one else f"{documents:,} documents"
    # What others have said ends with a full stop, and whoever shows the sentence puts one.
    why = why.strip().removesuffix(".")
    if failed:
        of = "" if one else f"{failed:,} of "
        return f"{of}{what} could not be {verb}: {why}"
    if waiting:
        return f"1 document waits: {why}" if one else f"{waiting:,} of {what} wait: {why}"
    if not orders:
        return f"{what} will be {verb} when {'its source lists it' if one else 'they are listed'}"
    if left:
        return f"{what} {'is' if one else 'are'} being {verb}"
    return f"{what} {'was' if one else 'were'} {verb}"
