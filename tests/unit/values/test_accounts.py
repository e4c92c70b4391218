"""Accounts in the spellings of several countries, and what is none."""

from __future__ import annotations

import pytest
import stdnum.iban
from hypothesis import assume, given, strategies as st

from stages.matching.parties import CompanyIndex
from stages.settings import Company
from stages.values.accounts import account_keys, account_number, is_iban, stated_iban
from tests.helpers.cases import case

IBAN = "BE68539007547034"
CURRENCIES = st.sampled_from(["EUR", "HUF", "USD", "CHF"])


def made(country: str, national: str) -> str:
    return f"{country}{stdnum.iban.calc_check_digits(f'{country}00{national}')}{national}"


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def same(configured: str, stated: str) -> bool:
    """As the company index compares them."""
    iban = stated_iban(stated)
    keys = (iban,) if iban else account_keys(stated)
    return not set(keys).isdisjoint(account_keys(configured))


@st.composite
def belgian(draw: st.DrawFn) -> str:
    start = draw(digits(10))
    return f"{start}{int(start) % 97 or 97:02}"


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("be68 5390 0754 7034", IBAN),
        (f"IBAN {IBAN}", IBAN),
        (f"{IBAN} EUR", IBAN),
        (f"{IBAN}EUR", IBAN),
        (f"{IBAN}/EUR", IBAN),
        (f"EUR/{IBAN}", IBAN),
        (f"KREDBEBB/{IBAN}/EUR", IBAN),
        (f"KREDBEBBXXX {IBAN}", IBAN),
        ("BE68\u200b5390\u20110754\u00a07034", IBAN),
        ("GKCCBEBB/068999950189/EUR", "BE45068999950189"),
        ("GKCCBEBB/EUR/068999950189", "BE45068999950189"),
        ("EUR/068999950189/GKCCBEBB", "BE45068999950189"),
        ("068-9999501-89", "BE45068999950189"),
        ("068999950189EUR", "BE45068999950189"),
        ("UBRTHUHB/123456789150ABCDEF009/HUF", "123456789150ABCDEF009"),
        ("37040044/532013000", "DE89370400440532013000"),
        ("37040044/0532013000/EUR", "DE89370400440532013000"),
        ("30006 00001 12345678901 89", "FR7630006000011234567890189"),
        ("2100 0418 45 0200051332", "ES9121000418450200051332"),
        ("61 1090 1014 0000 0712 1981 2874", "PL61109010140000071219812874"),
        (f"EUR{IBAN}", IBAN),
        (f"GKCCBEBB{IBAN}", IBAN),
        ("GKCCBEBB068999950189", "BE45068999950189"),
        ("GKCCBEBBXXX068999950189", "BE45068999950189"),
        ("ABNANL2A0417164300", "0417164300"),
        ("GKCCBEBB|068999950189", "BE45068999950189"),
        (f"GKCCBEBB:{IBAN}", IBAN),
        (f"{IBAN};EUR", IBAN),
        (f"{IBAN},EUR", IBAN),
        (f"{IBAN} (EUR)", IBAN),
        ("0000068999950189", "BE45068999950189"),
        (f"{IBAN} BAKKERIJ PEETERS", IBAN),
        ("BE68 5390 0754 7034 BAKKERIJ PEETERS 12", IBAN),
        ("BE67 5390 0754 7034 BAKKERIJ", "BE67539007547034BAKKERIJ"),
        ("INGBNL2A/0123456789", "0123456789"),
        ("0129.87.765", "012987765"),
        ("12345ABC", "12345ABC"),
        ("EUR", ""),
        ("XYZ", ""),
        ("no account", ""),
        ("/EUR", ""),
        ("KREDBEBB", ""),
        ("KREDBEBB//EUR", ""),
        ("", ""),
    ],
)
def test_the_one_spelling(text: str, account: str) -> None:
    assert account_number(text) == account
    assert account_number(account) == account


