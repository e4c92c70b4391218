"""Party model: suppliers and customers as a document names them, with their identifiers."""

from __future__ import annotations

from msgspec import Struct

from pipeline.text import NAME, enumerated, sanitized
from stages.values.placeholders import is_placeholder


class Identifier(Struct, frozen=True):
    """One identifier of a party, spelt as in the document.

    element: where it stands, for reasons. scheme: as stated there, "" if there is none. is_vat:
    whether its place holds VAT numbers only. is_contact: whether it is a person's address: it
    matches a company that lists it, and a party with nothing else counts as unidentified.
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
    """The supplier or the customer of an invoice.

    country: of its address, as in the document (ISO 3166-1 alpha-2), "" if there is none.
    """

    name: str
    identifiers: tuple[Identifier, ...]
    country: str = ""

    @property
    def has_identifier(self) -> bool:
        """Whether it can be identified at all.

        That takes more than a name, a contact, or something that is written where a number is
        missing.
        """
        return any(not one.is_contact and not is_placeholder(one.value) for one in self.identifiers)

    def __str__(self) -> str:
        """Return its name and its first few identifiers, each once, for reasons."""
        values = enumerated(list(dict.fromkeys(one.value for one in self.identifiers)))
        return f"{sanitized(self.name, NAME) or 'unnamed'} ({values or 'no identifier'})"
