"""CODA reader: statements of account of Belgian banks (Febelfin, "CODA 2.6", and version 1).

A file consists of records of 128 characters; the first character is the code of the record. An
amount is a sign (1 for a debit) and fifteen digits, three of which are decimals. Banks send files
that deviate from the standard, so `read` is tolerant and `problems` reports the deviations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import islice

import stdnum.iban
from msgspec import Struct, structs

from pipeline.payload import Payload
from stages.formats.balances import bears_number, spelt_balance
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
from stages.formats.lines import groups
from stages.formats.party import Identifier
from stages.values.accounts import account_number, is_iban
from stages.values.dates import short_date

RECORD = 128
#: Characters above which a line is no record, not even a shifted one.
MAX_LINE = 4 * RECORD
#: Characters of record 8 up to the end of its amount; a shorter one has broken off.
BALANCE_END = 57
#: Bytes of a file that is read within a few milliseconds.
QUICK = 128 * 1024
#: Problems of one file that are reported.
MAX_PROBLEMS = 8

#: The header up to its application code: 0000, the date, the bank, 05.
_HEADER = re.compile(r"00000[0-9]{6}[0-9 ]{3}05")
#: A number of eleven digits between blanks: how it is found in a header that is shifted a little.
_SHIFTED = re.compile(r"(?<![^ ])[0-9]{11}(?![^ ])")
#: How a header begins.
_START = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n ]*00000")

#: The codes of records: header, old balance, movement, information, message, new balance, trailer.
RECORD_CODES = frozenset("0123489")
#: Those between an old balance and a new one: most records of a file.
DETAILS = "234"
#: The codes of records as a text, cut into runs: as many of those as there are, or one other.
_RUNS = re.compile(f"[{DETAILS}]+|.")


class _Totals(Struct):
    """Running totals of one file, and of the statement since its old balance.

    debit, credit, balance: thousandths; balance is None outside of a statement.
    """

    records: int = 0
    debit: int = 0
    credit: int = 0
    balance: int | None = None
    statement: str = ""


def recognises(head: bytes) -> bool:
    """Whether the document begins as a header does; `read` finds out whether it is CODA."""
    return _START.match(head) is not None


def read(payload: Payload) -> Reading:
    """Return the statements, and where they don't add up."""
    warnings: list[str] = []
    runs = _RunsOf(payload)
    reading = checked(_content(runs), lambda: _reported(_problems(runs, warnings)))
    return structs.replace(reading, warnings=tuple(_reported(warnings)))


def _content(runs: Iterable[list[str]]) -> Content:
    """Return the statements, with the holders of the headers and the accounts.

    A file that only begins like CODA, or breaks off in a statement, is an Other that says so.
    """
    try:
        return _statement(runs)
    except Hostile:
        raise
    except Unreadable as error:
        return Other("coda-like", f"a text that resembles CODA, but {error}")


def _reported(notes: Iterable[str]) -> list[str]:
    """Return the first of what has been found, as many as anyone reads."""
    found = list(islice(notes, MAX_PROBLEMS))
    return [*found, "and more of the kind"] if len(found) == MAX_PROBLEMS else found


def is_quick(data: bytes) -> bool:
    """Whether the document has at most some hundred records."""
    return len(data) <= QUICK


class _RunsOf:
    """The records of a file in runs: details that follow one another, or one other record.

    A small file is read once, a large one each time that it is gone through. The first record is a
    header; blanks at the ends of records may be missing. Unreadable at other lines.
    """

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        self._kept: list[list[str]] | None = None

    def __iter__(self) -> Iterator[list[str]]:
        if self._kept is not None:
            return iter(self._kept)
        data = self._payload.data
        if data is None or len(data) > QUICK:
            return runs(self._payload)
        self._kept = list(runs(self._payload))
        return iter(self._kept)