@pytest.mark.parametrize(
    ("configured", "stated"),
    [
        ("NL02ABNA0123456789", "123456789"),
        ("NL02ABNA0123456789", "ABNANL2A/0123456789/EUR"),
        ("NL02ABNA0123456789", "ABNANL2AXXX/123456789"),
        ("NL02ABNA0123456789", "TRIODOSBANK/0123456789"),
        ("NL02ABNA0123456789", "RABOBANK/123456789/EUR"),
        ("DE89370400440532013000", "532013000"),
        ("DE89370400440532013000", "COBADEFF/532013000EUR"),
        ("DE89370400440532013000", "532013000/37040044"),
        ("CZ6508000000192000145399", "0000192000145399/0800"),
        ("AT611904300234573201", "19043/00234573201"),
        ("AT611904300234573201", "19043/234573201"),
        ("CH9300762011623852957", "762/011623852957"),
        ("LU280019400644750000", "001/9400644750000"),
        ("DK5000400440116243", "0040-0440116243"),
        ("CZ6508000000192000145399", "19-2000145399/0800"),
        ("SK3112000000198742637541", "19-8742637541/1200/EUR"),
        ("HR1210010051863000160", "1001005-1863000160"),
        ("HU42117730161111101800000000", "11773016-11111018"),
        ("GB29NWBK60161331926819", "60-16-13 31926819"),
        ("NO9386011117947", "8601 11 17947"),
        ("FI2112345600000785", "12345600000785"),
        ("PT50000201231234567890154", "0002 0123 12345678901 54"),
        ("MC5811222000010123456789030", "11222 00001 01234567890 30"),
        (IBAN, "539-0075470-34"),
    ],
)
def test_a_national_spelling_finds_its_iban(configured: str, stated: str) -> None:
    assert is_iban(configured)
    assert same(configured, stated)


@pytest.mark.parametrize(
    ("configured", "stated"),
    [
        ("NL02ABNA0123456789", "1234"),
        ("NL02ABNA0123456789", "12345678"),
        ("NL02ABNA0123456789", "INGBNL2A/0123456789"),
        ("NL02ABNA0123456789", "COBADEFF/0123456789"),
        ("NL02ABNA0123456789", "1234567890"),
        ("DE89370400440532013000", "37040045/532013000"),
        ("DE89370400440532013000", "532013"),
        ("AT611904300234573201", "19044/00234573201"),
        ("GB29NWBK60161331926819", "60-16-14 31926819"),
        (made("DE", "370400440000001234"), "1234"),
        (IBAN, "EUR"),
        (IBAN, "KREDBEBB"),
    ],
)
def test_what_is_another_account(configured: str, stated: str) -> None:
    assert not same(configured, stated)


@given(belgian(), CURRENCIES)
def test_a_belgian_account_in_any_place(number: str, currency: str) -> None:
    iban = made("BE", number)
    for text in (
        *(number, f"{number}{currency}", f"{number} {currency}", f"{currency}/{number}"),
        *(f"KREDBEBB/{number}/{currency}", f"{number}/{currency}/KREDBEBB", f"{iban}/{currency}"),
    ):
        assert account_number(text) == iban, text
        assert same(iban, text), text


@given(digits(8), digits(10), CURRENCIES)
def test_a_german_account_with_and_without_zeros(bank: str, number: str, currency: str) -> None:
    iban = made("DE", bank + number)
    for text in (f"{bank}/{number}", f"{bank}/{number.lstrip('0') or '0'}/{currency}"):
        assert account_number(text) == iban
        assert same(iban, text)


@given(digits(8), digits(8), digits(10))
def test_an_account_of_another_bank_is_another(one: str, other: str, number: str) -> None:
    assume(one != other)
    assert not same(made("DE", one + number), made("DE", other + number))
    assert not same(made("DE", one + number), f"{other}/{number}")


@given(
    digits(10),
    st.sampled_from(["ABNA", "INGB", "RABO"]),
    st.sampled_from(["{}", "{}EUR", "{}/EUR"]),
)
def test_a_dutch_number_without_its_bank(number: str, bank: str, spelling: str) -> None:
    iban = made("NL", bank + number)
    significant = number.lstrip("0")
    for zeros in (number, significant):
        assert same(iban, spelling.format(zeros)) is (len(significant) >= 5)


@given(st.text("0123456789ABCDEU/- ", max_size=40), st.booleans())
def test_any_text_has_one_spelling(text: str, with_currency: bool) -> None:
    found = account_number(f"{text}/EUR" if with_currency else text)
    assert found != "EUR"
    assert found == found.strip()


@given(st.text(max_size=200))
def test_no_text_is_a_trouble(text: str) -> None:
    account_number(text)
    assert len(account_keys(text)) < 20


@pytest.mark.parametrize(
    ("name", "account"),
    [("bic-account-currency.sta", "BE45068999950189"), ("foreign.sta", "123456789150ABCDEF009")],
)
def test_the_account_of_a_statement_is_what_looks_like_one(name: str, account: str) -> None:
    data = case("11-mt940-account-with-currency-part", name).read_bytes()
    field = data.decode().partition(":25:")[2].split("\n")[0]
    assert account_number(field) == account
    company = Company("x", "BE0403170701", "", accounts=("BE45068999950189",))
    found = CompanyIndex([company]).with_account(field, "")
    assert found == ((company,) if account in company.accounts else ())
