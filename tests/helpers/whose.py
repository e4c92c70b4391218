"""Companies and identifiers of parties, for tests of whose a number is."""

from __future__ import annotations

from stages.formats.party import Identifier, Party
from stages.matching.evidence import weigh
from stages.matching.parties import CompanyIndex
from stages.settings import Company


def company(identifier: str, *identifiers: str) -> Company:
    return Company(name=identifier, identifier=identifier, source="s", identifiers=identifiers)


def is_ours(ours: Company, *found: Identifier, country: str = "") -> bool:
    return weigh(Party("", found, country), CompanyIndex([ours]), "s").companies == (ours,)


def here(scheme: str, value: str, *, is_vat: bool = False) -> Identifier:
    return Identifier("somewhere", scheme, value, is_vat)
