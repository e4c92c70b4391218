"""The sandbox's authorization page: whom it shows its form to, and where it sends a browser."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio.to_thread
import pytest

from pipeline.app.wiring_sandbox import serve_sandbox
from stages.sandbox import IssuerRules, Mailbox
from tests.helpers.browsing import decide, get

pytestmark = pytest.mark.anyio

ASKED = {
    "response_type": "code",
    "client_id": "synqup-sandbox",
    "redirect_uri": "http://127.0.0.1:8400/",
    "scope": "openid",
    "state": "<s>&\"'",
    "code_challenge": "c" * 43,
    "code_challenge_method": "S256",
}


async def in_thread(work: Any, *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(partial(work, *arguments))


async def test_it_sends_back_a_code_or_a_refusal_with_the_state() -> None:
    async with serve_sandbox(Mailbox(1)) as sandbox:
        address = f"{sandbox.authorize_url}?{urlencode(ASKED)}"
        sent_to = await in_thread(decide, address)
        assert sent_to.startswith("http://127.0.0.1:8400/?")
        found = parse_qs(urlsplit(sent_to).query)
        assert found["state"] == [ASKED["state"]]
        assert len(found["code"]) == 1
        found = parse_qs(urlsplit(await in_thread(decide, address, "deny")).query)
        assert (found["error"], found["state"]) == (["access_denied"], [ASKED["state"]])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "openid everything"}, "invalid_scope"),
    ],
)
async def test_what_can_not_be_granted_is_sent_back(wrong: dict[str, str], error: str) -> None:
    async with serve_sandbox(Mailbox(1)) as sandbox:
        address = f"{sandbox.authorize_url}?{urlencode(ASKED | wrong)}"
        status, _, sent_to = await in_thread(get, address)
        assert status == 303
        assert parse_qs(urlsplit(sent_to).query)["error"] == [error]


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "another"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://127.0.0.1.evil.example/"},
        {"redirect_uri": ""},
        {"redirect_uri": "http://["},
    ],
)
async def test_a_browser_is_sent_to_no_address_that_is_not_the_clients(
    wrong: dict[str, str],
) -> None:
    async with serve_sandbox(Mailbox(1)) as sandbox:
        address = f"{sandbox.authorize_url}?{urlencode(ASKED | wrong)}"
        status, _, sent_to = await in_thread(get, address)
        assert (status, sent_to) == (400, "")


async def test_a_registered_address_is_compared_exactly() -> None:
    rules = IssuerRules(redirect_uri="http://127.0.0.1:8400/back")
    async with serve_sandbox(Mailbox(1), rules=rules) as sandbox:
        for redirect, expected in {
            "http://127.0.0.1:8400/back": 200,
            "http://127.0.0.1:8401/back": 400,
            "http://127.0.0.1:8400/back/": 400,
            "http://localhost:8400/back": 400,
        }.items():
            asked = urlencode(ASKED | {"redirect_uri": redirect})
            status, _, _ = await in_thread(get, f"{sandbox.authorize_url}?{asked}")
            assert status == expected
