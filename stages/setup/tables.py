"""Table reader: the rows of a CSV file, in whichever dialect and encoding it was saved.

The separator and the encoding are found out; a table that can't be read is refused in words.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from msgspec import Struct

from pipeline.files import os_reason, read_file
from stages.setup.problems import ListRefused

#: Bytes, rows and columns of a table, at most.
MAX_BYTES = 10_000_000
MAX_ROWS = 50_000
MAX_COLUMNS = 500
#: Rows that are looked at to find out the separator.
SAMPLE = 50
#: Separators, the likeliest first: Excel writes a semicolon where the comma is a decimal one.
SEPARATORS = (";", "\t", ",", "|")

#: How an Excel workbook begins: a ZIP file, or an OLE one.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE_AS = 'in Excel, save it as "CSV UTF-8 (Comma delimited)"'

#: Says how well a row would do as the line of headings: 0 if it is none.
Score = Callable[[Sequence[str]], int]


class Row(Struct, frozen=True):
    """A row of a table. line: of the file where it begins, counted from 1."""

    line: int
    cells: tuple[str, ...]


class Table(Struct, frozen=True):
    """A table with its rows, and how it was read."""

    rows: tuple[Row, ...]
    encoding: str
    separator: str


def read_table(path: Path, score: Score, encoding: str = "", separator: str = "") -> Table:
    """Read a table. Raises ListRefused.

    encoding, separator: as they are given, where they can't be found out.
    """
    try:
        data = read_file(path, MAX_BYTES)
    except OSError as error:
        raise ListRefused(str(path), [f"it can't be read: {os_reason(error)}"]) from None
    try:
        return parse_table(data, score, encoding, separator)
    except ValueError as error:
        raise ListRefused(str(path), [str(error)]) from None


def parse_table(data: bytes, score: Score, encoding: str = "", separator: str = "") -> Table:
    """Parse the bytes of a table. ValueError says why they are none, and what to do."""
    if data.startswith(_WORKBOOKS):
        raise ValueError(f"it is an Excel workbook, not a CSV file; {_SAVE_AS}")
    encoding = encoding or _encoding(data)
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except (UnicodeError, LookupError):
        raise ValueError(f"its encoding is not {encoding}; {_SAVE_AS}") from None
    if "\0" in text:
        raise ValueError(f"it is no text; {_SAVE_AS}")
    skipped = 0
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.rstrip("\r")) == len("sep=;"):
        # A line by which Excel is told the separator; Excel itself writes none.
        separator = separator or first[len("sep=")]
        text, skipped = rest, 1
    separator = separator or _separator(text, score)
    rows = tuple(_rows(text, separator, skipped))
    return Table(rows, encoding, separator)


def _encoding(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Of text in Latin letters every second byte of UTF-16 is zero.
    sample = data[:2000]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) * 4 > len(sample):
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _separator(text: str, score: Score) -> str:
    """The separator by which a row looks most like headings, else the one with most columns."""
    found: list[tuple[int, int, str]] = []
    for separator in SEPARATORS:
        rows = list(islice(_lenient(text, separator, 0), SAMPLE))
        headings = max((score(row.cells) for row in rows), default=0)
        columns = min((len(row.cells) for row in rows if any(row.cells)), default=0)
        found.append((headings, columns, separator))
    return max(found, key=lambda one: one[:2])[2]


def _rows(text: str, separator: str, skipped: int) -> Iterator[Row]:
    """All rows of a text. ValueError says where it is no table."""
    _check_quotes(text, separator, skipped)
    for count, row in enumerate(_lenient(text, separator, skipped), 1):
        if count > MAX_ROWS:
            raise ValueError(f"it has more than {MAX_ROWS:,} rows; divide it")
        if len(row.cells) > MAX_COLUMNS:
            raise ValueError(f"line {row.line} has more than {MAX_COLUMNS} columns")
        yield row


def _check_quotes(text: str, separator: str, skipped: int) -> None:
    """Refuse a quotation mark that is never closed, which takes all that follows for one cell."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for _ in reader:
            line = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise ValueError(
                f"the row of line {line + skipped} has a quotation mark that is never closed;"
                " close it, or write it twice"
            ) from None


def _lenient(text: str, separator: str, skipped: int) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    line = 1 + skipped
    try:
        for cells in reader:
            yield Row(line, tuple(cells))
            line = reader.line_num + 1 + skipped
    except csv.Error as error:
        raise ValueError(f"the row of line {line} can't be read ({error})") from None
