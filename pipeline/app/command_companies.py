"""What `synqup companies add`, `remove` and `import` do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from pipeline.app.company_list import CompanyList, Row
from pipeline.app.dialogue import Dialogue
from pipeline.app.exit_codes import ExitCode
from pipeline.app.setup_input import ListOptions, checked, read_list, refuse
from pipeline.app.setup_output import setup_console, show_paths
from pipeline.app.setup_platform import platform_companies
from pipeline.app.wiring_setup import (
    LANGUAGES,
    LONGEST_PATH,
    NewCompany,
    Problem,
    Texts,
    language_of,
    of_source,
    read_accounts,
    read_identifier,
    tidy,
)
from pipeline.config.rewrite import editing

T = TypeVar("T")


def add(
    config: Path,
    name: str,
    number: str,
    file_number: str,
    platform_id: str,
    accounts: Sequence[str],
    source: str,
    language: str,
) -> None:
    """Add one company."""
    texts, dialogue = _start("add", language)
    path = config.resolve()
    with editing(path):
        listed = CompanyList(path)
        company = NewCompany(
            name=tidy(name),
            identifier=_answer(dialogue, "NUMBER", read_identifier, number, texts) or "",
            accounting_file_id=tidy(file_number),
            platform_id=tidy(platform_id),
            accounts=tuple(
                account
                for given in accounts
                for account in _answer(dialogue, "--account", read_accounts, given, texts) or ()
            ),
            source=_source(listed, source, dialogue),
        )
        if not company.name:
            dialogue.add_problem("NAME: this can't be empty")
        dialogue.check()
        if row := listed.find(company.identifier, company.source):
            dialogue.add_problem(f"NUMBER: {company.identifier} is {row.company.name} already")
        dialogue.check()
        listed.add([company])
        only = {company.identifier}
        show_paths(setup_console(), listed.candidate(), LONGEST_PATH, texts, only)
        listed.write()
    dialogue.print(texts("say.added", count=1, file=listed.file))
    dialogue.print(texts("say.service"))


def remove(config: Path, numbers: Sequence[str], source: str, language: str) -> None:
    """Remove companies by their enterprise or VAT numbers, of one source or of all."""
    texts, dialogue = _start("remove", language)
    path = config.resolve()
    with editing(path):
        listed = CompanyList(path)
        if source:
            _source(listed, source, dialogue)
        found: list[Row] = []
        for number in dict.fromkeys(numbers):
            identifier = _answer(dialogue, "NUMBER", read_identifier, number, texts)
            rows = [
                row
                for row in listed.rows
                if row.company.identifier == identifier and source in ("", row.company.source)
            ]
            if identifier and not rows:
                dialogue.add_problem(f"NUMBER: no company is configured as {identifier}")
            found += [row for row in rows if row not in found]
        dialogue.check()
        if len(found) == len(listed.rows):
            dialogue.add_problem("NUMBER: no company would be left; add another one first")
        dialogue.check()
        listed.remove(found)
        listed.write()
    files = ", ".join(dict.fromkeys(str(row.file) for row in found))
    dialogue.print(texts("say.removed", count=len(found), file=files))
    dialogue.print(texts("say.service"))


def import_(
    config: Path,
    origin: Path | str,
    options: ListOptions,
    source: str,
    language: str,
    *,
    update: bool,
    yes: bool,
) -> None:
    """Add the companies of a list; those that are configured already stay, or are changed.

    origin: a file, or the name of a source whose platform lists them.
    """
    texts, dialogue = _start("import", language)
    path = config.resolve()
    if not dialogue.asks and not yes:
        dialogue.add_problem("--yes: this answer is missing; write --yes to have it written")
    dialogue.check()
    with editing(path):
        listed = CompanyList(path)
        if isinstance(origin, Path):
            companies = read_list(origin, options, dialogue, texts)
            own = all(one.source for one in companies)
            usual = "" if own else _source(listed, source, dialogue)
        else:
            usual = _source(listed, origin, dialogue)
            dialogue.check()
            companies = _of_platform(listed, usual, dialogue, texts, update=update)
        dialogue.check()
        companies = [of_source(company, usual) for company in companies]
        new, changes, problems = _compared(listed, companies, update=update)
        refuse(Path(origin), problems, options, dialogue, texts)
        same = len(companies) - len(new) - len(changes) - len(problems)
        if same:
            dialogue.print(texts("say.unchanged", count=same))
        if changes:
            dialogue.print(texts("say.changed", count=len(changes)))
        if not new and not changes:
            dialogue.print(texts("say.nothing_new"))
            return
        listed.change(changes)
        if new:
            listed.add(new)
        only = {one.identifier for one in new} | {row.company.identifier for row, _ in changes}
        show_paths(setup_console(), listed.candidate(), LONGEST_PATH, texts, only)
        if not dialogue.confirm("--yes", yes, texts("ask.write")):
            dialogue.print(texts("say.nothing"))
            raise typer.Exit(ExitCode.INCOMPLETE)
        listed.write()
    if new:
        dialogue.print(texts("say.added", count=len(new), file=listed.file))
    if changes:
        files = ", ".join(dict.fromkeys(str(row.file) for row, _ in changes))
        dialogue.print(texts("say.updated", count=len(changes), file=files))
    dialogue.print(texts("say.service"))


def _of_platform(
    listed: CompanyList, source: str, dialogue: Dialogue, texts: Texts, *, update: bool
) -> Sequence[NewCompany]:
    """The companies that a platform lists, but for those that are configured for it.

    update: whether the names and ids of these are wanted, too.
    """
    (settings,) = (one for one in listed.config.sources if one.name == source)
    found = platform_companies(settings, listed.config, dialogue, texts)
    kept = {
        one.identifier
        for one in found
        if _is_there(listed, one, source) and not (update and listed.find(one.identifier, source))
    }
    if kept:
        dialogue.print(texts("say.unchanged", count=len(kept)))
    return [one for one in found if one.identifier not in kept]


def _is_there(listed: CompanyList, company: NewCompany, source: str) -> bool:
    """Whether a company of a source is configured, by any of its numbers or by its id there."""
    return any(
        company.identifier in (one.identifier, *one.identifiers)
        or (company.platform_id and company.platform_id == at.id)
        for one in listed.config.companies
        for at in one.memberships
        if at.source == source
    )


def _compared(
    listed: CompanyList, companies: Sequence[NewCompany], *, update: bool
) -> tuple[list[NewCompany], list[tuple[Row, Mapping[str, Any]]], list[Problem]]:
    """The companies that are new, the changes of others, and what is wrong with the rest."""
    rows = {(row.company.identifier, row.company.source): row for row in listed.rows}
    new: list[NewCompany] = []
    changes: list[tuple[Row, Mapping[str, Any]]] = []
    problems: list[Problem] = []
    for company in companies:
        if company.source not in listed.sources:
            values = {"value": company.source, "known": ", ".join(listed.sources)}
            problems.append(Problem(company.line, "other-source", values))
        elif (row := rows.get((company.identifier, company.source))) is None:
            new.append(company)
        elif differing := _differing(row, company):
            if update:
                changes.append((row, differing))
            else:
                said = ", ".join(f"{key}: {_shown(value)}" for key, value in differing.items())
                values = {"value": company.identifier, "changes": said}
                problems.append(Problem(company.line, "there", values))
    return new, changes, problems


def _differing(row: Row, company: NewCompany) -> dict[str, Any]:
    """The keys of a company to which a list gives other values; what it leaves empty stays."""
    return {
        key: value
        for key, value in company.keys.items()
        if value != _as_written(getattr(row.company, key))
    }


def _as_written(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _answer(
    dialogue: Dialogue, option: str, read: Callable[[str], T], text: str, texts: Texts
) -> T | None:
    try:
        return checked(read, text, texts)
    except ValueError as error:
        dialogue.add_problem(f"{option}: {error}")
        return None


def _start(command: str, language: str) -> tuple[Texts, Dialogue]:
    language = language or language_of()
    if language not in LANGUAGES:
        raise typer.BadParameter(f'--language: "{language}" is none of {", ".join(LANGUAGES)}')
    texts = Texts(language)
    return texts, Dialogue(f"synqup companies {command}", setup_console(), texts)


def _source(listed: CompanyList, given: str, dialogue: Dialogue) -> str:
    """The source of companies that name none."""
    if not given and len(listed.sources) == 1:
        return listed.sources[0]
    if given not in listed.sources:
        known = ", ".join(listed.sources)
        what = f'there is no source "{given}"' if given else "this answer is missing"
        dialogue.add_problem(f"--source: {what}; there are {known}")
    return given
