"""CodaBox in the sandbox as any client meets it: what clients of the wild rely on."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stages.sandbox import Mailbox, serve_sandbox
from stages.sandbox.corpus import Document
from stages.sandbox.statements import Statement
from stages.sources.codabox.sandbox import SOFTWARE_COMPANY, CodaBoxWire

pytestmark = pytest.mark.anyio


class Client:
    """Speaks to the sandbox as any client would; it follows no redirect."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session
        self.user: tuple[str, str] | None = None
        self.company = SOFTWARE_COMPANY

    async def ask(self, path: str, method: str = "GET", **more: Any) -> tuple[int, Any, Any]:
        headers = {"X-Software-Company": self.company}
        if self.user:
            basic = base64.b64encode(":".join(self.user).encode()).decode()
            headers["Authorization"] = f"Basic {basic}"
        async with self.session.request(
            method,
            f"{self.url}/{path}",
            headers=headers,
            allow_redirects=False,
            **more,
        ) as answer:
            body = await answer.read()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(body) if is_json else body, answer.headers

    async def put(self, path: str, offset: object) -> tuple[int, Any]:
        status, body, _ = await self.ask(path, "PUT", json={"feed_offset": offset})
        return status, body


def nth(mailbox: Mailbox, number: int) -> Document:
    return list(mailbox)[number]


@asynccontextmanager
async def client(wire: CodaBoxWire, mailbox: Mailbox) -> AsyncIterator[Client]:
    async with (
        serve_sandbox(mailbox, platform=wire) as served,
        aiohttp.ClientSession() as session,
    ):
        one = Client(served.url, session)
        one.user = wire.user(mailbox.seed)
        yield one


async def test_who_one_is_and_what_waits() -> None:
    mailbox = Mailbox(30, 3, seed=7)
    async with client(CodaBoxWire(7200), mailbox) as one:
        _, pod, _ = await one.ask("delivery/pod-client/")
        assert pod["fetch_delay"] == 7200
        assert pod["allowed_formats"]["coda"] == ["cod", "pdf", "xml"]
        assert [c["client_code"] for c in pod["feed_clients"]] == [
            company.accounting_file_id for company in mailbox.companies
        ]
        _, feed, _ = await one.ask("delivery/feed/302/")
        assert (feed["id"], feed["type"]) == (302, "download")
        own = mailbox.oldest(None, platform_ids=[mailbox.companies[1].platform_id])
        assert [entry["feed_index"] for entry in feed["feed_entries"]] == [one.id for one in own]
        statement = next(e for e in feed["feed_entries"] if e["document_model"] == "coda")
        assert statement["metadata"].keys() >= {"iban", "last_statement_number", "new_balance_date"}
        path = f"delivery/download/{statement['feed_index']}"
        _, body, headers = await one.ask(f"{path}/cod/")
        assert headers["Content-Type"] == "application/vnd.coda"
        assert body.startswith(b"00000")
        assert (await one.ask(f"{path}/mt940/"))[0] == 404
        status, said, _ = await one.ask("delivery/feed/999/")
        assert (status, list(said)) == (404, ["detail"])
        _, clients, _ = await one.ask("clients/")
        assert clients[0]["legal_entity"]["enterprise_num"] == mailbox.companies[0].number
        assert (await one.ask("fiduciaries/"))[0] == 200


async def test_get_redirects_to_its_slash_and_put_does_not() -> None:
    mailbox = Mailbox(10, 1, seed=7)
    async with client(CodaBoxWire(7200), mailbox) as one:
        for path in ("delivery/pod-client", "delivery/feed/301", "clients"):
            status, _, headers = await one.ask(path)
            assert (status, headers["Location"]) == (301, f"/v2/{path}/")
        assert (await one.put("delivery/feed/301", nth(mailbox, 0).id))[0] == 404
        assert (await one.put("delivery/feed/301/", nth(mailbox, 0).id))[0] == 200


async def test_a_feed_is_listed_once_in_its_delay() -> None:
    wire = CodaBoxWire(7200)
    async with client(wire, Mailbox(10, 2, seed=7)) as one:
        for feed in ("301", "302"):
            assert (await one.ask(f"delivery/feed/{feed}/"))[0] == 200
        status, said, _ = await one.ask("delivery/feed/301/")
        assert (status, list(said)) == (429, ["detail"])
        assert (await one.ask("delivery/redownload-feed/301/"))[0] == 200
        wire.forget_lists()
        assert (await one.ask("delivery/feed/301/"))[0] == 200


