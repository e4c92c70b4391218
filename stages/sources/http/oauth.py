"""OAuth 2.0 sign-in (RFC 6749) of a source: gets access tokens, and keeps its refresh token.

Grants: client credentials (4.4), or a refresh token (6) of an authorization-code sign-in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from msgspec import structs

from pipeline.errors import RetryableError, SignInRefused, SynqupError
from pipeline.files import os_reason
from stages.sources.http.client import HttpClient
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.token import AccessToken
from stages.sources.http.token_endpoint import GrantRefused, TokenEndpoint
from stages.sources.http.token_response import TokenResponse
from stages.sources.http.token_store import StoredSignIn, TokenStore

log = structlog.get_logger(__name__)

#: A token is renewed when this share of its lifetime is left, but at most so many seconds early.
MARGIN_SHARE = 0.2
MAX_MARGIN = 60.0
#: Tokens of new sign-ins that are tried in one grant, at most.
MAX_SIGN_INS = 3
#: Seconds by which the end of a sign-in has to move to be stored again.
MIN_SHIFT = 60.0
#: Seconds between two looks at whether somebody has signed in anew.
CHECK_INTERVAL = 2.0


class SignIn:
    """The sign-in of one source.

    A refresh token is good for one use and is answered with the next one, which is stored before
    anything is done with the access token that came with it. kept: the file for it.
    """

    def __init__(self, name: str, client: OAuthClient, http: HttpClient, kept: Path) -> None:
        self._name = name
        self._client = client
        self._endpoint = TokenEndpoint(name, client, http)
        self._store = TokenStore(name, kept, client)
        #: The refresh token to use next, and the one that was last seen to be stored.
        self._current: StoredSignIn | None = None
        self._seen = ""
        self._is_stored = True
        self._is_told = False
        #: Whoever replaces the token holds it.
        self._renewing = anyio.Lock()
        #: The credentials of the latest grant, or those that it has brought.
        self._tried: Mapping[str, str] | None = None

    @property
    def ends_at(self) -> float | None:
        """When the refresh token ends, in seconds since 1970; None if that is not known."""
        return self._current.ends_at if self._current is not None else None

    async def grant(self) -> AccessToken:
        """Get a new access token; its lifetime ends shortly before it expires.

        SignInRefused, SourceError, SourceUnavailable or RetryableError.
        """
        # A refresh token is used once: a cancellation must not keep the next one from being stored.
        async with self._renewing:
            with anyio.CancelScope(shield=self._client.by_refresh_token):
                granted = await self._granted()
                if self._client.by_refresh_token:
                    self._take(granted)
                    await self._store_renewed()
        lifetime = granted.lifetime
        return AccessToken(
            granted.access_token, lifetime - min(lifetime * MARGIN_SHARE, MAX_MARGIN)
        )

    async def renewed_by_user(self) -> None:
        """Return when the credentials are no more those of the latest grant, which was refused."""
        while True:
            await anyio.sleep(CHECK_INTERVAL)
            with suppress(SynqupError):
                if await anyio.to_thread.run_sync(self._next_form) != self._tried:
                    return

    def read_secrets(self) -> None:
        """Check that all secrets can be read. Raises SecretMissing or NotSignedIn."""
        self._endpoint.form({})
        self._next_form()

    async def synchronise(self) -> None:
        """Store a renewed refresh token that is not stored yet; adopt that of a new sign-in.

        What can't be stored stays in memory, and is tried again.
        """
        if not self._client.by_refresh_token:
            return
        async with self._renewing:
            await self._store_renewed()
            with suppress(SynqupError):  # the next grant tells it
                await anyio.to_thread.run_sync(self._adopt)

    async def close(self) -> None:
        """Try a last time to store a refresh token that could not be stored so far."""
        with anyio.CancelScope(shield=True):
            async with self._renewing:
                await self._store_renewed()

    async def _store_renewed(self) -> None:
        if self._is_stored:
            return
        trouble = await anyio.to_thread.run_sync(self._keep)
        self._is_stored = not trouble
        if trouble and not self._is_told:
            log.error(
                "the renewed refresh token can't be stored",
                source=self._name,
                reason=trouble,
                remedy="Make room, or let this account write there; synqup uses the token until it"
                " stops, and needs a new sign-in after that",
            )
        elif self._is_told and not trouble:
            log.info("the renewed refresh token is stored", source=self._name)
        self._is_told = bool(trouble)

    async def _granted(self) -> TokenResponse:
        self._tried = None
        form = await anyio.to_thread.run_sync(self._adopted_form)
        for last in (False,) * (MAX_SIGN_INS - 1) + (True,):
            self._tried = form
            try:
                return await self._ask(form)
            except SignInRefused:
                # Somebody may have signed in anew since the token was read.
                form = await anyio.to_thread.run_sync(self._adopted_form)
                if last or form == self._tried:
                    raise
        raise AssertionError  # the last one has raised

    async def _ask(self, form: Mapping[str, str]) -> TokenResponse:
        try:
            return await self._endpoint.ask(form)
        except RetryableError:
            if not (self._client.by_refresh_token and self._endpoint.is_unanswered):
                raise
        # The token may have been used up, and its answer is lost; many an issuer takes it once more
        # within a short time.
        try:
            return await self._endpoint.ask(form)
        except GrantRefused as error:
            lost = "the answer with the next refresh token was lost on its way"
            raise GrantRefused(error.subject, f"{error.reason}; {lost}", error.remedy) from None

    def _take(self, granted: TokenResponse) -> None:
        """Go on with what an answer brings: of a new token nothing is known but what is stated."""
        current = self._current
        assert current is not None
        is_new = granted.refresh_token not in ("", current.refresh_token)
        ends_at = None if is_new else current.ends_at
        if granted.refresh_lifetime is not None:
            ends_at = time.time() + granted.refresh_lifetime
        self._current = structs.replace(
            current,
            refresh_token=granted.refresh_token or current.refresh_token,
            ends_at=ends_at,
            account=granted.account or current.account,
        )
        if is_new or _has_moved(current.ends_at, ends_at):
            self._is_stored = False
        assert self._tried is not None
        self._tried = {**self._tried, "refresh_token": self._current.refresh_token}

    def _next_form(self) -> dict[str, str]:
        """What the next request would be. Raises SignInRefused if a secret can't be read."""
        if not self._client.by_refresh_token:
            grant = {"grant_type": "client_credentials", "scope": self._client.scope}
            return self._endpoint.form({name: value for name, value in grant.items() if value})
        token = self._in_force()[0].refresh_token
        return self._endpoint.form({"grant_type": "refresh_token", "refresh_token": token})

    def _adopted_form(self) -> dict[str, str]:
        """As _next_form(), and adopt the token that is in force."""
        if self._client.by_refresh_token:
            self._adopt()
        return self._next_form()

    def _adopt(self) -> None:
        self._current, self._seen, self._is_stored = self._in_force()

    def _in_force(self) -> tuple[StoredSignIn, str, bool]:
        """The token to use, the one that is stored, and whether it is the same.

        One that could not be stored is used, unless somebody has signed in meanwhile.
        """
        current = self._current
        try:
            stored = self._store.read()
        except SignInRefused:
            if current is None:
                raise
            return current, self._seen, self._is_stored
        if current is not None and stored.refresh_token in (self._seen, current.refresh_token):
            return current, self._seen, self._is_stored
        return stored, stored.refresh_token, True

    def _keep(self) -> str:
        """Store the token. Returns why that is not possible, or ""."""
        current = self._current
        assert current is not None
        try:
            if self._store.renew(self._seen, current):
                self._seen = current.refresh_token
            else:
                self._current = None
                self._adopted_form()  # that of a new sign-in
        except OSError as error:
            return f"{self._store.path}: {os_reason(error)}"
        return ""


def _has_moved(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(now - before) >= MIN_SHIFT
