"""Party model: suppliers and customers as a document names them, with their identifiers."""

from __future__ import annotations

from msgspec import Struct

from pipeline.text import NAME, enumerated, sanitized
from stages.values.identifiers import BELGIAN_SCHEMES
from stages.values.placeholders import is_placeholder
from stages.values.schemes import OPEN_SCHEMES, scheme_and_number

#: The places of the legal entity's number, in UBL and CII.
_LEGAL = {"PartyLegalEntity/CompanyID", "SpecifiedLegalOrganization/ID"}


class Identifier(Struct, frozen=True, cache_hash=True):
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

    @property
    def is_legal(self) -> bool:
        """Whether it is in the place of the legal entity (EN 16931: BT-30, BT-47)."""
        return self.element in _LEGAL

    @property
    def bears_number(self) -> bool:
        """Whether it may be a number, and not words in whatever language.

        Only registers that state themselves have numbers without any digit; no VAT number is one.
        """
        if any(map(str.isdigit, self.value)) or "@" in self.value:
            return True
        scheme, _ = scheme_and_number(self.scheme, self.value)
        return not self.is_vat and scheme not in OPEN_SCHEMES | BELGIAN_SCHEMES

    def __str__(self) -> str:
        scheme = f"{self.scheme}:" if self.scheme else ""
        return f"{self.element} {sanitized(f'{scheme}{self.value}', NAME)}"


class Party(Struct, frozen=True, cache_hash=True):
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
        return any(
            not one.is_contact and not is_placeholder(one.value) and one.bears_number
            for one in self.identifiers
        )

    def __str__(self) -> str:
        """Return its name and its first few identifiers, each once, for reasons."""
        values = enumerated(list(dict.fromkeys(one.value for one in self.identifiers)))
        return f"{sanitized(self.name, NAME) or 'unnamed'} ({values or 'no identifier'})"
