"""Whose identifier it is, in every spelling, and whose it is not."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, strategies as st

from stages.formats.party import Identifier, Party
from stages.matching.evidence import weigh
from stages.matching.parties import CompanyIndex
from stages.settings import Company
from stages.values.identifiers import enterprise_number
from tests.helpers.mt940 import IBAN
from tests.helpers.whose import company, here, is_ours

BELGIAN = company("BE0403170701")


@st.composite
def numbers(draw: st.DrawFn) -> str:
    base = draw(st.integers(min_value=1_000_000, max_value=19_999_999))
    number = f"{base:08}{97 - base % 97:02}"
    return number if enterprise_number(number) else "0403170701"


@given(
    numbers(),
    st.sampled_from(["", "0208", "9925", "9956", "BE:CBE", "BE:VAT", "KBO", "VA", "UN/ECE 5153"]),
    st.sampled_from(["", "BE", "be ", "BE-", "BTW BE ", "TVA: BE", "0208:", "9925:BE", "BE:"]),
    st.sampled_from(["{}", "{0[0]}{0[1]}{0[2]}{0[3]}.{0[4]}{0[5]}{0[6]}.{0[7]}{0[8]}{0[9]}"]),
    st.booleans(),
    st.booleans(),
)
def test_a_belgian_number_in_any_spelling(
    number: str, scheme: str, prefix: str, dots: str, bare: bool, country: bool
) -> None:
    digits = number.lstrip("0") if bare and number.startswith("0") else number
    if len(digits) < 9:
        digits = number
    text = prefix + (dots.format(digits) if len(digits) == 10 else digits)
    home = "BE" if country else ""
    assert is_ours(company(f"BE{number}"), here(scheme, text), country=home), text
    # And the same written by a user, against the plainest of documents.
    assert is_ours(company("BE0999999922", text), here("0208", number)), text


@pytest.mark.parametrize("scheme", ["0007", "0088", "0106", "0060", "9930", "XX", "GLN", "0201"])
def test_digits_of_another_scheme_are_no_belgian_number(scheme: str) -> None:
    assert not is_ours(BELGIAN, here(scheme, "0403170701"))
    assert not is_ours(
        BELGIAN, here("", f"{scheme}:0403170701") if scheme.isdigit() else here(scheme, "403170701")
    )


@pytest.mark.parametrize("vat", ["NL820098395B01", "DE123456789", "NO123456789MVA", "ATU12345678"])
def test_bare_digits_beside_a_foreign_vat_number_are_no_belgian_number(vat: str) -> None:
    assert is_ours(BELGIAN, here("", "0403170701"))
    assert not is_ours(BELGIAN, here("", vat, is_vat=True), here("", "0403170701"))


def test_bare_digits_of_a_party_abroad_are_no_belgian_number() -> None:
    assert not is_ours(BELGIAN, here("", "0403170701"), country="NL")
    assert is_ours(BELGIAN, here("", "BE0403170701"), country="NL")
    assert is_ours(BELGIAN, here("0208", "0403170701"), country="nl")
    assert is_ours(BELGIAN, here("", "0403170701"), country="be")


def test_a_number_that_fails_its_check_is_still_a_number() -> None:
    ours = company("BE0000000100", "BE0000000100")
    for found in (
        here("", "BE0000000100"),
        here("0208", "0000000100"),
        here("9925", "BE0000000100"),
    ):
        assert is_ours(ours, found)
    assert not is_ours(ours, here("0088", "0000000100"))


@pytest.mark.parametrize(
    ("ours", "scheme", "value"),
    [
        ("NL8200.98.395.B.01", "", "NL820098395B01"),
        ("NL820098395B01", "9944", "NL 8200.98.395.B.01"),
        ("NL820098395B01", "9944", "820098395B01"),
        ("NL820098395B01", "NL:VAT", "820098395B01"),
        ("9944:820098395B01", "VA", "NL820098395B01"),
        ("NO123456789MVA", "VA", "NO 123 456 789 MVA"),
        ("NO123456789", "", "NO123456789MVA"),
        ("CHE-123.456.789 MWST", "", "CHE123456789"),
        ("GR123456789", "9933", "EL123456789"),
        ("0088:5790000435975", "0088", "5790000435975"),
        ("0088:5790000435975", "GLN", "5790000435975"),
        ("0088:5790000435975", "", "0088:5790000435975"),
        ("0088:5790000435975", "", "5790000435975"),
        ("5790000435975", "0088", "5790000435975"),
        ("EM:info@selco.nl", "EM", "info@selco.nl"),
        ("info@selco.nl", "EM", "Info@Selco.nl"),
        ("10202", "", "10202"),
        ("VA:FR11999999998", "VA", "FR 11 999999998"),
        ("201/113/40209", "FC", "201/113/40209"),
        ("1234512345", "0007", "1234512345"),
        ("0208:0403170701", "9925", "BE0403170701"),
        ("iso6523-actorid-upis::0208:0403170701", "0208", "0403170701"),
    ],
)
def test_other_identifiers(ours: str, scheme: str, value: str) -> None:
    assert is_ours(company("BE0999999922", ours), here(scheme, value))


@pytest.mark.parametrize(
    ("ours", "scheme", "value"),
    [
        ("10202", "", "010202"),
        ("10202", "", "102020"),
        ("10202", "", "BE10202"),
        ("08634543", "", "8634543"),
        ("0088:5790000435975", "0060", "5790000435975"),
        ("0088:0403170701", "0208", "0403170701"),
        ("0208:0403170701", "0007", "0403170701"),
        ("0208:0403170701", "0088", "0403170701"),
        ("BE0403170701", "0007", "0403170701"),
        ("9944:820098395B01", "VA", "BE820098395B01"),
        ("DE123456789", "", "123456789"),
        ("NL820098395B01", "", "NL820098395B02"),
    ],
)
def test_what_is_not_the_same(ours: str, scheme: str, value: str) -> None:
    assert not is_ours(company("BE0999999922", ours), here(scheme, value))


def test_a_vat_number_without_its_country_is_of_the_address() -> None:
    ours = company("DE123456789")
    assert is_ours(ours, here("", "123456789", is_vat=True), country="DE")
    assert not is_ours(ours, here("", "123456789"), country="DE")
    assert not is_ours(ours, here("", "123456789", is_vat=True), country="AT")


def test_names_never_decide() -> None:
    ours = Company(name="10202", identifier="BE0403170701", source="s")
    assert not is_ours(ours, here("", "10202"))


def test_a_company_of_several_sources_is_the_one_of_the_document() -> None:
    one = Company(name="one", identifier="BE0403170701", source="a")
    two = Company(name="two", identifier="BE0403170701", source="b")
    party = Party("", (here("0208", "0403170701"),))
    assert weigh(party, CompanyIndex([one, two]), "b").companies == (two,)


def test_a_contact_identifies_no_party() -> None:
    contact = Identifier("Contact/ElectronicMail", "", "a@b.be", is_contact=True)
    assert not Party("x", (contact,)).has_identifier
    assert not Party("x", ()).has_identifier
    assert Party("x", (contact, here("", "1"))).has_identifier


@pytest.mark.parametrize(
    "value", ["/", "NA", "n.v.t.", "BE", "VAT: none", "BE0000000000", "\u200b"]
)
def test_a_value_that_means_none_identifies_nobody(value: str) -> None:
    contact = Identifier("Contact/ElectronicMail", "", "a@b.be", is_contact=True)
    assert not Party("x", (contact, here("", value, is_vat=True))).has_identifier
    ours = company("BE0999999922", value) if value != "BE0000000000" else BELGIAN
    assert not is_ours(ours, here("", value, is_vat=True))


def test_what_stands_beside_a_value_that_means_none_is_found() -> None:
    assert is_ours(BELGIAN, here("", "/", is_vat=True), here("0208", "0403170701"))


class TestAccounts:
    ONE = Company("one", "BE0403170701", "a", accounts=("NL02ABNA0123456789",))
    TWO = Company("two", "BE0417497106", "a", accounts=(IBAN,))

    @pytest.mark.parametrize(
        "account", ["NL02ABNA0123456789", "nl02 abna 0123 4567 89", "ABNANL2A/123456789/EUR"]
    )
    def test_an_account_in_any_spelling(self, account: str) -> None:
        assert CompanyIndex([self.TWO, self.ONE]).with_account(account, "a") == (self.ONE,)

    def test_an_account_that_may_be_of_two_leaves_both(self) -> None:
        same = Company("other", "BE0999999922", "a", accounts=("NL69INGB0123456789",))
        index = CompanyIndex([self.ONE, same])
        assert index.with_account("123456789", "a") == (self.ONE, same)
        assert index.with_account("INGBNL2A/123456789", "a") == (same,)
        assert index.with_account("NL69INGB0123456789", "a") == (same,)

    def test_another_bank_with_the_same_number_is_another_account(self) -> None:
        index = CompanyIndex([self.ONE])
        assert index.with_account("NL69INGB0123456789", "a") == ()
        assert index.with_account("EUR", "a") == ()

    def test_a_company_of_several_sources_is_one(self) -> None:
        again = Company("one", "BE0403170701", "b", accounts=self.ONE.accounts)
        assert CompanyIndex([self.ONE, again]).with_account("123456789", "b") == (again,)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_is_a_trouble(scheme: str, value: str) -> None:
    index = CompanyIndex([company("BE0403170701", value)])
    weigh(Party("", (here(scheme, value),)), index, "s")


@given(
    st.text("0123456789", min_size=1, max_size=14), st.sampled_from(["", "0007", "0088", "0106"])
)
def test_any_number_is_found_by_itself(value: str, scheme: str) -> None:
    assume(value.strip("0"))
    assert is_ours(company("BE0999999922", value), here(scheme, value), country="SE")
