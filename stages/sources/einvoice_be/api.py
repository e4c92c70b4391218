"""API models of e-invoice.be: the JSON of API 1.1.0, and the facts that the connector relies on.

How each fact is known: [S] the vendor's OpenAPI 1.1.0; [C] the vendor's Python client 1.39.1 or its
command line; [P] a page of the vendor's documentation; [G] a guess, which is a setting.

- One API key is one tenant, and a tenant is one company [S, P]. `GET /api/me/` says which [S].
  A key does not expire, so 401 is final [P].
- `GET /api/inbox/` and `/api/outbox/` list all that was received and sent: pages from 1, of 1 to
  100, by `created_at` from the newest on unless `sort_order=asc` is asked for [S]. A list never
  shrinks, has no filter by arrival or state, and there is no acknowledgement [S]. The pages that
  name one, `/api/inbox/{id}/accept`, are of no version that the client knows [C]: never called.
- Of a listed document only `id` and `created_at` are certain; all else may be null or absent [S].
- `GET /api/documents/{id}/ubl` answers JSON with a `signed_url`, which is fetched without the key
  [S, C]. It is null as long as there is no UBL [S]. An address of an attachment is good for an hour
  [C], that of a UBL for a time that is not stated; what `file_hash` is of is not stated either: 64
  hexadecimal digits are taken for SHA-256, 32 for MD5 [G: `stated`].
- Errors: `{"detail": "…"}`, or a list of `{"loc", "msg", "type"}` with 422 [S]. 429 comes with
  `Retry-After` (seconds or a date) or `retry-after-ms` [C]. Limits are not published; that they are
  for each key is a guess [G: `rate_limit`].
- Which host stores the documents is not published [G: `storage_hosts`].

Nothing here was held against the real platform.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Raw, Struct

#: Characters of an id, which is kept of each document.
LONGEST_ID = 1000


class Attachment(Struct, frozen=True):
    """A file of a document. file_url: a signed address, in the answer to a request for it."""

    id: str | None = None
    file_name: str | None = None
    file_type: str | None = None
    file_size: int | None = None
    file_url: str | None = None

    @property
    def is_pdf(self) -> bool:
        """Whether it is a PDF by its type, or by its name where it has none."""
        media_type = (self.file_type or "").partition(";")[0].strip().lower()
        if media_type in ("application/pdf", "application/x-pdf"):
            return True
        return not media_type and (self.file_name or "").lower().endswith(".pdf")


class Item(Struct, frozen=True):
    """One document in a list; a hint that is missing stays empty.

    attachments: None if the list does not tell.
    """

    id: Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]
    created_at: str | None = None
    document_type: str | None = None
    state: str | None = None
    direction: str | None = None
    invoice_id: str | None = None
    invoice_date: str | None = None
    vendor_name: str | None = None
    customer_name: str | None = None
    attachments: Sequence[Attachment] | None = None


class Page(Struct):
    """A page of a list; counts and flags that it lacks are None."""

    items: list[Raw]
    page: int | None = None
    page_size: int | None = None
    pages: int | None = None
    has_next_page: bool | None = None


class StoredFile(Struct, frozen=True):
    """Where the bytes of a document lie: GET /api/documents/{id}/ubl.

    signed_url: empty while there are none. file_size: None if it is not known.
    """

    signed_url: str = ""
    file_hash: str = ""
    file_size: int | None = None


class Me(Struct, frozen=True):
    """Whose a key is: GET /api/me/."""

    name: str = ""
    company_number: str = ""
    company_tax_id: str = ""
    peppol_ids: Sequence[str] = ()

    @property
    def identifier(self) -> str:
        """The number of the company as the platform states it."""
        return self.company_number or self.company_tax_id or next(iter(self.peppol_ids), "")
