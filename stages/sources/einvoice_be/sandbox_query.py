"""Query parameters of the lists of e-invoice.be, as its sandbox takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from stages.sources.einvoice_be.sandbox_boxes import Row
from stages.sources.einvoice_be.settings import LARGEST_PAGE

DEFAULT_PAGE = 20
ORDERS = ("asc", "desc")
SORTED_BY = (
    *("created_at", "invoice_date", "due_date", "invoice_total"),
    *("customer_name", "vendor_name", "invoice_id"),
)
TYPES = (
    *("INVOICE", "CREDIT_NOTE", "DEBIT_NOTE"),
    *("SELFBILLING_INVOICE", "SELFBILLING_CREDIT_NOTE"),
)
#: The fields in which each parameter looks for a text.
TEXTS = {
    "sender": ("vendor_name", "vendor_tax_id", "vendor_company_id"),
    "receiver": ("customer_name", "customer_tax_id", "customer_company_id"),
    "search": ("invoice_id", "vendor_name", "customer_name"),
}

Item = Mapping[str, Any]


def asked_page(
    query: Mapping[str, str], rows: Sequence[Row], item: Callable[[Row], Item], only: Sequence[str]
) -> Mapping[str, Any]:
    """The page of a list that a query asks for; newest first unless it says otherwise.

    rows: of the list, oldest first. only: the types of documents that it has, if not all.
    HTTPUnprocessableEntity where a parameter is none.
    """
    page = _number(query, "page", 1, None)
    size = _number(query, "page_size", DEFAULT_PAGE, LARGEST_PAGE)
    newest_first = _choice(query, "sort_order", "desc", ORDERS) == "desc"
    sort_by = _choice(query, "sort_by", "created_at", SORTED_BY)
    start = (page - 1) * size
    filters = query.keys() & {"type", "date_from", "date_to", *TEXTS}
    if sort_by == "created_at" and not only and not filters:
        total = len(rows)
        if newest_first:
            rows = rows[max(total - start - size, 0) : max(total - start, 0)][::-1]
        else:
            rows = rows[start : start + size]
        items = [item(row) for row in rows]
    else:
        found = [one for one in map(item, rows) if _meets(one, query, only)]
        found.sort(key=lambda one: str(one.get(sort_by) or ""), reverse=newest_first)
        total, items = len(found), found[start : start + size]
    pages = -(-total // size)
    return {
        "items": items,
        "total": total,
        "page": page,
        "page_size": size,
        "pages": pages,
        "has_next_page": page < pages,
    }


def _meets(one: Item, query: Mapping[str, str], only: Sequence[str]) -> bool:
    type_ = one.get("document_type")
    if "type" in query and type_ != _choice(query, "type", "", TYPES):
        return False
    issued = one.get("invoice_date") or ""
    return (
        (not only or type_ in only)
        and query.get("date_from", "")[:10] <= issued
        and (issued <= query["date_to"][:10] if "date_to" in query else True)
        and all(
            any(query[name].casefold() in str(one.get(field)).casefold() for field in fields)
            for name, fields in TEXTS.items()
            if name in query
        )
    )


def _number(query: Mapping[str, str], name: str, default: int, most: int | None) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise _problem(name, "Input should be a valid integer", "int_parsing")
    if int(text) < 1:
        raise _problem(name, "Input should be greater than or equal to 1", "greater_than_equal")
    if most is not None and int(text) > most:
        raise _problem(name, f"Input should be less than or equal to {most}", "less_than_equal")
    return int(text)


def _choice(query: Mapping[str, str], name: str, default: str, known: Sequence[str]) -> str:
    word = query.get(name, default)
    if word not in known:
        raise _problem(name, f"Input should be one of {', '.join(known)}", "enum")
    return word


def _problem(name: str, message: str, type_: str) -> web.HTTPUnprocessableEntity:
    detail = [{"loc": ["query", name], "msg": message, "type": type_}]
    return web.HTTPUnprocessableEntity(text=msgspec.json.encode(detail).decode())
