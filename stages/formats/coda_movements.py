"""CODA movements: what a file says beyond its balances, record by record (Febelfin, "CODA 2.6").

The positions are those of the standard, counted from 1 there and from 0 here. What the records 2.1
to 2.3 say of one movement is brought together, with the information on it in 3.1 to 3.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct, structs

from pipeline.payload import Payload
from stages.formats.coda import account_of, amount_of, currency_of, day_of, holder_of, runs
from stages.formats.content import Unreadable

#: The types of structured communications that are twelve digits with a check.
_STRUCTURED = {"101", "102"}


class Header(Struct, frozen=True):
    """Record 0: the file. day: ISO 8601."""

    day: str
    bank: str
    bic: str
    reference: str
    addressee: str
    identifier: str


class Balance(Struct, frozen=True):
    """Record 1 or 8: the old balance or the new one.

    account: "" in a new balance. amount: in thousandths, None if the record has none.
    """

    is_closing: bool
    number: str
    account: str
    currency: str
    holder: str
    description: str
    amount: int | None
    day: str


class Movement(Struct, frozen=True):
    """Records 2.1 to 3.3: a movement, or a detail of one, whose amount counts there.

    number, detail: the continuous one and that of the detail, "0000" for the movement itself.
    amount: in thousandths, negative for a debit. communication: with +++ if it is structured so.
    """

    number: str
    detail: str
    reference: str
    amount: int | None
    value_day: str
    entry_day: str
    transaction: str
    communication: str
    client_reference: str = ""
    bic: str = ""
    counterparty: str = ""
    counterparty_account: str = ""
    codes: str = ""
    information: tuple[str, ...] = ()


class Message(Struct, frozen=True):
    """Record 4: a message of the bank."""

    text: str


class Trailer(Struct, frozen=True):
    """Record 9: the sums of debits and credits, in thousandths; None if the record has none."""

    debits: int | None
    credits: int | None


Entry = Header | Balance | Movement | Message | Trailer


def entries(payload: Payload) -> Iterator[Entry]:
    """Yield what a file says, in its order. Unreadable at a line that is no record."""
    pending: Movement | None = None
    text = ""  # of the communication so far, whose words go on in the next record
    structure = ""
    for record in (one for run in runs(payload) for one in run):
        kind = record[:2]
        if pending is not None and kind in {"22", "23"}:
            pending, text = _continued(pending, text, record)
            continue
        if pending is not None and kind in {"31", "32", "33"}:
            pending = _informed(pending, record)
            continue
        if pending is not None:
            yield _finished(pending, text)
            pending = None
        if kind == "21":
            pending, text = _movement(record), record[61:115]
            continue
        structure = record[1:2] if kind.startswith("1") else structure
        yield _single(record, structure)
    if pending is not None:
        yield _finished(pending, text)


def _single(record: str, structure: str) -> Entry:
    """Return what a record says that stands for itself. structure: of the last account."""
    match record[:1]:
        case "0":
            return _header(record)
        case "1":
            return _opening(record, structure)
        case "4":
            return Message(record[32:112].strip())
        case "8":
            return _closing(record, structure)
        case "9":
            return Trailer(_amount("0" + record[22:37]), _amount("0" + record[37:52]))
    return Message(record[2:].strip())


def _header(record: str) -> Header:
    return Header(
        day=day_of(record[5:11]),
        bank=record[11:14].strip(),
        bic=record[60:71].strip(),
        reference=record[24:34].strip(),
        addressee=record[34:60].strip(),
        identifier=holder_of(record),
    )


def _opening(record: str, structure: str) -> Balance:
    return Balance(
        is_closing=False,
        number=record[2:5].strip(),
        account=account_of(structure, record[5:42]),
        currency=currency_of(structure, record[5:42]).strip(),
        holder=record[64:90].strip(),
        description=record[90:125].strip(),
        amount=_amount(record[42:58]),
        day=day_of(record[58:64]),
    )


def _closing(record: str, structure: str) -> Balance:
    return Balance(
        is_closing=True,
        number=record[1:4].strip(),
        account="",
        currency=currency_of(structure, record[4:41]).strip(),
        holder="",
        description="",
        amount=_amount(record[41:57]),
        day=day_of(record[57:63]),
    )


def _movement(record: str) -> Movement:
    return Movement(
        number=record[2:6],
        detail=record[6:10],
        reference=record[10:31].strip(),
        amount=_amount(record[31:47]),
        value_day=day_of(record[47:53]),
        entry_day=day_of(record[115:121]),
        transaction=record[53:61].strip(),
        communication="",
    )


def _continued(movement: Movement, text: str, record: str) -> tuple[Movement, str]:
    if record[1] == "2":
        codes = (record[112:113], record[113:117], record[117:121], record[121:125])
        more = structs.replace(
            movement,
            client_reference=record[63:98].strip(),
            bic=record[98:109].strip(),
            codes=" ".join(filter(None, map(str.strip, codes))),
        )
        return more, text.ljust(54) + record[10:63]
    more = structs.replace(
        movement,
        counterparty_account=" ".join(record[10:47].split()),
        counterparty=record[47:82].strip(),
    )
    return more, text.ljust(107) + record[82:125]


def _informed(movement: Movement, record: str) -> Movement:
    """Add information; that of 3.2 and 3.3 goes on where the record before it ended."""
    if record[1] == "1":
        told = _communication(record[39:113])
        return structs.replace(movement, information=(*movement.information, told))
    told = record[10:115] if record[1] == "2" else record[10:100]
    return structs.replace(movement, information=(*movement.information, " ".join(told.split())))


def _finished(movement: Movement, text: str) -> Movement:
    return structs.replace(movement, communication=_communication(text))


def _communication(field: str) -> str:
    """Return a communication: free after "0", after "1" with a type of three digits."""
    if not field.startswith("1"):
        return " ".join(field[1:].split())
    kind, said = field[1:4], field[4:]
    digits = said[:12]
    if kind in _STRUCTURED and re.fullmatch(r"[0-9]{12}", digits):
        rest = " ".join(said[12:].split())
        return f"+++{digits[:3]}/{digits[3:7]}/{digits[7:]}+++ {rest}".rstrip()
    return f"[{kind}] {' '.join(said.split())}"


def _amount(field: str) -> int | None:
    try:
        return amount_of(field)
    except Unreadable:
        return None
