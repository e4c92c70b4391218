"""The lists of the platform, and whose documents each of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from stages.list import Kind
from stages.settings import Billtobox, Company
from stages.sources.billtobox.wire import Item


class Resource(Struct, frozen=True):
    """One of the platform's lists: its path below the address, and what its documents are."""

    word: str
    path: str
    kind: Kind | None
    accept: str
    plural: str


class Mailbox(Struct, frozen=True):
    """One list to be walked: of all companies, or of the one with this platform_id."""

    resource: Resource
    platform_id: str | None

    def __str__(self) -> str:
        whose = f" of {self.platform_id}" if self.platform_id else ""
        return f"{self.resource.plural}{whose}"


def resources(settings: Billtobox) -> Iterator[Resource]:
    """The platform's lists, but for those that are switched off."""
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


def owner(item: Item, companies: Sequence[Company]) -> Company | None:
    """The company whose mailbox an item lies in, where its platform_id or its being alone tells."""
    for company in companies:
        if company.platform_id is not None and company.platform_id == str(item.platform_id):
            return company
    return companies[0] if len(companies) == 1 and companies[0].platform_id is None else None


def mailboxes(lists: Iterable[Resource], companies: Sequence[Company]) -> Iterator[Mailbox]:
    """Each list of every company, or of all at once where one has no platform_id."""
    ids = dict.fromkeys(company.platform_id for company in companies)
    for resource in lists:
        for platform_id in [None] if None in ids else ids:
            yield Mailbox(resource, platform_id)
