"""The sandbox's issuer: codes and refresh tokens are good for one use, as the standards want it."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from stages.sandbox.codes import CODE_LIFETIME, Approval
from stages.sandbox.tokens import CLIENT_ID, PUBLIC_CLIENT_ID, SESSION, IssuerRules, Tokens

VERIFIER = "v" * 50
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
BACK = "http://127.0.0.1:1/"


def ask(tokens: Tokens, **form: str) -> tuple[int, dict[str, Any]]:
    own = {"client_id": CLIENT_ID, "client_secret": tokens.client_secret}
    answer = tokens.answer(own | form)
    assert isinstance(answer.body, bytes)
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return answer.status, found


def refresh(tokens: Tokens, token: str) -> tuple[int, dict[str, Any]]:
    return ask(tokens, grant_type="refresh_token", refresh_token=token)


def code_form(tokens: Tokens, scope: str = "openid offline_access") -> Mapping[str, str]:
    code = tokens.codes.issue(Approval(CLIENT_ID, BACK, CHALLENGE, scope, "jan"))
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    }


def is_good(tokens: Tokens, granted: Mapping[str, Any]) -> bool:
    return tokens.valid(f"Bearer {granted['access_token']}")


def test_a_code_is_exchanged_once_and_the_second_time_ends_what_it_brought() -> None:
    tokens = Tokens(1)
    form = code_form(tokens)
    status, granted = ask(tokens, **form)
    assert status == 200
    assert is_good(tokens, granted)
    assert granted["refresh_expires_in"] == 30 * 86_400
    assert ask(tokens, **form)[1]["error"] == "invalid_grant"
    assert not is_good(tokens, granted)
    assert refresh(tokens, granted["refresh_token"])[0] == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 50},
        {"code_verifier": ""},
        {"code_verifier": CHALLENGE},
        {"redirect_uri": "http://127.0.0.1:1"},
        {"redirect_uri": ""},
        {"client_id": PUBLIC_CLIENT_ID},
        {"code": "other"},
    ],
)
def test_a_code_goes_with_its_verifier_its_redirect_and_its_client(wrong: dict[str, str]) -> None:
    tokens = Tokens(1)
    status, said = ask(tokens, **{**code_form(tokens), **wrong})
    assert (status, said["error"]) == (400, "invalid_grant")


def test_a_code_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(1)
    form = code_form(tokens)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + CODE_LIFETIME + 1)
    assert ask(tokens, **form)[1]["error_description"] == "Code has expired"


def test_a_refresh_token_is_good_for_one_use() -> None:
    tokens = Tokens(1)
    first = tokens.refresh_token
    _, granted = refresh(tokens, first)
    assert refresh(tokens, first)[0] == 400
    # The sign-in goes on all the same, unless the issuer ends it.
    assert refresh(tokens, granted["refresh_token"])[0] == 200


def test_the_whole_sign_in_is_ended_where_the_rules_say_so() -> None:
    tokens = Tokens(1, IssuerRules(revokes_reused=True))
    first = tokens.refresh_token
    _, granted = refresh(tokens, first)
    _, other = ask(tokens, **code_form(tokens))
    assert refresh(tokens, first)[0] == 400
    assert not is_good(tokens, granted)
    assert refresh(tokens, granted["refresh_token"])[0] == 400
    assert is_good(tokens, other)
    assert refresh(tokens, other["refresh_token"])[0] == 200


def test_a_used_token_is_taken_once_more_within_the_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(1, IssuerRules(grace=10, revokes_reused=True))
    first = tokens.refresh_token
    _, lost = refresh(tokens, first)
    status, granted = refresh(tokens, first)
    assert status == 200
    # In the place of the one that was lost.
    assert granted["refresh_token"] != lost["refresh_token"]
    status, granted = refresh(tokens, granted["refresh_token"])
    assert status == 200
    assert refresh(tokens, first)[0] == 400  # a third time
    tokens = Tokens(2, IssuerRules(grace=10))
    refresh(tokens, tokens.refresh_token)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 11)
    assert refresh(tokens, tokens.refresh_token)[0] == 400


@pytest.mark.parametrize(
    ("scope", "rules", "stated"),
    [
        ("openid offline_access", IssuerRules(), 30 * 86_400),
        ("openid offline_access", IssuerRules(refresh_lifetime=60), 60),
        ("openid offline_access", IssuerRules(refresh_lifetime=0), 0),
        ("openid", IssuerRules(refresh_lifetime=0), SESSION),
        ("openid", IssuerRules(states_end=False), None),
    ],
)
def test_a_refresh_token_ends_when_it_is_said_to(
    scope: str, rules: IssuerRules, stated: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(1, rules)
    _, granted = ask(tokens, **code_form(tokens, scope))
    assert granted.get("refresh_expires_in") == stated
    now = time.monotonic()
    lifetime = SESSION if stated is None else stated
    monkeypatch.setattr(time, "monotonic", lambda: now + lifetime - 1)
    _, granted = refresh(tokens, granted["refresh_token"])
    monkeypatch.setattr(time, "monotonic", lambda: now + 2 * lifetime + 100)
    assert refresh(tokens, granted["refresh_token"])[0] == (400 if lifetime else 200)


def test_a_public_client_has_no_credentials_of_its_own() -> None:
    tokens = Tokens(1)
    public = {"client_id": PUBLIC_CLIENT_ID, "client_secret": ""}
    status, said = ask(tokens, **public, grant_type="client_credentials")
    assert (status, said["error"]) == (400, "unauthorized_client")


def test_all_sign_ins_can_be_ended() -> None:
    tokens = Tokens(1)
    _, granted = ask(tokens, **code_form(tokens))
    tokens.revoke_sign_ins()
    assert not is_good(tokens, granted)
    for token in (granted["refresh_token"], tokens.refresh_token):
        assert refresh(tokens, token)[1]["error"] == "invalid_grant"
    assert ask(tokens, **code_form(tokens))[0] == 200
