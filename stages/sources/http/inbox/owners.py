"""Owners: of which configured company a document of an inbox is."""

from __future__ import annotations

from collections.abc import Sequence

from stages.settings import Company, Member
from stages.sources.http.inbox.item import Item
from stages.sources.http.known_companies import canonical, numbers_of


class Owners:
    """Finds the company of a document.

    others: whether an account may hold documents of companies that are not configured.
    """

    def __init__(self, members: Sequence[Member], *, others: bool) -> None:
        self._others = others
        self._strict = all(one.platform_id is not None for one in members)
        self._by_id = {one.platform_id: one.company for one in reversed(members)}
        self._by_number = {
            number: one.company for one in reversed(members) for number in numbers_of(one.company)
        }
        self._alone = members[0].company if len(members) == 1 else None

    def of(self, item: Item, own: Company | None) -> tuple[bool, Company | None]:
        """Whether a document may be of a configured company, and of which, if that is known.

        own: the company whose account it is in; None of an account of many. What the platform
        itself calls the company decides, then who the document is for.
        """
        if item.company:
            if company := self._by_id.get(item.company):
                return True, company
            if own is None and self._strict:
                return False, None
        stated = [number for one in item.receivers if (number := canonical(one))]
        for number in stated:
            if company := self._by_number.get(number):
                return True, company
        if stated and self._others:
            return False, None
        return True, own or self._alone