def _problems(runs: Iterable[list[str]], warnings: list[str]) -> Iterator[str]:
    """Yield where the records don't add up: their number, sums, balances, or a missing end.

    Add to the warnings what is odd and has no bearing on any of that.
    """
    totals: _Totals | None = None
    for run in runs:
        record = run[0]
        code = record[0]
        if code in DETAILS and totals is not None:
            totals.records += len(run)
            yield from _movements(run, totals)
        elif code == "0":
            if totals is not None:
                yield "a file begins before the one in front of it has ended (record 9)"
            totals = _Totals()
        elif totals is None:
            yield "records follow the last one (record 9)"
            break
        elif code == "9":
            yield from _missing_balance(totals)
            yield from _trailer(record, totals)
            totals = None
        else:
            totals.records += 1
            yield from (_opening if code == "1" else _balance)(record, totals)
        if max(map(len, run)) > RECORD:
            _warn_of_long(run, warnings)
    if totals is not None:
        yield "the end is missing (record 9)"


def _warn_of_long(records: Iterable[str], warnings: list[str]) -> None:
    for record in records:
        if len(warnings) < MAX_PROBLEMS and record[RECORD:].strip():
            warnings.append(f"a record has {len(record.rstrip())} characters instead of {RECORD}")


def _statement(runs: Iterable[list[str]]) -> Content:
    parts: list[AccountStatement] = []
    holders: tuple[Identifier, ...] = ()
    name = header_day = code = structure = currency = ""
    part: AccountStatement | None = None
    for run in runs:
        record = run[0]
        code = record[0]
        if code in DETAILS:
            continue
        if code == "1":
            structure = record[1:2]
            account = account_of(structure, record[5:42])
            currency = currency_of(structure, record[5:42])
            part = AccountStatement(
                accounts=(account,) if bears_number(account) else (),
                holders=holders,
                holder_name=name,
                number=record[2:5].strip(),
                # Statements on paper and in this form are counted apart, one of them often not.
                page=record[125:RECORD].strip(),
                issue_date=header_day,
                opening=_spelt(record[58:64], currency, record[42:58]),
            )
            parts.append(part)
            check_count(parts)
        elif code == "8":
            if part is not None:
                parts[-1] = structs.replace(
                    part,
                    issue_date=day_of(record[57:63]) or part.issue_date,
                    closing=_spelt(
                        record[57:63],
                        currency_of(structure, record[4:41]) or currency,
                        record[41:57],
                    ),
                )
            part = part if len(record) < BALANCE_END else None
        elif code == "0":
            name = record[34:60].strip()
            header_day = day_of(record[5:11])
            holder = holder_of(record)
            holders = (Identifier("the header record", "0208", holder),) if holder else ()
    if not parts:
        raise Unreadable("it has no statement (record 1)")
    if part is not None and code != "9":
        raise Unreadable("it breaks off in the middle of a statement")
    return Statement("coda", tuple(parts), "cod")


def runs(payload: Payload) -> Iterator[list[str]]:
    """Yield the records in runs; a run ends with the chunk that is read."""
    is_first = True
    for records in groups(payload):
        if is_first:
            is_first = False
            records[0] = records[0].lstrip(" ")
            if not _HEADER.match(records[0]):
                raise Unreadable("its first line is no header (record 0)")
        codes = "".join([record[0] for record in records])
        if not RECORD_CODES.issuperset(codes) or max(map(len, records)) > MAX_LINE:
            yield from _up_to_other(records)
        for run in _RUNS.finditer(codes):
            yield records[run.start() : run.end()]
    if is_first:
        raise Unreadable("its first line is no header (record 0)")


def _up_to_other(records: Iterable[str]) -> Iterator[list[str]]:
    """Yield records one by one, and raise Unreadable at the line that is none."""
    for record in records:
        if record[0] not in RECORD_CODES:
            raise Unreadable(f'one of its lines begins with "{record[0]}", as no record does')
        if len(record) > MAX_LINE:
            raise Unreadable(f"one of its lines has more than {MAX_LINE} characters")
        yield [record]


def holder_of(record: str) -> str:
    """Return the holder's enterprise number from a header, "" if it has none.

    It stands in positions 72 to 82, after a zero.
    """
    field = record[71:82]
    shifted = None if field.isdecimal() else _SHIFTED.search(record, 60, 84)
    digits = shifted[0] if shifted else field.strip()
    if not digits.isdecimal() or not digits.strip("0"):
        return ""
    return digits[1:] if len(digits) == 11 and digits.startswith("0") else digits


