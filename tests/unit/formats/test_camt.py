"""camt.053: whose account, which statement, of when; and its siblings, which are no statements."""

from __future__ import annotations

import pytest

from stages.formats.content import Other, Statement
from stages.formats.xml import content_of
from tests.helpers.camt import camt, one


def read(data: bytes) -> Statement:
    content = content_of(data)
    assert isinstance(content, Statement), content
    return content


@pytest.mark.parametrize("version", ["02", "03", "04", "05", "06", "07", "08", "13"])
def test_every_version(version: str) -> None:
    found = read(camt(one(), version=version))
    assert (found.format, found.accounts) == ("camt.053", ("BE68539007547034",))
    assert (found.number, found.issue_date) == ("ABC", "2026-02-02")
    assert found.holder_name == "Holder NV"
    assert [(holder.scheme, holder.value) for holder in found.holders] == [
        ("KBO-BCE", "0403170701")
    ]


def test_a_zone_is_no_part_of_the_day() -> None:
    assert read(camt(one().replace("2026-02-02<", "2026-02-02+01:00<"))).issue_date == "2026-02-02"


def test_accounts_without_an_iban_and_several_statements() -> None:
    other = one("<Othr><Id>123-456</Id></Othr>", "<ElctrncSeqNb>7</ElctrncSeqNb>")
    found = read(camt(one(), other))
    assert found.accounts == ("BE68539007547034", "123-456")
    assert found.number == "7"
    assert len(found.holders) == 1


def test_without_a_closing_balance_its_making_dates_it() -> None:
    assert read(camt(one().replace("CLBD", "CLAV"))).issue_date == "2026-02-03"


def test_in_an_envelope() -> None:
    inner = camt(one()).removeprefix(b'<?xml version="1.0"?>')
    found = read(b"<BizMsgEnvlp><Hdr/>" + inner + b"</BizMsgEnvlp>")
    assert found.accounts == ("BE68539007547034",)


def test_a_hundred_thousand_entries() -> None:
    entries = "<Ntry><Amt>1</Amt><Sts>BOOK</Sts></Ntry>" * 100_000
    assert read(camt(one() + one().replace("<Ntry>", entries + "<Ntry>"))).number == "ABC"


@pytest.mark.parametrize("message", ["camt.052", "camt.054", "pain.001", "pain.002", "pain.008"])
def test_siblings_are_no_statements(message: str) -> None:
    content = content_of(camt(one(), message=message))
    assert isinstance(content, Other)
    assert content.format == message
    assert message in content.description
    assert not content.possible_kinds
