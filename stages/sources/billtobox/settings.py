"""Billtobox settings: the [[sources]] section of kind "billtobox"."""

from __future__ import annotations

from typing import Annotated

from pipeline.config.types import Secret, not_blank
from stages.sources.http.settings import HttpSettings, web_address

#: The largest page that the platform gives.
LARGEST_PAGE = 50


def page_of_list(size: int) -> int:
    """Check how many documents of a list are asked for at once. Raises ValueError."""
    if not 1 <= size <= LARGEST_PAGE:
        raise ValueError(f"the platform gives 1 to {LARGEST_PAGE} a page; write {LARGEST_PAGE}")
    return size


class Billtobox(
    HttpSettings, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="billtobox"
):
    """[[sources]] of kind "billtobox". What the platform does not publish is a setting here.

    url: base address of the API. The paths are below it; an empty one switches its list off.
    documents_path: a list of documents whose kind the platform does not say.
    refresh_token: of a sign-in by authorisation code; without one, client credentials are used.
    """

    url: Annotated[str, web_address]
    token_url: Annotated[str, web_address]
    client_id: Annotated[str, not_blank]
    client_secret: Secret
    refresh_token: Secret | None = None
    scope: str = "openid"
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

    @property
    def exclusive_sign_in(self) -> bool:
        """A refresh token is good for one sign-in, which brings the next one."""
        return self.refresh_token is not None
