"""MT940, the customer statement message of SWIFT (Category 9), with or without its envelope.

A field begins a line with its tag: :20: a message, :25: the account, :28C: the statement's number,
:60F: and :62F: the balances (:60M: and :62M: between the pages of one statement), :61: a movement.
What stands between them says nothing of whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import stdnum.iban
from msgspec import Struct
from stdnum.exceptions import ValidationError

from pipeline.payload import Payload
from stages.formats.content import (
    Content,
    Hostile,
    Other,
    Statement,
    Unreadable,
    check_accounts,
)
from stages.formats.lines import lines
from stages.identifiers import compact

#: Bytes of a file that is read within a few milliseconds.
QUICK = 4096
#: How many problems are worth telling.
TOLD = 8

#: Characters of field 25 that are read: it has 35, and some banks write more of them.
ACCOUNT = 80

#: How it begins: the envelope's blocks, or the few lines that some banks put in their place, and
#: field 20.
_START = re.compile(
    rb"(?:\xef\xbb\xbf)?[\s\x01]*+"
    rb"(?:\{1:[^{}]{0,64}\}[\s\S]{0,300}?\{4:\s*|(?:[0-9A-Z :]{1,60}[\r\n]+){1,4}?)?"
    rb":20:"
)
#: The account, which no ordinary text has at the beginning of a line.
_HAS_ACCOUNT = re.compile(rb"[\r\n]:25P?:.")

_FIELD = re.compile(r":([0-9]{2}[A-Z]?):(.*)")
_BALANCE = re.compile(r"([CD])([0-9]{6})([A-Z]{3})([0-9]{1,15}[,.]?[0-9]{0,5})")
#: The value date, the date of entry, credit or debit or the reversal of one, and the amount.
_MOVEMENT = re.compile(r"[0-9]{6}(?:[0-9]{4})?(R?)([CD])[A-Z]?([0-9]{1,15}[,.]?[0-9]{0,5})")

_CURRENCY = re.compile(r"(?<=[0-9A-Z])[A-Z]{3}$")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[0-9A-Z]{8,30}")
#: A German bank code and an account there.
_GERMAN = re.compile(r"([0-9]{8})/([0-9]{1,10})")


class _Counted(Struct):
    """What has been counted since the last opening balance. number: of the statement."""

    number: str = ""
    balance: Decimal | None = None


def recognises(head: bytes) -> bool:
    """Whether it begins with field 20, and names an account soon after."""
    return _START.match(head) is not None and _HAS_ACCOUNT.search(head) is not None


def read(payload: Payload) -> Content:
    """Whose statements they are: by the accounts alone, for a holder's number it does not bear.

    What begins like MT940 and is none, or has no end, is told as such.
    """
    try:
        return _statement(payload)
    except Hostile:
        raise
    except Unreadable as error:
        return Other("mt940-like", f"a text that resembles MT940, but {error}")


def problems(payload: Payload) -> list[str]:
    """Where the opening balance and the movements don't give the closing one; a missing end."""
    found: list[str] = []
    counted = _Counted()
    for tag, value in _fields(payload):
        match tag:
            case "20":
                found += _missing_balance(counted)
                counted = _Counted()
            case "28" | "28C":
                counted.number = value.partition("/")[0].strip()
            case "60F" | "60M":
                found += _missing_balance(counted)
                counted.balance = _stated(value)
            case "61":
                found += _movement(value, counted)
            case "62F" | "62M":
                found += _closing(value, counted)
                counted.balance = None
        if len(found) >= TOLD:
            return [*found[:TOLD], "and more of the kind"]
    return found + _missing_balance(counted)


def is_quick(data: bytes) -> bool:
    """Whether it has some dozens of movements."""
    return len(data) <= QUICK


def _statement(payload: Payload) -> Content:
    fields: dict[str, None] = {}
    number = day = balance = ""
    is_interim = False
    for tag, value in _fields(payload):
        match tag:
            case "25" | "25P":
                fields[value[:ACCOUNT]] = None
                check_accounts(fields)
            case "28" | "28C":
                number = value.partition("/")[0].strip()
            case "60F" | "60M":
                balance = tag
            case "62F" | "62M":
                balance = tag
                closing = _BALANCE.match(value)
                day = (_day(closing[2]) if closing else "") or day
            case "34F":
                is_interim = True
    if is_interim and not balance:
        return Other("mt942", "an interim report of movements (MT942), which is no statement")
    if not balance.startswith("62"):
        raise Unreadable("its end is missing (field 62F)")
    accounts = tuple(dict.fromkeys(map(_account, fields)))
    return Statement("mt940", (), "", accounts, number, day, "sta")


def _fields(payload: Payload) -> Iterator[tuple[str, str]]:
    """The fields' tags and first lines."""
    for line in lines(payload):
        if match := _FIELD.match(line if line[0] == ":" else line.partition("{4:")[2]):
            yield match[1], match[2]


def _account(field: str) -> str:
    """An IBAN if it is one or can be made one, else the number without its bank."""
    said = field.strip().upper()
    if german := _GERMAN.fullmatch(said):
        return _made("DE", german[1] + german[2].zfill(10))
    for part in (said, *said.split("/")):
        bare = compact(part)
        for one in (bare, _CURRENCY.sub("", bare)):
            if _IBAN.fullmatch(one) and stdnum.iban.is_valid(one, check_country=False):
                return one
    number = _CURRENCY.sub("", compact(said.rpartition("/")[2]))
    if len(number) == 12 and number.isdecimal() and _is_belgian(number):
        return _made("BE", number)
    return number or said


def _is_belgian(number: str) -> bool:
    """Whether the last two of twelve digits check the ten before them."""
    return (int(number[:10]) % 97 or 97) == int(number[10:])


def _made(country: str, number: str) -> str:
    try:
        return f"{country}{stdnum.iban.calc_check_digits(f'{country}00{number}')}{number}"
    except ValidationError:
        return number


def _day(digits: str) -> str:
    """ISO 8601 of yymmdd; empty if that is no day."""
    try:
        year, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
        return date(2000 + year if year < 80 else 1900 + year, month, day).isoformat()
    except ValueError:
        return ""


def _stated(field: str) -> Decimal:
    match = _BALANCE.match(field)
    if match is None:
        raise Unreadable(f'an MT940 balance is none: "{field[:40]}"')
    amount = _amount(match[4])
    return -amount if match[1] == "D" else amount


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))


def _movement(field: str, counted: _Counted) -> list[str]:
    match = _MOVEMENT.match(field)
    if match is None:
        raise Unreadable(f'an MT940 movement is none: "{field[:40]}"')
    if counted.balance is None:
        return ["a movement stands in no statement"]
    amount = _amount(match[3])
    # The reversal of a credit is a debit, and the other way round.
    counted.balance += amount if (match[2] == "C") is not bool(match[1]) else -amount
    return []


def _closing(field: str, counted: _Counted) -> list[str]:
    stated = _stated(field)
    if counted.balance is None:
        return [f"statement {counted.number} has a closing balance and no opening one"]
    if stated == counted.balance:
        return []
    what = f"the opening balance and the movements of statement {counted.number} give"
    return [f"{what} {counted.balance:,}, and its closing balance is {stated:,}"]


def _missing_balance(counted: _Counted) -> list[str]:
    if counted.balance is None:
        return []
    return [f"statement {counted.number} has no closing balance (field 62F)"]
