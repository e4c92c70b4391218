"""Set-up input: the companies that a list, the options or a person name, checked."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from pipeline.app.dialogue import Dialogue, named_values
from pipeline.app.wiring_setup import (
    ListRefused,
    NewCompany,
    Problem,
    Texts,
    Trouble,
    headings,
    read_companies,
    read_identifier,
    read_table,
    score,
    tidy,
    without_doubles,
)
from pipeline.config.types import not_blank

T = TypeVar("T")


class ListOptions(Struct, frozen=True):
    """How a list of companies is read.

    columns: KEY=HEADING for columns that are not recognised. encoding, separator: where they are
    not found out. leave_out: whether wrong rows are left out.
    """

    columns: tuple[str, ...] = ()
    encoding: str = ""
    separator: str = ""
    leave_out: bool = False


def read_list(
    file: Path, options: ListOptions, dialogue: Dialogue, texts: Texts
) -> Sequence[NewCompany]:
    """The companies of a list. Raises ListRefused with all that is wrong, line by line."""
    named = named_values("--column", options.columns, dialogue)
    known = sorted({key for key, _ in headings().values()})
    for key in named.keys() - set(known):
        dialogue.add_problem(f'--column: there is no key "{key}"; there are {", ".join(known)}')
    dialogue.check()
    table = read_table(file, score, options.encoding, options.separator)
    try:
        reading = read_companies(table, named)
    except ValueError as error:
        raise ListRefused(str(file), [str(error)]) from None
    columns = ", ".join(f"{title} → {key}" for key, title in reading.columns.items())
    dialogue.print(texts("say.read", count=len(reading.companies), file=file))
    dialogue.print(texts("say.columns", columns=columns))
    refuse(file, reading.problems, options, dialogue, texts)
    if not reading.companies:
        raise ListRefused(str(file), [texts("problem.none")])
    return reading.companies


def refuse(
    file: Path,
    problems: Sequence[Problem],
    options: ListOptions,
    dialogue: Dialogue,
    texts: Texts,
) -> None:
    """Refuse a list that has problems, or only name the rows that are left out."""
    sentences = [texts.problem(problem) for problem in problems]
    if sentences and not options.leave_out:
        # The remedy comes first, so that a long list does not cut it off.
        raise ListRefused(str(file), [texts("problem.leave_out"), *sentences])
    for sentence in sentences:
        dialogue.print(sentence, "yellow")


def given_companies(given: Sequence[str], dialogue: Dialogue, texts: Texts) -> list[NewCompany]:
    """The companies of options NAME;NUMBER;FILE_NUMBER;PLATFORM_ID, of which two are needed."""
    found: list[NewCompany] = []
    for one in given:
        parts = [tidy(part) for part in next(csv.reader([one], delimiter=";"), [])]
        name, number, file_number, platform_id = (*parts, "", "", "", "")[:4]
        if len(parts) not in (2, 3, 4) or not name:
            dialogue.add_problem(f'--company: "{one}" is no NAME;NUMBER;FILE_NUMBER;PLATFORM_ID')
            continue
        try:
            found.append(
                NewCompany(name, checked(read_identifier, number, texts), file_number, platform_id)
            )
        except ValueError as error:
            dialogue.add_problem(f"--company: {error}")
    singles, doubles = without_doubles(found)
    for double in doubles:
        problem = Problem(0, "double-unlined", double.values)
        dialogue.add_problem(f"--company: {texts.problem(problem)}")
    return list(singles)


def typed_companies(
    dialogue: Dialogue, texts: Texts, *, needs_file_number: bool
) -> list[NewCompany]:
    """The companies that a person types one by one, until a name is empty."""
    found: dict[str, NewCompany] = {}

    def number(answer: str) -> str:
        identifier = checked(read_identifier, answer, texts)
        if holder := found.get(identifier):
            values = {"value": identifier, "name": holder.name, "line": ""}
            raise ValueError(texts.problem(Problem(0, "double-unlined", values)))
        return identifier

    while name := dialogue.text(
        "--company", None, texts("ask.name"), not_blank, optional=bool(found)
    ):
        identifier = dialogue.text("--company", None, texts("ask.identifier"), number)
        assert identifier is not None
        file_number = dialogue.text(
            "--company",
            None,
            texts("ask.file_number_needed") if needs_file_number else texts("ask.file_number"),
            not_blank,
            optional=not needs_file_number,
        )
        platform_id = dialogue.text("--company", None, texts("ask.platform_id"), str, optional=True)
        codes = (tidy(file_number or ""), tidy(platform_id or ""))
        found[identifier] = NewCompany(tidy(name), identifier, *codes)
    return list(found.values())


def checked(read: Callable[[str], T], text: str, texts: Texts) -> T:
    """What `read` makes of a text; ValueError in the user's language if it is wrong."""
    try:
        return read(text)
    except Trouble as trouble:
        raise ValueError(texts.problem(Problem(0, trouble.text, trouble.values))) from None
