"""Company index: finds the configured company that a party is, by identifiers and never by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from stages.formats.party import Identifier
from stages.settings import Company
from stages.values.accounts import account_keys, stated_iban
from stages.values.identifiers import compact, enterprise_number
from stages.values.placeholders import is_made_up, says_none
from stages.values.schemes import (
    OPEN_SCHEMES,
    WITH_COUNTRY,
    belgian,
    plain_number,
    same_scheme,
    scheme_and_number,
    states_belgium,
    vat_country,
)
from stages.values.text import plain

#: A scheme in front of a number in the configuration, where schemes of BIS 2
#: (BE:VAT:BE0403170701) and others may stand.
_ANY_SCHEME = re.compile(
    r"^(?:ISO6523-ACTORID-UPIS::?)?([0-9]{4}|[A-Z]{2}:[A-Z]{2,8}|[A-Z][A-Z0-9]{1,7}):(?=.)"
)


class CompanyIndex:
    """The configured companies, indexed by all their identifiers and accounts.

    If a company is configured for several sources, the one of the document's source is returned.
    """

    def __init__(self, companies: Iterable[Company]) -> None:
        self._by_own: dict[str, list[Company]] = {}
        self._by_identifier: dict[str, list[Company]] = {}
        self._by_account: dict[str, list[Company]] = {}
        for company in companies:
            self._by_own.setdefault(company.identifier, []).append(company)
            for text in (company.identifier, *company.identifiers):
                if says_none(text):
                    continue
                for key in _keys_of_configured(text):
                    self._by_identifier.setdefault(key, []).append(company)
            for account in company.accounts:
                for key in account_keys(account):
                    self._by_account.setdefault(key, []).append(company)

    def with_identifier(self, identifier: str, source: str) -> Company | None:
        """Return the company whose `identifier` in the configuration is exactly this one."""
        found = self._by_own.get(identifier)
        return _each_once(found, source)[0] if found else None

    def having(
        self, identifier: Identifier, source: str, country: str = "", *, foreign: bool = False
    ) -> tuple[Company, ...]:
        """Return the companies that have an identifier: several if they share the number.

        country: of the party. foreign: whether that is outside of Belgium, as is_foreign() says.
        """
        if says_none(identifier.value):
            return ()
        for key in lookup_keys(identifier, country.upper(), foreign=foreign):
            if found := self._by_identifier.get(key):
                return _each_once(found, source)
        return ()

    def is_foreign(self, identifiers: Iterable[Identifier], country: str) -> bool:
        """Whether a party is known to be outside of Belgium, by its address or its VAT number."""
        abroad = len(country) == 2 and country.upper() != "BE"
        return abroad or any(map(_is_foreign_vat, identifiers))

    def with_account(self, account: str, source: str) -> tuple[Company, ...]:
        """Return the companies that have this account, in the spelling of any country.

        Several if their accounts have the same number at different banks, and no bank is stated.
        """
        iban = stated_iban(account)
        # An IBAN says all: another one may have the same number at another bank.
        keys = (iban,) if iban else account_keys(account)
        found = [company for key in keys for company in self._by_account.get(key, ())]
        return _each_once(found, source)

    def is_shared(self, identifier: Identifier, country: str) -> bool:
        """Whether several companies have an identifier, such as the number of a VAT unit."""
        return len(self.having(identifier, "", country)) > 1

    def shared_numbers(self) -> list[tuple[str, tuple[Company, ...]]]:
        """Return the numbers and accounts that several companies list, with those companies."""
        found: dict[str, tuple[Company, ...]] = {}
        for key, companies in (*self._by_identifier.items(), *self._by_account.items()):
            # A national account number stands inside the IBAN, which is found as well.
            if len(each := _each_once(companies, "")) > 1 and key not in found:
                number = key.rpartition(":")[2]
                if not any(known.endswith(number) for known in found):
                    found[number] = each
        return list(found.items())


@lru_cache(2048)  # the same parties come again and again
def lookup_keys(
    identifier: Identifier, country: str = "", *, foreign: bool = False
) -> tuple[str, ...]:
    """Return the keys under which the identifier of a party is looked up.

    A Belgian number becomes BE and ten digits. Bare digits that are a valid Belgian number count as
    one too, unless their scheme is that of another register or the party is foreign. Any identifier
    also has the key "*:number", for companies that configure it without a scheme, and the key
    "scheme:number", with "" for the scheme if it states none.

    country: of the party. foreign: whether the party is known to be outside of Belgium.
    """
    return tuple(_keys_of(identifier, country, foreign=foreign))


def _keys_of(identifier: Identifier, country: str, *, foreign: bool) -> Iterator[str]:
    scheme, bare = scheme_and_number(identifier.scheme, identifier.value)
    if states_belgium(scheme, bare):
        yield belgian(bare)
    elif scheme in OPEN_SCHEMES and not foreign and (belgian_number := enterprise_number(bare)):
        yield belgian_number
    number = plain_number(bare)
    yield f"*:{number}"
    yield f"{same_scheme(scheme)}:{number}"
    home = vat_country(scheme) or (country if identifier.is_vat else "")
    if home and not WITH_COUNTRY.match(number):
        yield f"*:{plain_number(home + number)}"


def _keys_of_configured(text: str) -> Iterator[str]:
    """Yield the keys under which an identifier of a configured company is found.

    With a scheme it matches only the same scheme or none; without one it matches any. Bare digits
    may be a Belgian number, or a number of another register that looks like one.
    """
    scheme, bare = scheme_and_number("", text)
    value = plain(text).upper()
    if not scheme and (match := _ANY_SCHEME.match(value)):
        scheme, bare = match[1], compact(value[match.end() :])
    if states_belgium(scheme, bare):
        yield belgian(bare)
        return
    number = plain_number(bare)
    if home := vat_country(scheme):
        yield f"*:{number if WITH_COUNTRY.match(number) else plain_number(home + number)}"
    if scheme in OPEN_SCHEMES:
        yield f"*:{number}"
        if belgian_number := enterprise_number(bare):
            yield belgian_number
    else:
        yield f"{same_scheme(scheme)}:{number}"
        yield f":{number}"


def _is_foreign_vat(identifier: Identifier) -> bool:
    if not identifier.is_vat:
        return False
    bare = compact(identifier.value)
    return WITH_COUNTRY.match(bare) is not None and not states_belgium("", bare)


def is_belgian(identifier: Identifier, *, foreign: bool = False) -> bool:
    """Whether an identifier is a Belgian enterprise number, and one that somebody may have.

    It says so itself, or it stands without a scheme where the legal entity has its number. foreign:
    as for lookup_keys().
    """
    scheme, bare = scheme_and_number(identifier.scheme, identifier.value)
    if enterprise_number(bare) is None or is_made_up(identifier.value):
        return False
    is_bare = identifier.is_legal and scheme in OPEN_SCHEMES and not foreign
    return is_bare or states_belgium(scheme, bare)


def _each_once(found: Sequence[Company], source: str) -> tuple[Company, ...]:
    """Return each of the companies once: its entry of this source, else the first one."""
    if len(found) == 1:
        return (found[0],)
    each: dict[str, Company] = {}
    for one in found:
        if one.identifier not in each or any(at.source == source for at in one.memberships):
            each[one.identifier] = one
    return tuple(each.values())
