"""The sandbox of e-invoice.be, as the vendor's own client and any other one meets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import anyio.to_thread
import pytest

from stages.sandbox import FaultSpec, Mailbox, write_manifest
from stages.sandbox.invoices import Invoice
from stages.sources.einvoice_be.sandbox import EInvoiceBeWire
from tests.helpers.einvoice import sandbox

pytestmark = pytest.mark.anyio

NO_CLIENT = "the vendor's client is not installed: pip install e-invoice-api"


class Client:
    """Asks the sandbox, as one company."""

    def __init__(self, url: str, key: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session
        self.headers = {"Authorization": f"Bearer {key}"}

    async def get(self, path: str, **query: Any) -> tuple[int, Any, bytes]:
        url = path if "://" in path else self._url + path
        headers = {} if "://" in path else self.headers
        async with self._session.get(url, params=query or None, headers=headers) as answer:
            body = await answer.read()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(body) if is_json else None, body


async def test_the_vendors_own_client_lists_fetches_and_waits(tmp_path: Path) -> None:
    vendor = pytest.importorskip("e_invoice_api", reason=NO_CLIENT)
    mailbox = Mailbox(12, 1, seed=3)
    wire = EInvoiceBeWire()
    busy = FaultSpec("too-many-seconds", on="any", times=1, seconds=1)
    async with sandbox(tmp_path, mailbox, wire, [busy]) as (served, _):

        def use() -> tuple[list[Any], Any, str, list[Any], list[Any]]:
            key = wire.key(mailbox, mailbox.companies[0])
            with vendor.EInvoice(api_key=key, base_url=served.url) as client:
                # It meets a 429 with Retry-After: 1, waits, and gets its answer.
                name = client.me.retrieve().name
                items = list(client.inbox.list(page_size=2, sort_order="asc"))
                ubl = client.documents.ubl.get(items[0].id)
                newest = list(client.inbox.list(page_size=2))
                sent = list(client.outbox.list_received_documents(page_size=100))
                with pytest.raises(vendor.UnprocessableEntityError):
                    client.inbox.list(page_size=101)
                with pytest.raises(vendor.NotFoundError):
                    client.documents.ubl.get("x")
                attached = client.documents.attachments.list(items[0].id)
                assert attached[0].file_url
            with (
                vendor.EInvoice(api_key="no key", base_url=served.url) as stranger,
                pytest.raises(vendor.AuthenticationError),
            ):
                stranger.me.retrieve()
            return items, ubl, name, newest, sent

        items, ubl, name, newest, sent = await anyio.to_thread.run_sync(use)
    assert name == mailbox.companies[0].name
    assert len(items) >= 5
    assert [one.created_at for one in items] == sorted(one.created_at for one in items)
    assert [one.id for one in newest] == [one.id for one in items][::-1]
    assert {one.direction for one in items} == {"INBOUND"}
    assert {one.state for one in sent} >= {"SENT", "DRAFT", "FAILED"}
    assert ubl.signed_url.startswith("http://127.0.0.1:")


async def test_a_document_lies_behind_an_address_that_takes_no_key_and_ends(
    tmp_path: Path,
) -> None:
    mailbox = Mailbox(6, 1, seed=3)
    wire = EInvoiceBeWire(address_life=60)
    async with sandbox(tmp_path, mailbox, wire) as (served, _), aiohttp.ClientSession() as session:
        one = Client(served.url, wire.key(mailbox, mailbox.companies[0]), session)
        _, page, _ = await one.get("/api/inbox/", sort_order="asc")
        id_ = page["items"][0]["id"]
        _, ubl, _ = await one.get(f"/api/documents/{id_}/ubl")
        status, _, body = await one.get(ubl["signed_url"])
        document = mailbox.find(id_)
        assert document is not None
        assert (status, body) == (200, document.read())
        async with session.get(ubl["signed_url"], headers=one.headers) as answer:
            assert answer.status == 400
        async with session.get(ubl["signed_url"] + "0") as answer:
            assert answer.status == 403
        wire.address_life = -1
        _, ubl, _ = await one.get(f"/api/documents/{id_}/ubl")
        status, _, body = await one.get(ubl["signed_url"])
        assert (status, b"expired" in body) == (403, True)
        _, attachments, _ = await one.get(f"/api/documents/{id_}/attachments")
        assert attachments[0]["file_type"] == "application/pdf"


async def test_one_key_is_one_company_and_a_revoked_one_is_none(tmp_path: Path) -> None:
    mailbox = Mailbox(60, 2, seed=3)
    wire = EInvoiceBeWire()
    async with sandbox(tmp_path, mailbox, wire) as (served, _), aiohttp.ClientSession() as session:
        first, second = (
            Client(served.url, wire.key(mailbox, company), session) for company in mailbox.companies
        )
        _, me, _ = await first.get("/api/me/")
        assert me["company_number"] == mailbox.companies[0].number
        _, page, _ = await first.get("/api/inbox/", page_size=100)
        ids = {one["id"] for one in page["items"]}
        _, other, _ = await second.get("/api/inbox/", page_size=100)
        assert ids.isdisjoint(one["id"] for one in other["items"])
        status, said, _ = await second.get(f"/api/documents/{next(iter(ids))}/ubl")
        assert (status, said) == (404, {"detail": "Document not found"})
        wire.revoked.add(mailbox.companies[0].identifier)
        status, said, _ = await first.get("/api/inbox/")
        assert (status, said.keys()) == (401, {"detail"})
        assert (await second.get("/api/inbox/"))[0] == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", 101),
        ("page_size", 0),
        ("page", 0),
        ("sort_by", "x"),
        ("sort_order", "up"),
        ("type", "X"),
    ],
)
async def test_a_parameter_that_is_none_is_refused_in_words(
    tmp_path: Path, name: str, value: object
) -> None:
    mailbox = Mailbox(6, 1, seed=3)
    wire = EInvoiceBeWire()
    async with sandbox(tmp_path, mailbox, wire) as (served, _), aiohttp.ClientSession() as session:
        one = Client(served.url, wire.key(mailbox, mailbox.companies[0]), session)
        status, said, _ = await one.get("/api/inbox/", **{name: value})
        assert status == 422
        assert said["detail"][0]["loc"] == ["query", name]
        assert said["detail"][0].keys() == {"loc", "msg", "type"}


async def test_lists_are_newest_first_never_shrink_and_can_be_narrowed(tmp_path: Path) -> None:
    mailbox = Mailbox(90, 1, seed=3)
    wire = EInvoiceBeWire()
    async with sandbox(tmp_path, mailbox, wire) as (served, _), aiohttp.ClientSession() as session:
        one = Client(served.url, wire.key(mailbox, mailbox.companies[0]), session)
        _, page, _ = await one.get("/api/inbox/")
        times = [item["created_at"] for item in page["items"]]
        assert times == sorted(times, reverse=True)
        assert (page["page_size"], page["page"], page["has_next_page"]) == (20, 1, True)
        assert isinstance(page["items"][0]["invoice_total"], str)
        _, last, _ = await one.get("/api/inbox/", page=page["pages"])
        assert not last["has_next_page"]
        _, beyond, _ = await one.get("/api/inbox/", page=page["pages"] + 1)
        assert beyond["items"] == []
        _, notes, _ = await one.get("/api/inbox/credit-notes", page_size=100)
        assert {item["document_type"] for item in notes["items"]} <= {
            "CREDIT_NOTE",
            "SELFBILLING_CREDIT_NOTE",
        }
        _, bills, _ = await one.get("/api/inbox/invoices", page_size=100)
        assert bills["total"] + notes["total"] == page["total"]
        name = page["items"][0]["vendor_name"]
        _, found, _ = await one.get("/api/inbox/", sender=name[:9].lower())
        assert page["items"][0]["id"] in {item["id"] for item in found["items"]}
        _, early, _ = await one.get("/api/inbox/", date_to="2026-03-31", sort_by="invoice_date")
        assert all(item["invoice_date"] <= "2026-03-31" for item in early["items"])
        _, timeline, _ = await one.get(f"/api/documents/{page['items'][0]['id']}/timeline")
        assert timeline["events"][0]["event_type"] == "receive_success"


async def test_a_document_that_has_just_come_has_no_ubl_for_a_while(tmp_path: Path) -> None:
    mailbox = Mailbox(6, 1, seed=3)
    wire = EInvoiceBeWire(ubl_after=3600)
    async with sandbox(tmp_path, mailbox, wire) as (served, _), aiohttp.ClientSession() as session:
        one = Client(served.url, wire.key(mailbox, mailbox.companies[0]), session)
        _, before, _ = await one.get("/api/inbox/", sort_order="asc")
        mailbox.grow(10)
        _, after, _ = await one.get("/api/inbox/", sort_order="asc")
        assert after["items"][: before["total"]] == before["items"]
        for item, is_there in ((after["items"][0], True), (after["items"][-1], False)):
            _, ubl, _ = await one.get(f"/api/documents/{item['id']}/ubl")
            assert bool(ubl["signed_url"]) is is_there
        wire.ubl_after = 0
        _, ubl, _ = await one.get(f"/api/documents/{after['items'][-1]['id']}/ubl")
        assert ubl["signed_url"]


async def test_its_manifest_is_of_what_it_has(tmp_path: Path) -> None:
    mailbox = Mailbox(50, 2, seed=3)
    write_manifest(tmp_path / "manifest", mailbox, EInvoiceBeWire().holds)
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "manifest").read_text().splitlines()]
    assert set(kinds) == {"purchase", "sales"}
    assert len(kinds) == sum(isinstance(one.content, Invoice) for one in mailbox)
