"""Known companies: compares those that a platform knows with those that are configured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from pipeline.source import FoundCompany
from pipeline.text import first_few, quoted
from stages.settings import Company, Member
from stages.values.identifiers import company_identifier


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
        said = f"the platform knows {self.total:,} companies, "
        said += f"{self.total - len(self.left_out):,} of them are configured"
        if self.left_out:
            names = first_few([quoted(f"{one.name} {one.id}".strip()) for one in self.left_out])
            said += f" (the documents of others stay there: {', '.join(names)})"
        return said

    @property
    def missing_names(self) -> str:
        """The missing ones, with what the configuration calls them at the platform."""
        named = [
            f"{one.company.name} ({one.platform_id or one.company.identifier})"
            for one in self.missing
        ]
        return ", ".join(first_few(named))


def compared(found: Sequence[FoundCompany], members: Sequence[Member]) -> KnownCompanies:
    """Compare them by their ids, and by their numbers where a member has no id."""
    ids = {one.id for one in found}
    numbers = {number for one in found if (number := canonical(one.identifier))}
    wanted_ids = {one.platform_id for one in members}
    wanted_numbers = {
        number for one in members if one.platform_id is None for number in numbers_of(one.company)
    }
    return KnownCompanies(
        len(found),
        tuple(
            one
            for one in found
            if one.id not in wanted_ids and canonical(one.identifier) not in wanted_numbers
        ),
        tuple(
            one
            for one in members
            if (
                one.platform_id not in ids
                if one.platform_id is not None
                else bool(numbers) and not numbers & numbers_of(one.company)
            )
        ),
    )


def numbers_of(company: Company) -> set[str]:
    """The numbers of a company, in their canonical form."""
    return {canonical(one) for one in (company.identifier, *company.identifiers)} - {""}


def canonical(number: str) -> str:
    """The canonical form of an enterprise or VAT number in any spelling; "" if it is none."""
    with suppress(ValueError):
        return company_identifier(number)
    return ""
