"""Evidence: which configured companies the identifiers of a party speak for, and which against.

All identifiers are asked, not the first one only. An identifier that one company has tells more
than one that several share, such as the number of a VAT unit. Where identifiers of one party single
out different companies, or a Belgian number in it is of no configured company, the party
contradicts itself: then only something outside the document can decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

from pipeline.text import enumerated
from stages.formats.party import Identifier, Party
from stages.matching.parties import CompanyIndex, is_belgian
from stages.settings import Company


class Clue(Struct, frozen=True):
    """One identifier of a party, and the configured companies that have it; none for a stranger."""

    identifier: Identifier
    companies: tuple[Company, ...]


class Weighed(Struct, frozen=True):
    """The companies that a party may be: none, one, or several among which it can't tell.

    identifier: the one that tells most of the first of them. stranger: a number in the party that
    is of no configured company and contradicts the others, None if there is none. clues: all that
    was weighed.
    """

    companies: tuple[Company, ...] = ()
    identifier: Identifier | None = None
    stranger: Identifier | None = None
    clues: tuple[Clue, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether the identifiers single out one company, and nothing contradicts that."""
        return len(self.companies) == 1 and self.stranger is None


NOBODY = Weighed()


class Evidence(Struct, frozen=True):
    """What speaks for one candidate and against it, each as the identifier that does."""

    candidate: str
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()


@lru_cache(2048)  # the same parties come again and again
def weigh(party: Party, index: CompanyIndex, source: str) -> Weighed:
    """Weigh the identifiers of a party. source: whose entry of a company counts, of several."""
    foreign = index.is_foreign(party.identifiers, party.country)
    clues = _clues(party, index, source, foreign=foreign)
    telling = [one for one in clues if one.companies]
    if not telling:
        return NOBODY
    companies = _candidates(telling)
    return Weighed(
        companies=companies,
        identifier=_most_telling(telling, companies[0]),
        stranger=_stranger(clues, foreign=foreign),
        clues=tuple(clues),
    )


def evidence(weighed: Weighed) -> tuple[Evidence, ...]:
    """Return what speaks for and against each candidate, for people."""
    return tuple(
        Evidence(
            named(company),
            supports=tuple(_told(one) for one in weighed.clues if is_among(company, one.companies)),
            contradicts=tuple(
                _told(one)
                for one in weighed.clues
                if not is_among(company, one.companies)
                and (one.companies or one.identifier == weighed.stranger)
            ),
        )
        for company in weighed.companies
    )


def _clues(party: Party, index: CompanyIndex, source: str, *, foreign: bool) -> list[Clue]:
    """Return the clues of a party; a person's address counts only where nothing else tells."""
    clues = [
        Clue(one, index.having(one, source, party.country, foreign=foreign))
        for one in party.identifiers
    ]
    own = [one for one in clues if not one.identifier.is_contact]
    return own if any(one.companies for one in own) else clues


def _candidates(telling: Iterable[Clue]) -> tuple[Company, ...]:
    """Return the companies that the clues leave: all agree on one, or the ones singled out."""
    sets = [{one.identifier: one for one in clue.companies} for clue in telling]
    common = {key: one for key, one in sets[0].items() if all(key in other for other in sets)}
    if common:
        return tuple(common.values())
    # They contradict one another: a number that one company has beats one that several share.
    singled = {key: one for found in sets if len(found) == 1 for key, one in found.items()}
    return tuple((singled or {key: one for found in sets for key, one in found.items()}).values())


def _most_telling(telling: Iterable[Clue], company: Company) -> Identifier:
    """Return the identifier of a company that the fewest companies have, the first of equals."""
    its = [one for one in telling if is_among(company, one.companies)]
    return min(its, key=lambda one: len(one.companies)).identifier


def _stranger(clues: Iterable[Clue], *, foreign: bool) -> Identifier | None:
    """Return a Belgian number of no configured company that says which company a party really is.

    The members of a VAT unit share its VAT number, some have the endpoint of another one, and not
    all of them need be configured: the number of the legal entity tells before any other, and any
    other before the VAT number.
    """
    others = [one for one in clues if not one.identifier.is_vat and not one.identifier.is_contact]
    legal = [one for one in others if one.identifier.is_legal]
    if any(one.companies for one in legal):
        return None
    if stranger := _belgian(legal, foreign=foreign):
        return stranger
    return None if any(one.companies for one in others) else _belgian(others, foreign=foreign)


def _belgian(clues: Iterable[Clue], *, foreign: bool) -> Identifier | None:
    """Return the first Belgian number of no configured company."""
    strange = (one.identifier for one in clues if not one.companies)
    return next((one for one in strange if is_belgian(one, foreign=foreign)), None)


def _told(clue: Clue) -> str:
    if not clue.companies:
        return f"{clue.identifier}, of no configured company"
    return f"{clue.identifier}, the number of {enumerated(list(map(named, clue.companies)))}"


def is_among(company: Company, companies: Iterable[Company]) -> bool:
    """Whether a company is one of several, perhaps by its entry for another source."""
    return any(one.identifier == company.identifier for one in companies)


def named(company: Company) -> str:
    """Return a company as reasons call it: its name and its identifier."""
    return f"{company.name} ({company.identifier})"
