"""MT940 in pages and in several messages: which page is which, what is missing, what is cut off."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from pipeline.payload import Payload
from stages.formats import mt940
from stages.formats.content import AccountStatement, Reading, Statement
from stages.matching.fingerprint import fingerprint
from stages.model import Fingerprint
from tests.helpers.mt940 import IBAN

OTHER = "BE45068999950189"
PAGE = """:20:STARTUMS
:25:{account}
:28C:{number}
:60{before}:C260301EUR{opening}
:61:2603020302C{amount}NTRFNONREF
:61:2603020302D{amount}NTRFNONREF
:62{after}:C260301EUR{opening}
"""


def page(
    number: str = "12/2",
    tags: str = "MM",
    opening: str = "1000,00",
    amount: str = "5,00",
    account: str = IBAN,
) -> str:
    before, after = tags
    return PAGE.format(
        account=account, number=number, before=before, after=after, opening=opening, amount=amount
    )


def read(text: str) -> Reading:
    data = text.encode()
    return mt940.read(Payload(len(data), sha256="", data=data))


def statement(text: str) -> Statement:
    found = read(text)
    assert isinstance(found.content, Statement), found
    assert (found.problems, found.warnings) == ((), ())
    return found.content


def parts(text: str) -> tuple[AccountStatement, ...]:
    return statement(text).parts


def told(text: str) -> Fingerprint:
    return fingerprint(statement(text), text, lambda *_: False)


class TestIdentity:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (page("12/2"), page("12/3")),
            (page("12", "FF"), page("13", "FF")),
            (page("12/1", "FF"), page("12/2", "FF")),
            (page("2026/11/1", "FF"), page("2026/12/1", "FF")),
            (page("2026/11", "FF"), page("2026/12", "FF")),
            (page("12/1", "FM") + page("12/3", "MF"), page("12/1", "FM") + page("12/2", "MF")),
            (
                page("12/1", "FM") + page("12/2") + page("12/4", "MF"),
                page("12/1", "FM") + page("12/3") + page("12/4", "MF"),
            ),
        ],
    )
    def test_number_and_page_tell_statements_apart(self, one: str, other: str) -> None:
        assert told(one).parts[0] == told(other).parts[0] == "statement"
        assert told(one) != told(other)

    @pytest.mark.parametrize("number", ["", "0", "00000/001", "NONREF", "/2"])
    def test_without_a_number_only_the_bytes_do(self, number: str) -> None:
        assert told(page(number, "FF")).parts[0] == "bytes"

    @pytest.mark.parametrize("tags", ["FM", "MM", "MF"])
    @pytest.mark.parametrize("number", ["12", "12/0", "12/"])
    def test_nor_a_page_without_its_number(self, tags: str, number: str) -> None:
        assert told(page(number, tags)).parts[0] == "bytes"

    @pytest.mark.parametrize("number", ["12", "12/1", "2026/12/1"])
    def test_what_is_around_a_statement_does_not(self, number: str) -> None:
        text = page(number, "FF")
        assert told(text) == told(text.replace("STARTUMS", "OTHER") + "-\n")


@pytest.mark.parametrize(
    ("stated", "number", "number_of_page"),
    [
        ("12", "12", ""),
        ("012/001", "012", "001"),
        ("2026/11/1", "2026/11", "1"),
        ("12/1/", "12", "1"),
        ("12 / 1", "12", "1"),
    ],
)
def test_numbers(stated: str, number: str, number_of_page: str) -> None:
    (part,) = parts(page(stated, "FF"))
    assert (part.number, part.page) == (number, number_of_page)


def test_joined_pages_name_all_of_them() -> None:
    text = page("2026/12/1", "FM") + page("2026/12/2") + page("2026/12/3", "MF")
    (part,) = parts(text)
    assert (part.number, part.page) == ("2026/12", "1,2,3")


def test_a_missing_page_is_told_and_nothing_is_joined_over_it() -> None:
    found = read(page("12/1", "FM") + page("12/3", "MF", "9,00"))
    assert isinstance(found.content, Statement)
    assert [part.page for part in found.content.parts] == ["1", "3"]
    assert found.problems == ()
    (warning,) = found.warnings
    assert warning == (
        "a page of statement 12 seems to be missing: one ends with 1,000.00, and the following one "
        "begins with 9.00"
    )


class TestFieldsThatComeAgain:
    @pytest.mark.parametrize("again", [IBAN, "KREDBEBB/539007547034/EUR", "EUR", "539007547034"])
    @pytest.mark.parametrize("behind", [":20:STARTUMS\n", f":25:{IBAN}\n", ":28C:12\n"])
    def test_the_account_of_a_message(self, again: str, behind: str) -> None:
        text = page("12", "FF")
        assert parts(text.replace(behind, f"{behind}:25:{again}\n")) == parts(text)

    def test_the_account_within_a_page(self) -> None:
        text = page("12", "FF")
        assert parts(text.replace(":62F", f":25:{IBAN}\n:62F")) == parts(text)

    def test_another_number_of_the_account_is_kept(self) -> None:
        text = page("12", "FF")
        (part,) = parts(text.replace(":28C:", f":25:{OTHER}\n:28C:"))
        assert part.accounts == (IBAN, OTHER)

    def test_the_reference(self) -> None:
        assert parts(f":20:A\n{page('12', 'FF')}") == parts(page("12", "FF"))

    def test_another_account_before_the_end_of_a_page_is_a_page_of_its_own(self) -> None:
        text = page("12", "FF").partition(":62F")[0] + page("12", "FF", account=OTHER)[13:]
        assert read(text).problems == ("statement 12 has no closing balance (field 62F)",)

    def test_an_account_behind_the_number_of_a_following_statement_is_of_that_one(self) -> None:
        following = page("13", "FF").partition(":28C:")[2].replace("13\n", f"13\n:25:{OTHER}\n", 1)
        first, second = parts(page("12", "FF") + f":28C:{following}")
        assert (first.accounts, second.accounts) == ((IBAN,), (OTHER,))

    def test_accounts_without_end_are_no_header(self) -> None:
        many = "".join(f":25:{number}\n" for number in range(10_000, 11_000))
        assert read(page("12", "FF").replace(":28C:", f"{many}:28C:")).problems

    def test_a_statement_without_a_number_has_not_that_of_another(self) -> None:
        following = page("", "FF").partition(":28C:\n")[2]
        first, second = parts(page("12", "FF") + following)
        assert (first.number, second.number) == ("12", "")


HEADER = "{1:F01KREDBEBBAXXX0000000000}{2:I940KREDBEBBXXXXN}{3:{108:X}}{4:\n"
ENVELOPED = f"{HEADER}{page('12', 'FF')}-}}"
INGNL = "0000 01INGBNL2AXXXX0000{}\n0000 01INGBNL2AXXXX0000{}\n940 00\n"


@pytest.mark.parametrize(
    "end", ["", "\n", "{5:{MAC:1}{CHK:2}}", "{5:}{S:{COP:P}}\n", "\r\n\x03", "$"]
)
def test_whole_envelopes(end: str) -> None:
    assert parts(ENVELOPED + end) == parts(page("12", "FF"))
    assert len(parts(f"{ENVELOPED}{end}{HEADER}{page('13', 'FF')}-}}{end}")) == 2


@pytest.mark.parametrize("between", ["", "\n", "\r\n", "$", "\n\x01", "{5:{CHK:1}}", "@@"])
@pytest.mark.parametrize("break_", ["", "\n"])
def test_a_file_cut_in_the_next_envelope(between: str, break_: str) -> None:
    header = HEADER.replace("}{2", f"}}{break_}{{2").replace("}{4", f"}}{break_}{{4")
    for at in range(1, len(header) + 1):
        found = read(f"{ENVELOPED}{between}{header[:at]}")
        assert found.problems == ("it breaks off at the beginning of a field or a message",), at


def test_a_file_cut_behind_an_amount() -> None:
    text = ENVELOPED.replace("\n-}", "-}{1:F01KRED")
    assert read(text).problems == ("it breaks off at the beginning of a field or a message",)


def test_a_file_cut_in_the_lines_before_the_next_message() -> None:
    first, second = (INGNL.format(number, number) for number in (1, 2))
    whole = f"{first}{page('12', 'FF')}-\n"
    assert parts(whole) == parts(page("12", "FF"))
    for at in range(1, len(second) + 1):
        assert read(whole + second[:at]).problems, at


@given(st.integers(1, len(ENVELOPED + HEADER + page("13", "FF")) + 2))
def test_what_is_cut_off_is_no_shorter_file(at: int) -> None:
    text = (ENVELOPED + ENVELOPED.replace(":28C:12", ":28C:13"))[:at]
    found = read(text)
    if isinstance(found.content, Statement) and not found.problems:
        between = len(ENVELOPED) - len(",00\n-}") <= at <= len(ENVELOPED)
        assert [part.number for part in found.content.parts] == (
            ["12"] if between else ["12", "13"]
        )
