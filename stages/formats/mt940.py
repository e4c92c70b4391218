"""MT940 reader: the customer statement message of SWIFT (category 9), with or without envelope.

A field begins a line with its tag: :20: a message, :25: the account, :28C: the statement's number,
:60F: and :62F: the balances (:60M: and :62M: between the pages of one statement), :61: a movement.
Other lines are not read, for they don't name the holder of the account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, structs

from pipeline.payload import Payload
from stages.formats.content import (
    AccountStatement,
    Content,
    Hostile,
    Other,
    Reading,
    Statement,
    Unreadable,
    check_count,
    checked,
)
from stages.formats.lines import lines
from stages.values.accounts import account_number
from stages.values.dates import short_date

#: Bytes of a file that is read within a few milliseconds.
QUICK = 4096
#: Problems of one file that are reported.
MAX_PROBLEMS = 8

#: Characters of field 25 that are read; it should have 35, and some banks write more.
MAX_ACCOUNT = 80

#: How a document begins: blocks of the envelope, or the few lines that some banks write instead,
#: and field 20.
_START = re.compile(
    rb"(?:\xef\xbb\xbf)?[\s\x01]*+"
    rb"(?:\{1:[^{}]{0,64}\}[\s\S]{0,300}?\{4:\s*|(?:[0-9A-Z :]{1,60}[\r\n]+){1,4}?)?"
    rb":20:"
)
#: The account at the beginning of a line, which no ordinary text has.
_HAS_ACCOUNT = re.compile(rb"[\r\n]:25P?:.")

_FIELD = re.compile(r":([0-9]{2}[A-Z]?):(.*)")
_BALANCE = re.compile(r"([CD])([0-9]{6})([A-Z]{3})([0-9]{1,15}[,.]?[0-9]{0,5})")
#: The value date, the date of entry, credit or debit or the reversal of one, and the amount.
_MOVEMENT = re.compile(r"[0-9]{6}(?:[0-9]{4})?(R?)([CD])[A-Z]?([0-9]{1,15}[,.]?[0-9]{0,5})")


class _Totals(Struct):
    """The running balance of one statement; None outside of a statement."""

    number: str = ""
    balance: Decimal | None = None


def recognises(head: bytes) -> bool:
    """Whether the document begins with field 20 and states an account soon after."""
    return _START.match(head) is not None and _HAS_ACCOUNT.search(head) is not None


def read(payload: Payload) -> Reading:
    """Return the statements, and where they don't add up."""
    return checked(_content(payload), lambda: _problems(payload))


def _content(payload: Payload) -> Content:
    """Return the statements, with their accounts; the format has no identifiers of a holder.

    A file that only begins like MT940, or has no end, is an Other that says so.
    """
    try:
        return _statement(payload)
    except Hostile:
        raise
    except Unreadable as error:
        return Other("mt940-like", f"a text that resembles MT940, but {error}")


def _problems(payload: Payload) -> list[str]:
    """Return where opening balance and movements don't give the closing one, or it is missing."""
    found: list[str] = []
    totals = _Totals()
    for tag, value in _fields(payload):
        match tag:
            case "20":
                found += _missing_balance(totals)
                totals = _Totals()
            case "28" | "28C":
                totals.number = value.partition("/")[0].strip()
            case "60F" | "60M":
                found += _missing_balance(totals)
                totals.balance = _balance(value)
            case "61":
                found += _movement(value, totals)
            case "62F" | "62M":
                found += _closing(value, totals)
                totals.balance = None
        if len(found) >= MAX_PROBLEMS:
            return [*found[:MAX_PROBLEMS], "and more of the kind"]
    return found + _missing_balance(totals)


def is_quick(data: bytes) -> bool:
    """Whether the document has at most some dozens of movements."""
    return len(data) <= QUICK


def _statement(payload: Payload) -> Content:
    parts: list[AccountStatement] = []
    balance = ""
    is_interim = False
    for tag, value in _fields(payload):
        match tag:
            case "25" | "25P":
                account = account_number(value[:MAX_ACCOUNT])
                parts.append(AccountStatement((account,) if account else ()))
                check_count(parts)
            case "34F":
                is_interim = True
            case "60F" | "60M" | "62F" | "62M":
                balance = tag
        if parts:
            parts[-1] = _with_field(parts[-1], tag, value)
    if is_interim and not balance:
        return Other(
            "mt942", "an interim report of movements (MT942), which is no statement", is_known=True
        )
    if not balance.startswith("62"):
        raise Unreadable("its end is missing (field 62F)")
    return Statement("mt940", tuple(parts), "sta")


def _with_field(part: AccountStatement, tag: str, value: str) -> AccountStatement:
    """Return a statement with what one of its fields says."""
    match tag:
        case "28" | "28C":
            return structs.replace(part, number=value.partition("/")[0].strip())
        case "60F":
            return structs.replace(part, opening=value.strip())
        case "62F" | "62M":
            found = _BALANCE.match(value)
            day = (_day(found[2]) if found else "") or part.issue_date
            return structs.replace(part, closing=value.strip(), issue_date=day)
    return part


def _fields(payload: Payload) -> Iterator[tuple[str, str]]:
    """Yield the tag and the first line of each field."""
    for line in lines(payload):
        if match := _FIELD.match(line if line[0] == ":" else line.partition("{4:")[2]):
            yield match[1], match[2]


def _day(digits: str) -> str:
    """Return the ISO 8601 form of yymmdd; "" if that is no day."""
    return short_date(digits[:2], digits[2:4], digits[4:6])


def _balance(field: str) -> Decimal:
    match = _BALANCE.match(field)
    if match is None:
        raise Unreadable(f'an MT940 balance is malformed: "{field[:40]}"')
    amount = _amount(match[4])
    return -amount if match[1] == "D" else amount


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))


def _movement(field: str, totals: _Totals) -> list[str]:
    match = _MOVEMENT.match(field)
    if match is None:
        raise Unreadable(f'an MT940 movement is malformed: "{field[:40]}"')
    if totals.balance is None:
        return ["a movement stands in no statement"]
    amount = _amount(match[3])
    # The reversal (R) of a credit is a debit, and the other way round.
    totals.balance += amount if (match[2] == "C") is not bool(match[1]) else -amount
    return []


def _closing(field: str, totals: _Totals) -> list[str]:
    stated = _balance(field)
    if totals.balance is None:
        return [f"statement {totals.number} has a closing balance and no opening one"]
    if stated == totals.balance:
        return []
    what = f"the opening balance and the movements of statement {totals.number} give"
    return [f"{what} {totals.balance:,}, and its closing balance is {stated:,}"]


def _missing_balance(totals: _Totals) -> list[str]:
    if totals.balance is None:
        return []
    return [f"statement {totals.number} has no closing balance (field 62F)"]
