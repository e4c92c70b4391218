"""Companies: whose a folder is, by its name."""

from __future__ import annotations

from collections.abc import Sequence

from stages.settings import Company, Member
from stages.values.identifiers import compact, enterprise_number


class CompanyFolders:
    """The companies of a source by the names that their folders may have, regardless of case.

    A folder is called by the platform_id of its company, its accounting_file_id or its identifier,
    and the first of these counts where they are those of different companies.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self._tiers: list[dict[str, Company | None]] = [{}, {}, {}]
        for member in members:
            company = member.company
            names = (member.platform_id or "", company.accounting_file_id, company.identifier)
            for tier, name in zip(self._tiers, names, strict=True):
                if key := _key(name):
                    # What two companies are called says nothing.
                    same = tier.setdefault(key, company)
                    if same is None or same.identifier != company.identifier:
                        tier[key] = None

    def find(self, name: str) -> Company | None:
        """The company of a folder of this name, None if there is none, or more than one."""
        for tier, key in zip(self._tiers, (_key(name), _key(name), _number(name)), strict=True):
            if key in tier:
                return tier[key]
        return None

    def alone(self) -> Company | None:
        """The company of everything, if there is only one."""
        return self._members[0].company if len(self._members) == 1 else None

    def without(self, names: Sequence[str]) -> list[Company]:
        """The companies that none of these folders is of."""
        found = {one.identifier for name in names if (one := self.find(name)) is not None}
        return [one.company for one in self._members if one.company.identifier not in found]


def _key(name: str) -> str:
    return name.strip().casefold()


def _number(name: str) -> str:
    return _key(enterprise_number(name) or compact(name))
