"""The sandbox as any client meets it: its wire format, its sign-in, its configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pipeline.app.wiring import load_config
from pipeline.app.wiring_sandbox import serve_sandbox
from pipeline.errors import ConfigurationError
from stages.sandbox import Mailbox, Sandbox, write_config
from tests.helpers.systems import is_private


class Client:
    """Speaks to a sandbox as any client would."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.token = ""

    async def grant(self, **form: str) -> tuple[int, dict[str, Any]]:
        own = {"client_id": self.sandbox.client_id, "client_secret": self.sandbox.client_secret}
        async with self.session.post(self.sandbox.token_url, data=own | form) as answer:
            return answer.status, await answer.json()

    async def ask(self, path: str, method: str = "GET", **more: Any) -> tuple[int, bytes, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        url = f"{self.sandbox.url}/{path}"
        async with self.session.request(method, url, headers=headers, **more) as answer:
            return answer.status, await answer.read(), answer.headers


@pytest.mark.anyio
async def test_it_speaks_the_wire_format(tmp_path: Path) -> None:
    mailbox = Mailbox(300, 2, seed=3)
    journal = tmp_path / "journal.jsonl"
    async with (
        serve_sandbox(mailbox, journal=journal) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        client = Client(sandbox, session)
        status, body, _ = await client.ask("purchase-invoices")
        assert status == 401
        assert json.loads(body).keys() == {"path", "error", "message", "status"}
        _, granted = await client.grant(grant_type="client_credentials")
        client.token = granted["access_token"]
        _, body, _ = await client.ask("purchase-invoices?page=1&size=500")
        page = json.loads(body)
        assert (page["size"], page["page"], page["total"]) == (50, 1, 150)
        assert len(page["results"]) == 50
        item = page["results"][0]
        assert item["purchase_invoice_date"].endswith("T00:00:00Z")
        assert item["platform_id"] in {company.platform_id for company in mailbox.companies}
        _, body, _ = await client.ask("purchase-invoices?page=3")
        assert json.loads(body)["results"] == []

        path = f"purchase-invoices/{item['id']}"
        document = mailbox.find(item["id"])
        assert document is not None
        for accept, start in (
            ("application/json", b'{"id":'),
            ("application/xml", b"<?xml"),
            ("application/xml;q=0.5, application/pdf", b"%PDF"),
            ("*/*", b'{"id":'),
        ):
            status, body, _ = await client.ask(path, headers={"Accept": accept})
            assert status == 200
            assert body.startswith(start)
        status, body, _ = await client.ask(path, headers={"Accept": "application/xml"})
        assert body == document.read()
        assert (await client.ask(path, headers={"Accept": "image/png"}))[0] == 406
        assert (await client.ask(f"sales-invoices/{item['id']}"))[0] == 404
        assert (await client.ask("no-list"))[0] == 404
        assert (await client.ask("purchase-invoices?page=x"))[0] == 400
        assert (await client.ask("purchase-invoices?accounting_status=x"))[0] == 400

        told = f"{path}/accounting-status"
        assert (await client.ask(told, "PUT", json={"status": "DONE"}))[0] == 400
        assert (await client.ask(told, "PUT", json={"status": "ERROR", "message": "no"}))[0] == 204
        for status_, count in (("TO_BE_FETCHED", 149), ("ERROR", 1), ("FORWARDED", 0)):
            _, body, _ = await client.ask(f"purchase-invoices?accounting_status={status_}")
            assert json.loads(body)["total"] == count
        # Written at once, for whoever looks on.
        (line,) = [json.loads(text) for text in journal.read_text().splitlines()]
        assert line.pop("at").endswith("+00:00")
        assert line == {"id": item["id"], "status": "ERROR", "message": "no"}


@pytest.mark.anyio
async def test_it_signs_in_by_secret_and_by_refresh_token() -> None:
    async with (
        serve_sandbox(Mailbox(1, 1, seed=3)) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        client = Client(sandbox, session)
        assert (await client.grant(grant_type="client_credentials", client_secret="x"))[0] == 401
        assert (await client.grant(grant_type="password"))[0] == 400
        first = {"grant_type": "refresh_token", "refresh_token": sandbox.refresh_token}
        status, granted = await client.grant(**first)
        assert status == 200
        assert (await client.grant(**first))[0] == 400
        assert (await client.grant(**first | {"refresh_token": granted["refresh_token"]}))[0] == 200


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_said() -> None:
    async with serve_sandbox(Mailbox(1)) as sandbox:
        port = int(sandbox.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(ConfigurationError, match="--port: can't listen there"):
            async with serve_sandbox(Mailbox(1), port=port):
                pass


@pytest.mark.anyio
async def test_the_configuration_that_it_writes_is_one(tmp_path: Path) -> None:
    mailbox = Mailbox(3, 4, seed=2)
    path = tmp_path / "new" / "synqup.toml"
    async with serve_sandbox(mailbox) as sandbox:
        for _ in range(2):
            write_config(path, sandbox, mailbox)
    config = load_config(path)
    assert [one.identifier for one in config.companies] == [c.identifier for c in mailbox.companies]
    assert [one.platform_id for one in config.companies] == [
        c.platform_id for c in mailbox.companies
    ]
    secret = path.with_name("synqup.toml.secret")
    assert secret.read_text().strip() == sandbox.client_secret
    assert is_private(secret)
    assert sandbox.client_secret not in path.read_text()
