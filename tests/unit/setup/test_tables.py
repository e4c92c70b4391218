"""Any table comes back whole from each dialect and encoding in which it may have been saved."""

from __future__ import annotations

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings, strategies as st

from stages.setup.columns import score
from stages.setup.tables import MAX_ROWS, SEPARATORS, parse_table

HEADINGS = ("Naam", "Ondernemingsnummer", "Dossiernummer")
#: Those in which any text can be saved.
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")
LETTERS = st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])
WESTERN = st.sampled_from(bytes(range(32, 256)).decode("cp1252", "ignore") + "\r\n")


def saved(rows: list[list[str]], separator: str, quoting: int, end: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end).writerows(rows)
    return text.getvalue()


def tables(letters: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(st.text(letters, max_size=12), min_size=3, max_size=3), max_size=8)


DIALECTS = st.tuples(
    st.sampled_from(SEPARATORS), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
)


def comes_back(rows: list[list[str]], dialect: tuple[str, int], end: str, encoding: str) -> None:
    separator, quoting = dialect
    assume(sum(score(row) for row in rows) == 0)
    whole = [list(HEADINGS), *rows]
    table = parse_table(saved(whole, separator, quoting, end).encode(encoding), score)
    assert [list(row.cells) for row in table.rows] == whole
    assert table.separator == separator


@settings(max_examples=300, deadline=None)
@given(tables(LETTERS), DIALECTS, st.sampled_from(ENCODINGS))
def test_any_table_comes_back(
    rows: list[list[str]], dialect: tuple[str, int], encoding: str
) -> None:
    comes_back(rows, dialect, "\r\n", encoding)


@settings(max_examples=200, deadline=None)
@given(tables(WESTERN), DIALECTS)
def test_any_table_of_western_letters_comes_back(
    rows: list[list[str]], dialect: tuple[str, int]
) -> None:
    text = "".join(cell for row in rows for cell in row)
    try:
        text.encode("cp1252").decode()
    except UnicodeDecodeError:
        comes_back(rows, dialect, "\r\n", "cp1252")
    else:
        assume(text.isascii())  # else it is UTF-8 of other letters as well
        comes_back(rows, dialect, "\r\n", "cp1252")


@pytest.mark.parametrize("end", ["\n", "\r"])
@given(tables(LETTERS.filter(lambda one: one not in "\r\n")), DIALECTS)
def test_other_ends_of_lines(end: str, rows: list[list[str]], dialect: tuple[str, int]) -> None:
    comes_back(rows, dialect, end, "utf-8")


def test_lines_are_those_of_the_file() -> None:
    table = parse_table(b'Naam;BTW\n"a\nb";1\n\nc;2\n', score)
    assert [(row.line, row.cells) for row in table.rows] == [
        (1, ("Naam", "BTW")),
        (2, ("a\nb", "1")),
        (4, ()),
        (5, ("c", "2")),
    ]


def test_a_line_that_tells_excel_the_separator() -> None:
    for separator in ";,\t|":
        data = f"sep={separator}\r\nNaam{separator}BTW\r\n".encode("utf-16")
        table = parse_table(data, score)
        assert table.rows[0].cells == ("Naam", "BTW")
        assert table.rows[0].line == 2


def test_decimal_commas_do_not_separate() -> None:
    table = parse_table(b"Naam;BTW;Omzet\nA, B;403170701,00;1.234,56\n", score)
    assert table.rows[1].cells == ("A, B", "403170701,00", "1.234,56")


def test_quotation_marks_within_a_name() -> None:
    table = parse_table(b'Naam;BTW\nBakkerij "De Zon";1\n"De Zon" BV;2\n', score)
    assert [row.cells[1] for row in table.rows[1:]] == ["1", "2"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "Excel workbook"),
        (b'Naam;BTW\nA;1\n"B;2\nC;3\n', "line 3 has a quotation mark that is never closed"),
        (b"Naam;BTW\n\x81;1", "its encoding is not cp1252"),
        (b"Naam;BTW\nA\0;1" + b"x" * 3000, "it is no text"),
        (b"a;b\n" * (MAX_ROWS + 1), "rows; divide it"),
        (b"a;" * 600, "line 1 has more than 500 columns"),
        (b"Naam;" + b"x" * 200_000, "can't be read"),
    ],
)
def test_what_is_no_table_is_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_table(data, score)


def test_encoding_and_separator_can_be_given() -> None:
    data = "Naam#BTW\nCafé#1".encode("cp850")
    assert parse_table(data, score, "cp850", "#").rows[1].cells == ("Café", "1")
    with pytest.raises(ValueError, match="its encoding is not nonsense"):
        parse_table(data, score, "nonsense")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_they_are_a_table_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        assert parse_table(data, score).separator in SEPARATORS
