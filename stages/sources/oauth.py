"""Signs in at a source: asks its token endpoint for an access token.

OAuth 2.0 (RFC 6749): client credentials (4.4), or a refresh token (6) that an authorisation-code
sign-in has left behind.
"""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import structlog
from msgspec import Struct
from yarl import URL

from pipeline.config import Secret
from pipeline.errors import PassingError, SignInRefused, SourceError
from pipeline.secrets import keep_secret, read_secret
from stages.sources.http import Http, quoted, refuse
from stages.sources.token import Credential

log = structlog.get_logger(__name__)

#: A token is renewed when this share of its life is left, and at most so many seconds before.
MARGIN_SHARE = 0.2
MARGIN_MOST = 60.0
#: Seconds that a token is taken to live whose server does not say.
LIFE = 300.0
#: Bytes that an answer may have: a token is a few thousand.
LIMIT = 100_000
#: RFC 6750, 2.1, and whatever else may stand in a header.
TOKEN = re.compile(r"[!-~]+")
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
    expires_in: float = LIFE
    refresh_token: str | None = None


class SignIn:
    """The sign-in of one source.

    kept: where a renewed refresh token goes whose own place can't be written to.
    """

    def __init__(self, name: str, client: Client, http: Http, kept: Path) -> None:
        self._name = name
        self._client = client
        self._http = http
        self._kept = Secret(file=str(kept))

    async def grant(self) -> Credential:
        """An access token, good until shortly before it expires.

        SignInRefused, SourceError, SourceUnreachable or PassingError.
        """
        # A refresh token is used once: whoever asks has to keep the next one, come what may.
        with anyio.CancelScope(shield=self._client.refresh_token is not None):
            granted = await self._ask(await anyio.to_thread.run_sync(self._form))
            if granted.refresh_token:
                await anyio.to_thread.run_sync(self._keep, granted.refresh_token)
        life = granted.expires_in
        return Credential(granted.access_token, life - min(life * MARGIN_SHARE, MARGIN_MOST))

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
                if isinstance(error, PassingError):
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
        except msgspec.DecodeError:
            granted = Granted("")
        if not TOKEN.fullmatch(granted.access_token):
            raise SourceError(
                subject, "the token address did not answer with a token", "Check token_url"
            )
        return granted

    def _refresh_token(self) -> str:
        """The configured refresh token, or the one that the server gave us in its place."""
        assert self._client.refresh_token is not None
        configured = read_secret(self._client.refresh_token)
        kept = Path(self._kept.file or "")
        if not kept.exists():
            return configured
        # Kept together with the one it replaced: a newly configured token goes before it.
        replaced, _, renewed = read_secret(self._kept).partition("\n")
        return renewed if replaced == configured else configured

    def _keep(self, refresh_token: str) -> None:
        if self._client.refresh_token is None:
            return
        configured = read_secret(self._client.refresh_token)
        if refresh_token == configured or keep_secret(self._client.refresh_token, refresh_token):
            return
        Path(self._kept.file or "").parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep_secret(self._kept, f"{configured}\n{refresh_token}")
