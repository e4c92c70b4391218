"""Whatever the platform's JSON lacks, or has of another type, is a hint missing and no failure."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import Raw, json

from stages.kind import Kind
from stages.sources.einvoice_be.answers import (
    read_attachments,
    read_item,
    read_me,
    read_page,
    read_stored,
)
from stages.sources.einvoice_be.api import Item
from stages.sources.einvoice_be.documents import Box, is_unsent, kind_of

FIELDS = (
    *("created_at", "document_type", "state", "direction", "invoice_id", "invoice_date"),
    *("vendor_name", "customer_name", "attachments", "items", "amount_due"),
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_a_document_with_an_id_is_read_whatever_else_is_said_of_it(fields: dict[str, Any]) -> None:
    item = read_item(Raw(json.encode({"id": "doc_1", **fields})))
    assert isinstance(item, Item)
    assert item.id == "doc_1"
    for name in ("created_at", "document_type", "invoice_id"):
        if isinstance(said := fields.get(name), str):
            assert getattr(item, name) == said


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{}", "it has no id"),
        (b'{"id": null}', "its id is no text or number of use"),
        (b'{"id": ".."}', "its id is no text or number of use"),
        (b'{"id": "\\ud800"}', "its id is no text or number of use"),
        (b"[]", "it is no JSON object"),
    ],
)
def test_a_document_without_an_id_is_left_out(raw: bytes, said: str) -> None:
    assert read_item(Raw(raw)) == said


def test_numbers_and_odd_names_are_taken_as_they_are() -> None:
    item = read_item(Raw(b'{"id": 7, "invoice_id": 2026, "vendor_name": "\\ud800", "state": 1}'))
    assert isinstance(item, Item)
    assert (item.id, item.invoice_id, item.vendor_name, item.state) == ("7", "2026", None, None)


@pytest.mark.parametrize(
    ("body", "items", "has_next"),
    [
        (b'{"items": []}', 0, None),
        (b'{"items": null, "has_next_page": false}', 0, False),
        (b'{"items": [{"id": 1}], "has_next_page": "yes", "page": "1", "pages": 1.0}', 1, None),
        (b'{"items": [{"id": "\\ud800"}, {"id": "b"}], "has_next_page": true}', 2, True),
        (b'\xef\xbb\xbf{"items": [{}], "total": -1}', 1, None),
        (b'[{"id": "a"}]', 1, None),
    ],
)
def test_a_page_is_read_with_whatever_it_lacks(
    body: bytes, items: int, has_next: bool | None
) -> None:
    page = read_page(body)
    assert (len(page.items), page.has_next_page) == (items, has_next)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b'{"detail": "x"}', b'["a"]', b'{"items": 1}']
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_page(body)


@given(st.dictionaries(st.sampled_from(("signed_url", "file_hash", "file_size", "name")), ANYTHING))
def test_other_answers_never_fail(fields: dict[str, Any]) -> None:
    read_stored(json.encode(fields))
    read_me(json.encode(fields))
    read_attachments(json.encode([fields]))
    read_attachments(json.encode(fields))


@pytest.mark.parametrize(
    ("box", "fields", "kind"),
    [
        ("inbox", {"document_type": "INVOICE"}, Kind.PURCHASE),
        ("inbox", {"document_type": "CREDIT_NOTE"}, Kind.PURCHASE),
        ("inbox", {"document_type": "DEBIT_NOTE"}, Kind.PURCHASE),
        ("inbox", {"document_type": "SELFBILLING_INVOICE"}, Kind.SALES),
        ("inbox", {"document_type": "SELFBILLING_CREDIT_NOTE"}, Kind.SALES),
        ("inbox", {"document_type": "self-billing invoice"}, Kind.SALES),
        ("outbox", {"document_type": "INVOICE"}, Kind.SALES),
        ("outbox", {"document_type": "credit_note"}, Kind.SALES),
        ("outbox", {"document_type": "SELFBILLING_INVOICE"}, Kind.PURCHASE),
        ("outbox", {"document_type": "INVOICE", "direction": "INBOUND"}, Kind.PURCHASE),
        ("inbox", {"document_type": "INVOICE", "direction": "sideways"}, Kind.PURCHASE),
        ("inbox", {}, None),
        ("outbox", {"document_type": "ORDER"}, None),
    ],
)
def test_list_direction_and_type_tell_the_kind(
    box: str, fields: dict[str, str], kind: Kind | None
) -> None:
    assert kind_of(Item("1", **fields), Box(box)) is kind


@pytest.mark.parametrize(
    ("box", "state", "left"),
    [
        ("outbox", "DRAFT", True),
        ("outbox", "failed", True),
        ("outbox", "TRANSIT", True),
        ("outbox", "SENT", False),
        ("outbox", None, False),
        ("outbox", "ARCHIVED", False),
        ("inbox", "TRANSIT", False),
    ],
)
def test_what_was_not_sent_is_left_in_the_outbox(box: str, state: str | None, left: bool) -> None:
    assert is_unsent(Item("1", state=state), Box(box)) is left
