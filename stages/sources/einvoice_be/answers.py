"""Answer readers: what the platform sends, as far as it can be read; a hint never spoils the rest.

All but `read_page` take what is missing, or of another type than agreed, as not stated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from stages.sources.einvoice_be.api import LONGEST_ID, Attachment, Item, Me, Page, StoredFile
from stages.sources.http import lenient_json
from stages.sources.http.lenient_json import JSON_ERRORS, as_utf8

#: Items of a page, at most: a server that ignores the requested size may send thousands.
MAX_ITEMS = 10_000
#: Bytes of an item, at most.
MAX_ITEM_BYTES = 4_000_000
#: Attachments of a document that are looked at.
MAX_ATTACHMENTS = 100
#: Counts above this are ignored.
MAX_COUNT = 10**9

#: What some send in place of an empty list.
EMPTY = (b"null", b"{}", b'""', b"false")
#: Ids that an address can't hold: they would lead to another place.
NO_IDS = ("", ".", "..")

_ITEM = msgspec.json.Decoder(Item)
_PAGE = msgspec.json.Decoder(Page)

#: Fields of an item by what they may be: a text alone, a text or a number.
WORDS = ("created_at", "document_type", "state", "direction")
TEXTS = ("invoice_id", "invoice_date", "vendor_name", "customer_name")


def read_page(body: bytes) -> Page:
    """Decode a page of a list. Raises one of JSON_ERRORS if it is none."""
    body = as_utf8(body)
    try:
        page = _PAGE.decode(body)
    except JSON_ERRORS:
        page = _read_members(body)
    if len(page.items) > MAX_ITEMS:
        raise ValueError(f"it has more than {MAX_ITEMS:,} documents")
    page.page = _sensible(page.page)
    page.page_size = _sensible(page.page_size) or None
    page.pages = _sensible(page.pages)
    return page


def _sensible(count: int | None) -> int | None:
    return count if count is not None and 0 <= count <= MAX_COUNT else None


def _read_members(body: bytes) -> Page:
    if body.strip().startswith(b"["):
        return Page(_objects(lenient_json.elements(body)))
    given = lenient_json.members(body)
    items = given.get("items")
    if items is None:
        raise ValueError("it has no items")
    is_empty = b"".join(items.split()) in EMPTY
    has_next = lenient_json.decoded(given.get("has_next_page"))
    return Page(
        [] if is_empty else _objects(lenient_json.elements(items)),
        page=lenient_json.count(given.get("page")),
        page_size=lenient_json.count(given.get("page_size")),
        pages=lenient_json.count(given.get("pages")),
        has_next_page=has_next if isinstance(has_next, bool) else None,
    )


def _objects(items: list[Raw]) -> list[Raw]:
    if not all(bytes(one).lstrip().startswith(b"{") for one in items):
        raise ValueError("it is a list of other things")
    return items


def read_item(raw: Raw) -> Item | str:
    """Decode one item of a page; why it can't be read, where its id can't."""
    if len(memoryview(raw)) > MAX_ITEM_BYTES:
        return f"it is longer than {MAX_ITEM_BYTES:,} bytes"
    try:
        item = _ITEM.decode(raw)
    except JSON_ERRORS:
        pass
    else:
        if item.id.strip() not in NO_IDS:
            return item
    try:
        given = lenient_json.members(bytes(raw))
    except JSON_ERRORS:
        return "it is no JSON object"
    id_ = lenient_json.name(given.get("id"), LONGEST_ID)
    if id_ is None or id_.strip() in NO_IDS:
        return "it has no id" if "id" not in given else "its id is no text or number of use"
    attachments = given.get("attachments")
    words = {name: lenient_json.word(given.get(name)) for name in WORDS}
    texts = {name: lenient_json.text(given.get(name)) for name in TEXTS}
    return Item(
        id_,
        attachments=None if attachments is None else read_attachments(attachments),
        **words,
        **texts,
    )


def read_attachments(body: bytes) -> Sequence[Attachment] | None:
    """The attachments that a document has; None if that can't be read."""
    try:
        raws = lenient_json.elements(as_utf8(body))
    except JSON_ERRORS:
        return None
    found = []
    for raw in raws[:MAX_ATTACHMENTS]:
        try:
            found.append(read_attachment(bytes(raw)))
        except JSON_ERRORS:
            continue
    return found


def read_attachment(body: bytes) -> Attachment:
    """One attachment. Raises one of JSON_ERRORS if it is no object."""
    given = lenient_json.members(as_utf8(body))
    return Attachment(
        id=lenient_json.name(given.get("id"), LONGEST_ID),
        file_name=lenient_json.word(given.get("file_name")),
        file_type=lenient_json.word(given.get("file_type")),
        file_size=lenient_json.count(given.get("file_size")) or None,
        file_url=lenient_json.word(given.get("file_url")),
    )


def read_stored(body: bytes) -> StoredFile:
    """Where a document lies. Raises one of JSON_ERRORS if it is no object."""
    given = lenient_json.members(as_utf8(body))
    return StoredFile(
        signed_url=(lenient_json.word(given.get("signed_url")) or "").strip(),
        file_hash=_stripped(given, "file_hash"),
        file_size=lenient_json.count(given.get("file_size")) or None,
    )


def read_me(body: bytes) -> Me:
    """Whose a key is. Raises one of JSON_ERRORS if it is no object."""
    given = lenient_json.members(as_utf8(body))
    peppol_ids = lenient_json.decoded(given.get("peppol_ids"))
    return Me(
        name=_stripped(given, "name"),
        company_number=_stripped(given, "company_number"),
        company_tax_id=_stripped(given, "company_tax_id"),
        peppol_ids=[one for one in peppol_ids if isinstance(one, str)]
        if isinstance(peppol_ids, list)
        else (),
    )


def _stripped(given: Mapping[str, bytes], name: str) -> str:
    return (lenient_json.text(given.get(name)) or "").strip()
