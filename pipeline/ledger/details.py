"""Details: what a delivered document says of itself, for people who look for it, in one column.

One line for each field, in their order. They are short: a row of the ledger that has more than a
quarter of a page would take a page of its own.
"""

from __future__ import annotations

from msgspec import Struct, structs

from pipeline.text import printable

#: Characters of one field, and of the reason, which is the longest, at most.
MAX_FIELD = 80
MAX_WHY = 200


class Details(Struct, frozen=True):
    """What the ledger keeps of a document's content; each field is empty if that is not known.

    date: ISO 8601. amount: payable, with a point and its sign ("1250.5"). currency: ISO 4217.
    id: what the source itself calls it, if that is not the end of the id in its key. account: of a
    statement. why: the reason for its kind and company.
    """

    number: str = ""
    counterparty: str = ""
    date: str = ""
    amount: str = ""
    currency: str = ""
    id: str = ""
    account: str = ""
    why: str = ""


def encoded(details: Details) -> str:
    """The text for the column."""
    *fields, why = structs.astuple(details)
    lines = [*(_line(one, MAX_FIELD) for one in fields), _line(why, MAX_WHY)]
    return "\n".join(lines).rstrip("\n")


def decoded(text: str) -> Details:
    """What the column holds; of a later version's, as much as this one knows."""
    return Details(*text.split("\n")[: len(Details.__struct_fields__)])


def _line(text: str, limit: int) -> str:
    # Nearly all are short and printable: that is seen at once.
    return text if len(text) <= limit and text.isprintable() else printable(text[:limit])
