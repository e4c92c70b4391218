"""OAuth 2.0 token endpoint (RFC 6749) of the sandbox: client credentials and refresh token."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

TOKEN_PATH = "/auth/realms/sandbox/protocol/openid-connect/token"  # noqa: S105 - a path
#: Seconds that an access token is valid.
LIFETIME = 300
CLIENT_ID = "synqup-sandbox"


class Tokens:
    """Issues access tokens and knows which are valid.

    client_secret and the first refresh token follow from the seed, so that a configuration
    outlives a restart of the sandbox; access tokens don't.
    """

    def __init__(self, seed: int) -> None:
        self.client_secret = _derived("client secret", seed)
        self.refresh_token = _derived("refresh token", seed)
        self._expiry: dict[str, float] = {}

    def valid(self, authorization: str) -> bool:
        """Whether an Authorization header bears a token that has not expired (RFC 6750, 2.1)."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._expiry.get(token, 0) > time.monotonic()

    def revoke(self) -> None:
        """Make all tokens invalid that have been issued so far."""
        self._expiry.clear()

    def answer(self, form: Mapping[str, Any]) -> web.Response:
        """Answer a token request (RFC 6749, 5.1 and 5.2)."""
        sent = str(form.get("client_secret", "")).encode()
        if form.get("client_id") != CLIENT_ID or not secrets.compare_digest(
            sent, self.client_secret.encode()
        ):
            return _refusal(401, "invalid_client", "Invalid client or Invalid client credentials")
        match form.get("grant_type"):
            case "client_credentials":
                return web.json_response(self._grant())
            case "refresh_token":
                if form.get("refresh_token") != self.refresh_token:
                    return _refusal(400, "invalid_grant", "Invalid refresh token")
                # Rotation: the old one has been used and is not valid any more.
                self.refresh_token = secrets.token_urlsafe(32)
                return web.json_response(
                    self._grant() | {"refresh_token": self.refresh_token, "refresh_expires_in": 0}
                )
            case _:
                return _refusal(400, "unsupported_grant_type", "Unsupported grant_type")

    def _grant(self) -> dict[str, Any]:
        now = time.monotonic()
        self._expiry = {token: until for token, until in self._expiry.items() if until > now}
        token = secrets.token_urlsafe(32)
        self._expiry[token] = now + LIFETIME
        return {"access_token": token, "expires_in": LIFETIME, "token_type": "Bearer"}


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


def _derived(what: str, seed: int) -> str:
    return blake2b(f"{what} {seed}".encode(), digest_size=20).hexdigest()


def _refusal(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)
