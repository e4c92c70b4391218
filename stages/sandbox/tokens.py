"""OAuth 2.0 token endpoint (RFC 6749) of the sandbox.

Grants: client credentials, authorization code and refresh token. A refresh token is good for one
use, which brings the next one.
"""

from __future__ import annotations

import base64
import json
import math
import secrets
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from stages.sandbox.codes import CodeRefused, Codes

TOKEN_PATH = "/auth/realms/sandbox/protocol/openid-connect/token"  # noqa: S105 - a path
#: Seconds that an access token is valid.
LIFETIME = 300
CLIENT_ID = "synqup-sandbox"
#: A client without a secret, for sign-ins by a person.
PUBLIC_CLIENT_ID = "synqup-sandbox-public"
CLIENT_IDS = (CLIENT_ID, PUBLIC_CLIENT_ID)
#: Seconds that a refresh token is valid which was granted without the scope offline_access.
SESSION = 1800.0
#: The scope that has a sign-in outlive the session of its browser, and the one of an ID token.
OFFLINE, OPENID = "offline_access", "openid"


class IssuerRules(Struct, frozen=True):
    """What the issuer of a sandbox does where issuers differ.

    refresh_lifetime: seconds that a refresh token is valid; 0: it does not end. grace: seconds in
    which a used one is taken once more. revokes_reused: whether a used one that comes again, after
    the grace, ends the whole sign-in (RFC 9700, 4.14.2). states_end: whether it says when a refresh
    token ends. redirect_uri: the one that is registered; empty for any on this machine.
    access_lifetime: seconds that an access token is valid. plain: whether it needs no PKCE, no
    response_type and no scope, and grants nothing for client credentials.
    """

    refresh_lifetime: float = 30 * 86_400.0
    grace: float = 0.0
    revokes_reused: bool = False
    states_end: bool = True
    redirect_uri: str = ""
    access_lifetime: int = LIFETIME
    plain: bool = False


class _SignIn:
    """One sign-in of a person: the refresh tokens that follow each other."""

    def __init__(self, account: str, lifetime: float, is_open_id: bool) -> None:
        self.account = account
        self.lifetime = lifetime
        self.is_open_id = is_open_id
        self.is_revoked = False
        self.current = ""
        self.until = math.inf