async def test_an_offset_takes_all_up_to_it_and_only_what_is_in_the_feed() -> None:
    mailbox = Mailbox(10, 1, seed=7)
    for wire, old in ((CodaBoxWire(0), 400), (CodaBoxWire(0, lenient_offsets=True), 200)):
        mailbox = Mailbox(10, 1, seed=7)
        ids = [document.id for document in mailbox]
        async with client(wire, mailbox) as one:
            assert (await one.put("delivery/feed/301/", ids[4]))[0] == 200
            _, feed, _ = await one.ask("delivery/feed/301/")
            assert [entry["feed_index"] for entry in feed["feed_entries"]] == ids[5:]
            # Once more the same, and one before it.
            assert (await one.put("delivery/feed/301/", ids[4]))[0] == 200
            assert (await one.put("delivery/feed/301/", ids[2]))[0] == old
            for odd in ("9f1c2a44-5d13-4c1e-9a55-0b8f3c2d7e01", None, 7):
                status, said = await one.put("delivery/feed/301/", odd)
                assert (status, list(said)) == (400, ["detail"])
            status, said, _ = await one.ask("delivery/feed/301/", "PUT", data=b"{")
            assert (status, list(said)) == (400, ["detail"])


async def test_what_nobody_knows_and_what_is_damaged(tmp_path: Path) -> None:
    mailbox = Mailbox(10, 1, seed=7)
    statement = next(one for one in mailbox if isinstance(one.content, Statement))
    wire = CodaBoxWire(0, models={nth(mailbox, 0).id: "annual_account"}, damaged=[statement.id])
    async with client(wire, mailbox) as one:
        _, feed, _ = await one.ask("delivery/feed/301/")
        assert feed["feed_entries"][0]["document_model"] == "annual_account"
        _, _, headers = await one.ask(f"delivery/download/{nth(mailbox, 0).id}/raw/")
        assert headers["Content-Type"] == "application/vnd.codabox.raw"
        _, body, _ = await one.ask(f"delivery/download/{statement.id}/cod/")
        assert len(body) == len(statement.read())
        assert body != statement.read()
    (tmp_path / "letter.txt").write_text("Dear all")
    files = Mailbox.of_files(tmp_path, "BE0403170701")
    async with client(CodaBoxWire(0), files) as one:
        _, feed, _ = await one.ask("delivery/feed/301/")
        (entry,) = feed["feed_entries"]
        assert (entry["document_model"], entry["metadata"]) == ("digital_letter", None)
        _, body, _ = await one.ask(f"delivery/download/{entry['feed_index']}/raw/")
        assert body == b"Dear all"


async def test_the_redelivery_feed_has_an_offset_of_its_own() -> None:
    mailbox = Mailbox(10, 1, seed=7)
    wire = CodaBoxWire(0)
    async with client(wire, mailbox) as one:
        wire.redeliver(nth(mailbox, 2), "301")
        _, feed, _ = await one.ask("delivery/redownload-feed/301/")
        assert [entry["feed_index"] for entry in feed["feed_entries"]] == [nth(mailbox, 2).id]
        assert (await one.ask(f"delivery/redownload/{nth(mailbox, 2).id}/pdf/"))[0] in (200, 404)
        assert (await one.put("delivery/redownload-feed/301/", nth(mailbox, 2).id))[0] == 200
        _, feed, _ = await one.ask("delivery/redownload-feed/301/")
        assert not feed["feed_entries"]
        _, feed, _ = await one.ask("delivery/feed/301/")
        assert len(feed["feed_entries"]) == 10


async def test_a_token_is_mailed_and_good_once() -> None:
    mailbox = Mailbox(10, 1, seed=7)
    wire = CodaBoxWire()
    async with client(wire, mailbox) as one:
        user, one.user = one.user, None
        assert (await one.ask("delivery/pod-client/"))[0] == 401
        path = "request-access-token/invoicing-software/"
        assert (await one.ask(path, "POST", json={"vat": "BE0000000000"}))[0] == 400
        number = mailbox.companies[0].identifier
        assert (await one.ask(path, "POST", json={"vat": number}))[0] == 201
        ((vat, token),) = wire.mails
        assert vat == number
        status, found, _ = await one.ask(f"get-credentials/{token}/")
        assert (status, (found["username"], found["password"])) == (200, user)
        status, said, _ = await one.ask(f"get-credentials/{token}/")
        assert (status, list(said)) == (404, ["detail"])
        one.user = user
        assert (await one.ask("delivery/pod-client/"))[0] == 200
        one.company = "another"
        assert (await one.ask("delivery/pod-client/"))[0] == 403
        one.company = SOFTWARE_COMPANY
        wire.revoke()
        assert (await one.ask("delivery/pod-client/"))[0] == 401
