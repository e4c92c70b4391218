"""The lists of the platform, and whose documents each of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from stages.model import Kind
from stages.settings import Company
from stages.sources.billtobox.api import Item
from stages.sources.billtobox.settings import Billtobox


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


class Owners:
    """Whose a listed document is, by the platform_id that it or its list bears.

    strict: whether every company has one, so that a document of another one is not for us.
    """

    def __init__(self, companies: Sequence[Company]) -> None:
        self.strict = all(company.platform_id is not None for company in companies)
        self._by_id = {company.platform_id: company for company in reversed(companies)}
        self._alone = companies[0] if len(companies) == 1 and not self.strict else None

    def find(self, item: Item, mailbox: Mailbox) -> Company | None:
        """The company, where its platform_id or its being alone tells."""
        # A list that was asked for one company's documents need not say so in each of them.
        id_ = mailbox.platform_id if item.platform_id is None else str(item.platform_id)
        return (self._by_id.get(id_) if id_ is not None else None) or self._alone


def mailboxes(lists: Iterable[Resource], companies: Sequence[Company]) -> Iterator[Mailbox]:
    """Each list of every company, or of all at once where one has no platform_id."""
    ids = dict.fromkeys(company.platform_id for company in companies)
    for resource in lists:
        for platform_id in [None] if None in ids else ids:
            yield Mailbox(resource, platform_id)
