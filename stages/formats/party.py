"""Parties as a document names them: suppliers, customers, and the identifiers that they bear."""

from __future__ import annotations

from msgspec import Struct

from pipeline.text import NAME, enumerated, sanitized


class Identifier(Struct, frozen=True):
    """One identifier of a party, as it stands in the document.

    element: where it stands, for the reason. scheme: as stated there, or empty.
    is_vat: whether it stands where only VAT numbers do. is_contact: whether it is a person's
    address, which a company may have listed but which doesn't tell a stranger.
    """

    element: str
    scheme: str
    value: str
    is_vat: bool = False
    is_contact: bool = False

    def __str__(self) -> str:
        scheme = f"{self.scheme}:" if self.scheme else ""
        return f"{self.element} {sanitized(f'{scheme}{self.value}', NAME)}"


class Party(Struct, frozen=True):
    """The supplier or the customer of an invoice. country: ISO 3166-1 of its address, or empty."""

    name: str
    identifiers: tuple[Identifier, ...]
    country: str = ""

    @property
    def has_identifier(self) -> bool:
        """Whether it can be identified at all: neither a name nor a contact's address does it."""
        return any(not one.is_contact for one in self.identifiers)

    def __str__(self) -> str:
        """Who it is, for a reason: the name and the first few identifiers, each once."""
        values = enumerated(list(dict.fromkeys(one.value for one in self.identifiers)))
        return f"{sanitized(self.name, NAME) or 'unnamed'} ({values or 'no identifier'})"
