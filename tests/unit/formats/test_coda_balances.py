"""CODA: the balances of each statement in one spelling, and a file of the files of several."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from pipeline.payload import Payload
from stages.formats import coda
from stages.formats.content import AccountStatement, Statement
from stages.matching.fingerprint import fingerprint
from tests.helpers.cases import case

IBAN = "BE45068999950189"
FIELDS = {
    "0": "068999950189 {currency}0BE",
    " ": "068999950189 {currency}0BE",
    "1": "{account:34}{currency}",
    "2": "{account:34}{currency}",
    "3": "{account:34}{currency}",
}


def file(
    structure: str = "2",
    currency: str = "EUR",
    account: str = IBAN,
    holder: str = "00403170701",
    amount: int = 1000000,
    day: str = "020326",
) -> list[str]:
    field = FIELDS[structure].format(account=account, currency=currency).ljust(37)
    sign = "1" if amount < 0 else "0"
    stated = f"{sign}{abs(amount):015}{day}"
    return [
        f"0000002032672505{'':18}{'NAME':26}{'GKCCBEBB':11}{holder:11} 00000".ljust(127) + "2",
        f"1{structure}041{field}{stated}{'NAME':26}".ljust(128),
        f"8041{field}{stated}".ljust(128),
        f"9{'':15}{2:06}{0:015}{0:015}".ljust(127) + "2",
    ]


def read(lines: list[str]) -> tuple[AccountStatement, ...]:
    data = "".join(f"{line}\r\n" for line in lines).encode()
    found = coda.read(Payload(len(data), sha256="", data=data))
    assert isinstance(found.content, Statement), found
    assert (found.problems, found.warnings) == ((), ())
    return found.content.parts


@pytest.mark.parametrize("structure", FIELDS)
@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_each_structure_of_account(structure: str, currency: str) -> None:
    (part,) = read(file(structure, currency))
    assert part.accounts == (IBAN,)
    assert part.opening == part.closing == f"2026-03-02 {currency} 1000"


@given(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.dates(date(1980, 1, 1), date(2079, 12, 31)),
)
def test_they_come_back(amount: int, day: date) -> None:
    (part,) = read(file(amount=amount, day=f"{day:%d%m%y}"))
    stated, code, value = part.opening.split()
    assert (stated, code, Decimal(value) * 1000) == (str(day), "EUR", amount)
    assert part.closing == part.opening


@pytest.mark.parametrize(
    "lines", [file(currency="   "), file(day="000000"), file(day="310226"), file(currency="E1R")]
)
def test_one_that_is_in_doubt_is_not_stated(lines: list[str]) -> None:
    (part,) = read(lines)
    assert (part.opening, part.closing) == ("", "")


@pytest.mark.parametrize("account", ["", "EUR", "00000000"])
def test_an_account_without_a_number_is_none(account: str) -> None:
    (part,) = read(file("3", account=account))
    assert part.accounts == ()


def test_a_file_of_two_has_the_parts_of_both() -> None:
    other = file("3", "GBP", "GB29NWBK60161331926819", "00202239951", -5)
    first, second = read(file() + ["", "  "] + [line.rstrip() for line in other])
    assert (first,) == read(file())
    assert (second,) == read(other)
    assert [holder.value for holder in second.holders] == ["0202239951"]


@given(st.integers(1, 2 * 4 * 130))
def test_what_is_cut_off_is_no_shorter_statement(at: int) -> None:
    lines = file() + file(account="BE71096123456769")
    data = "".join(f"{line}\r\n" for line in lines).encode()[:at]
    found = coda.read(Payload(len(data), sha256="", data=data))
    if isinstance(found.content, Statement) and not found.problems:
        whole = read(lines)
        # Only a file that ends between two files is like one that never had the second.
        between = 4 * 130 - 130 < at <= 4 * 130
        assert found.content.parts == (whole[:1] if between else whole)


def test_statements_of_two_companies_stay_apart() -> None:
    path = case("03-statements-of-two-companies", "A-and-B.cod")
    first, second = read(path.read_text().splitlines())
    assert [one.accounts for one in (first, second)] == [(IBAN,), ("BE98068999960293",)]
    assert [one.holders[0].value for one in (first, second)] == ["0700100171", "0700200240"]
    assert first.opening == second.opening == "2026-03-01 EUR 1000"


def test_the_second_number_of_a_statement_tells_it_apart() -> None:
    """The number on paper stays the same, or is zero, where only the coded ones are counted."""
    first, second = file(), file()
    first[1], second[1] = f"{first[1][:125]}007", f"{second[1][:125]}008"
    (one,), (other,) = read(first), read(second)
    assert (one.number, one.page, other.page) == ("041", "007", "008")
    assert read([line.rstrip() for line in file()])[0].page == ""


def test_the_same_statement_is_the_same() -> None:
    found = []
    for name in ("b1.cod", "b2.cod"):
        data = case("20-same-statement-twice", name).read_bytes()
        content = coda.read(Payload(len(data), sha256="", data=data)).content
        assert isinstance(content, Statement)
        found.append(fingerprint(content, name, lambda *_: False))
    assert found[0] == found[1]
    assert found[0].parts[-2:] == ("2026-03-01 EUR 1000", "2026-03-02 EUR 1250")
