"""Reads a page of a list, whatever one of its items is: it is left out, and no more than that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import anyio.to_thread
import msgspec
from msgspec import Raw

from stages.sources.billtobox.api import Item, Page
from stages.sources.http.client import UNREADABLE

#: Bytes that a page of a list may have: an item holds the lines of its invoice, and a long invoice
#: has thousands.
LIST_LIMIT = 16_000_000
#: Items that it may have: a server that ignores the size that is asked for sends thousands.
ITEMS = 10_000
#: Commas for each of them, by which a page of millions is known before anything is made of it.
FIELDS = 200
#: Bytes that an item may have.
ITEM_LIMIT = 4_000_000
#: Totals and sizes above this are none.
MOST = 10**9

ITEM = msgspec.json.Decoder(Item)

#: Strings, brackets and commas; a quote alone is a string without an end.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
#: How many of them are worth reading to find the item that is at fault: some seconds' work.
TOKENS = 4_000_000


class Crowded(Exception):
    """the page has more items than a page may have"""


async def read_page(body: bytes) -> Page:
    """The page that a body holds. Raises one of UNREADABLE, or Crowded."""
    if body.count(b",") > ITEMS * FIELDS:
        raise Crowded
    try:
        page = msgspec.json.decode(body, type=Page)
    except UNREADABLE:
        # One item may be at fault, by a lone surrogate, or by nesting without end.
        page = await anyio.to_thread.run_sync(_salvage, body)
    if len(page.results) > ITEMS:
        raise Crowded
    if page.total is not None and not 0 <= page.total <= MOST:
        page.total = None
    if page.size is not None and not 0 < page.size <= MOST:
        page.size = None
    return page


def read_item(raw: Raw) -> Item:
    """An item of a page. Raises one of UNREADABLE."""
    if len(memoryview(raw)) > ITEM_LIMIT:
        raise ValueError(f"it is longer than {ITEM_LIMIT:,} bytes")
    return ITEM.decode(raw)


def _salvage(body: bytes) -> Page:
    """The page, whose items are cut out by their brackets, be they JSON within or not.

    Raises one of UNREADABLE if it is no page even without its items.
    """
    start, end, cuts = _find_results(body)
    page = msgspec.json.decode(body[:start] + b"[]" + body[end:], type=Page)
    items = [body[before + 1 : after].strip() for before, after in pairwise(cuts)]
    page.results = [Raw(item) for item in items] if items != [b""] else []
    return page


def _find_results(body: bytes) -> tuple[int, int, Sequence[int]]:
    """Where "results" begins and ends, and where its brackets and the commas between items stand.

    ValueError if there is none that ends.
    """
    if body.count(b"[") + body.count(b"{") > ITEMS * FIELDS:
        raise Crowded
    depth, name, start = 0, b"", -1
    cuts: list[int] = []
    for count, match in enumerate(TOKEN.finditer(body)):
        token = match[0]
        if count == TOKENS or token == b'"':
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
