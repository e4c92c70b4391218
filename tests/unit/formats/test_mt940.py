"""MT940: whose statements they are, what is odd in them, and what only resembles them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.payload import Payload
from stages.formats import mt940
from stages.formats.content import Other, Statement
from stages.formats.registry import format_of
from stages.kind import Kind
from stages.matching.classification import ListHint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import apply_rules
from stages.settings import Company
from tests.helpers.mt940 import BODY, IBAN, STATEMENT

ENVELOPED = "{{1:F01KREDBEBBXXXX0000000000}}{{2:I940KREDBEBBXXXXN}}{{3:{{108:X}}}}{{4:\n{}-}}"


def payload(text: str) -> Payload:
    data = text.encode("cp1252", "replace")
    return Payload(len(data), sha256="", data=data)


def read(text: str) -> Statement:
    content = mt940.read(payload(text)).content
    assert isinstance(content, Statement), content
    return content


class TestReading:
    @pytest.mark.parametrize(
        "text",
        [
            BODY,
            BODY + "-\n",
            ENVELOPED.format(BODY),
            ENVELOPED.format("").replace("\n-}", BODY + "-}"),
            ":940:\n" + BODY,
            "ABNANL2A\n940\nABNANL2A\n" + BODY,
            "0000 01INGBNL2AXXXX00001\r\n0000 01INGBNL2AXXXX00001\r\n940 00\r\n" + BODY,
            "{1:F21KREDBEBBXXXX0000000000}{4:{177:2602030809}{451:0}}" + ENVELOPED.format(BODY),
            "\n\n" + BODY,
            BODY.replace("\n", "\r\n"),
            BODY.replace("\n", "\r"),
            BODY.replace(":28C:", ":28:"),
            BODY.replace(":25:", ":25P:"),
            BODY.replace("SOME", "S\xd6ME"),
        ],
    )
    def test_with_and_without_an_envelope(self, text: str) -> None:
        assert format_of(payload(text)) is mt940
        content = read(text)
        assert (content.format, content.extension) == ("mt940", "sta")
        assert content.accounts == (IBAN,)
        assert (content.number, content.issue_date) == ("00017", "2026-02-03")
        assert content.holders == ()
        assert list(mt940.read(payload(text)).problems) == []

    @pytest.mark.parametrize(
        ("field", "account"),
        [
            (IBAN, IBAN),
            ("be68 5390 0754 7034", IBAN),
            (f"{IBAN} EUR", IBAN),
            (f"{IBAN}EUR", IBAN),
            (f"KREDBEBB/{IBAN}", IBAN),
            ("KREDBEBB/539007547034", IBAN),
            ("539-0075470-34", IBAN),
            ("539007547034EUR", IBAN),
            ("37040044/532013000", "DE89370400440532013000"),
            ("INGBNL2A/0123456789", "INGBNL2A/0123456789"),
            ("KREDBEBB/539007547034/EUR", IBAN),
            ("UBRTHUHB/123456789150ABCDEF009/HUF", "UBRTHUHB/123456789150ABCDEF009/HUF"),
            ("0129.87.765", "0129.87.765"),
            ("NL08DEUT0319809633EUR", "NL08DEUT0319809633"),
        ],
    )
    def test_any_spelling_of_the_account(self, field: str, account: str) -> None:
        assert read(STATEMENT.format(account=field, number="1")).accounts == (account,)

    @pytest.mark.parametrize(
        ("iban", "its", "of_another_bank"),
        [
            ("NL91ABNA0417164300", "ABNANL2A/0417164300", "INGBNL2A/0417164300"),
            ("CZ6508000000192000145399", "19-2000145399/0800", "19-2000145399/0100"),
            ("AT611904300234573201", "19043/234573201", "12000/234573201"),
            ("GB29NWBK60161331926819", "601613/31926819", "200000/31926819"),
            ("CH9300762011623852957", "762-011623852957", "230-011623852957"),
        ],
    )
    def test_the_number_of_another_bank_is_another_account(
        self, iban: str, its: str, of_another_bank: str
    ) -> None:
        index = CompanyIndex([Company("Onze Firma", "BE0403170701", "box", accounts=(iban,))])
        for field, kind in ((its, Kind.STATEMENT), (of_another_bank, Kind.UNKNOWN)):
            content = read(STATEMENT.format(account=field, number="1"))
            assert apply_rules(content, index, ListHint()).kind is kind, field

    def test_several_statements(self) -> None:
        other = "BE71096123456769"
        text = BODY + "-\n" + STATEMENT.format(account=other, number="18")
        content = read(text)
        assert content.accounts == (IBAN, other)
        assert content.number == "18"
        assert list(mt940.read(payload(text)).problems) == []

    def test_a_statement_of_several_pages(self) -> None:
        first = BODY.replace(":62F:", ":62M:")
        second = BODY.replace(":60F:C260202EUR1000,00", ":60M:C260203EUR1100,00")
        text = first + second.replace("1100,00\n:64:", "1200,00\n:64:")
        assert read(text).accounts == (IBAN,)
        assert list(mt940.read(payload(text)).problems) == []

    def test_whose_it_is(self) -> None:
        company = Company("Onze Firma", "BE0403170701", "box", accounts=(IBAN,))
        classification = apply_rules(read(BODY), CompanyIndex([company]), ListHint())
        assert (classification.kind, classification.company) == (Kind.STATEMENT, company)


class TestOddities:
    def test_balances_that_do_not_add_up(self) -> None:
        text = BODY.replace(":62F:C260203EUR1100,00", ":62F:D260203EUR1100,00")
        (found,) = list(mt940.read(payload(text)).problems)
        assert found.endswith("statement 00017 give 1,100.00, and its closing balance is -1,100.00")

    def test_a_missing_closing_balance(self) -> None:
        cut = BODY.partition(":62F:")[0]
        expected = "statement 00017 has no closing balance (field 62F)"
        assert list(mt940.read(payload(cut)).problems) == [expected]
        assert list(mt940.read(payload(cut + BODY)).problems) == [expected]

    def test_a_missing_opening_balance(self) -> None:
        found = list(mt940.read(payload(BODY.replace(":60F:", ":13D:"))).problems)
        assert "a movement stands in no statement" in found
        assert "statement 00017 has a closing balance and no opening one" in found

    def test_no_more_than_are_worth_telling(self) -> None:
        found = list(mt940.read(payload(":20:X\n" + ":61:260203C1,NTRF\n" * 1000)).problems)
        assert found[-1] == "and more of the kind"
        assert len(found) == 9

    @pytest.mark.parametrize("old", [":60F:C2602", ":62F:C2602"])
    def test_a_balance_that_is_none(self, old: str) -> None:
        (found,) = mt940.read(payload(BODY.replace(old, old[:5] + "?"))).problems
        assert found.startswith('an MT940 balance is malformed: "?')


class TestResembling:
    def test_one_that_is_cut_off(self) -> None:
        content = mt940.read(payload(BODY[:150])).content
        assert isinstance(content, Other)
        assert content.format == "mt940-like"
        assert content.possible_kinds == ()

    @pytest.mark.parametrize("account", ["KREDBEBB/EUR", "EUR", "NOTPROVIDED", "/", "000"])
    def test_an_account_without_a_number_is_none(self, account: str) -> None:
        content = read(STATEMENT.format(account=account, number="1"))
        assert content.accounts == ()
        company = Company("Onze Firma", "BE0403170701", "box", accounts=(IBAN,))
        found = apply_rules(content, CompanyIndex([company]), ListHint(Kind.STATEMENT, company))
        assert (found.kind, found.company) == (Kind.UNKNOWN, None)
        assert "has no number" in found.reason

    def test_an_interim_report(self) -> None:
        text = BODY.replace(":60F:C260202EUR1000,00", ":34F:EUR0,").partition(":62F:")[0]
        content = mt940.read(payload(text)).content
        assert isinstance(content, Other)
        assert content.format == "mt942"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ":20: o'clock\nand all is well\n",
            "Dear reader,\n:20:X\n:25:Y\n",
            ":25:BE68539007547034\n:20:X\n",
            "{1:F01KREDBEBBXXXX0000000000}{2:I103KREDBEBBXXXXN}{4:\n:20:X\n:32A:Y\n-}",
        ],
    )
    def test_ordinary_text_is_none(self, text: str) -> None:
        assert format_of(payload(text)) is not mt940


@settings(max_examples=150)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 200))
def test_nothing_but_unreadable_escapes(noise: bytes, at: int, cut: int) -> None:
    whole = BODY.encode()
    for data in (noise, b":20:\n:25:" + noise, whole[:at] + noise + whole[at + cut :]):
        one = Payload(len(data), sha256="", data=data)
        mt940.recognises(data)
        mt940.read(one)
