"""MT940 fields: the fields of a file, its balances and its movements, in all spellings of banks.

A field begins a line with its tag. Some banks break off a value at the end of a line and go on in
the next one, write "@@" for the end of a line, or leave out or add blanks; programs that took a
file out of JSON or of a web page leave the escape or the tag of a new line there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from pipeline.payload import Payload
from stages.formats.lines import lines
from stages.values.amounts import written_amount
from stages.values.dates import iso_date, short_date

#: Bytes from the beginning of a document in which ends of lines are looked for.
HEAD = 4096
#: Lines of one field that are kept; a balance or movement goes on for one or two more lines.
MAX_KEPT = 3

#: Characters of an amount: numbers of more digits would be rounded when they are added.
MAX_AMOUNT = 24

#: The tag of what ends a message: a line with a dash.
END = "-"
#: The tag of a line that begins an envelope.
ENVELOPE = "{"

#: What stands for the end of a line.
LINE_END = rb"(?:[\r\n]|@@|\\[rn]|<br ?/?>)"
#: How a file ends that breaks off in a tag.
_TAG_BEGUN = re.compile(LINE_END + rb":(?:[0-9]{1,2}[A-Z]?)?\Z")
#: Blocks of an envelope at the end of a file, behind a message.
_BLANKS = rb"[\s\x01\x03$]*"
_BLOCKS = re.compile(
    rb"(?:-\}|" + LINE_END + rb")" + _BLANKS + rb"(\{(?:\Z|[1-5S](?:\Z|:))[^\r\n]*"
    rb"(?:[\r\n]" + _BLANKS + rb"\{[^\r\n]*)*)" + _BLANKS + rb"\Z"
)
#: What follows the last line with a dash.
_BEHIND = re.compile(rb"[\s\S]*" + LINE_END + rb"-[ \t]*" + LINE_END + rb"([\s\S]*)\Z")
_DIGIT = re.compile(rb"[0-9]")

_TAG = re.compile(r"\s*:\s*([0-9]{2}[A-Za-z]?)\s*:(.*)")
#: The signs that a file has in place of ends of lines, and their beginnings.
_SIGNS = re.compile(rb"(@@|(?:\\r)?\\n|\\r|<br ?/?>)[ \t\r\n]*:[ ]*25[Pp]?[ ]*:")
_SUSPECT = (b"@@", b"\\", b"<br")

#: The fields that come before the movements.
_BEGINNING = frozenset({"20", "21", "25", "25P", "28", "28C", "13D", "60F", "60M", "34F"})
_BALANCES = frozenset({"60F", "60M", "62F", "62M"})
_OTHERS = frozenset({"61", "86", "64", "65", "90D", "90C"})
_KNOWN = _BEGINNING | _BALANCES | _OTHERS

_AMOUNT = r"([+-]?[0-9.,](?:[0-9., '\u2019\u00a0\u202f]*[0-9.,])?)\s*(.?)"
#: Credit or debit, the day, the currency, the amount, and the character that follows it; then the
#: same without a currency, with a year of two digits or of four.
_BALANCE_FORMS = (
    re.compile(rf"([CD])R?\s*([0-9 ./-]{{0,12}})([A-Z]{{3}})\s*{_AMOUNT}"),
    re.compile(rf"([CD])R?\s*([0-9]{{6}})()\s*{_AMOUNT}"),
    re.compile(rf"([CD])R?\s*([0-9]{{8}})()\s*{_AMOUNT}"),
)
#: The days, which nothing depends on; a letter before credit or debit; letters of the currency,
#: the amount, and the character that follows it.
_MOVEMENT = re.compile(rf"[0-9 ./-]{{0,24}}([ABE-Z]?)([CD])\s*[A-Z]{{0,3}}\s*{_AMOUNT}")
#: The letters before credit or debit whose meaning is known: a reversal, and what is expected.
_REVERSAL, _EXPECTED = "R", "E"


class Field(Struct):
    """A field. lines: the first of them without the tag, and those that follow it."""

    tag: str
    lines: list[str] = field(default_factory=list)

    @property
    def value(self) -> str:
        """The first line that is not blank."""
        return next((line.strip() for line in self.lines if line.strip()), "")


class Balance(Struct, frozen=True):
    """A balance. day: ISO 8601; "" or None where it isn't stated, or not without doubt."""

    day: str = ""
    currency: str = ""
    amount: Decimal | None = None


class Movement(Struct, frozen=True):
    """A movement. amount: negative for a debit. is_expected: it may not be in the balance yet."""

    amount: Decimal
    is_expected: bool