class Tokens:
    """Issues tokens and knows which are valid.

    client_secret and the first refresh token follow from the seed, so that a configuration
    outlives a restart of the sandbox; what is issued doesn't. codes: of the authorization page.
    """

    def __init__(self, seed: int, rules: IssuerRules | None = None) -> None:
        self.rules = rules or IssuerRules()
        self.codes = Codes()
        self.client_secret = _derived("client secret", seed)
        self.refresh_token = _derived("refresh token", seed)
        self._expiry: dict[str, float] = {}
        self._owner: dict[str, _SignIn] = {}
        #: The sign-ins by all of their refresh tokens, used ones with the time of their use.
        self._sign_ins = {self.refresh_token: _SignIn("", self.rules.refresh_lifetime, False)}
        self._sign_ins[self.refresh_token].current = self.refresh_token
        self._used: dict[str, float] = {}
        self._by_code: dict[str, _SignIn] = {}

    def valid(self, authorization: str) -> bool:
        """Whether an Authorization header bears a token that has not expired (RFC 6750, 2.1)."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._expiry.get(token, 0) > time.monotonic()

    def revoke(self) -> None:
        """Make all access tokens invalid that have been issued so far."""
        self._expiry.clear()

    def revoke_sign_ins(self) -> None:
        """End all sign-ins of people so far, with their access tokens."""
        for one in list(self._sign_ins.values()):
            self._revoke(one)

    def answer(self, form: Mapping[str, Any]) -> web.Response:
        """Answer a token request (RFC 6749, 5.1 and 5.2)."""
        if not self._is_client(form):
            return _refusal(401, "invalid_client", "Invalid client or Invalid client credentials")
        match form.get("grant_type"):
            case "client_credentials" if self._is_confidential(form):
                return web.json_response(self._grant(None))
            case "authorization_code":
                return self._answer_code(form)
            case "refresh_token":
                return self._answer_refresh(str(form.get("refresh_token", "")))
            case "client_credentials" if not self.rules.plain:
                return _refusal(400, "unauthorized_client", "Public client not allowed")
            case _:
                return _refusal(400, "unsupported_grant_type", "Unsupported grant_type")

    def _is_confidential(self, form: Mapping[str, Any]) -> bool:
        return form.get("client_id") == CLIENT_ID and not self.rules.plain

    def _is_client(self, form: Mapping[str, Any]) -> bool:
        if form.get("client_id") == PUBLIC_CLIENT_ID:
            return True
        sent = str(form.get("client_secret", "")).encode()
        return form.get("client_id") == CLIENT_ID and secrets.compare_digest(
            sent, self.client_secret.encode()
        )

    def _answer_code(self, form: Mapping[str, Any]) -> web.Response:
        try:
            approval = self.codes.redeem(form)
        except CodeRefused as refused:
            if refused.used in self._by_code:
                # Somebody else may have got hold of it (RFC 6749, 4.1.2).
                self._revoke(self._by_code[refused.used])
            return _refusal(400, "invalid_grant", str(refused))
        scopes = approval.scope.split()
        is_lasting = self.rules.plain or OFFLINE in scopes
        lifetime = self.rules.refresh_lifetime if is_lasting else SESSION
        one = _SignIn(approval.account, lifetime, OPENID in scopes)
        self._by_code[str(form["code"])] = one
        return web.json_response(self._grant(one))

    def _answer_refresh(self, token: str) -> web.Response:
        one = self._sign_ins.get(token)
        now = time.monotonic()
        if one is None or one.is_revoked:
            return _refusal(400, "invalid_grant", "Invalid refresh token")
        if token in self._used and now > self._used[token]:
            if self.rules.revokes_reused:
                self._revoke(one)
            return _refusal(400, "invalid_grant", "Maximum allowed refresh token reuse exceeded")
        if now > one.until:
            return _refusal(400, "invalid_grant", "Token is not active")
        # Once more within the grace, and not a third time.
        is_again = token in self._used
        self._used[token] = 0.0 if is_again else now + self.rules.grace
        if is_again:
            self._used[one.current] = 0.0  # its answer was lost
        return web.json_response(self._grant(one))

    def _revoke(self, one: _SignIn) -> None:
        one.is_revoked = True
        for token in [token for token, owner in self._owner.items() if owner is one]:
            self._expiry.pop(token, None)

    def _grant(self, one: _SignIn | None) -> dict[str, Any]:
        now = time.monotonic()
        self._expiry = {token: until for token, until in self._expiry.items() if until > now}
        self._owner = {token: who for token, who in self._owner.items() if token in self._expiry}
        token = secrets.token_urlsafe(32)
        lifetime = self.rules.access_lifetime
        self._expiry[token] = now + lifetime
        granted = {"access_token": token, "expires_in": lifetime, "token_type": "Bearer"}
        if one is None:
            return granted
        self._owner[token] = one
        one.current = secrets.token_urlsafe(32)
        one.until = now + one.lifetime if one.lifetime else math.inf
        self._sign_ins[one.current] = one
        granted["refresh_token"] = one.current
        if self.rules.states_end:
            granted["refresh_expires_in"] = round(one.lifetime)
        if one.is_open_id:
            granted["id_token"] = _id_token(one.account)
        return granted


def authorised(tokens: Tokens) -> Middleware:
    """Middleware that refuses requests without a valid bearer token."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not tokens.valid(request.headers.get("Authorization", "")):
            raise web.HTTPUnauthorized(
                text="A valid bearer token is needed", headers={"WWW-Authenticate": "Bearer"}
            )
        return await handler(request)

    return check


def _id_token(account: str) -> str:
    """An unsigned ID token (RFC 7519, 6), for the name of the account in it."""
    parts = ({"alg": "none"}, {"preferred_username": account, "sub": _derived(account, 0)})
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    ]
    return ".".join([*encoded, ""])


def _derived(what: str, seed: int) -> str:
    return blake2b(f"{what} {seed}".encode(), digest_size=20).hexdigest()


def _refusal(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)
