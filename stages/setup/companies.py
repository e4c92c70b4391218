"""Company reader: the companies of a table, and what is wrong with each of its other rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, structs

from stages.setup.columns import NEEDED, SEVERAL, Columns, columns_of, folded, known_heading, score
from stages.setup.numbers import (
    are_whole,
    cell_text,
    read_accounts,
    read_code,
    read_identifier,
)
from stages.setup.problems import Problem, Trouble, problem_of
from stages.setup.tables import Row, Table
from stages.values.placeholders import is_placeholder

T = TypeVar("T")

#: Rows in front of the headings, at most: a title, a date, an address.
MAX_TITLES = 50
FORMATS = ("ubl", "ubl+pdf", "pdf")
#: The keys that hold codes, of which Excel may have made numbers.
CODES = ("accounting_file_id", "platform_id")
#: How the last row begins that counts the others, folded and without its number.
TOTALS = frozenset(
    {
        *("totaal", "totalen", "algemeentotaal", "aantal", "som"),
        *("total", "totaux", "totalgeneral", "nombre", "somme"),
        *("totals", "grandtotal", "count", "sum"),
    }
)
#: Digits of a number that counts rows, at most.
MAX_TOTAL = 6


class NewCompany(Struct, frozen=True):
    """A company that is to be configured; its fields are keys of [[companies]].

    line: of the table, 0 where it is from none.
    """

    name: str
    identifier: str
    accounting_file_id: str = ""
    platform_id: str = ""
    accounts: tuple[str, ...] = ()
    source: str = ""
    formats: str = ""
    line: int = 0

    @property
    def keys(self) -> dict[str, str | list[str]]:
        """Its keys that have a value, in the order in which they are written."""
        given: dict[str, str | list[str]] = {
            name: list(value) if isinstance(value, tuple) else value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) and name != "line"
        }
        return given


class Reading(Struct, frozen=True):
    """What a table holds. columns: for each key of a company its headings, for the user to see."""

    companies: tuple[NewCompany, ...]
    problems: tuple[Problem, ...]
    columns: dict[str, str]


def read_companies(table: Table, named: Mapping[str, str]) -> Reading:
    """Read the companies of a table.

    named: the columns that the user has named, as columns_of() takes them. ValueError if columns
    are missing.
    """
    columns, titles, rows = _headed(table.rows, named)
    companies: list[NewCompany] = []
    problems: list[Problem] = []
    rows = [row for row in rows if any(cell.strip() for cell in row.cells)]
    if rows and _is_total(rows[-1], columns):
        rows.pop()
    whole = {
        key: are_whole(cell for row in rows for cell in _cells(row, columns, key)[:1])
        for key in CODES
        if key in columns
    }
    for row in rows:
        if _repeats(row, columns):
            continue
        try:
            companies.append(_company(row, columns, whole))
        except Trouble as trouble:
            problems.append(problem_of(row.line, trouble))
    singles, doubles = without_doubles(companies)
    said = {
        key: ", ".join(_heading(titles, number) for number in numbers)
        for key, numbers in columns.items()
        if numbers
    }
    wrong = sorted((*problems, *doubles), key=lambda one: one.line)
    return Reading(tuple(singles), tuple(wrong), said)


def without_doubles(
    companies: Iterable[NewCompany],
) -> tuple[Sequence[NewCompany], Sequence[Problem]]:
    """The companies without those whose number an earlier one has, and a problem for each."""
    first: dict[tuple[str, str], NewCompany] = {}
    doubles = []
    for company in companies:
        holder = first.setdefault((company.identifier, company.source), company)
        if holder is not company:
            values = {"value": company.identifier, "line": str(holder.line), "name": holder.name}
            doubles.append(Problem(company.line, "double", values))
    return tuple(first.values()), doubles


def without_file_number(companies: Iterable[NewCompany]) -> Sequence[Problem]:
    """A problem for each company that has no file number, where the folders need one."""
    return [
        Problem(one.line, "no-file-number", {"name": one.name})
        for one in companies
        if not one.accounting_file_id
    ]


def of_source(company: NewCompany, source: str) -> NewCompany:
    """The company as one of a source, unless it names its own."""
    return company if company.source else structs.replace(company, source=source)


def _headed(
    rows: Sequence[Row], named: Mapping[str, str]
) -> tuple[Columns, Sequence[str], Sequence[Row]]:
    """The columns, the headings, and the rows below them."""
    filled = [number for number, row in enumerate(rows) if any(map(str.strip, row.cells))]
    if not filled:
        raise ValueError("it is empty; the first line has to say what is in the columns")
    candidates = [rows[number].cells for number in filled[:MAX_TITLES]]
    best = max(range(len(candidates)), key=lambda number: score(candidates[number]))
    if score(candidates[best]) == 0:
        # Headings that nobody knows, or none at all: the user has to name the columns.
        best = next((n for n, cells in enumerate(candidates) if _has_all(cells, named)), 0)
    start = filled[best]
    cells = rows[start].cells
    columns = columns_of(cells, named)
    if missing := [key for key in NEEDED if not columns.get(key)]:
        known = ", ".join(f'"{cell}"' for cell in cells if cell.strip())
        options = " ".join(f"--column {key}=HEADING" for key in missing)
        raise ValueError(
            f"line {rows[start].line}: no column is known as {' and '.join(missing)} among {known};"
            f" name it: {options}, or by its number, the first is 1"
        )
    is_data = any(_is_identifier(cells, number) for number in columns["identifier"])
    return columns, () if is_data else cells, rows[start if is_data else start + 1 :]


def _has_all(cells: Sequence[str], named: Mapping[str, str]) -> bool:
    texts = {folded(cell) for cell in cells}
    return bool(named) and all(folded(wanted) in texts for wanted in named.values())


def _is_identifier(cells: Sequence[str], number: int) -> bool:
    """Whether a cell of what may be headings holds a number instead."""
    return number < len(cells) and any(map(str.isdigit, cells[number]))


def _repeats(row: Row, columns: Columns) -> bool:
    """Whether a row repeats the headings, as the next page of a printed list does."""
    numbers = [number for key in NEEDED for number in columns[key]]
    told = [known_heading(row.cells[number]) for number in numbers if number < len(row.cells)]
    return score(row.cells) > 0 and all(told)


def _is_total(row: Row, columns: Columns) -> bool:
    """Whether a row counts the others: it is called so, and has no number of a company."""
    names, numbers = _cells(row, columns, "name"), _cells(row, columns, "identifier")
    told = folded("".join(names) or next((cell for cell in row.cells if cell.strip()), ""))
    digits = sum(map(str.isdigit, "".join(numbers)))
    return told.rstrip("0123456789") in TOTALS and digits <= MAX_TOTAL


def _company(row: Row, columns: Columns, whole: Mapping[str, bool]) -> NewCompany:
    """The company of a row. whole: as read_code() takes it, by key. Raises Trouble."""
    values = {key: _cells(row, columns, key) for key in columns}
    numbers = values["identifier"] or [""]
    # One may have an enterprise number, and say of VAT that it pays none.
    numbers = [one for one in numbers if not _says_none(one)] or numbers
    identifier = _same(numbers, read_identifier)
    accounts = [account for cell in values.get("accounts", []) for account in read_accounts(cell)]
    formats = "".join(cell_text(one) for one in values.get("formats", [])[:1]).lower()
    if formats and formats not in FORMATS:
        raise Trouble("formats", value=formats, known=", ".join(FORMATS))
    texts = {
        key: read_code(cells[0], whole=whole[key]) if key in CODES else cell_text(cells[0])
        for key, cells in values.items()
        if cells and key not in {*SEVERAL, "identifier", "formats"}
    }
    if not texts.get("name"):
        raise Trouble("no-name", value=identifier)
    return NewCompany(
        identifier=identifier,
        accounts=tuple(dict.fromkeys(accounts)),
        formats=formats,
        line=row.line,
        **texts,
    )


def _says_none(text: str) -> bool:
    return not any(map(str.isdigit, text)) or is_placeholder(cell_text(text))


def _cells(row: Row, columns: Columns, key: str) -> list[str]:
    """The cells of a key that hold something, the surest first."""
    numbers = [number for number in columns[key] if number < len(row.cells)]
    return [row.cells[number] for number in numbers if row.cells[number].strip()]


def _same(cells: Sequence[str], read: Callable[[str], str]) -> str:
    """What several cells of a row say, which has to be one thing. Raises Trouble."""
    found = {read(cell) for cell in cells}
    if len(found) > 1:
        raise Trouble("differ", value=" / ".join(cell_text(cell) for cell in cells))
    return found.pop()


def _heading(titles: Sequence[str], number: int) -> str:
    return (
        titles[number].strip()
        if number < len(titles) and titles[number].strip()
        else str(number + 1)
    )
