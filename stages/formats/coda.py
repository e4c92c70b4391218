"""CODA, the statements of account of Belgian banks (Febelfin, "CODA 2.6"; version 1 likewise).

Records of 128 characters, the first of which is the record's kind. What one states of an amount
is a sign (1 for a debit) and fifteen digits, of which three are decimals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import stdnum.iban
from msgspec import Struct

from pipeline.payload import Payload
from stages.formats.content import Content, Statement, Unreadable
from stages.parties import Identifier

RECORD = 128
#: A line that is longer than a record by more than this is of no CODA file.
LINE = 4 * RECORD

#: The header: 0000, the date, the bank, the application code 05, and at the end the version.
_HEADER = re.compile(rb"^(?:\xef\xbb\xbf)?00000[0-9]{6}[0-9 ]{3}05.{111,150}[12][ \r]*(?:\n|$)")
#: A number of eleven digits between blanks: where the header is shifted by a character or so.
_SHIFTED = re.compile(r"(?<![^ ])[0-9]{11}(?![^ ])")


class _Amounts(Struct):
    """What has been counted since the header, and since the last old balance."""

    records: int = 0
    debit: int = 0
    credit: int = 0
    balance: int | None = None
    statement: str = ""


def recognises(head: bytes) -> bool:
    """Whether the first record is a header."""
    return _HEADER.match(head) is not None


def read(payload: Payload) -> Content:
    """Whose statements they are, by the headers and by the accounts."""
    holders: dict[str, Identifier] = {}
    accounts: dict[str, None] = {}
    name = number = day = ""
    for record in _records(payload):
        match record[0]:
            case "0":
                name = record[34:60].strip()
                day = _day(record[5:11])
                if holder := _holder(record):
                    holders[holder] = Identifier("the header record", "0208", holder)
            case "1":
                accounts[_account(record[1], record[5:42])] = None
                number = record[2:5].strip()
            case "8":
                day = _day(record[57:63]) or day
    if not accounts:
        raise Unreadable("it begins as a CODA file and has no statement (no record 1)")
    return Statement("coda", tuple(holders.values()), name, tuple(accounts), number, day, "cod")


def oddities(payload: Payload) -> list[str]:
    """Where the records don't add up: their number, the sums, the balances, a missing end."""
    found: list[str] = []
    amounts: _Amounts | None = None
    for record in _records(payload):
        kind = record[0]
        if kind == "0":
            if amounts is not None:
                found.append("a file begins before the one in front of it has ended (record 9)")
            amounts = _Amounts()
            continue
        if amounts is None:
            found.append("records follow the last one (record 9)")
            break
        if kind == "9":
            found += _missing_balance(amounts)
            found += _trailer(record, amounts)
            amounts = None
        else:
            found += _counted(record, amounts)
    if amounts is not None:
        found.append("the end is missing (record 9)")
    return found


def _counted(record: str, amounts: _Amounts) -> list[str]:
    """Count one record in between; what does not hold in it."""
    found: list[str] = []
    amounts.records += 1
    match record[0], record[1]:
        case "1", _:
            found += _missing_balance(amounts)
            amounts.statement = record[2:5]
            amounts.balance = _amount(record[42:58])
        case "2", "1" if record[6:10] == "0000":
            # Others are details of one that stands for all of them.
            amount = _amount(record[31:47])
            amounts.debit -= min(amount, 0)
            amounts.credit += max(amount, 0)
            if amounts.balance is not None:
                amounts.balance += amount
        case "8", _:
            found += _balance(record, amounts)
            amounts.balance = None
    return found


def _records(payload: Payload) -> Iterator[str]:
    with payload.open() as stream:
        while line := stream.readline(LINE):
            text = _decode(line).rstrip("\r\n\x1a")
            if len(line) == LINE or len(text.rstrip()) > RECORD:
                raise Unreadable(f"a line of the CODA file has more than {RECORD} characters")
            if text.strip():
                yield text.ljust(RECORD)


def _decode(line: bytes) -> str:
    """One character for each position: most banks write ASCII, some Windows-1252."""
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def _holder(record: str) -> str:
    """Positions 72 to 82 of the header: the holder's enterprise number after a zero, if any."""
    field = record[71:82]
    shifted = None if field.isdecimal() else _SHIFTED.search(record, 60, 84)
    digits = shifted[0] if shifted else field.strip()
    if not digits.strip("0"):
        return ""
    return digits[1:] if len(digits) == 11 and digits.startswith("0") else digits


def _account(structure: str, field: str) -> str:
    """The account in positions 6 to 42 of record 1; its structure is in position 2."""
    match structure:
        case "0":  # the twelve digits of a Belgian account
            number = field[:12].strip()
            if len(number) == 12 and number.isdecimal():
                return f"BE{stdnum.iban.calc_check_digits(f'BE00{number}')}{number}"
            return number
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
    if not (field.isdecimal() and field.isascii()):
        raise Unreadable(f'a CODA record has no amount where one has to be, but "{field}"')
    thousandths = int(field[1:])
    return -thousandths if field[0] == "1" else thousandths


def _balance(record: str, amounts: _Amounts) -> list[str]:
    """Record 8 against the old balance and the movements."""
    if amounts.balance is None:
        return [f"statement {record[1:4]} has a new balance and no old one"]
    stated = _amount(record[41:57])
    if stated == amounts.balance:
        return []
    counted = _money(amounts.balance)
    what = f"the old balance and the movements of statement {record[1:4]} give {counted}"
    return [f"{what}, and its new balance is {_money(stated)}"]


def _missing_balance(amounts: _Amounts) -> list[str]:
    if amounts.balance is None:
        return []
    return [f"statement {amounts.statement} has no new balance (record 8)"]


def _trailer(record: str, amounts: _Amounts) -> list[str]:
    """Record 9 against what has been counted."""
    found = []
    count = record[16:22]
    if not count.isdecimal() or int(count) != amounts.records:
        found.append(f"the trailer counts {count.strip()} records, and there are {amounts.records}")
    for what, field, counted in (
        ("debits", record[22:37], amounts.debit),
        ("credits", record[37:52], amounts.credit),
    ):
        stated = _amount(f"0{field}")
        if stated != counted:
            found.append(
                f"the trailer's sum of {what} is {_money(stated)}, and they are {_money(counted)}"
            )
    return found


def _money(thousandths: int) -> str:
    return f"{thousandths / 1000:,.3f}"
