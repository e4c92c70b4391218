"""Account normalisation: IBANs, and the numbers of accounts inside them (ISO 13616).

Statements state accounts as an IBAN, or as the bank and the account in the spelling of a country,
with a BIC, a currency or both beside it. What is an account is known by its form, never by its
place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import stdnum.iban
from stdnum.exceptions import ValidationError

from stages.values.identifiers import compact
from stages.values.text import plain

#: Characters of an account that are read; field 25 of MT940 has 35, and some banks write more.
_LONGEST = 128
#: Digits of a number without its bank, at least, without zeros in front.
_SHORTEST = 5

#: Currencies of ISO 4217 in which banks hold accounts; other letters may belong to a number.
_CURRENCIES = (
    "AED|ALL|AUD|BAM|BGN|BRL|CAD|CHF|CNH|CNY|CZK|DKK|EGP|EUR|GBP|GEL|HKD|HRK|HUF|IDR|ILS|INR|ISK|JPY"
    "|KES|KRW|KWD|KZT|MAD|MDL|MKD|MXN|MYR|NGN|NOK|NZD|PHP|PLN|QAR|RON|RSD|RUB|SAR|SEK|SGD|THB|TND|TRY"
    "|TWD|UAH|USD|VND|XAF|XOF|ZAR"
)
_IN_FRONT = re.compile(rf"^(?:IBAN[: ]*)?(?:(?:{_CURRENCIES})(?=[ 0-9-]))?(?:IBAN[: ]*)?")
_BEHIND = re.compile(rf"(?<=[0-9A-Z ])[ -]*(?:{_CURRENCIES})$")
_BIC = re.compile(r"([A-Z]{4})([A-Z]{2})[0-9A-Z]{2}(?:[0-9A-Z]{3})?")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[0-9A-Z]{8,30}")

#: Where in the national part of an IBAN the number of the account stands, without its bank.
_NUMBERS = {
    "AT": (5, 16),
    "BG": (10, 18),
    "CH": (5, 17),
    "CY": (8, 24),
    "CZ": (4, 20),
    "DE": (8, 18),
    "DK": (4, 14),
    "EE": (2, 16),
    "ES": (10, 20),
    "FO": (4, 14),
    "FR": (10, 21),
    "GB": (10, 18),
    "GL": (4, 14),
    "GR": (7, 23),
    "HR": (7, 17),
    "HU": (7, 23),
    "IE": (10, 18),
    "IT": (11, 23),
    "LI": (5, 17),
    "LT": (5, 16),
    "LU": (3, 16),
    "LV": (4, 17),
    "MC": (10, 21),
    "MT": (9, 27),
    "NL": (4, 14),
    "PL": (8, 24),
    "PT": (8, 19),
    "RO": (4, 20),
    "SE": (3, 20),
    "SI": (5, 15),
    "SK": (4, 20),
    "SM": (11, 23),
}
#: Countries whose IBANs have the first four letters of the BIC as the bank.
_BIC_BANKS = {"BG", "GB", "IE", "LV", "MT", "NL", "RO"}
#: Countries whose accounts are written as the sort code, which is no bank by itself, and a number.
_SORT_CODES = {"GB", "IE"}

#: A bank and an account as a country writes them, and the digits of both in its IBAN. Some forms
#: are those of several countries.
_SPELLINGS = (
    (re.compile(r"([0-9]{8})[/ ]([0-9]{1,10})"), ("DE",), (8, 10)),
    (re.compile(r"([0-9]{5})[/ ]([0-9]{4,11})"), ("AT", "LT"), (5, 11)),
    (re.compile(r"([0-9]{3,5})[/ -]([0-9A-Z]{5,12})"), ("CH", "LI"), (5, 12)),
    (re.compile(r"([0-9]{3})[/ ]([0-9A-Z]{5,13})"), ("LU",), (3, 13)),
    (re.compile(r"([0-9]{4})[/ -]([0-9]{4,10})"), ("DK", "FO", "GL"), (4, 10)),
    (re.compile(r"([0-9]{7})[/ -]([0-9]{10})"), ("HR",), (7, 10)),
)
#: Czech and Slovak: the account, after a number of six digits and before its bank.
_CZECH = re.compile(r"(?:([0-9]{1,6})-)?([0-9]{2,10})/([0-9]{4})")
#: National numbers that have check digits for all of what the IBAN has: by their length.
_WHOLE = {12: ("BE",), 20: ("ES",), 21: ("PT",), 23: ("FR", "MC")}
_SPANISH = (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)


@lru_cache(4096)
def account_number(text: str) -> str:
    """Return an account in one spelling: its IBAN, else its number, without bank and currency.

    "" if the text has no number, as a currency has none.
    """
    parts, bic = _parts(text)
    certain = next(_certain(parts), "")
    if certain or not parts:
        return certain
    # A bank and an account that stay apart: the account is the last part.
    return compact(parts[-1]) if bic or len(parts) == 1 else compact(parts[_longest(parts)])


@lru_cache(4096)
def account_keys(text: str) -> tuple[str, ...]:
    """Return the keys by which two accounts are compared: they may be one if they share a key.

    An IBAN is its first key, and two IBANs are compared by nothing else: see stated_iban(). A
    number without its bank has a key of its own, which begins with "*".
    """
    if known := stated_iban(text):
        return tuple(dict.fromkeys((known, *_keys_inside(known))))
    parts, bic = _parts(text)
    if not parts:
        return ()
    return tuple(dict.fromkeys((*_certain(parts), *_keys_of(parts, bic))))


@lru_cache(4096)
def stated_iban(text: str) -> str:
    """Return the IBAN that a text states, whatever stands beside it; "" if it states none."""
    return next(_ibans(_parts(text)[0]), "")


@lru_cache(2048)  # the same accounts come again and again
def is_iban(text: str) -> bool:
    """Whether a compact text is a valid IBAN."""
    return _IBAN.fullmatch(text) is not None and bool(
        # The check by country is left out: it knows only the banks of the time it was written.
        stdnum.iban.is_valid(text, check_country=False)
    )


def _parts(text: str) -> tuple[list[str], str]:
    """Return the parts of a text that may be an account or its bank, and the BIC beside them."""
    stated = plain(text[:_LONGEST]).upper()
    if is_iban(bare := compact(stated)):
        return [bare], ""
    bic = ""
    parts = []
    for part in re.split(r"[/\\]", stated):
        number = part.strip(" -.,:;")
        if not is_iban(compact(number)):
            number = _BEHIND.sub("", _IN_FRONT.sub("", number)).strip(" -.,:;")
        if _BIC.fullmatch(compact(number)):
            bic = compact(number)
            continue
        if not any(map(str.isdigit, number)):
            continue  # a currency or a word: every account has digits
        first, _, rest = number.partition(" ")
        if rest and _BIC.fullmatch(first) and any(map(str.isdigit, rest)):
            bic, number = first, rest.strip()
        parts.append(number)
    return parts, bic


def _ibans(parts: list[str]) -> Iterator[str]:
    """Yield the IBANs that stand in the parts, or that all of them are together."""
    for one in (*parts, "".join(parts)):
        bare = compact(one)
        if is_iban(bare):
            yield bare


def _certain(parts: list[str]) -> Iterator[str]:
    """Yield the IBANs that stand there, or that can be made without doubt, the surest first."""
    yield from _ibans(parts)
    stated = "/".join(parts)
    if match := _SPELLINGS[0][0].fullmatch(stated):
        yield _made("DE", match[1] + match[2].zfill(10))
    for one in (*reversed(parts), stated):
        bare = compact(one)
        for country in _WHOLE.get(len(bare), ())[:1]:
            if _holds(country, bare) and (made := _made(country, bare)):
                yield made
        if len(bare) == 26 and is_iban(f"PL{bare}"):
            yield f"PL{bare}"


def _keys_of(parts: list[str], bic: str) -> Iterator[str]:
    """Yield the keys of what is no IBAN: IBANs that it may be part of, and its number."""
    stated = "/".join(parts)
    bare = compact(stated)
    yield bare
    for pattern, countries, (bank, account) in _SPELLINGS:
        if match := pattern.fullmatch(stated):
            national = match[1].zfill(bank) + match[2].zfill(account)
            yield from filter(None, (_made(country, national) for country in countries))
    if match := _CZECH.fullmatch(stated):
        national = match[3] + (match[1] or "").zfill(6) + match[2].zfill(10)
        yield from filter(None, (_made(country, national) for country in ("CZ", "SK")))
    for country in _WHOLE.get(len(bare), ()):
        if _holds(country, bare):
            yield _made(country, bare)
    if len(bare) == 16 and bare.isdecimal():  # Hungarian: eight zeros may be left out
        yield bare + "0" * 8
    if len(parts) > 1:
        return  # a bank that is stated has to be the right one
    number = bare.lstrip("0")
    if sum(map(str.isdigit, number)) < _SHORTEST:
        return
    if not bic:
        yield f"*{number}"
    else:
        country = bic[4:6]
        yield f"*{_bank_of(country, bic)}:{number}"


def _keys_inside(iban: str) -> Iterator[str]:
    """Yield the keys of an IBAN by which national spellings of it are found."""
    country, national = iban[:2], iban[4:]
    yield national
    if country in _SORT_CODES:
        yield national[4:]
    if country not in _NUMBERS:
        return
    first, last = _NUMBERS[country]
    number = national[first:last].lstrip("0")
    if sum(map(str.isdigit, number)) >= _SHORTEST:
        yield f"*{number}"
        yield f"*{_bank_of(country, national)}:{number}"


def _bank_of(country: str, start: str) -> str:
    """Return the country, with the bank if IBANs of the country have its letters."""
    return f"{country}{start[:4]}" if country in _BIC_BANKS else country


def _made(country: str, national: str) -> str:
    """Return the IBAN of a whole national number, "" if it can't have one."""
    try:
        made = f"{country}{stdnum.iban.calc_check_digits(f'{country}00{national}')}{national}"
    except ValidationError:
        return ""
    return made if is_iban(made) else ""


def _holds(country: str, number: str) -> bool:
    """Whether the check digits inside a national number are right."""
    if not number.isascii() or (country not in {"FR", "MC"} and not number.isdecimal()):
        return False
    match country:
        case "BE":
            return (int(number[:10]) % 97 or 97) == int(number[10:])
        case "ES":
            return number[8:10] == _spanish("00" + number[:8]) + _spanish(number[10:])
        case "PT":
            return int(number) % 97 == 1
        case _:
            return number[-2:].isdecimal() and _rib(number) % 97 == 0


def _spanish(digits: str) -> str:
    check = 11 - sum(int(one) * weight for one, weight in zip(digits, _SPANISH, strict=True)) % 11
    return str({10: 1, 11: 0}.get(check, check))


def _rib(number: str) -> int:
    """Return a French number as a number: its letters are digits in the order of a keyboard."""
    letters = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "12345678912345678923456789")
    return int(number.translate(letters)) if number.isalnum() else 1


def _longest(parts: list[str]) -> int:
    """Return the index of the part with the most digits, the last of them."""
    counts = [sum(map(str.isdigit, part)) for part in parts]
    return len(counts) - 1 - counts[::-1].index(max(counts))
