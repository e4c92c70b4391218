"""The JSON of CodaBox is read whatever its hints are, and never past an entry that can't be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from stages.sources.codabox.api import (
    MAX_DELAY,
    FeedClient,
    read_clients,
    read_credentials,
    read_feed,
    read_pod,
)
from stages.sources.http.lenient_json import JSON_ERRORS

POD = {
    "id": 71,
    "fetch_delay": 7200,
    "allowed_formats": {"coda": ["cod", "pdf", "xml"], "soda": ["pdf", "xml"]},
    "feed_clients": [
        {
            "id": 301,
            "client_id": "7d0f3f9e-9f57-4a36-a1d1-0d4d1f2f9a10",
            "client_name": "Bakkerij Peeters",
            "client_code": "PEET01",
            "fiduciary_id": "0c4f1f52-6f0e-4c7b-8a2f-5a7b2d9e4c33",
            "target_root_state": "default",
            "delivery_config": None,
        }
    ],
}
ENTRY = {
    "feed_index": "9f1c2a44-5d13-4c1e-9a55-0b8f3c2d7e01",
    "document_model": "coda",
    "metadata": {
        "iban": "BE96001001234505",
        "bank_id": "GEBABEBB",
        "currency": "EUR",
        "extension_zone": None,
        "first_statement_number": 41,
        "last_statement_number": 41,
        "movement_count": 5,
        "new_balance_date": "2026-02-27",
    },
}


def said(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_the_recorded_answers_are_read() -> None:
    pod = read_pod(said(POD))
    assert pod.fetch_delay == 7200
    assert pod.formats == {"coda": ("cod", "pdf", "xml"), "soda": ("pdf", "xml")}
    (client,) = pod.feeds
    assert client == FeedClient(
        "301", "7d0f3f9e-9f57-4a36-a1d1-0d4d1f2f9a10", "Bakkerij Peeters", "PEET01"
    )
    assert client.label == "Bakkerij Peeters (PEET01)"
    feed = read_feed(said({"id": 301, "type": "download", "feed_entries": [ENTRY]}))
    (entry,) = feed.entries
    assert (entry.model, entry.number, entry.date) == ("coda", "41", "2026-02-27")
    assert (entry.account, entry.after_hole, feed.holes) == ("BE96001001234505", False, ())


def test_the_byte_order_mark_and_another_encoding_do_no_harm() -> None:
    text = json.dumps({"feed_entries": [ENTRY]})
    for encoding in ("utf-8-sig", "utf-16"):
        assert len(read_feed(text.encode(encoding)).entries) == 1


@pytest.mark.parametrize("metadata", [None, 7, "x", [], {"iban": {"a": 1}}, {"pages": [None]}])
def test_metadata_is_a_hint(metadata: Any) -> None:
    (entry,) = read_feed(said({"feed_entries": [{**ENTRY, "metadata": metadata}]})).entries
    assert (entry.index, entry.number, entry.account) == (ENTRY["feed_index"], "", "")


@pytest.mark.parametrize("model", [None, 7, "", "a" * 1000, ".."])
def test_a_model_that_is_none_does_no_harm(model: Any) -> None:
    (entry,) = read_feed(said({"feed_entries": [{**ENTRY, "document_model": model}]})).entries
    assert entry.model == ""


@pytest.mark.parametrize("index", [None, "", " ", ".", "..", [], True, 1.5, "x" * 1001])
def test_what_lies_behind_an_entry_that_cant_be_read_is_marked(index: Any) -> None:
    odd = {**ENTRY, "feed_index": index}
    feed = read_feed(said({"feed_entries": [ENTRY, odd, {**ENTRY, "feed_index": "later"}]}))
    assert [(entry.index, entry.after_hole) for entry in feed.entries] == [
        (ENTRY["feed_index"], False),
        ("later", True),
    ]
    assert feed.holes == ("its feed_index is no text of use",)


def test_half_a_surrogate_in_one_entry_spoils_no_other() -> None:
    body = b'{"feed_entries": [{"feed_index": "\\ud800"}, {"feed_index": "a"}, 7, {}]}'
    feed = read_feed(body)
    assert [(entry.index, entry.after_hole) for entry in feed.entries] == [("a", True)]
    assert len(feed.holes) == 3


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"feed_entries": 7}', b"<html>"])
def test_what_is_no_feed_is_no_empty_feed(body: bytes) -> None:
    with pytest.raises(JSON_ERRORS):
        read_feed(body)


@pytest.mark.parametrize(
    ("delay", "read"), [(0, 0), ("300", 300), (None, None), (-5, None), (10**9, MAX_DELAY)]
)
def test_a_delay_of_any_type_is_read_within_bounds(delay: Any, read: float | None) -> None:
    assert read_pod(said({**POD, "fetch_delay": delay})).fetch_delay == read


def test_clients_come_as_a_list_or_in_pages() -> None:
    one = {
        "client_code": "PEET01",
        "legal_entity": {"enterprise_num": "0403170701", "name": "Bakkerij Peeters"},
        "bank_accounts": [{"iban": "BE96001001234505"}],
    }
    for body, following in (
        ([one, 7], ""),
        ({"results": [one, None], "next": "https://x/2"}, "https://x/2"),
        ({"clients": [one, {}], "next": None}, ""),
    ):
        (client, _), found = read_clients(said(body))
        assert (client.code, client.name) == ("PEET01", "Bakkerij Peeters")
        assert (client.enterprise_number, found) == ("0403170701", following)


@pytest.mark.parametrize("body", [b"{}", b'{"username": "u"}', b'{"username":"u","password":""}'])
def test_credentials_are_whole_or_none(body: bytes) -> None:
    assert read_credentials(b'{"username": "u", "password": "p"}') == ("u", "p")
    with pytest.raises(JSON_ERRORS):
        read_credentials(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_no_answer_raises_anything_else(one: Any, other: Any, third: Any) -> None:
    entry = {"feed_index": one, "document_model": other, "metadata": third}
    client = {"id": one, "client_name": other, "client_code": third, "legal_entity": one}
    for read, value in (
        (read_feed, {"feed_entries": [entry, one]}),
        (read_feed, one),
        (read_pod, {"feed_clients": [client], "allowed_formats": other, "fetch_delay": third}),
        (read_pod, {"feed_clients": one}),
        (read_clients, [client, other]),
        (read_clients, {"results": one, "next": other}),
        (read_credentials, {"username": one, "password": other}),
    ):
        try:
            read(said(value))
        except JSON_ERRORS:
            continue
