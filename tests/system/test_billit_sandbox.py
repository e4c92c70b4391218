"""Billit's sandbox as other clients meet it: plain requests, as `billit-mcp` and browsers send."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import anyio.to_thread
import pytest

from pipeline.app.wiring_sandbox import Mailbox, serve_platform
from stages.kind import Kind
from stages.sandbox.platform import Sandbox
from stages.sandbox.state_index import State
from stages.sources.billit.sandbox import api_key
from stages.sources.billit.sandbox_feeds import FEED
from tests.helpers.browsing import decide
from tests.helpers.processes import mailbox as sandbox_process, synqup

pytestmark = pytest.mark.anyio

SEED = 1


@asynccontextmanager
async def served(
    mailbox: Mailbox, **chosen: str
) -> AsyncIterator[tuple[aiohttp.ClientSession, Sandbox]]:
    """A session that knows the key, with the base address that ends with /v1."""
    async with (
        serve_platform("billit", mailbox, chosen) as sandbox,
        aiohttp.ClientSession(
            headers={"ApiKey": api_key(SEED), "Accept": "application/json"}
        ) as session,
    ):
        yield session, sandbox


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> Any:
    async with session.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def status(session: aiohttp.ClientSession, method: str, url: str, **headers: str) -> int:
    async with session.request(method, url, headers=headers) as answer:
        return answer.status


async def test_the_three_calls_of_billit_mcp() -> None:
    """GET inbox, GET file, POST confirm, with the headers ApiKey and PartyID, as it sends them."""
    mailbox = Mailbox(60, 3, SEED)
    party = mailbox.companies[1].platform_id
    async with (
        serve_platform("billit", mailbox) as sandbox,
        aiohttp.ClientSession(
            headers={
                "ApiKey": api_key(SEED),
                "PartyID": party,
                "Accept": "application/json",
                "Content-Type": "application/json",
            }
        ) as client,
    ):
        async with client.request("GET", f"{sandbox.url}/peppol/inbox") as answer:
            assert answer.status == 200
            items = (await answer.json())["InboxItems"]
        assert len(items) == 10
        numbers = [one["InboxItemID"] for one in items]
        assert numbers == sorted(numbers)
        assert {one["ReceiverCompanyID"] for one in items} == {mailbox.companies[1].identifier}
        assert "IMR" in {one["PeppolDocumentType"] for one in items}
        first = items[0]
        async with client.request("GET", f"{sandbox.url}/files/{first['PeppolFileID']}") as answer:
            assert answer.status == 200
            file = await answer.json()
        assert file["FileID"] == first["PeppolFileID"]
        assert file["MimeType"] == "text/xml"
        assert b"<StandardBusinessDocument " in b64decode(file["FileContent"], validate=True)
        confirm = f"{sandbox.url}/peppol/inbox/{first['InboxItemID']}/confirm"
        async with client.request("POST", confirm) as answer:
            assert answer.status == 200
        async with client.request("POST", confirm) as answer:
            assert answer.status == 400
            (error,) = (await answer.json())["errors"]
            assert error == {
                "Code": "BadRequest",
                "Description": "The item has already been confirmed",
            }
        async with client.request("GET", f"{sandbox.url}/peppol/inbox") as answer:
            left = [one["InboxItemID"] for one in (await answer.json())["InboxItems"]]
        assert left[:9] == numbers[1:]
        assert len(left) == 10


async def test_without_a_party_it_is_the_oldest_company() -> None:
    mailbox = Mailbox(30, 3, SEED)
    async with served(mailbox) as (session, sandbox):
        for headers in ({}, {"PartyID": mailbox.companies[0].platform_id}):
            found = await get(session, f"{sandbox.url}/peppol/inbox", **headers)
            receivers = {one["ReceiverCompanyID"] for one in found["InboxItems"]}
            assert receivers == {mailbox.companies[0].identifier}
        assert await status(session, "GET", f"{sandbox.url}/peppol/inbox", PartyID="7") == 403
        found = await get(session, f"{sandbox.url}/account/accountInformation")
        assert [one["PartyID"] for one in found["Companies"]] == [100000, 100001, 100002]


@pytest.mark.parametrize("narrowed", ["true", "false"])
async def test_whether_each_receiver_has_ten_places_can_be_chosen(narrowed: str) -> None:
    mailbox = Mailbox(90, 3, SEED)
    async with served(mailbox, account="true", narrowed=narrowed) as (session, sandbox):
        url = f"{sandbox.url}/peppol/inbox?ReceiverCompanyID={mailbox.companies[2].identifier}"
        found = (await get(session, url))["InboxItems"]
        assert (len(found) == 10) is (narrowed == "true")
        assert found


async def test_a_wrong_key_is_refused_in_billits_words() -> None:
    async with (
        served(Mailbox(3, 1, SEED)) as (session, sandbox),
        session.get(f"{sandbox.url}/peppol/inbox", headers={"ApiKey": "no"}) as answer,
    ):
        assert answer.status == 401
        assert (await answer.json())["errors"][0]["Code"] == "InvalidAccessToken"


async def test_a_feed_is_read_once_a_minute_and_states_its_hash() -> None:
    mailbox = Mailbox(10, 1, SEED)
    for spelling in ("hex", "base64"):
        async with served(mailbox, hash=spelling) as (session, sandbox):
            feed = f"{sandbox.url}/accountant/feeds/{FEED}"
            items = await get(session, feed)
            assert {one["EntityType"] for one in items} == {"Order", "Document"}
            async with session.get(feed) as answer:
                assert answer.status == 429
                assert 0 < int(answer.headers["Retry-After"]) <= 60
                assert (await answer.json())["ErrorMessage"] == "Only query this once per minute"
            file = await get(session, f"{feed}/{items[0]['FeedItemID']}")
            digest = sha256(b64decode(file["FileContent"])).digest()
            stated = digest.hex() if spelling == "hex" else b64encode(digest).decode()
            assert file["FileContentSHA256Hash"] == stated


async def test_a_feed_has_what_comes_from_then_on_until_it_is_confirmed() -> None:
    mailbox = Mailbox(10, 1, SEED)
    async with served(mailbox, pause="0") as (session, sandbox):
        feeds = f"{sandbox.url}/accountant/feeds"
        assert await status(session, "GET", f"{feeds}/new") == 404
        async with session.post(feeds, json={"Name": "new"}) as answer:
            assert answer.status == 200
        assert await get(session, feeds) == [{"Name": FEED}, {"Name": "new"}]
        assert await get(session, f"{feeds}/new") == []
        mailbox.grow(2)
        one, two = await get(session, f"{feeds}/new")
        confirm = f"{feeds}/new/{one['FeedItemID']}/confirm"
        async with session.post(confirm, json={"RemoteServerName": "srv"}) as answer:
            assert answer.status == 200
        assert await status(session, "POST", confirm) == 400
        assert await get(session, f"{feeds}/new") == [two]
        assert await status(session, "DELETE", f"{feeds}/new") == 405


async def test_people_sign_in_as_billit_has_it_and_a_refresh_token_is_used_once() -> None:
    """Without PKCE or a scope, and with requests for tokens in JSON."""
    async with served(Mailbox(3, 1, SEED)) as (session, sandbox):
        asked = {
            "client_id": sandbox.client_id,
            "redirect_uri": "http://127.0.0.1:8400/",
            "state": "a|b",
        }
        address = f"{sandbox.authorize_url}?{urlencode(asked)}"
        assert urlsplit(address).path == "/Account/Logon"
        sent_to = await anyio.to_thread.run_sync(decide, address)
        answer = {name: one for name, (one,) in parse_qs(urlsplit(sent_to).query).items()}
        assert answer["state"] == "a|b"
        client = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": asked["redirect_uri"],
        }
        first = await _token(session, sandbox, client | form, 200)
        assert first["expires_in"] == 3600
        assert first["token_type"] == "Bearer"
        bearer = {"ApiKey": "", "Authorization": f"Bearer {first['access_token']}"}
        assert await get(session, f"{sandbox.url}/peppol/inbox", **bearer)
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        assert (await _token(session, sandbox, client | form, 200))["refresh_token"]
        await _token(session, sandbox, client | form, 400)
        await _token(session, sandbox, client | {"grant_type": "client_credentials"}, 400)
        denied = await anyio.to_thread.run_sync(decide, address, "deny")
        assert "error=access_denied" in denied


async def _token(
    session: aiohttp.ClientSession, sandbox: Sandbox, body: dict[str, str], expect: int
) -> Any:
    async with session.post(sandbox.token_url, json=body) as answer:
        assert answer.status == expect, await answer.text()
        return await answer.json()


def test_what_arrived_first_stands_first_whatever_its_list() -> None:
    mailbox = Mailbox(40, 3, SEED)
    everything = list(mailbox)
    assert mailbox.oldest(State.PENDING) == everything
    assert mailbox.oldest(State.PENDING, 5) == everything[:5]
    assert mailbox.oldest(State.PENDING, since=17) == everything[17:]
    mailbox.set_state(everything[3], State.ACKED)
    mailbox.set_state(everything[20], State.ACKED)
    assert mailbox.oldest(State.PENDING, 4) == [*everything[:3], everything[4]]
    assert mailbox.oldest(State.PENDING, since=17) == [*everything[17:20], *everything[21:]]
    purchases = [one for one in everything[4:] if one.kind is Kind.PURCHASE]
    own = [one for one in purchases if one.company.platform_id == "100001"]
    found = mailbox.oldest(
        State.PENDING, 3, platform_ids=["100001"], kinds=[Kind.PURCHASE], since=4
    )
    assert found == [one for one in own if one is not everything[20]][:3]
    assert mailbox[39] == everything[39]
    for beyond in (40, -1):
        with pytest.raises(IndexError):
            mailbox[beyond]


def test_the_command_serves_it_and_writes_a_configuration_that_works(tmp_path: Path) -> None:
    options = ("--platform", "billit", "--option", "door=inbox", "--documents", 12)
    with sandbox_process(tmp_path, *options) as box:
        assert "12 of" not in synqup("check", "--config", box.config)
        said = synqup("catch-up", "--config", box.config)
        assert "delivered" in said
        said = synqup("catch-up", "--config", box.config)
        assert said.startswith("0 delivered")
    said = synqup("sandbox", "--platform", "billit", "--option", "x=1", expect=2)
    assert "the options of this platform are door=feeds" in said
