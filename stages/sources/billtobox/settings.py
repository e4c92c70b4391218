"""Billtobox settings: the [[sources]] section of kind "billtobox"."""

from __future__ import annotations

from typing import Annotated

from stages.sources.http.oauth_settings import OAuthSettings
from stages.sources.http.settings import web_address

#: The largest page that the platform gives.
LARGEST_PAGE = 50


def page_of_list(size: int) -> int:
    """Check how many documents of a list are asked for at once. Raises ValueError."""
    if not 1 <= size <= LARGEST_PAGE:
        raise ValueError(f"the platform gives 1 to {LARGEST_PAGE} a page; write {LARGEST_PAGE}")
    return size


class Billtobox(
    OAuthSettings, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="billtobox"
):
    """[[sources]] of kind "billtobox". What the platform does not publish is a setting here.

    url: base address of the API. The paths are below it; an empty one switches its list off.
    documents_path: a list of documents whose kind the platform does not say.
    """

    url: Annotated[str, web_address]
    page_size: Annotated[int, page_of_list] = LARGEST_PAGE
    purchases_path: str = "purchase-invoices"
    sales_path: str = "sales-invoices"
    statements_path: str = "bank-statements"
    documents_path: str = ""
    status_path: str = "accounting-status"
    pending_filter: str = "accounting_status=TO_BE_FETCHED"
    sort: str = ""
    invoice_accept: str = "application/xml, application/pdf;q=0.5"
    statement_accept: str = "text/plain"
