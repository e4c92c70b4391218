"""The movements of a CODA file, each with all that its records say of it."""

from __future__ import annotations

import pytest

from pipeline.payload import Payload
from stages.formats.coda_movements import Balance, Header, Movement, Trailer, entries
from stages.formats.content import Unreadable


def record(*fields: tuple[int, str]) -> str:
    """A record of 128 characters; each field with its first position, from 1."""
    line = [" "] * 128
    for position, text in fields:
        line[position - 1 : position - 1 + len(text)] = text
    return "".join(line)


HEADER = record((1, "0000018011520105"), (35, "PEETERS"), (61, "KREDBEBB"), (72, "00403170701"))
OPENING = record((1, "12001BE68539007547034"), (40, "EUR"), (43, f"0{1500:015}"), (59, "170115"))
MOVE = record(
    (1, "2100010000BANKREF"), (32, f"1{1234560:015}"), (48, "180115"), (54, "00150000"),
    (62, "0first half of a wor"), (116, "190115"),
)  # fmt: skip
CLOSING = record((1, "8001BE68539007547034"), (38, "EUR"), (42, f"1{1233060:015}"), (58, "190115"))
TRAILER = record((1, "9"), (17, "000004"), (23, f"{1234560:015}"), (38, f"{0:015}"))


def read(*records: str) -> list[object]:
    data = "\r\n".join([HEADER, OPENING, *records, CLOSING, TRAILER]).encode("cp1252")
    return list(entries(Payload(len(data), "", data)))


def test_a_file_with_one_movement() -> None:
    header, opening, movement, closing, trailer = read(MOVE)
    assert isinstance(header, Header)
    assert (header.day, header.addressee, header.identifier) == (
        *("2015-01-18", "PEETERS", "0403170701"),
    )
    assert isinstance(opening, Balance)
    assert (opening.account, opening.amount) == ("BE68539007547034", 1500)
    assert isinstance(movement, Movement)
    assert (movement.amount, movement.value_day, movement.entry_day) == (
        *(-1234560, "2015-01-18", "2015-01-19"),
    )
    assert isinstance(closing, Balance)
    assert (closing.is_closing, closing.amount, closing.day) == (True, -1233060, "2015-01-19")
    assert trailer == Trailer(1234560, 0)


def test_the_records_of_a_movement_are_brought_together() -> None:
    second = record((1, "2200010000"), (11, "more"), (64, "CLIENTREF"), (99, "GEBABEBB"))
    third = record((1, "2300010000"), (11, "BE54805480215856"), (48, "DUPONT"), (83, "the end"))
    told = record((1, "3100010001"), (40, "0told"))
    rest = record((1, "3200010001"), (11, "and more"))
    _, _, movement, *_ = read(MOVE, second, third, told, rest)
    assert isinstance(movement, Movement)
    assert movement.communication == "first half of a wor more the end"
    assert (movement.counterparty, movement.counterparty_account, movement.bic) == (
        *("DUPONT", "BE54805480215856", "GEBABEBB"),
    )
    assert movement.client_reference == "CLIENTREF"
    assert movement.information == ("told", "and more")


def test_a_structured_communication_is_spelt_as_people_write_it() -> None:
    structured = MOVE[:61] + "1101090933755493".ljust(54) + MOVE[115:]
    other = MOVE[:61] + "1127something".ljust(54) + MOVE[115:]
    found = [one for one in read(structured, other) if isinstance(one, Movement)]
    assert [one.communication for one in found] == ["+++090/9337/55493+++", "[127] something"]


def test_what_is_no_record_is_refused_and_short_ones_are_read() -> None:
    with pytest.raises(Unreadable):
        read("Xyz")
    assert len(read("21", "22", "23", "4", "2", "3")) == 8
