"""Companies of a table: by their headings in three languages, and what Excel does to numbers."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, strategies as st

from stages.setup.columns import score
from stages.setup.companies import NewCompany, Reading, read_companies
from stages.setup.numbers import read_accounts, read_identifier
from stages.setup.problems import Trouble
from stages.setup.tables import parse_table
from stages.values.identifiers import enterprise_number
from stages.values.placeholders import is_placeholder


def read(text: str, **named: str) -> Reading:
    return read_companies(parse_table(text.encode(), score), named)


def said(text: str, **named: str) -> list[tuple[int, str]]:
    return [(one.line, one.text) for one in read(text, **named).problems]


PEETERS = NewCompany("Bakkerij Peeters", "BE0403170701", line=2)


@pytest.mark.parametrize(
    "headings",
    [
        "Naam;Ondernemingsnummer",
        "NAAM;BTW-NR.",
        "Nom;N° d'entreprise",
        "Dénomination;Numéro de TVA",
        "Denomination ; numero de tva",
        "Name;VAT number",
        "Company name;Enterprise number",
        "enterprise_name;enterprise_identifier",
        "Raison sociale;N° TVA",
        "Naam van de klant *;BTW-nummer (zonder BE)",
    ],
)
def test_headings_are_known_in_three_languages(headings: str) -> None:
    assert read(f"{headings}\nBakkerij Peeters;0403.170.701").companies == (PEETERS,)


def test_all_columns_are_read() -> None:
    text = (
        "Dossiernr;Naam;BTW nummer;IBAN 1;IBAN 2;Platform ID;Opmerking;Formaat\n"
        "PEET01;Bakkerij Peeters;BE 0403.170.701;"
        "BE71 0961 2345 6769;BE62068258537561;77;x;UBL+PDF\n"
    )
    (company,) = read(text).companies
    assert company == NewCompany(
        "Bakkerij Peeters",
        "BE0403170701",
        "PEET01",
        "77",
        ("BE71096123456769", "BE62068258537561"),
        formats="ubl+pdf",
        line=2,
    )
    assert read(text).columns["accounts"] == "IBAN 1, IBAN 2"


@pytest.mark.parametrize(
    "number",
    [
        *("403170701", "0403170701", "403170701,00", "403170701.0", "BE403170701"),
        *("0403 170 701", '="0403170701"', "'0403170701", "BTW BE 0403.170.701", "403.170.701"),
        *("0403\u00a0170\u00a0701", "BE0403-170-701", "0403.170.701 "),
    ],
)
def test_numbers_as_a_spreadsheet_leaves_them(number: str) -> None:
    assert read_identifier(number) == "BE0403170701"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("4,03171E+08", "rounded"),
        ("4.03171E+08", "rounded"),
        ("4,03E8", "rounded"),
        ("1,23457E+09", "rounded"),
        ("4E+08", "rounded"),
        ("403170702", "check-digits"),
        ("BE0403170702", "check-digits"),
        ("40317070", "length"),
        ("04031707011", "length"),
        ("n.v.t.", "placeholder"),
        ("BE0000000000", "placeholder"),
        ("-", "placeholder"),
        ("aangevraagd", "placeholder"),
        ("Peeters", "not-a-number"),
        ("", "no-number"),
        ("  ", "no-number"),
    ],
)
def test_a_number_that_is_none_is_refused(number: str, text: str) -> None:
    with pytest.raises(Trouble) as refused:
        read_identifier(number)
    assert refused.value.text == text


@given(st.integers(min_value=2_000_000, max_value=9_999_999))
def test_a_lost_zero_comes_back_only_where_the_check_digits_agree(root: int) -> None:
    right = 97 - root % 97
    for check in (right, right % 97 + 1):
        lost = f"{root}{check:02}"
        if check == right and enterprise_number(lost):
            assume(not is_placeholder(lost))
            assert read_identifier(lost) == f"BE0{lost}"
        else:
            with pytest.raises(Trouble):
                read_identifier(lost)


def test_a_number_of_another_country_is_taken() -> None:
    assert read_identifier("NL 0044.95.445.B01") == "NL004495445B01"


def test_accounts_of_one_cell() -> None:
    both = ("BE71096123456769", "BE62068258537561")
    for between in ("; ", ",", " / ", "\n", " "):
        assert read_accounts(both[0] + between + both[1]) == both
    assert read_accounts("BE71 0961 2345 6769") == both[:1]
    with pytest.raises(Trouble):
        read_accounts("BE71 0961 2345 6768")


def test_rows_that_are_no_company() -> None:
    text = (
        "Klantenlijst 2026\n\nNaam;Ondernemingsnummer\n\nA;0403.170.701\n ; \n"
        "naam;ondernemingsnummer\nB;BE0428759497\n"
    )
    reading = read(text)
    assert [(one.name, one.line) for one in reading.companies] == [("A", 5), ("B", 8)]
    assert not reading.problems


def test_wrong_and_double_numbers_are_named_by_their_line() -> None:
    text = (
        "Naam;Nummer;BTW\n"
        "A;1;0403.170.701\n"
        '"B\nBV";2;0403.170.702\n'
        "C;3;BE 403170701\n"
        ";4;BE0428759497\n"
        "E;5;\n"
    )
    reading = read(text)
    assert [(one.line, one.text) for one in reading.problems] == [
        (3, "check-digits"),
        (5, "double"),
        (6, "no-name"),
        (7, "no-number"),
    ]
    assert reading.problems[1].values["line"] == "2"
    assert [one.name for one in reading.companies] == ["A"]


def test_two_numbers_of_a_row_have_to_agree() -> None:
    head = "Naam;Ondernemingsnummer;BTW\n"
    assert read(head + "A;0403.170.701;BE0403170701").companies
    assert read(head + "A;;BE0403170701").companies
    assert said(head + "A;0403.170.701;BE0428759497") == [(2, "differ")]


def test_columns_can_be_named() -> None:
    text = "Qui;Quoi;Nom\nA;0403.170.701;x\n"
    for named in ({"name": "Qui", "identifier": "QUOI"}, {"name": "1", "identifier": "2"}):
        assert [one.name for one in read(text, **named).companies] == ["A"]
    (company,) = read("A;0403.170.701", name="1", identifier="2").companies
    assert company.line == 1
    with pytest.raises(ValueError, match='there is no column "Wie"; there are "Qui", "Quoi"'):
        read(text, name="Wie", identifier="Quoi")


def test_unknown_headings_are_asked_for() -> None:
    with pytest.raises(ValueError, match="--column identifier=HEADING"):
        read("Naam;Quoi\nA;0403.170.701")
    with pytest.raises(ValueError, match="it is empty"):
        read("\n\n")


def test_a_row_that_is_too_short_or_too_long() -> None:
    head = "Naam;Ondernemingsnummer;Dossiernummer\n"
    assert said(head + "A\n") == [(2, "no-number")]
    assert read(head + "A;0403.170.701\nB;BE0428759497;B1;;;\n").companies[1].accounting_file_id


def test_line_breaks_within_a_name_become_spaces() -> None:
    (company,) = read('Naam;BTW\n"Bakkerij\r\n Peeters";0403.170.701').companies
    assert company.name == "Bakkerij Peeters"


def test_formats_that_do_not_exist_are_refused() -> None:
    assert said("Naam;BTW;Formaat\nA;0403.170.701;docx") == [(2, "formats")]


@pytest.mark.parametrize("none", ["Niet BTW-plichtig", "vrijgesteld", "-", "n.v.t.", "franchise"])
def test_one_who_pays_no_vat_has_a_number_all_the_same(none: str) -> None:
    head = "Naam;Ondernemingsnummer;BTW\n"
    (company,) = read(f"{head}A;0403.170.701;{none}").companies
    assert company.identifier == "BE0403170701"
    assert read(f"{head}A;;{none}").problems


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("'t Hoekje", "'t Hoekje"),
        ("'T HOEKJE BV", "'T HOEKJE BV"),
        ("'s-Gravenhage", "'s-Gravenhage"),
        ("'Peeters", "Peeters"),
        ('="Peeters"', "Peeters"),
        ("A\x1b[31m\x07 B", "A [31m B"),
        ("\u202eA\u00ad\u200bB\ufeff", "AB"),
        ("Zo\u00e9\u00a0& fils", "Zo\u00e9 & fils"),
    ],
)
def test_a_name_is_what_is_seen(cell: str, name: str) -> None:
    quoted = cell.replace('"', '""')
    (company,) = read(f'Naam;BTW\n"{quoted}";0403.170.701').companies
    assert company.name == name


def test_codes_that_excel_took_for_numbers() -> None:
    head = "Naam;BTW;Dossiernr\n"
    for first, second, found in (
        ("12,00", "7,00", ["12", "7"]),
        ("12.0", "A7", ["12", "A7"]),
        ("100,00", "100,01", ["100,00", "100,01"]),
        ("007", "12E3", ["007", "12E3"]),
    ):
        text = f"{head}A;0403.170.701;{first}\nB;BE0428759497;{second}"
        assert [one.accounting_file_id for one in read(text).companies] == found
    assert said(f"{head}A;0403.170.701;1,2E+04") == [(2, "rounded")]


@pytest.mark.parametrize(
    "last",
    ["Totaal;;1", "TOTAL G\u00c9N\u00c9RAL : 1;;", "Aantal: 1;;", "Total;1;", ";;\nTotaux;1;\n;;"],
)
def test_a_row_at_the_end_that_counts_the_others_is_no_company(last: str) -> None:
    head = "Naam;BTW;Dossiernr\n"
    reading = read(f"{head}A;0403.170.701;1\n{last}\n")
    assert ([one.name for one in reading.companies], reading.problems) == (["A"], ())
    # Elsewhere, or with a number, it is called so.
    assert said(f"{head}Total;;1\nA;0403.170.701;1\n") == [(2, "no-number")]
    assert len(read(f"{head}A;0403.170.701;1\nTotal;BE0428759497;2\n").companies) == 2
