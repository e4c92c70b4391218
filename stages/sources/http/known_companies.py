"""Known companies: compares those that a platform knows with those that are configured."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set as AbstractSet
from contextlib import suppress

from msgspec import Struct

from pipeline.source import FoundCompany
from pipeline.text import enumerated, quoted
from stages.settings import Company, Member
from stages.values.identifiers import company_identifier

#: What a company is known by: the sort of name, and the name.
Signs = AbstractSet[tuple[str, str]]


class KnownCompanies(Struct, frozen=True):
    """What came of the comparison.

    total: how many the platform knows. left_out: those that are not configured. missing: those that
    are configured, and the platform does not know.
    """

    total: int
    left_out: tuple[FoundCompany, ...]
    missing: tuple[Member, ...]

    def __str__(self) -> str:
        """A sentence for people."""
        companies = "1 company" if self.total == 1 else f"{self.total:,} companies"
        known = self.total - len(self.left_out)
        verb = "is" if known == 1 else "are"
        said = f"the platform knows {companies}, {known:,} of them {verb} configured"
        if self.left_out:
            names = enumerated([called(one) for one in self.left_out])
            said += f"; left alone, as they are not in [[companies]]: {names}"
        if self.missing:
            said += f"; configured, and not known there: {self.missing_names}"
        return said

    @property
    def missing_names(self) -> str:
        """The missing ones, with what the configuration calls them at the platform."""
        return enumerated(
            [
                f"{one.company.name} ({one.platform_id or one.company.identifier})"
                for one in self.missing
            ]
        )


def signs_there(found: FoundCompany) -> Signs:
    """A company of a platform is known by its id there, and by its number."""
    number = canonical(found.identifier)
    return {("id", found.id)} | ({("number", number)} if number else set())


def signs_here(member: Member) -> Signs:
    """A configured company is known by its id, or by its numbers where it has none."""
    if member.platform_id is not None:
        return {("id", member.platform_id)}
    return {("number", number) for number in numbers_of(member.company)}


def compared(
    found: Sequence[FoundCompany],
    members: Sequence[Member],
    there: Callable[[FoundCompany], Signs] = signs_there,
    here: Callable[[Member], Signs] = signs_here,
) -> KnownCompanies:
    """Compare them: one is another if they share a sign.

    there, here: what each is known by. A configured company is not missing where the platform
    states no sign of the sort that it is known by, for then that can't be told.
    """
    wanted = {sign for one in members for sign in here(one)}
    known = {sign for one in found for sign in there(one)}
    sorts = {sort for sort, _ in known}

    def is_missing(member: Member) -> bool:
        signs = here(member)
        can_be_told = not known or not signs or any(sort in sorts for sort, _ in signs)
        return can_be_told and known.isdisjoint(signs)

    return KnownCompanies(
        len(found),
        tuple(one for one in found if wanted.isdisjoint(there(one))),
        tuple(one for one in members if is_missing(one)),
    )


def called(company: FoundCompany) -> str:
    """A company as people know it, with what it is called at the platform."""
    name, id_ = quoted(company.name), quoted(company.file_number or company.id)
    return f"{name} ({id_})" if name and name != id_ else id_


def numbers_of(company: Company) -> set[str]:
    """The numbers of a company, in their canonical form."""
    return {canonical(one) for one in (company.identifier, *company.identifiers)} - {""}


def canonical(number: str) -> str:
    """The canonical form of an enterprise or VAT number in any spelling; "" if it is none."""
    with suppress(ValueError):
        return company_identifier(number)
    return ""
