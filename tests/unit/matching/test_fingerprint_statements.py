"""The account of a statement, where its bank is stated beside its number."""

from __future__ import annotations

import pytest

from pipeline.ledger.marks import contradict
from stages.formats import mt940
from stages.matching.fingerprint import fingerprint
from stages.model import Fingerprint
from tests.helpers.invoices import payload
from tests.helpers.mt940 import STATEMENT


def told(account: str) -> Fingerprint:
    content = mt940.read(payload(STATEMENT.format(account=account, number="17"))).content
    assert content is not None
    return fingerprint(content, "digest", lambda *_: False)


def is_same(one: str, other: str) -> bool:
    first, second = told(one), told(other)
    return first.parts == second.parts and not contradict(first.marks, second.marks)


def test_one_number_at_two_banks_is_two_accounts() -> None:
    assert is_same("ABNANL2A/0417164300/EUR", "ABNANL2A/0417164300/EUR")
    assert not is_same("ABNANL2A/0417164300/EUR", "INGBNL2A/0417164300/EUR")
    assert not is_same("19-2000145399/0800", "19-2000145399/0100")


@pytest.mark.parametrize(
    "spelling", ["BE68 5390 0754 7034", "539-0075470-34", "KREDBEBB/539007547034"]
)
def test_an_account_is_one_however_its_iban_is_written(spelling: str) -> None:
    assert is_same("BE68539007547034", spelling)


def test_what_was_told_before_banks_were_kept_is_still_the_same() -> None:
    found = told("ABNANL2A/0417164300/EUR")
    assert found.parts[2] == "0417164300"
    assert not contradict(found.marks, "")
