"""CODA, the statements of account of Belgian banks (Febelfin, "CODA 2.6"; version 1 likewise).

Records of 128 characters, the first of which is the record's kind. What one states of an amount
is a sign (1 for a debit) and fifteen digits, of which three are decimals. Banks send files that
don't keep to that everywhere, so what can be told all the same is told, and the rest is odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import chain, islice
from operator import itemgetter

import stdnum.iban
from msgspec import Struct

from pipeline.payload import Payload
from stages.formats.content import (
    Content,
    Hostile,
    Other,
    Statement,
    Unreadable,
    check_accounts,
)
from stages.formats.lines import groups
from stages.formats.party import Identifier

RECORD = 128
#: Characters above which a line is no record, even one that has been shifted.
LINE = 4 * RECORD
#: Characters of record 8 up to the end of its amount.
BALANCE = 57
#: Bytes of a file that is read within a few milliseconds.
QUICK = 128 * 1024
#: How many problems are worth telling.
TOLD = 8

#: The header up to its application code: 0000, the date, the bank, 05.
_HEADER = re.compile(r"00000[0-9]{6}[0-9 ]{3}05")
#: A number of eleven digits between blanks: where the header is shifted by a character or so.
_SHIFTED = re.compile(r"(?<![^ ])[0-9]{11}(?![^ ])")
#: What begins as a header does, whatever follows.
_START = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n ]*00000")

#: The kinds of records: header, old balance, movement, information, message, new balance, trailer.
KINDS = frozenset("0123489")
#: Those between an old balance and a new one, which most records are.
DETAILS = "234"


class _Counted(Struct):
    """What has been counted since the header, and since the last old balance."""

    records: int = 0
    debit: int = 0
    credit: int = 0
    balance: int | None = None
    statement: str = ""


def recognises(head: bytes) -> bool:
    """Whether it begins as a header does; `read` says whether it is one."""
    return _START.match(head) is not None


def read(payload: Payload) -> Content:
    """Whose statements they are, by the headers and by the accounts.

    What begins like CODA and is none, or breaks off in a statement, is told as such.
    """
    try:
        return _statement(payload)
    except Hostile:
        raise
    except Unreadable as error:
        return Other("coda-like", f"a text that resembles CODA, but {error}")


def problems(payload: Payload) -> list[str]:
    """Where the records don't add up: their number, the sums, the balances, a missing end."""
    found = list(islice(_problems(payload), TOLD))
    return [*found, "and more of the kind"] if len(found) == TOLD else found


def is_quick(data: bytes) -> bool:
    """Whether it has a few hundred records."""
    return len(data) <= QUICK


def _problems(payload: Payload) -> Iterator[str]:
    counted: _Counted | None = None
    for record in _records(payload):
        kind = record[0]
        if kind in DETAILS and counted is not None:
            counted.records += 1
            if kind == "2" and record[1:2] == "1" and record[6:10] == "0000":
                yield from _movement(record, counted)
        elif kind == "0":
            if counted is not None:
                yield "a file begins before the one in front of it has ended (record 9)"
            counted = _Counted()
        elif counted is None:
            yield "records follow the last one (record 9)"
            break
        elif kind == "9":
            yield from _missing_balance(counted)
            yield from _trailer(record, counted)
            counted = None
        else:
            counted.records += 1
            yield from (_opening if kind == "1" else _balance)(record, counted)
        if len(record) > RECORD and record[RECORD:].strip():
            yield f"a record has {len(record.rstrip())} characters instead of {RECORD}"
    if counted is not None:
        yield "the end is missing (record 9)"


def _statement(payload: Payload) -> Content:
    holders: dict[str, Identifier] = {}
    accounts: dict[tuple[str, str], None] = {}
    name = number = day = kind = ""
    is_open = False
    for record in _records(payload):
        kind = record[0]
        if kind in DETAILS:
            continue
        if kind == "1":
            is_open = True
            accounts[record[1:2], record[5:42]] = None
            check_accounts(accounts)
            number = record[2:5].strip()
        elif kind == "8":
            is_open = len(record) < BALANCE
            day = _day(record[57:63]) or day
        elif kind == "0":
            name = record[34:60].strip()
            day = _day(record[5:11])
            if holder := _holder(record):
                holders[holder] = Identifier("the header record", "0208", holder)
                check_accounts(holders)
    if not accounts:
        raise Unreadable("it has no statement (record 1)")
    if is_open and kind != "9":
        raise Unreadable("it breaks off in the middle of a statement")
    numbers = tuple(dict.fromkeys(_account(*fields) for fields in accounts))
    return Statement("coda", tuple(holders.values()), name, numbers, number, day, "cod")


