"""Page parser: reads a page of a list; an item that can't be read does not spoil the others."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.to_thread
import msgspec
from msgspec import Raw

from stages.sources.billtobox.api import LONGEST_KEY, Item, Page
from stages.sources.http import lenient_json
from stages.sources.http.lenient_json import JSON_ERRORS, as_utf8

#: Bytes of a page of a list, at most: an item holds the lines of its invoice, which may be
#: thousands.
MAX_PAGE_BYTES = 16_000_000
#: Items of a page, at most: a server that ignores the requested size may send thousands.
MAX_ITEMS = 10_000
#: Commas, at most, by which a page of millions of items is refused before it is decoded.
MAX_COMMAS = MAX_ITEMS * 200
#: Bytes of an item, at most.
MAX_ITEM_BYTES = 4_000_000
#: Totals and sizes above this are ignored.
MAX_COUNT = 10**9

ITEM = msgspec.json.Decoder(Item)

#: Fields of an item by what they may be: a text or a number, a text alone, an identifying value.
TEXTS = ("purchase_invoice_number", "sales_invoice_number", "account", "statement_number")
WORDS = (
    *("purchase_invoice_date", "sales_invoice_date", "statement_date"),
    *("accounting_status", "sha256"),
)
KEYS = ("platform_id", "revision")

#: What some send in place of an empty list, and of a page without documents.
EMPTY_RESULTS = (b"null", b"{}", b'""', b"false")
EMPTY_PAGES = (b"", b"null", b"[]", b"{}", b'""')

#: Ids that an address can't hold: they would lead to another place.
NO_IDS = ("", ".", "..")


class TooManyItems(Exception):
    """The page has more items than allowed."""


async def read_page(body: bytes) -> Page:
    """Decode a page. Raises one of JSON_ERRORS, or TooManyItems."""
    if len(body) > MAX_COMMAS and body.count(b",") > MAX_COMMAS:
        raise TooManyItems
    body = as_utf8(body)
    try:
        page = msgspec.json.decode(body, type=Page)
    except JSON_ERRORS:
        # One item or hint may be at fault, by its type, a lone surrogate or nesting without end.
        page = await anyio.to_thread.run_sync(_read_member_by_member, body)
    if len(page.results) > MAX_ITEMS:
        raise TooManyItems
    if page.total is not None and not 0 <= page.total <= MAX_COUNT:
        page.total = None
    if page.size is not None and not 0 < page.size <= MAX_COUNT:
        page.size = None
    return page


async def read_items(raws: Sequence[Raw]) -> Sequence[Item | str]:
    """Decode items of a page: each item, or why it can't be read."""
    items = [_decode_item(raw) for raw in raws]
    if any(item is None for item in items):
        return await anyio.to_thread.run_sync(_reread, raws, items)
    return [item for item in items if item is not None]


def _decode_item(raw: Raw) -> Item | None:
    """The item, None if it is not as agreed."""
    if len(memoryview(raw)) > MAX_ITEM_BYTES:
        return None
    try:
        item = ITEM.decode(raw)
    except JSON_ERRORS:
        return None
    return item if str(item.id).strip() not in NO_IDS else None


def _reread(raws: Sequence[Raw], items: Sequence[Item | None]) -> Sequence[Item | str]:
    return [item or _read_field_by_field(bytes(raw)) for raw, item in zip(raws, items, strict=True)]


def _read_field_by_field(raw: bytes) -> Item | str:
    """The item with those of its fields that can be read; or why it can't do without the others."""
    if len(raw) > MAX_ITEM_BYTES:
        return f"it is longer than {MAX_ITEM_BYTES:,} bytes"
    try:
        given = lenient_json.members(raw)
    except JSON_ERRORS:
        return "it is no JSON object"
    id_ = lenient_json.name(given.get("id"), LONGEST_KEY)
    if id_ is None or id_.strip() in NO_IDS:
        return "it has no id" if "id" not in given else "its id is no text or number of use"
    fields: dict[str, object] = {
        **{one: lenient_json.text(given.get(one)) for one in TEXTS},
        **{one: lenient_json.word(given.get(one)) for one in WORDS},
        **{one: lenient_json.name(given.get(one), LONGEST_KEY) for one in KEYS},
        "size": lenient_json.count(given.get("size")),
    }
    return Item(id_, **fields)  # type: ignore[arg-type]


def _read_member_by_member(body: bytes) -> Page:
    """Decode a page whose members, and items, are separated by their brackets, JSON or not.

    Raises one of JSON_ERRORS if it is no page even so.
    """
    if body.strip() in EMPTY_PAGES:
        return Page([])
    if body.count(b"[") + body.count(b"{") > MAX_COMMAS:
        raise TooManyItems
    if body.strip().startswith(b"["):
        return Page(_all_objects(lenient_json.elements(body)))
    given = lenient_json.members(body)
    total, size = (lenient_json.count(given.get(one)) for one in ("total", "size"))
    results = given.get("results")
    if results is None:
        if total == 0:
            return Page([], total, size)
        raise ValueError("there are no results")
    if b"".join(results.split()) in EMPTY_RESULTS:
        return Page([], total, size)
    if results.startswith(b"{") and "id" in lenient_json.members(results):
        # Converters from XML make no list of a single item.
        return Page([Raw(results)], total, size)
    return Page(lenient_json.elements(results), total, size)


def _all_objects(items: list[Raw]) -> list[Raw]:
    """The items of a list that is the whole answer. ValueError if it is a list of other things."""
    if not all(bytes(one).lstrip().startswith(b"{") for one in items):
        raise ValueError("it is a list of other things")
    return items
