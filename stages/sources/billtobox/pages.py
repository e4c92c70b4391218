"""Page parser: reads a page of a list; an item that can't be read does not spoil the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import anyio.to_thread
import msgspec
from msgspec import Raw

from stages.sources.billtobox.api import Item, Page
from stages.sources.http.client import JSON_ERRORS

#: Bytes of a page of a list, at most: an item holds the lines of its invoice, which may be
#: thousands.
MAX_PAGE_BYTES = 16_000_000
#: Items of a page, at most: a server that ignores the requested size may send thousands.
MAX_ITEMS = 10_000
#: Commas for each item, at most, by which a page of millions is refused before it is decoded.
COMMAS_PER_ITEM = 200
#: Bytes of an item, at most.
MAX_ITEM_BYTES = 4_000_000
#: Totals and sizes above this are ignored.
MAX_COUNT = 10**9

ITEM = msgspec.json.Decoder(Item)

#: Tokens of JSON that matter: strings, brackets, commas; a quote alone is an unterminated string.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
#: Tokens that are read at most to find the item at fault, which takes some seconds.
MAX_TOKENS = 4_000_000


class TooManyItems(Exception):
    """The page has more items than allowed."""


async def read_page(body: bytes) -> Page:
    """Decode a page. Raises one of JSON_ERRORS, or TooManyItems."""
    if body.count(b",") > MAX_ITEMS * COMMAS_PER_ITEM:
        raise TooManyItems
    try:
        page = msgspec.json.decode(body, type=Page)
    except JSON_ERRORS:
        # One item may be at fault, by a lone surrogate or by nesting without end.
        page = await anyio.to_thread.run_sync(_read_item_by_item, body)
    if len(page.results) > MAX_ITEMS:
        raise TooManyItems
    if page.total is not None and not 0 <= page.total <= MAX_COUNT:
        page.total = None
    if page.size is not None and not 0 < page.size <= MAX_COUNT:
        page.size = None
    return page


def read_item(raw: Raw) -> Item:
    """Decode an item of a page. Raises one of JSON_ERRORS."""
    if len(memoryview(raw)) > MAX_ITEM_BYTES:
        raise ValueError(f"it is longer than {MAX_ITEM_BYTES:,} bytes")
    return ITEM.decode(raw)


def _read_item_by_item(body: bytes) -> Page:
    """Decode a page whose items are separated by their brackets, whether they are JSON or not.

    Raises one of JSON_ERRORS if it is no page even without its items.
    """
    start, end, cuts = _find_results(body)
    page = msgspec.json.decode(body[:start] + b"[]" + body[end:], type=Page)
    items = [body[before + 1 : after].strip() for before, after in pairwise(cuts)]
    page.results = [Raw(item) for item in items] if items != [b""] else []
    return page


def _find_results(body: bytes) -> tuple[int, int, Sequence[int]]:
    """The start and end of "results", and the positions of its brackets and separating commas.

    ValueError if there are no results, or their end is missing.
    """
    if body.count(b"[") + body.count(b"{") > MAX_ITEMS * COMMAS_PER_ITEM:
        raise TooManyItems
    depth, name, start = 0, b"", -1
    cuts: list[int] = []
    for count, match in enumerate(TOKEN.finditer(body)):
        token = match[0]
        if count == MAX_TOKENS or token == b'"':
            break
        if depth == 1 and start < 0 and token[:1] == b'"':
            name = token
        elif token in b"[{":
            depth += 1
            if depth == 2 and start < 0 and name == b'"results"' and token == b"[":
                start = match.start()
                cuts.append(start)
        elif token in b"]}":
            depth -= 1
            if depth == 1 and start >= 0:
                return start, match.end(), [*cuts, match.start()]
        elif depth == 2 and start >= 0 and token == b",":
            cuts.append(match.start())
    raise ValueError("there are no results")
