"""Signs in at a source: asks its token endpoint for an access token.

OAuth 2.0 (RFC 6749): client credentials (4.4), or a refresh token (6) that an authorisation-code
sign-in has left behind.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog
from msgspec import Raw, Struct
from yarl import URL

from pipeline.config.secrets import (
    SecretMissing,
    read_private_file,
    read_secret,
    store_secret,
    write_private_file,
)
from pipeline.config.types import Secret
from pipeline.errors import RetryableError, SignInRefused, SourceError
from stages.sources.http.client import UNREADABLE, Http, refuse
from stages.sources.http.headers import quoted
from stages.sources.http.token import Credential

log = structlog.get_logger(__name__)

#: A token is renewed when this share of its life is left, and at most so many seconds before.
MARGIN_SHARE = 0.2
MARGIN_MOST = 60.0
#: Seconds that a token is taken to live whose server does not say.
LIFE = 300.0
#: Seconds after which a token is renewed, however long it is said to live.
LONGEST_LIFE = 86_400.0
#: Bytes that an answer may have: a token is a few thousand.
LIMIT = 100_000
#: RFC 6750, 2.1, and whatever else may stand in a header.
TOKEN = re.compile(r"[!-~]{1,16384}")
#: RFC 6749, A.17.
REFRESH_TOKEN = re.compile(r"[ -~]{1,16384}")
#: Statuses of an address that knows nothing of sign-ins.
NO_TOKENS = (404, 405, 410)


class Client(Struct, frozen=True):
    """What a source's configuration says of its sign-in."""

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str
    refresh_token: Secret | None = None


class Granted(Struct):
    """The answer of a token endpoint (RFC 6749, 5.1)."""

    access_token: str
    expires_in: Raw = Raw()
    refresh_token: str | None = None

    @property
    def life(self) -> float:
        """Seconds that the token lives; LIFE where what is stated is no such number."""
        try:
            life = float(bytes(self.expires_in).strip(b'"'))
        except ValueError:
            return LIFE
        return LIFE if math.isnan(life) else min(life, LONGEST_LIFE)


class SignIn:
    """The sign-in of one source.

    kept: where a renewed refresh token goes whose own place can't be written to.
    """

    def __init__(self, name: str, client: Client, http: Http, kept: Path) -> None:
        self._name = name
        self._client = client
        self._http = http
        self._kept = kept
        #: The refresh token as it was last read where it is configured, and the one that the
        #: server gave us in its place.
        self._configured = ""
        self._renewed = ""
        self._stored = True
        self._told = False

    async def grant(self) -> Credential:
        """An access token, good until shortly before it expires.

        SignInRefused, SourceError, SourceUnavailable or RetryableError.
        """
        # A refresh token is used once: whoever asks has to keep the next one, come what may.
        with anyio.CancelScope(shield=self._client.refresh_token is not None):
            granted = await self._ask(await anyio.to_thread.run_sync(self._form))
            if self._client.refresh_token is not None:
                if granted.refresh_token and granted.refresh_token != self._renewed:
                    self._renewed, self._stored = granted.refresh_token, False
                await self._store()
        life = granted.life
        return Credential(granted.access_token, life - min(life * MARGIN_SHARE, MARGIN_MOST))

    def read_secrets(self) -> None:
        """Read what a sign-in needs. Raises SecretMissing."""
        self._form()

    async def close(self) -> None:
        """Try a last time to store a refresh token that could not be stored."""
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

    async def _ask(self, form: dict[str, str]) -> Granted:
        subject = f"source {self._name}"
        response = await self._http.send(
            "POST", URL(self._client.token_url), subject=subject, data=form
        )
        async with response:
            if response.status != 200:
                error = await refuse(response, subject)
                if isinstance(error, RetryableError):
                    raise error
                if response.status in NO_TOKENS:
                    raise SourceError(
                        subject,
                        f"there are no tokens at the token address ({response.status})",
                        "Check token_url",
                    )
                raise SignInRefused(subject, f"the sign-in was refused: {quoted(error.reason)}")
            body = await self._http.read(response, LIMIT, subject)
        try:
            granted = msgspec.json.decode(body, type=Granted, strict=False)
        except UNREADABLE:
            granted = Granted("")
        if not TOKEN.fullmatch(granted.access_token):
            raise SourceError(
                subject, "the token address did not answer with a token", "Check token_url"
            )
        if granted.refresh_token and not REFRESH_TOKEN.fullmatch(granted.refresh_token):
            raise SourceError(
                subject, "the token address gave a refresh token that is none", "Check token_url"
            )
        return granted

    def _refresh_token(self) -> str:
        """The configured refresh token, or the one that the server gave us in its place."""
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
        # Kept together with the one it replaced: a newly configured token goes before it.
        replaced, _, renewed = read_private_file(self._kept).partition("\n")
        self._configured = configured
        self._renewed = renewed if replaced == configured and renewed else configured
        self._stored = True
        return self._renewed

    async def _store(self) -> None:
        """Store a renewed refresh token; where that fails it is held, and tried again later."""
        if self._stored:
            return
        trouble = await anyio.to_thread.run_sync(self._keep)
        self._stored = not trouble
        if trouble and not self._told:
            log.error(
                "the renewed refresh token can't be stored",
                source=self._name,
                reason=trouble,
                remedy="Make room, or let this account write there: synqup goes on with it until it"
                " ends, and needs a new sign-in then",
            )
        elif self._told and not trouble:
            log.info("the renewed refresh token is stored", source=self._name)
        self._told = bool(trouble)

    def _keep(self) -> str:
        """Write it down; why that is not possible, or nothing."""
        assert self._client.refresh_token is not None
        try:
            configured = read_secret(self._client.refresh_token)
        except SecretMissing:
            configured = ""
        if configured and configured not in (self._configured, self._renewed):
            return ""  # Somebody has signed in anew meanwhile, and ours is of no use any more.
        if configured and store_secret(self._client.refresh_token, self._renewed):
            return ""
        try:
            write_private_file(self._kept, f"{self._configured}\n{self._renewed}")
        except OSError as error:
            return f"{self._kept}: {error.strerror or error}"
        return ""
