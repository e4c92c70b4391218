"""Classification: what the rules are told by the list, and what they decide."""

from __future__ import annotations

from msgspec import Struct

from stages.kind import Kind
from stages.matching.evidence import named
from stages.settings import Company


class ListHint(Struct, frozen=True):
    """What the list says of a document, which may be wrong.

    mailbox_owner: the company in whose mailbox it lay. source: the name of the source.
    """

    kind: Kind | None = None
    mailbox_owner: Company | None = None
    source: str = ""


class Classification(Struct, frozen=True):
    """The result of the rules: the kind of a document, its company, and the reason.

    reason: a sentence without its full stop. company: None if and only if the kind is unknown.
    warnings: how list or header disagree with it.
    """

    kind: Kind
    reason: str
    company: Company | None = None
    warnings: tuple[str, ...] = ()


def by_list(kind: Kind, owner: Company) -> str:
    """Return what the list says, for reasons."""
    return f"the list calls it {kind} of {named(owner)}"
