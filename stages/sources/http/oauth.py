"""OAuth 2.0 sign-in (RFC 6749) of a source: gets access tokens, and keeps its refresh token.

Grants: client credentials (4.4), or a refresh token (6) of an authorization-code sign-in.
"""

from __future__ import annotations

import hashlib
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
from pipeline.shared_mount import ensure_mounted
from pipeline.turns import Turn, Turns, taken
from stages.sources.http.client import HttpClient
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.token import AccessToken
from stages.sources.http.token_endpoint import GrantRefused, TokenEndpoint
from stages.sources.http.token_response import TokenResponse
from stages.sources.http.token_store import SharedAccess, StoredSignIn, TokenStore

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
#: Characters of an access token that is stored for other nodes, at most.
MAX_SHARED = 8192


class SignIn:
    """The sign-in of one source.

    A refresh token is good for one use and is answered with the next one, which is stored before
    anything is done with the access token that came with it. kept: the file for it.

    turns: of the nodes that share the file, in a cluster. One of them asks for a token at a time,
    and stores what it gets beside its refresh token, where the others find it.
    """

    def __init__(
        self,
        name: str,
        client: OAuthClient,
        http: HttpClient,
        kept: Path,
        turns: Turns | None = None,
    ) -> None:
        self._name = name
        self._client = client
        self._turns = turns
        self._endpoint = TokenEndpoint(name, client, http)
        self._store = TokenStore(name, kept, client, shared=turns is not None)
        #: The refresh token to use next, and the one that was last seen to be stored.
        self._current: StoredSignIn | None = None
        self._seen = StoredSignIn("")
        #: The latest access token: who asks again has no use for it.
        self._given = ""
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
        async with self._renewing, taken(self._turns, self._name) as turn:
            # A refresh token is used once: a cancellation must not keep the next one from being
            # stored.
            with anyio.CancelScope(shield=self._client.by_refresh_token):
                token = await self._token_of_others(turn) or await self._new_token(turn)
        self._given = token.value
        return token

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

    async def _token_of_others(self, turn: Turn) -> AccessToken | None:
        """The access token that another node has stored; None if there is none to be used."""
        if self._turns is None:
            return None
        try:
            await anyio.to_thread.run_sync(ensure_mounted, self._store.path.parent.parent)
        except OSError as error:
            # To renew it here would use it up for all others.
            raise RetryableError(
                f"source {self._name}",
                f"its sign-in is not there ({os_reason(error)})",
                "Mount the folder again; it will be retried",
            ) from None
        form = await anyio.to_thread.run_sync(self._adopted_form)
        found = await anyio.to_thread.run_sync(self._store.access)
        if found is None or not self._is_stored or found.token == self._given:
            return None
        lifetime = found.ends_at - turn.at
        if lifetime <= 0 or found.granted_to != self._granted_to(form):
            return None
        self._tried = form
        return AccessToken(found.token, lifetime, is_shared=True)

    async def _new_token(self, turn: Turn) -> AccessToken:
        granted = await self._granted(turn)
        lifetime = granted.lifetime - min(granted.lifetime * MARGIN_SHARE, MAX_MARGIN)
        access = None
        if self._turns is not None and len(granted.access_token) <= MAX_SHARED:
            assert self._tried is not None
            to = self._granted_to(self._tried)
            access = SharedAccess(granted.access_token, turn.at + lifetime, to)
        if self._client.by_refresh_token:
            self._take(granted, access)
            await self._store_renewed()
        elif access is not None:
            # Where that fails, other nodes ask for one of their own.
            with suppress(OSError):
                await anyio.to_thread.run_sync(self._store.share, access)
        return AccessToken(granted.access_token, lifetime)

    def _granted_to(self, form: Mapping[str, str]) -> str:
        """A hash of whom a token is granted to, and where: all but the refresh token."""
        asked = sorted((name, value) for name, value in form.items() if name != "refresh_token")
        text = repr((self._client.token_url, self._client.scope, asked))
        return hashlib.sha256(text.encode()).hexdigest()

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

    async def _granted(self, turn: Turn) -> TokenResponse:
        self._tried = None
        form = await anyio.to_thread.run_sync(self._adopted_form)
        for last in (False,) * (MAX_SIGN_INS - 1) + (True,):
            self._tried = form
            try:
                return await self._ask(form, turn)
            except SignInRefused:
                # Somebody may have signed in anew since the token was read.
                form = await anyio.to_thread.run_sync(self._adopted_form)
                if last or form == self._tried:
                    raise
        raise AssertionError  # the last one has raised

    async def _ask(self, form: Mapping[str, str], turn: Turn) -> TokenResponse:
        try:
            return await self._asked(form, turn)
        except RetryableError:
            if not (self._client.by_refresh_token and self._endpoint.is_unanswered):
                raise
        except GrantRefused as error:
            if turn.is_orphaned:
                raise _with_lost_answer(error) from None
            raise
        # The token may have been used up, and its answer is lost; many an issuer takes it once more
        # within a short time.
        try:
            return await self._asked(form, turn)
        except GrantRefused as error:
            raise _with_lost_answer(error) from None

    async def _asked(self, form: Mapping[str, str], turn: Turn) -> TokenResponse:
        if turn.is_over:
            raise RetryableError(
                f"source {self._name}",
                "this node was held up for so long that another one may renew the sign-in",
                "See what keeps the machine busy; it will be retried",
            )
        return await self._endpoint.ask(form)

    def _take(self, granted: TokenResponse, access: SharedAccess | None) -> None:
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
            access=access,
        )
        if is_new or access != current.access or _has_moved(current.ends_at, ends_at):
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

    def _in_force(self) -> tuple[StoredSignIn, StoredSignIn, bool]:
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
        if current is not None and (stored.is_same(self._seen) or stored.is_same(current)):
            return current, self._seen, self._is_stored
        return stored, stored, True

    def _keep(self) -> str:
        """Store the token. Returns why that is not possible, or ""."""
        current = self._current
        assert current is not None
        try:
            if self._store.renew(self._seen, current):
                self._seen = current
            else:
                self._current = None
                self._adopted_form()  # that of a new sign-in
        except OSError as error:
            return f"{self._store.path}: {os_reason(error)}"
        return ""


def _with_lost_answer(error: GrantRefused) -> GrantRefused:
    lost = "the answer with the next refresh token was lost on its way"
    return GrantRefused(error.subject, f"{error.reason}; {lost}", error.remedy)


def _has_moved(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is not now
    return abs(now - before) >= MIN_SHIFT