def fields(payload: Payload) -> Iterator[Field]:
    """Yield the fields and ends of messages.

    A line of field 86 is free text, and may look like a field from the beginning of a message. It
    is one only if what follows belongs to a beginning too.
    """
    inside = False
    latest: Field | None = None
    for one in _candidates(payload):
        if latest is not None and not (inside and _is_text(latest, one)):
            yield latest
            inside = latest.tag == "86" or (inside and latest.tag == END)
        latest = one
    if latest is not None:
        # What the file ends with is never taken for text: it may be all that is left of a message.
        yield latest


def _candidates(payload: Payload) -> Iterator[Field]:
    """Yield what looks like a field."""
    head = payload.head(HEAD)
    signs = _SIGNS.search(head) if any(one in head for one in _SUSPECT) else None
    also = signs[1] if signs else b""
    latest: Field | None = None
    for line in lines(payload, also):
        found = _field(line)
        if found is not None:
            if latest is not None:
                yield latest
            latest = found
        elif latest is not None and len(latest.lines) < MAX_KEPT:
            latest.lines.append(line.strip())
    if latest is not None:
        yield latest


def _field(line: str) -> Field | None:
    """Return the field or the end of a message that a line begins; None if it begins none."""
    bare = line.strip()
    stated = bare if bare[:1] == ":" or "{4:" not in bare else bare.partition("{4:")[2]
    if (match := _TAG.match(stated)) and (tag := match[1].upper()) in _KNOWN:
        value = match[2].partition("-}{")[0]
        return Field(tag, [value.strip().removesuffix("-}")])
    if bare == "-" or bare.startswith("-}"):
        return Field(END)
    return Field(ENVELOPE) if bare.startswith("{1:") else None


def breaks_off(tail: bytes, start: bytes) -> bool:
    """Whether a file that ends so breaks off in a tag, or in what stands in front of a message.

    start: what stands in front of its first message, as some banks repeat it with other numbers.
    """
    if _TAG_BEGUN.search(tail):
        return True
    if blocks := _BLOCKS.search(tail):
        _, begun, last = blocks[1].rpartition(b"{1:")
        return blocks[1].count(b"{") != blocks[1].count(b"}") or (
            bool(begun) and b"{4:" not in last
        )
    behind = _BEHIND.fullmatch(tail)
    begun = _DIGIT.sub(b"0", b" ".join(behind[1].split())) if behind else b""
    return begun != b"" and _DIGIT.sub(b"0", b" ".join(start.split())).startswith(begun)


def _is_text(one: Field, following: Field) -> bool:
    """Whether what looks like a field, behind a field 86, is text of that field."""
    if one.tag in _BALANCES:
        return balance(one) is None
    return one.tag in _BEGINNING and following.tag not in _BEGINNING


def balance(stated: Field) -> Balance | None:
    """Return the balance in a field, None if it has not the form of one."""
    for text, following in _attempts(stated):
        for pattern in _BALANCE_FORMS:
            match = pattern.match(text)
            day = _day(match[2]) if match else ""
            if match is None or not (day or match[3]):
                continue
            amount = _amount(match[4], match[5], following)
            if amount is not None and match[1] == "D":
                amount = amount.copy_negate()
            return Balance(day, match[3], amount)
    return None


def movement(stated: Field) -> Movement | None:
    """Return the movement in a field, None if it can't be read without doubt."""
    for text, following in _attempts(stated):
        if match := _MOVEMENT.match(text):
            amount = _amount(match[3], match[4], following)
            if amount is None or match[1] not in ("", _REVERSAL, _EXPECTED):
                return None
            # The reversal of a credit is a debit, and the other way round.
            is_credit = (match[2] == "C") is not (match[1] == _REVERSAL)
            return Movement(amount if is_credit else -amount, match[1] == _EXPECTED)
    return None


def _attempts(stated: Field) -> Iterator[tuple[str, str]]:
    """Yield the first line, the first two and so on, with what follows them."""
    text = ""
    for at, line in enumerate(stated.lines):
        text += line.upper()
        yield text.strip(), "".join(stated.lines[at + 1 : at + 2])


def _amount(digits: str, behind: str, following: str) -> Decimal | None:
    """Return an amount; None if it may go on behind what has been read of it, or is none."""
    digits = digits.removeprefix("+")
    if len(digits) > MAX_AMOUNT:
        return None
    goes_on = not behind and following[:1] in frozenset("0123456789.,")
    if behind in frozenset("-+0123456789") or (goes_on and not re.search("[.,]", digits)):
        return None
    return written_amount(digits)


def _day(stated: str) -> str:
    """Return the ISO 8601 form of yymmdd or yyyymmdd; "" if that is no day."""
    digits = "".join(filter(str.isdecimal, stated))
    if len(digits) == 8:
        return iso_date(digits)
    return short_date(digits[:2], digits[2:4], digits[4:])
