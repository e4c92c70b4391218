"""Authorization page of the sandbox (RFC 6749, 3.1): a form with "approve" and "deny"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from aiohttp import web
from yarl import URL

from stages.sandbox.codes import CHALLENGE, Approval, may_redirect
from stages.sandbox.tokens import CLIENT_IDS, Tokens

AUTHORIZE_PATH = "/auth/realms/sandbox/protocol/openid-connect/auth"
#: Who signs in, unless somebody else is written into the form.
ACCOUNT = "trial@sandbox.example"
#: Scopes that can be asked for.
SCOPES = {"openid", "profile", "email", "offline_access"}
#: Parameters of a request, which the form carries along.
PARAMETERS = (
    *("response_type", "client_id", "redirect_uri", "scope", "state"),
    *("code_challenge", "code_challenge_method"),
)

PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Sandbox: sign in</title></head><body>
<h1>Sign in to the sandbox</h1>
<p>{client} asks for: {scope}</p>
<form method="post" action="{action}">
{hidden}
<p><label>Account <input name="account" value="{account}"></label></p>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form></body></html>
"""


def authorization_routes(tokens: Tokens, path: str = AUTHORIZE_PATH) -> Sequence[web.RouteDef]:
    """The page, and what its form is sent to."""

    async def show(request: web.Request) -> web.Response:
        asked = request.query
        if (refusal := _refusal(asked, tokens)) is not None:
            return refusal
        hidden = "\n".join(
            f'<input type="hidden" name="{name}" value="{escape(asked[name])}">'
            for name in PARAMETERS
            if name in asked
        )
        page = PAGE.format(
            client=escape(asked["client_id"]),
            scope=escape(asked.get("scope", "")),
            action=path,
            hidden=hidden,
            account=ACCOUNT,
        )
        return web.Response(text=page, content_type="text/html")

    async def decide(request: web.Request) -> web.Response:
        asked = {name: str(value) for name, value in (await request.post()).items()}
        if (refusal := _refusal(asked, tokens)) is not None:
            return refusal
        if asked.get("decision") != "approve":
            return _sent_back(asked, error="access_denied", error_description="The user said no")
        approval = Approval(
            asked["client_id"],
            asked["redirect_uri"],
            asked.get("code_challenge", ""),
            asked.get("scope", ""),
            asked.get("account", "") or ACCOUNT,
        )
        return _sent_back(asked, code=tokens.codes.issue(approval))

    return [web.get(path, show), web.post(path, decide)]


def _refusal(asked: Mapping[str, Any], tokens: Tokens) -> web.Response | None:
    """The answer to a request that can't be shown to anybody (RFC 6749, 4.1.2.1)."""
    if asked.get("client_id") not in CLIENT_IDS:
        return web.Response(status=400, text="There is no such client")
    if not may_redirect(asked.get("redirect_uri", ""), tokens.rules.redirect_uri):
        return web.Response(status=400, text="Invalid parameter: redirect_uri")
    return None if tokens.rules.plain else _refusal_of_details(asked)


def _refusal_of_details(asked: Mapping[str, Any]) -> web.Response | None:
    """The answer to a request that lacks what is more than who asks, and where to."""
    if asked.get("response_type") != "code":
        return _sent_back(asked, error="unsupported_response_type")
    if asked.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(
        asked.get("code_challenge", "")
    ):
        return _sent_back(asked, error="invalid_request", error_description="Missing PKCE (S256)")
    if unknown := set(asked.get("scope", "").split()) - SCOPES:
        return _sent_back(asked, error="invalid_scope", error_description=f"{sorted(unknown)}")
    return None


def _sent_back(asked: Mapping[str, Any], **answer: str) -> web.Response:
    if "state" in asked:
        answer["state"] = asked["state"]
    location = URL(asked["redirect_uri"]).update_query(answer)
    return web.Response(
        status=303, headers={"Location": str(location), "Cache-Control": "no-store"}
    )
