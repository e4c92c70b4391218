"""OAuth 2.0 client (RFC 6749): gets access tokens from the token endpoint of a source.

Grants: client credentials (4.4), or a refresh token (6) of an authorisation-code sign-in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
import structlog
from msgspec import Struct, json, structs
from yarl import URL

from pipeline.config.secrets import (
    SecretMissing,
    read_private_file,
    read_secret,
    store_secret,
    write_private_file,
)
from pipeline.config.types import Secret
from pipeline.errors import RetryableError, SignInRefused, SourceError, WebPage
from pipeline.files import os_reason
from stages.sources.http import lenient_json
from stages.sources.http.client import HttpClient, status_error
from stages.sources.http.headers import quoted
from stages.sources.http.lenient_json import JSON_ERRORS, as_utf8
from stages.sources.http.token import AccessToken

log = structlog.get_logger(__name__)

#: A token is renewed when this share of its lifetime is left, but at most so many seconds early.
MARGIN_SHARE = 0.2
MAX_MARGIN = 60.0
#: Lifetime in seconds of a token whose server does not state it.
DEFAULT_LIFETIME = 300.0
#: Seconds for which a token is used at least, and at most, whatever lifetime is stated: none may
#: cost a sign-in for each request.
MIN_LIFETIME = 10.0
MAX_LIFETIME = 86_400.0
#: Bytes of an answer, at most; a token has a few thousand.
MAX_RESPONSE_BYTES = 100_000
#: Members of an answer that are looked into.
MAX_FIELDS = 100
#: What some put before the token, although the header has it anyway.
SCHEME = re.compile(r"^Bearer\s+", re.IGNORECASE)
#: RFC 6750, 2.1, and every other character that a header may hold.
TOKEN = re.compile(r"[!-~]{1,16384}")
#: RFC 6749, A.17.
REFRESH_TOKEN = re.compile(r"[ -~]{1,16384}")
#: How issuers name the lifetime of a refresh token in seconds, which RFC 6749 leaves out:
#: Keycloak; Microsoft, GitHub and others; Intuit.
REFRESH_LIFETIMES = (
    "refresh_expires_in",
    "refresh_token_expires_in",
    "x_refresh_token_expires_in",
)
#: The longest that counts: more stands for "never".
MAX_REFRESH_LIFETIME = 100 * 365 * 86_400.0
#: Statuses of an address that is no token endpoint.
NO_TOKENS = (404, 405, 410)


class OAuthClient(Struct, frozen=True):
    """The credentials of a source, as configured."""

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str
    refresh_token: Secret | None = None


class TokenResponse(Struct, frozen=True):
    """The answer of a token endpoint (RFC 6749, 5.1).

    lifetime: of the token in seconds. refresh_token: the next one, empty if none came.
    refresh_lifetime: seconds until a refresh token ends; None where the server does not say so, or
    it never does.
    """

    access_token: str
    lifetime: float
    refresh_token: str
    refresh_lifetime: float | None = None


def read_token_response(body: bytes) -> TokenResponse:
    """Read an answer. Whatever stands there besides the token, the token is used."""
    given = _members(as_utf8(body))
    token = (lenient_json.word(given.get("access_token")) or "").strip()
    return TokenResponse(
        SCHEME.sub("", token),
        _lifetime(lenient_json.text(given.get("expires_in"))),
        lenient_json.text(given.get("refresh_token")) or "",
        _refresh_lifetime(given),
    )


def _members(body: bytes) -> Mapping[str, bytes]:
    """The members of the object that holds the token: the answer itself, or one inside it."""
    try:
        if body.startswith(b"["):
            (body,) = map(bytes, lenient_json.elements(body))
        given = lenient_json.members(body)
    except JSON_ERRORS:
        # Some answer in the form in which they were asked.
        return _form_members(body.decode("utf-8", "replace"))
    inside = () if "access_token" in given else given.values()
    for value in islice((one for one in inside if one.startswith(b"{")), MAX_FIELDS):
        with suppress(*JSON_ERRORS):
            found = lenient_json.members(value)
            if "access_token" in found:
                return found
    return given


def _form_members(text: str) -> Mapping[str, bytes]:
    try:
        return {
            one: json.encode(value) for one, value in parse_qsl(text, max_num_fields=MAX_FIELDS)
        }
    except ValueError:  # there are more
        return {}


def _lifetime(stated: str | None) -> float:
    """The lifetime of a token, DEFAULT_LIFETIME if none of use is stated.

    A token that has expired earlier is answered with 401, and renewed then.
    """
    try:
        lifetime = float(stated or "")
    except ValueError:
        return DEFAULT_LIFETIME
    if not lifetime > 0:  # also NaN
        return DEFAULT_LIFETIME
    return min(max(lifetime, MIN_LIFETIME), MAX_LIFETIME)


def _refresh_lifetime(given: Mapping[str, bytes]) -> float | None:
    stated = (lenient_json.text(given.get(name)) for name in REFRESH_LIFETIMES)
    try:
        lifetime = float(next((one for one in stated if one), ""))
    except ValueError:
        return None
    # Zero stands for a token that does not end (Keycloak's offline tokens).
    return lifetime if 0 < lifetime <= MAX_REFRESH_LIFETIME else None


class SignIn:
    """The sign-in of one source.

    A refresh token is good for one use and is answered with the next one, which is stored in place
    of the configured one. kept: the file for it where the configured place can't be written to.
    """

    def __init__(self, name: str, client: OAuthClient, http: HttpClient, kept: Path) -> None:
        self._name = name
        self._client = client
        self._http = http
        self._kept = kept
        #: The refresh token as it was last read from the configured place, and the token with
        #: which the server has replaced it.
        self._configured = ""
        self._renewed = ""
        self._stored = True
        self._told = False
        #: When the refresh token ends, in seconds since 1970; None if that is not known.
        self.ends_at: float | None = None

    async def grant(self) -> AccessToken:
        """Get a new access token; its lifetime ends shortly before it expires.

        SignInRefused, SourceError, SourceUnavailable or RetryableError.
        """
        # A refresh token is used once: a cancellation must not keep the next one from being stored.
        with anyio.CancelScope(shield=self._client.refresh_token is not None):
            granted = await self._ask(await anyio.to_thread.run_sync(self._form))
            if self._client.refresh_token is not None:
                self._note_end(granted)
                if granted.refresh_token and granted.refresh_token != self._renewed:
                    self._renewed, self._stored = granted.refresh_token, False
                await self._store()
        lifetime = granted.lifetime
        return AccessToken(
            granted.access_token, lifetime - min(lifetime * MARGIN_SHARE, MAX_MARGIN)
        )

    def _note_end(self, granted: TokenResponse) -> None:
        """Keep when the refresh token ends: of a new one nothing is known but what is stated."""
        if granted.refresh_lifetime is not None:
            self.ends_at = time.time() + granted.refresh_lifetime
        elif granted.refresh_token and granted.refresh_token != self._renewed:
            self.ends_at = None

    def read_secrets(self) -> None:
        """Check that all secrets can be read. Raises SecretMissing."""
        self._form()

    async def close(self) -> None:
        """Try a last time to store a refresh token that could not be stored so far."""
        with anyio.CancelScope(shield=True):
            await self._store()

    def _form(self) -> dict[str, str]:
        form = {
            "client_id": self._client.client_id,
            "client_secret": read_secret(self._client.client_secret),
        }
        if self._client.refresh_token is None:
            return {**form, "grant_type": "client_credentials", "scope": self._client.scope}
        return {**form, "grant_type": "refresh_token", "refresh_token": self._refresh_token()}

    async def _ask(self, form: dict[str, str]) -> TokenResponse:
        subject = f"source {self._name}"
        response = await self._http.send(
            "POST", URL(self._client.token_url), subject=subject, data=form
        )
        async with response:
            if not 200 <= response.status < 300:
                error = await status_error(response, subject)
                if isinstance(error, RetryableError):
                    raise error
                if response.status in NO_TOKENS:
                    raise SourceError(
                        subject,
                        f"there are no tokens at the token address ({response.status})",
                        "Check token_url",
                    )
                raise SignInRefused(subject, f"the sign-in was refused: {quoted(error.reason)}")
            try:
                body = await self._http.read(response, MAX_RESPONSE_BYTES, subject)
            except WebPage:
                body = b""
        granted = read_token_response(body)
        if not TOKEN.fullmatch(granted.access_token):
            raise SourceError(
                subject, "the token address did not answer with a token", "Check token_url"
            )
        if granted.refresh_token and not REFRESH_TOKEN.fullmatch(granted.refresh_token):
            # The access token is good all the same; and so may be the refresh token in use.
            log.warning(
                "the token address answered with an invalid refresh token", source=self._name
            )
            return structs.replace(granted, refresh_token="")
        return granted

    def _refresh_token(self) -> str:
        """The configured refresh token, or the one with which the server has replaced it."""
        assert self._client.refresh_token is not None
        try:
            configured = read_secret(self._client.refresh_token)
        except SecretMissing:
            if not self._renewed:
                raise
            return self._renewed
        if self._renewed and configured in (self._configured, self._renewed):
            self._configured = configured
            return self._renewed
        # It is stored with the token it replaced, as a newly configured token takes precedence.
        replaced, _, renewed = read_private_file(self._kept).partition("\n")
        self._configured = configured
        self._renewed = renewed if replaced == configured and renewed else configured
        self._stored, self.ends_at = True, None
        return self._renewed

    async def _store(self) -> None:
        """Store a renewed refresh token; if that fails it is kept in memory, and retried later."""
        if self._stored:
            return
        trouble = await anyio.to_thread.run_sync(self._keep)
        self._stored = not trouble
        if trouble and not self._told:
            log.error(
                "the renewed refresh token can't be stored",
                source=self._name,
                reason=trouble,
                remedy="Make room, or let this account write there; synqup uses the token until it"
                " stops, and needs a new sign-in after that",
            )
        elif self._told and not trouble:
            log.info("the renewed refresh token is stored", source=self._name)
        self._told = bool(trouble)

    def _keep(self) -> str:
        """Write the token to its place. Returns why that is not possible, or ""."""
        assert self._client.refresh_token is not None
        try:
            configured = read_secret(self._client.refresh_token)
        except SecretMissing:
            configured = ""
        if configured and configured not in (self._configured, self._renewed):
            return ""  # A new sign-in has been configured meanwhile; the renewed token is obsolete.
        if configured and store_secret(self._client.refresh_token, self._renewed):
            return ""
        try:
            write_private_file(self._kept, f"{self._configured}\n{self._renewed}")
        except OSError as error:
            return f"{self._kept}: {os_reason(error)}"
        return ""