def account_of(structure: str, field: str) -> str:
    """Return an account from positions 6 to 42 of record 1; position 2 states its structure."""
    match structure:
        case "0" | " ":  # the twelve digits of a Belgian account; in version 1 it is blank
            number = field[:12]
            if number.isdecimal() and number.isascii():
                return f"BE{stdnum.iban.calc_check_digits(f'BE00{number}')}{number}"
            # Some banks write an IBAN there, against the standard.
            stated = field.partition(" ")[0]
        case "2":  # a Belgian IBAN, and an extension after it
            stated = field[:31].strip()
        case _:  # a foreign number or IBAN
            stated = field[:34].strip()
    number = account_number(stated)
    return number if is_iban(number) else stated


def currency_of(structure: str, field: str) -> str:
    """Return the currency from the field of an account: behind a Belgian account, else at its end.

    "" where none is stated.
    """
    if structure in "0 ":
        behind = field.strip().partition(" ")[2].strip()
        return behind[:3]
    return field[34:37]


def _spelt(day: str, currency: str, field: str) -> str:
    """Return a balance in the one spelling of all formats, "" if a part of it is missing."""
    try:
        thousandths = amount_of(field)
    except Unreadable:
        return ""
    return spelt_balance(day_of(day), currency, Decimal(thousandths).scaleb(-3))


def day_of(digits: str) -> str:
    """Return the ISO 8601 form of ddmmyy; "" if that is no day."""
    return short_date(digits[4:6], digits[2:4], digits[:2])


def amount_of(field: str) -> int:
    """Return an amount in thousandths, negative for a debit."""
    if len(field) != 16 or not (field.isdecimal() and field.isascii()):
        raise Unreadable(f'one of its records has no amount where one has to be, but "{field}"')
    thousandths = int(field[1:])
    return -thousandths if field[0] == "1" else thousandths


def _opening(record: str, totals: _Totals) -> list[str]:
    """Start a statement with its old balance (record 1)."""
    found = _missing_balance(totals)
    totals.statement = record[2:5]
    totals.balance = amount_of(record[42:58])
    return found


def _movements(records: Sequence[str], totals: _Totals) -> list[str]:
    """Add the movements among details to the totals.

    They are the records 2.1 whose detail number is 0000; those with other numbers repeat them in
    parts.
    """
    fields = [
        record[31:47]
        for record in records
        if record.startswith("21") and record.startswith("0000", 6)
    ]
    if not fields:
        return []
    joined = "".join(fields)
    if len(joined) != 16 * len(fields) or not (joined.isdecimal() and joined.isascii()):
        for field in fields:
            amount_of(field)  # raises at the first that is none
    debit = sum([int(field[1:]) for field in fields if field.startswith("1")])
    credit = sum([int(field[1:]) for field in fields if not field.startswith("1")])
    totals.debit += debit
    totals.credit += credit
    if totals.balance is None:
        return ["a movement stands in no statement"] * len(fields)
    totals.balance += credit - debit
    return []


def _balance(record: str, totals: _Totals) -> list[str]:
    """Compare a new balance (record 8) with the old balance and the movements."""
    balance, totals.balance = totals.balance, None
    if balance is None:
        return [f"statement {record[1:4]} has a new balance and no old one"]
    stated = amount_of(record[41:57])
    if stated == balance:
        return []
    what = f"the old balance and the movements of statement {record[1:4]} give"
    return [f"{what} {_money(balance)}, and its new balance is {_money(stated)}"]


def _missing_balance(totals: _Totals) -> list[str]:
    if totals.balance is None:
        return []
    return [f"statement {totals.statement} has no new balance (record 8)"]


def _trailer(record: str, totals: _Totals) -> list[str]:
    """Compare a trailer (record 9) with the totals."""
    found = []
    count = record[16:22]
    if not (count.isdecimal() and int(count) == totals.records):
        found.append(f"the trailer counts {count.strip()} records, and there are {totals.records}")
    for what, field, sum_ in (
        ("debits", record[22:37], totals.debit),
        ("credits", record[37:52], totals.credit),
    ):
        stated = amount_of(f"0{field}")
        if stated != sum_:
            found.append(
                f"the trailer's sum of {what} is {_money(stated)}, and they are {_money(sum_)}"
            )
    return found


def _money(thousandths: int) -> str:
    return f"{thousandths / 1000:,.3f}"