def _records(payload: Payload) -> Iterator[str]:
    """The records, blanks at their ends stripped or not; the first is a header."""
    return chain.from_iterable(_checked(payload))


def _checked(payload: Payload) -> Iterator[list[str]]:
    """The records, as many together as are read at a time. Unreadable at what is none."""
    is_first = True
    for records in groups(payload):
        if is_first:
            is_first = False
            records[0] = records[0].lstrip(" ")
            if not _HEADER.match(records[0]):
                raise Unreadable("its first line is no header (record 0)")
        if KINDS.issuperset(map(itemgetter(0), records)) and max(map(len, records)) <= LINE:
            yield records
            continue
        for record in records:
            if record[0] not in KINDS:
                raise Unreadable(f'one of its lines begins with "{record[0]}", as no record does')
            if len(record) > LINE:
                raise Unreadable(f"one of its lines has more than {LINE} characters")
            yield [record]
    if is_first:
        raise Unreadable("its first line is no header (record 0)")


def _holder(record: str) -> str:
    """Positions 72 to 82 of the header: the holder's enterprise number after a zero, if any."""
    field = record[71:82]
    shifted = None if field.isdecimal() else _SHIFTED.search(record, 60, 84)
    digits = shifted[0] if shifted else field.strip()
    if not digits.isdecimal() or not digits.strip("0"):
        return ""
    return digits[1:] if len(digits) == 11 and digits.startswith("0") else digits


def _account(structure: str, field: str) -> str:
    """The account in positions 6 to 42 of record 1; its structure is in position 2."""
    match structure:
        case "0" | " ":  # the twelve digits of a Belgian account; in version 1 it is blank
            number = field[:12]
            if number.isdecimal() and number.isascii():
                return f"BE{stdnum.iban.calc_check_digits(f'BE00{number}')}{number}"
            # Some write an IBAN there all the same.
            return field.partition(" ")[0]
        case "2":  # a Belgian IBAN, and an extension after it
            return field[:31].strip()
        case _:  # a foreign number or IBAN
            return field[:34].strip()


def _day(digits: str) -> str:
    """ISO 8601 of ddmmyy; empty if that is no day."""
    try:
        day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
        return date(2000 + year if year < 80 else 1900 + year, month, day).isoformat()
    except ValueError:
        return ""


def _amount(field: str) -> int:
    """Thousandths, negative for a debit."""
    if len(field) != 16 or not (field.isdecimal() and field.isascii()):
        raise Unreadable(f'one of its records has no amount where one has to be, but "{field}"')
    thousandths = int(field[1:])
    return -thousandths if field[0] == "1" else thousandths


def _opening(record: str, counted: _Counted) -> list[str]:
    """Record 1, the old balance."""
    found = _missing_balance(counted)
    counted.statement = record[2:5]
    counted.balance = _amount(record[42:58])
    return found


def _movement(record: str, counted: _Counted) -> list[str]:
    """Record 2.1 whose detail number is 0000: others are details of one that stands for all."""
    amount = _amount(record[31:47])
    if amount < 0:
        counted.debit -= amount
    else:
        counted.credit += amount
    if counted.balance is None:
        return ["a movement stands in no statement"]
    counted.balance += amount
    return []


def _balance(record: str, counted: _Counted) -> list[str]:
    """Record 8 against the old balance and the movements."""
    balance, counted.balance = counted.balance, None
    if balance is None:
        return [f"statement {record[1:4]} has a new balance and no old one"]
    stated = _amount(record[41:57])
    if stated == balance:
        return []
    what = f"the old balance and the movements of statement {record[1:4]} give"
    return [f"{what} {_money(balance)}, and its new balance is {_money(stated)}"]


def _missing_balance(counted: _Counted) -> list[str]:
    if counted.balance is None:
        return []
    return [f"statement {counted.statement} has no new balance (record 8)"]


def _trailer(record: str, counted: _Counted) -> list[str]:
    """Record 9 against what has been counted."""
    found = []
    count = record[16:22]
    if not (count.isdecimal() and int(count) == counted.records):
        found.append(f"the trailer counts {count.strip()} records, and there are {counted.records}")
    for what, field, sum_ in (
        ("debits", record[22:37], counted.debit),
        ("credits", record[37:52], counted.credit),
    ):
        stated = _amount(f"0{field}")
        if stated != sum_:
            found.append(
                f"the trailer's sum of {what} is {_money(stated)}, and they are {_money(sum_)}"
            )
    return found


def _money(thousandths: int) -> str:
    return f"{thousandths / 1000:,.3f}"
