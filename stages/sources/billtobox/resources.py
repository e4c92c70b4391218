"""Resources: the lists of the platform's API, and the companies whose documents they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from stages.kind import Kind
from stages.settings import Company, Member
from stages.sources.billtobox.api import Item
from stages.sources.billtobox.settings import Billtobox


class Resource(Struct, frozen=True):
    """One list of the API. path: below the base address. prefix: of its documents' ids."""

    prefix: str
    path: str
    kind: Kind | None
    accept: str
    plural: str


class ScopedList(Struct, frozen=True):
    """A list that is to be read: of all companies, or of the one with this platform_id.

    whose: the name of that company.
    """

    resource: Resource
    platform_id: str | None
    whose: str = ""

    @property
    def subject(self) -> str:
        """What it is called in errors."""
        return f"list of {self.resource.plural}{f' of {self.whose}' if self.whose else ''}"

    def __str__(self) -> str:
        whose = f" of {self.platform_id}" if self.platform_id else ""
        return f"{self.resource.plural}{whose}"


def resources(settings: Billtobox) -> Iterator[Resource]:
    """The lists that are not switched off."""
    invoice, statement = settings.invoice_accept, settings.statement_accept
    for resource in (
        Resource("purchase", settings.purchases_path, Kind.PURCHASE, invoice, "purchase invoices"),
        Resource("sales", settings.sales_path, Kind.SALES, invoice, "sales invoices"),
        Resource(
            "statement", settings.statements_path, Kind.STATEMENT, statement, "bank statements"
        ),
        Resource("document", settings.documents_path, None, "*/*", "documents"),
    ):
        if resource.path:
            yield resource


class Owners:
    """Finds the company of a listed document by the platform_id of the item or of its list.

    strict: whether every company has a platform_id, so that documents of others are left out.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.strict = all(member.platform_id is not None for member in members)
        self._by_id = {member.platform_id: member.company for member in reversed(members)}
        self._alone = members[0].company if len(members) == 1 and not self.strict else None

    def find(self, item: Item, scoped: ScopedList) -> Company | None:
        """The company, if the platform_id tells it or there is only one."""
        # In a list of one company the items may lack its id.
        id_ = scoped.platform_id if item.platform_id is None else str(item.platform_id)
        return (self._by_id.get(id_) if id_ is not None else None) or self._alone


def scoped_lists(lists: Iterable[Resource], members: Sequence[Member]) -> Iterator[ScopedList]:
    """Each list of each company; of all at once if one of them has no platform_id."""
    names = {member.platform_id: member.company.name for member in reversed(members)}
    ids = {None: ""} if None in names else dict(reversed(names.items()))
    for resource in lists:
        for platform_id, whose in ids.items():
            yield ScopedList(resource, platform_id, whose)
