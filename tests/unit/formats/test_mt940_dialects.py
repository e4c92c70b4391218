"""MT940 as banks spell it: what is needed is read in any spelling, and damage still shows."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from pipeline.payload import Payload
from stages.formats import mt940
from stages.formats.content import AccountStatement, Reading, Statement
from stages.formats.registry import format_of
from tests.helpers.cases import case
from tests.helpers.mt940 import IBAN

ACCOUNT = "BE45068999950189"
MESSAGE = f""":20:STARTUMS
:25:{ACCOUNT}
:28C:12/1
:60F:C260301EUR1000,00
:61:2603020302C250,00NTRFNONREF
:86:payment of an invented customer
:62F:C260302EUR1250,00
-
"""
PART = AccountStatement(
    (ACCOUNT,),
    number="12",
    issue_date="2026-03-02",
    opening="2026-03-01 EUR 1000",
    closing="2026-03-02 EUR 1250",
    page="1",
)
OTHER = MESSAGE.replace(ACCOUNT, IBAN).replace(":28C:12", ":28C:7").replace("000,00", "900,00")
OTHER = OTHER.replace("1900,00", "900,00").replace("1250,00", "1150,00")


def read(text: str) -> Reading:
    data = text.encode()
    payload = Payload(len(data), sha256="", data=data)
    assert format_of(payload) is mt940
    return mt940.read(payload)


def parts(text: str) -> tuple[AccountStatement, ...]:
    found = read(text)
    assert isinstance(found.content, Statement), found
    assert (found.problems, found.warnings) == ((), ())
    return found.content.parts


@pytest.mark.parametrize(
    ("name", "balances"),
    [
        ("10-mt940-dialects/balance-without-currency.sta", ("", "")),
        *(
            (name, (PART.opening, PART.closing))
            for name in (
                "10-mt940-dialects/blank-before-amount.sta",
                "10-mt940-dialects/blank-entry-date.sta",
                "10-mt940-dialects/expected-credit.sta",
                "10-mt940-dialects/line-end-before-amount.sta",
                "09-invoice-taken-for-another-thing/mt940-at-signs.sta",
                "11-mt940-account-with-currency-part/bic-account-currency.sta",
            )
        ),
    ],
)
def test_the_cases(name: str, balances: tuple[str, str]) -> None:
    (part,) = parts(case(*name.split("/")).read_text())
    assert (part.accounts, part.number, part.issue_date) == ((ACCOUNT,), "12", "2026-03-02")
    assert (part.opening, part.closing) == balances


def test_a_foreign_account_is_never_a_currency() -> None:
    (part,) = parts(case("11-mt940-account-with-currency-part", "foreign.sta").read_text())
    assert part.accounts == ("UBRTHUHB/123456789150ABCDEF009/HUF",)


@pytest.mark.parametrize(
    "movement",
    [
        "260302    C250,00NTRF",
        "260302C250,00NTRF",
        "20260302C250,00NTRF",
        "202603020302C250,00NTRF",
        "260302 0302 C 250,00 NTRF",
        "2603020302EC250,00NTRF",
        "2603020302RD250,00NTRF",
        "2603020302CR250,00NTRF",
        "2603020302c250,00ntrf",
        "2603020302C250NTRF",
        "2603020302C250,NTRF",
        "2603020302C250.00NTRF",
        "2603020302CR\n250,00NTRF",
        "2603020302C \n 250,00NTRF",
        "2603020302\nC250,00NTRF",
        "260302\n0302C\n250,00NTRF",
        "2603020302C250,00",
        "2603020302C250,00\nNTRFNONREF",
    ],
)
def test_movements(movement: str) -> None:
    assert parts(MESSAGE.replace("2603020302C250,00NTRFNONREF", movement)) == (PART,)


@pytest.mark.parametrize(
    "amount",
    [
        *("1.250,00", "1,250.00", "1 250,00", "1'250.00", "1250", "1250.0", "1\u00a0250,00"),
        "+1250,00",
    ],
)
def test_amounts(amount: str) -> None:
    assert parts(MESSAGE.replace("EUR1250,00", f"EUR{amount}")) == (PART,)
    assert parts(MESSAGE.replace("EUR1250,00", f"EUR {amount}")) == (PART,)


def test_a_minus_beside_credit_or_debit_leaves_the_amount_open() -> None:
    found = read(MESSAGE.replace("EUR1250,00", "EUR-1250,00"))
    assert isinstance(found.content, Statement)
    (part,) = found.content.parts
    assert (part.accounts, part.opening, part.closing) == (PART.accounts, PART.opening, "")
    assert found.problems == ()
    assert "can't be checked" in found.warnings[0]


@pytest.mark.parametrize(
    "before",
    [
        *("Kontoauszug MT940\n", "# export 2026\r\n", "MT940/GKCC/260302\n"),
        *("Export 02/03/2026 12:00:00\n", "A\nB\nC\nD\nE\nF\n", "Relev\u00e9 de compte@@"),
    ],
)
def test_lines_in_front_of_the_first_field(before: str) -> None:
    assert parts(before + MESSAGE) == (PART,)


@pytest.mark.parametrize(
    "before", ["Subject: MT940\nFrom: a@b.be\n\n", "<html>\n", "{\n", "A" * 120 + "\n", "A\n" * 13]
)
def test_what_is_something_else_that_quotes_a_statement(before: str) -> None:
    assert not mt940.recognises((before + MESSAGE).encode())


@pytest.mark.parametrize(
    "closing",
    [
        "C20260302EUR1250,00",
        "C 260302 EUR 1250,00",
        "c260302eur1250,00",
        "CR260302EUR1250,00",
        "C260302EUR\n1250,00",
        "\nC260302EUR1250,00",
        "C2603021250,00",
        "C202603021250,00",
        "C260302\n1250,00",
    ],
)
def test_balances_of_which_one_states_the_currency(closing: str) -> None:
    assert parts(MESSAGE.replace("C260302EUR1250,00", closing)) == (PART,)
    opening = MESSAGE.replace("EUR1000,00", "1000,00")
    assert parts(opening) == (PART,)


@pytest.mark.parametrize(
    "text",
    [
        MESSAGE.replace("\n", "\r\n", 3),
        MESSAGE.replace("\n", "\r\r\n"),
        MESSAGE.replace("\n", "@@"),
        MESSAGE.replace("\n", "@@\r\n"),
        MESSAGE.replace("\n", "\\r\\n"),
        MESSAGE.replace("\n", "\\n"),
        MESSAGE.replace("\n", "<br/>"),
        f"{{1:F01GKCCBEBBAXXX0000000000}}{{2:I940GKCCBEBBXXXXN}}{{4:\n{MESSAGE}".replace(
            "\n", "\\n"
        ),
        "\ufeff\r\n" + MESSAGE,
        MESSAGE.replace("\n:", "\n  :"),
        MESSAGE.replace(":60F:", ":60f:").replace(":28C:", ": 28c :"),
        MESSAGE.replace(":25:", ":25P:").replace(":28C:", "GKCCBEBB\n:28C:"),
        MESSAGE.replace(":28C:", ":21:NONREF\n:13D:2603022000+0100\n:28C:"),
        MESSAGE.replace(":25:", ":25:\n"),
        MESSAGE.removesuffix("-\n"),
        MESSAGE.rstrip(),
        MESSAGE.partition("\n")[2],
        MESSAGE.replace("-\n", ":64:C260302EUR1250,00\n:86:of the account\n-\n"),
        "{1:F01GKCCBEBBAXXX0000000000}{2:I940GKCCBEBBXXXXN}{4:\n" + MESSAGE.rstrip() + "}",
        MESSAGE.replace("\n-\n", "-}\n"),
    ],
)
def test_lines_and_tags(text: str) -> None:
    assert parts(text) == (PART,)


@pytest.mark.parametrize(
    "text",
    [
        ":20:INVOICE",
        ":25:of March",
        ":28C:5/1",
        ":60F:see above",
        ":62F:see below",
        ":99:is no field",
        ":20 is what it costs",
        ":21:NONREF\n?20:25:more",
    ],
)
def test_text_that_looks_like_a_field(text: str) -> None:
    assert parts(MESSAGE.replace("customer\n", f"customer\n{text}\n")) == (PART,)
    trailing = MESSAGE.replace("-\n", f":86:of the account\n{text}\n-\n")
    assert parts(trailing + OTHER) == (PART, *parts(OTHER))


@pytest.mark.parametrize("number", ["", "Auszug 12/1"])
def test_a_number_that_is_missing_or_text(number: str) -> None:
    field = f":28C:{number}\n" if number else ""
    (part,) = parts(MESSAGE.replace(":28C:12/1\n", field))
    assert part.number == number.partition("/")[0]


@pytest.mark.parametrize("movement", ["see the letter", "260302XC250,00NTRF", "260302C1.250NTRF"])
def test_a_movement_that_nobody_can_read_is_a_warning(movement: str) -> None:
    found = read(MESSAGE.replace("2603020302C250,00NTRFNONREF", movement))
    assert isinstance(found.content, Statement)
    assert found.content.parts == (PART,)
    assert found.problems == ()
    (warning,) = found.warnings
    assert warning.startswith("whether the balances of statement 12 add up can't be checked")


def test_an_expected_movement_may_not_be_in_the_balance_yet() -> None:
    assert parts(MESSAGE.replace("-\n", "").replace(":62F:", ":61:2603020302EC9,NTRF\n:62F:"))


def test_an_amount_that_may_be_two_is_none() -> None:
    found = read(MESSAGE.replace("EUR1250,00", "EUR1.250"))
    assert isinstance(found.content, Statement)
    assert (found.content.parts[0].closing, found.problems) == ("", ())
    assert len(found.warnings) == 1


class TestParts:
    def test_one_for_each_message(self) -> None:
        assert parts(MESSAGE + OTHER) == (PART, *parts(OTHER))
        header = "{1:F01GKCCBEBBAXXX0000000000}{2:I940GKCCBEBBXXXXN}{4:\n"
        assert parts(f"{header}{MESSAGE[:-1]}}}{header}{OTHER[:-1]}}}") == (PART, *parts(OTHER))

    def test_one_for_each_account_of_a_message(self) -> None:
        other = OTHER.partition("\n")[2]
        assert parts(MESSAGE + other) == (PART, *parts(OTHER))

    def test_one_for_each_statement_of_an_account_that_is_stated_once(self) -> None:
        following = MESSAGE.partition(":28C:")[2].replace("12/1", "13/1")
        following = following.replace("1250,", "1500,").replace("1000,", "1250,")
        first, second = parts(f"{MESSAGE}:28C:{following}")
        assert first == PART
        assert (second.accounts, second.number) == ((ACCOUNT,), "13")
        assert (second.opening, second.closing) == ("2026-03-01 EUR 1250", "2026-03-02 EUR 1500")

    @pytest.mark.parametrize("again", [f":20:X\n:25:{ACCOUNT}\n:28C:12/2\n", ":28C:12/2\n", ""])
    def test_pages_are_one(self, again: str) -> None:
        pages = (
            MESSAGE.replace(":62F:", ":62M:")
            + again
            + ":60M:C260302EUR1250,00\n:61:2603030303D50,00NTRF\n:62F:C260303EUR1200,00\n"
        )
        (part,) = parts(pages)
        assert (part.opening, part.closing) == ("2026-03-01 EUR 1000", "2026-03-03 EUR 1200")
        assert (part.number, part.issue_date) == ("12", "2026-03-03")

    def test_pages_of_two_accounts_are_two(self) -> None:
        first, second = MESSAGE.replace(":62F:", ":62M:"), OTHER.replace(":60F:", ":60M:")
        assert parts(first + second) == (PART, *parts(second))

    def test_the_account_of_another_message_is_not_taken_over(self) -> None:
        first, second = parts(MESSAGE + OTHER.replace(f":25:{IBAN}\n", ""))
        assert (first.accounts, second.accounts) == ((ACCOUNT,), ())


@given(
    st.decimals(-(10**9), 10**9, places=2),
    st.dates(date(1980, 1, 1), date(2079, 12, 31)),
    st.sampled_from(["EUR", "CHF", "HUF"]),
)
def test_balances_come_back(amount: Decimal, day: date, currency: str) -> None:
    digits = f"{abs(amount):.2f}".replace(".", ",")
    stated = f"{'D' if amount < 0 else 'C'}{day:%y%m%d}{currency}{digits}"
    text = f":20:X\n:25:{ACCOUNT}\n:28C:1\n:60F:{stated}\n:62F:{stated}\n"
    (part,) = parts(text)
    stated_day, code, value = part.opening.split()
    assert (stated_day, code, Decimal(value)) == (str(day), currency, amount)
    assert part.closing == part.opening


@given(st.integers(1, len(MESSAGE + OTHER)))
def test_what_is_cut_off_is_no_shorter_statement(at: int) -> None:
    text = (MESSAGE + OTHER)[:at]
    data = text.encode()
    found = mt940.read(Payload(len(data), sha256="", data=data))
    if isinstance(found.content, Statement) and not found.problems:
        whole = parts(MESSAGE + OTHER)
        # Only a file that ends between two messages is like one that never had the second.
        between = len(MESSAGE) - len(",00\n-\n") <= at <= len(MESSAGE)
        assert found.content.parts == (whole[:1] if between else whole)


@given(st.integers(1, len(MESSAGE)))
def test_nor_where_the_sum_cannot_be_checked(at: int) -> None:
    data = MESSAGE.replace("C250,00NTRF", "XC250,00NTRF")[:at].encode()
    found = mt940.read(Payload(len(data), sha256="", data=data))
    if isinstance(found.content, Statement) and not found.problems:
        assert found.content.parts == (PART,)
