"""Token endpoint client (RFC 6749, 3.2): sends token requests and says in words what fails."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp
import msgspec
import structlog
from msgspec import structs
from yarl import URL

from pipeline.config.secrets import read_secret
from pipeline.errors import RetryableError, SignInRefused, SourceError, SynqupError, WebPage
from pipeline.text import quoted
from stages.sources.http.client import HttpClient, status_error
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.token_response import (
    TokenResponse,
    read_token_error,
    read_token_response,
)

log = structlog.get_logger(__name__)

#: Bytes of an answer, at most; a token has a few thousand.
MAX_RESPONSE_BYTES = 100_000
#: RFC 6750, 2.1, and every other character that a header may hold.
TOKEN = re.compile(r"[!-~]{1,16384}")
#: RFC 6749, A.17.
REFRESH_TOKEN = re.compile(r"[ -~]{1,16384}")
#: Statuses of an address that is no token endpoint.
NO_TOKENS = (404, 405, 410)
#: Statuses of a refusal, which has a code (RFC 6749, 5.2).
REFUSALS = (400, 401, 403)
#: Statuses of a gateway that has got no answer, though the request may have been carried out.
NO_ANSWER = (502, 504)
#: Codes that concern the client, and not the person who has signed in.
OF_THE_CLIENT = ("invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope")


class GrantRefused(SignInRefused):
    """The token endpoint refuses the grant: a person has to sign in again."""

    reason = "the platform does not take this sign-in any more"


class TokenEndpoint:
    """The token endpoint of one source.

    is_unanswered: whether the latest request may have been carried out without an answer that came.
    """

    def __init__(self, name: str, client: OAuthClient, http: HttpClient) -> None:
        self.is_unanswered = False
        self._name = name
        self._client = client
        self._http = http

    def form(self, grant: Mapping[str, str]) -> dict[str, str]:
        """A request for a grant, with the credentials of the client. Raises SecretMissing."""
        form = {"client_id": self._client.client_id}
        if self._client.client_secret is not None:
            form["client_secret"] = read_secret(self._client.client_secret)
        return {**form, **grant}

    async def ask(self, form: Mapping[str, str]) -> TokenResponse:
        """Send a request.

        GrantRefused, SignInRefused, SourceError, SourceUnavailable or RetryableError.
        """
        subject = f"source {self._name}"
        self.is_unanswered = True
        in_json = self._client.in_json
        response = await self._http.send(
            "POST",
            URL(self._client.token_url),
            subject=subject,
            headers={"Content-Type": "application/json"} if in_json else None,
            data=msgspec.json.encode(form) if in_json else form,
        )
        async with response:
            if not 200 <= response.status < 300:
                self.is_unanswered = response.status in NO_ANSWER
                raise await self._refusal(response, subject)
            try:
                body = await self._http.read(response, MAX_RESPONSE_BYTES, subject)
            except WebPage:
                body = b""
        granted = read_token_response(body)
        if not TOKEN.fullmatch(granted.access_token):
            raise SourceError(
                subject, "the token address did not answer with a token", "Check token_url"
            )
        self.is_unanswered = False
        if granted.refresh_token and not REFRESH_TOKEN.fullmatch(granted.refresh_token):
            # The access token is good all the same; and so may be the refresh token in use.
            log.warning(
                "the token address answered with an invalid refresh token", source=self._name
            )
            return structs.replace(granted, refresh_token="")
        return granted

    async def _refusal(self, response: aiohttp.ClientResponse, subject: str) -> SynqupError:
        if response.status in REFUSALS:
            code, words = await self._read_refusal(response, subject)
            said = f': "{quoted(words)}"' if words else ""
            reason = f"the sign-in was refused: the source answered {response.status}{said}"
            if self._client.by_refresh_token and code not in OF_THE_CLIENT:
                return GrantRefused(subject, reason, self._client.remedy(self._name))
            return SignInRefused(subject, reason)
        error = await status_error(response, subject)
        if isinstance(error, RetryableError):
            return error
        if response.status in NO_TOKENS:
            return SourceError(
                subject,
                f"there are no tokens at the token address ({response.status})",
                "Check token_url",
            )
        return SignInRefused(subject, f"the sign-in was refused: {quoted(error.reason)}")

    async def _read_refusal(
        self, response: aiohttp.ClientResponse, subject: str
    ) -> tuple[str, str]:
        try:
            return read_token_error(await self._http.read(response, MAX_RESPONSE_BYTES, subject))
        except SynqupError:  # its status says enough
            return "", ""
