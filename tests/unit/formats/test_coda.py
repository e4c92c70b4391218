"""CODA: whose statements they are, what is odd in them, and what only resembles them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.payload import Payload
from stages.formats import coda
from stages.formats.content import Other, Statement
from stages.formats.registry import format_of
from stages.kind import Kind
from stages.matching.classification import ListHint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import apply_rules
from stages.settings import Company

IBAN = "BE68539007547034"


def payload(data: bytes) -> Payload:
    return Payload(len(data), sha256="", data=data)


def header(holder: str = "00403170701", name: str = "ONZE FIRMA", version: str = "2") -> str:
    start = f"00000030226{'539':3}05{'':18}{name:26}{'KREDBEBB':11}{holder:11}"
    return f"{start} 00000".ljust(127) + version


def old_balance(account: str = IBAN, structure: str = "2", amount: int = 1000) -> str:
    sign, thousandths = ("1", -amount) if amount < 0 else ("0", amount)
    field = f"{account:37}"
    if structure == "2":
        field = f"{account:34}EUR"
    return f"1{structure}017{field}{sign}{thousandths:015}020226{'ONZE FIRMA':26}".ljust(128)


def movement(amount: int, detail: str = "0000") -> str:
    sign, thousandths = ("1", -amount) if amount < 0 else ("0", amount)
    return f"210001{detail}{'REF':21}{sign}{thousandths:015}03022600150000".ljust(128)


def new_balance(amount: int, account: str = IBAN) -> str:
    sign, thousandths = ("1", -amount) if amount < 0 else ("0", amount)
    return f"8017{account:34}EUR{sign}{thousandths:015}030226".ljust(128)


def trailer(records: int, debit: int, credit: int, version: str = "2") -> str:
    return f"9{'':15}{records:06}{debit:015}{credit:015}".ljust(127) + version


def records() -> list[str]:
    return [
        header(),
        old_balance(),
        movement(500),
        movement(-200),
        movement(-150, "0001"),
        movement(-50, "0002"),
        new_balance(1300),
        trailer(6, 200, 500),
    ]


def joined(lines: list[str], end: str = "\r\n", encoding: str = "ascii") -> bytes:
    return "".join(line + end for line in lines).encode(encoding)


def read(data: bytes) -> Statement:
    content = coda.read(payload(data)).content
    assert isinstance(content, Statement), content
    return content


def ours(**more: object) -> Company:
    return Company("Onze Firma", "BE0403170701", "box", **more)  # type: ignore[arg-type]


class TestReading:
    def test_every_real_one_is_a_statement_of_its_accounts(self, corpus: Path) -> None:
        manifest = json.loads((corpus / "manifest.json").read_text())
        found = [one for one in manifest if one["kind"] == "coda"]
        assert found
        for one in found:
            data = (corpus / one["path"]).read_bytes()
            assert format_of(payload(data)) is coda
            content = read(data)
            for stated, account in zip(one["accounts"], content.accounts, strict=True):
                assert stated["account"] in account
            assert content.number == one["accounts"][-1]["number"]

    def test_a_whole_one(self) -> None:
        data = joined(records())
        content = read(data)
        assert format_of(payload(data)) is coda
        assert content.accounts == (IBAN,)
        assert [(one.scheme, one.value) for one in content.holders] == [("0208", "0403170701")]
        assert (content.holder_name, content.number) == ("ONZE FIRMA", "017")
        assert (content.issue_date, content.extension) == ("2026-02-03", "cod")
        assert list(coda.read(payload(data)).problems) == []

    @pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
    @pytest.mark.parametrize("version", ["1", "2"])
    @pytest.mark.parametrize("spooled", [True, False])
    def test_any_end_of_line_and_version(
        self, end: str, version: str, spooled: bool, tmp_path: Path
    ) -> None:
        lines = records()
        lines[0] = header(version=version)
        data = joined(lines, end)
        one = payload(data)
        if spooled:
            (path := tmp_path / "spooled").write_bytes(data)
            one = Payload(len(data), sha256="", spool=path)
        assert format_of(one) is coda
        assert coda.read(one).content == read(joined(records()))
        assert list(coda.read(one).problems) == []

    @pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig"])
    def test_other_letters_than_ascii(self, encoding: str) -> None:
        lines = records()
        lines[0] = header(name="CAFÉ DE L'ÉTÉ")
        data = joined(lines, encoding=encoding)
        assert format_of(payload(data)) is coda
        assert read(data).holder_name == "CAFÉ DE L'ÉTÉ"
        assert list(coda.read(payload(data)).problems) == []

    @pytest.mark.parametrize(
        ("structure", "field", "account"),
        [
            ("0", "539007547034 EUR0BE", IBAN),
            ("1", "NL-0123456789", "NL-0123456789"),
            ("2", IBAN, IBAN),
            ("3", "DE89370400440532013000", "DE89370400440532013000"),
            ("0", "732XXXXXXXXX EUR0BE", "732XXXXXXXXX"),
            ("0", f"{IBAN} EUR", IBAN),
            (" ", "539007547034 EUR0BE", IBAN),
        ],
    )
    def test_each_structure_of_account(self, structure: str, field: str, account: str) -> None:
        lines = records()
        lines[1] = old_balance(field, structure)
        assert read(joined(lines)).accounts == (account,)

    def test_version_1_as_it_was_written(self) -> None:
        """No structure of account, no BIC, a file without end of its own behind the other."""
        first = f"00000030207{'725':3}05D  0000000074789  {'ONZE FIRMA':26}{'0' * 11}00403170701"
        file = [
            f"{first} 00000".ljust(127) + "1",
            old_balance("539007547034 EUR0BE", " "),
            movement(300),
            new_balance(1300, "539007547034 EUR0BE"),
            trailer(3, 0, 300, "1"),
        ]
        content = read(joined(file * 3))
        assert content.accounts == (IBAN,)
        assert [one.value for one in content.holders] == ["0403170701"]
        assert content.holder_name == "ONZE FIRMA"
        assert list(coda.read(payload(joined(file * 3))).problems) == []

    def test_without_a_trailer_its_statements_are_whole(self) -> None:
        for lines in (records()[:-1], [*records()[:-1], "4" + " " * 31 + "A MESSAGE"]):
            assert read(joined(lines)).accounts == (IBAN,)
            assert "the end is missing (record 9)" in list(
                coda.read(payload(joined(lines))).problems
            )

    def test_several_statements_in_one_file(self) -> None:
        other = "BE71096123456769"
        lines = records()
        lines[7:] = [old_balance(other), new_balance(1000, other), trailer(8, 200, 500)]
        assert read(joined(lines)).accounts == (IBAN, other)
        assert list(coda.read(payload(joined(lines))).problems) == []

    def test_several_files_behind_one_another(self) -> None:
        other = [header("00202239951", "EEN ANDER"), *records()[1:]]
        content = read(joined(records() + other))
        assert [one.value for one in content.holders] == ["0403170701", "0202239951"]
        assert list(coda.read(payload(joined(records() + other))).problems) == []

    def test_what_banks_do_to_it_does_no_harm(self) -> None:
        lines = [line.rstrip() for line in records()]
        data = b"\r\n" + joined([*lines[:3], "", "   ", *lines[3:]]) + b"\r\n\x1a\0\0"
        assert read(data) == read(joined(records()))
        assert list(coda.read(payload(data)).problems) == []

    @pytest.mark.parametrize("shift", [-2, -1, 1, 2])
    def test_a_shifted_header(self, shift: int) -> None:
        lines = records()
        whole = header()
        lines[0] = whole[:55] + " " * shift + whole[55 + max(-shift, 0) :]
        assert [one.value for one in read(joined(lines)).holders] == ["0403170701"]

    @pytest.mark.parametrize("field", ["", "00000000000", "XXXXXXXXXXX"])
    def test_without_a_holder(self, field: str) -> None:
        assert read(joined([header(field), *records()[1:]])).holders == ()


class TestWhose:
    def test_the_account_decides(self) -> None:
        lines = [header("00202239951"), *records()[1:]]
        classification = apply_rules(
            read(joined(lines)), CompanyIndex([ours(accounts=(IBAN,))]), ListHint()
        )
        assert classification.kind is Kind.STATEMENT
        assert IBAN in classification.reason

    def test_an_old_number_is_held_against_an_iban(self) -> None:
        lines = [header(""), old_balance("539007547034 EUR0BE", "0"), *records()[2:]]
        classification = apply_rules(
            read(joined(lines)), CompanyIndex([ours(accounts=(IBAN,))]), ListHint()
        )
        assert classification.kind is Kind.STATEMENT

    def test_the_holder_decides_where_no_account_is_known(self) -> None:
        classification = apply_rules(read(joined(records())), CompanyIndex([ours()]), ListHint())
        assert classification.kind is Kind.STATEMENT


class TestOddities:
    @pytest.mark.parametrize(
        ("at", "line", "oddity"),
        [
            (6, new_balance(1301), "give 1.300, and its new balance is 1.301"),
            (7, trailer(5, 200, 500), "the trailer counts 000005 records, and there are 6"),
            (7, trailer(6, 201, 500), "sum of debits is 0.201, and they are 0.200"),
            (7, trailer(6, 200, 499), "sum of credits is 0.499, and they are 0.500"),
            (6, movement(0, "0003"), "statement 017 has no new balance (record 8)"),
            (1, "4" + " " * 127, "a movement stands in no statement"),
            (1, "4" + " " * 127, "statement 017 has a new balance and no old one"),
        ],
    )
    def test_what_does_not_add_up(self, at: int, line: str, oddity: str) -> None:
        lines = records()
        lines[at] = line
        found = list(coda.read(payload(joined(lines))).problems)
        assert any(oddity in one for one in found), found

    def test_what_follows_a_whole_record_is_a_warning(self) -> None:
        lines = records()
        lines[3] += "XY"
        found = coda.read(payload(joined(lines)))
        assert found.content == read(joined(records()))
        assert found.problems == ()
        assert found.warnings == ("a record has 130 characters instead of 128",)

    def test_a_debit_balance(self) -> None:
        lines = [header(), old_balance(amount=-500), movement(200), new_balance(-300)]
        assert list(coda.read(payload(joined([*lines, trailer(3, 0, 200)]))).problems) == []

    def test_a_missing_end(self) -> None:
        assert "the end is missing (record 9)" in list(
            coda.read(payload(joined(records()[:-1]))).problems
        )

    def test_a_file_that_begins_before_the_other_has_ended(self) -> None:
        found = list(coda.read(payload(joined(records()[:-1] + records()))).problems)
        assert found == ["a file begins before the one in front of it has ended (record 9)"]

    def test_records_behind_the_last(self) -> None:
        found = list(coda.read(payload(joined([*records(), movement(1)]))).problems)
        assert found == ["records follow the last one (record 9)"]

    def test_a_file_of_oddities_does_not_fill_the_log(self) -> None:
        found = list(
            coda.read(payload(joined([header(), *[movement(1)] * 1000, trailer(0, 0, 0)]))).problems
        )
        assert len(found) == 9
        assert found[-1] == "and more of the kind"

    def test_what_is_odd_is_told_up_to_a_line_that_is_no_record(self) -> None:
        lines = [header(), *[movement(1)] * coda.MAX_PROBLEMS, "hello", *[movement(1)] * 1000]
        assert len(list(coda.read(payload(joined(lines))).problems)) == coda.MAX_PROBLEMS + 1
        assert 'begins with "h"' in coda.read(payload(joined([lines[0], *lines[2:]]))).problems[-1]


class TestResembling:
    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"00000 bottles of beer on the wall\nand more\n", "its first line is no header"),
            (b"00000;12;5\n00001;13;6\n", "its first line is no header"),
            (joined(records()[:1]), "it has no statement"),
            (joined(records()[:4]), "it breaks off in the middle of a statement"),
            (joined(records())[:-220], "it breaks off in the middle of a statement"),
            (joined(records() + records()[:3]), "it breaks off in the middle of a statement"),
            (joined([*records()[:3], "hello", *records()[3:]]), 'begins with "h", as no record'),
            (
                joined([*records()[:3], *[movement(1)] * 600, "hello"]),
                'begins with "h", as no record',
            ),
            (joined([header(), *(line[::-1] for line in records())]), "as no record does"),
            (header().encode() + b"\n1" + b"x" * 5000, "a line has more than 4096 characters"),
            (header().encode() + b"\n1" + b"x" * 600, "more than 512 characters"),
            ("".join(records()).encode(), "more than 512 characters"),
        ],
    )
    def test_it_is_told_as_such(self, data: bytes, why: str) -> None:
        assert format_of(payload(data)) is coda
        content = coda.read(payload(data)).content
        assert isinstance(content, Other)
        assert content.format == "coda-like"
        assert content.description.startswith("a text that resembles CODA, but ")
        assert why in content.description
        assert content.possible_kinds == ()

    @pytest.mark.parametrize("at", [1, 2, 6, 7])
    def test_an_amount_that_is_none_can_not_be_counted(self, at: int) -> None:
        lines = records()
        lines[at] = lines[at][:20] + "X" * 108
        assert "no amount where one has to be" in coda.read(payload(joined(lines))).problems[-1]

    def test_a_line_without_end_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "long"
        with path.open("wb") as file:
            file.write(header().encode() + b"\n")
            file.truncate(3_000_000_000)
        content = coda.read(Payload(3_000_000_000, sha256="", spool=path)).content
        assert isinstance(content, Other)


@settings(max_examples=150)
@given(st.binary(max_size=300), st.integers(0, 1100), st.integers(0, 300))
def test_nothing_but_unreadable_escapes(noise: bytes, at: int, cut: int) -> None:
    whole = joined(records())
    for data in (noise, b"00000" + noise, whole[:at] + noise + whole[at + cut :]):
        coda.recognises(data)
        coda.read(payload(data))
