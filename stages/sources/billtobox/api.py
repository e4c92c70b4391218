"""API models: the JSON of Billtobox's external API v4, as two public third-party clients use it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

#: Characters of an identifying value, which is kept of each document.
LONGEST_KEY = 1000
Key = Annotated[str, Meta(max_length=LONGEST_KEY)]


class Page(Struct):
    """A page of a list: GET /v4/purchase-invoices and the like.

    total: documents in the list. size: documents in a full page.
    """

    results: list[Raw]
    total: int | None = None
    size: int | None = None

    @property
    def size_in_bytes(self) -> int:
        """Bytes of all its items."""
        return sum(len(memoryview(raw)) for raw in self.results)


class Item(Struct):
    """One document in any of the lists; a field that its list doesn't have stays empty.

    All but the id are hints, which `pages` leaves empty where they are of another type.

    Dates are ISO 8601 with a time of midnight. accounting_status, account, statement_number,
    statement_date, sha256 and revision are not documented; they are read if they are sent.
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
        """The number of the document."""
        return (
            self.purchase_invoice_number or self.sales_invoice_number or self.statement_number or ""
        )

    @property
    def date(self) -> str:
        """The date of the document, ISO 8601 without the time."""
        moment = self.purchase_invoice_date or self.sales_invoice_date or self.statement_date or ""
        return moment.partition("T")[0]


class Status(Struct):
    """The body of PUT …/{id}/accounting-status; assumed, as the platform does not document it."""

    status: str
    message: str
