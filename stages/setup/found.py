"""Found companies: those that a platform lists, as they can be configured."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from pipeline.source import FoundCompany
from pipeline.text import sanitized
from stages.setup.companies import NewCompany
from stages.setup.numbers import read_identifier
from stages.setup.problems import Problem, Trouble, problem_of

#: Companies of one list, and characters of a name, at most.
MAX_COMPANIES = 50_000
MAX_NAME = 200


class LeftOut(Struct, frozen=True):
    """A company that can't be configured as it is listed. name: as people know it there."""

    name: str
    problem: Problem


def usable(found: Iterable[FoundCompany]) -> tuple[list[NewCompany], list[LeftOut]]:
    """The companies that can be configured, and the others with the reason, in their order.

    One that the platform has no name for is called by its number.
    """
    companies: dict[str, NewCompany] = {}
    left_out: list[LeftOut] = []
    for number, one in enumerate(found):
        name, id_, file_number = map(_plain, (one.name, one.id, one.file_number))
        called = f"{name} ({id_})" if name and id_ else name or id_ or "?"
        try:
            if number >= MAX_COMPANIES:
                raise Trouble("too-many", limit=f"{MAX_COMPANIES:,}")
            identifier = read_identifier(one.identifier)
            if holder := companies.get(identifier):
                raise Trouble("double-unlined", value=identifier, name=holder.name)
        except Trouble as trouble:
            left_out.append(LeftOut(called, problem_of(0, trouble)))
            continue
        companies[identifier] = NewCompany(name or identifier, identifier, file_number, id_)
    return list(companies.values()), left_out


def _plain(text: str) -> str:
    return " ".join(sanitized(text, MAX_NAME).split())
