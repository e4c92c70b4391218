"""The JSON of the Billtobox external API v4, as two public third-party clients know it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

#: What tells documents apart, and is kept of each of them.
Key = Annotated[str, Meta(max_length=1000)]


class Page(Struct):
    """A page of a list: GET /v4/purchase-invoices and the like.

    total: documents in the list. size: documents that a page has.
    """

    results: list[Raw]
    total: int | None = None
    size: int | None = None

    @property
    def weight(self) -> int:
        """Bytes of all its documents."""
        return sum(len(memoryview(raw)) for raw in self.results)


class Item(Struct):
    """One document in a list, of any of them; a field that its list doesn't have stays empty.

    Dates are ISO 8601 with a time of midnight. accounting_status, account, statement_number,
    statement_date, sha256 and revision are not published: they are read where they are sent.
    """

    id: Key | int
    platform_id: Key | int | None = None
    purchase_invoice_number: str | None = None
    purchase_invoice_date: str | None = None
    sales_invoice_number: str | None = None
    sales_invoice_date: str | None = None
    account: str | None = None
    statement_number: str | None = None
    statement_date: str | None = None
    accounting_status: str | None = None
    revision: Key | int | None = None
    sha256: Key | None = None
    size: int | None = None

    @property
    def number(self) -> str:
        """The number that the document bears."""
        return (
            self.purchase_invoice_number or self.sales_invoice_number or self.statement_number or ""
        )

    @property
    def date(self) -> str:
        """The day that the document bears, ISO 8601 without the time."""
        moment = self.purchase_invoice_date or self.sales_invoice_date or self.statement_date or ""
        return moment.partition("T")[0]


class Status(Struct):
    """What is PUT to …/{id}/accounting-status, ours until the platform publishes its own."""

    status: str
    message: str
