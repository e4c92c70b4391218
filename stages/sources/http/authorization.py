"""OAuth 2.0 authorization code grant (RFC 6749, 4.1) with PKCE (RFC 7636), for `sign-in`."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode

import anyio
import anyio.to_thread
from yarl import URL

from pipeline.errors import RetryableError, SignInRefused, SourceError, StateError
from pipeline.files import os_reason
from pipeline.sign_in import InteractiveSignIn, ListenAddress, SignInState, UnusableAnswer
from pipeline.text import quoted
from pipeline.turns import Turns, taken
from stages.sources.http.client import HttpClient
from stages.sources.http.oauth_settings import OAuthSettings
from stages.sources.http.settings import is_this_machine
from stages.sources.http.token_endpoint import TokenEndpoint
from stages.sources.http.token_response import TokenResponse
from stages.sources.http.token_store import StoredSignIn

#: The scope that has a sign-in outlive the session of its browser (OpenID Connect Core, 11).
OFFLINE_ACCESS = "offline_access"
#: Bytes of chance in a code verifier and in a state.
VERIFIER_BYTES = 48
STATE_BYTES = 24
#: RFC 6749, A.11.
CODE = re.compile(r"[!-~]{1,16384}")
#: What tells an address, or its query, from a code.
ADDRESS = re.compile(r"^[/?#]|://|(^|[?&#])(code|error|state)=")
ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
#: Parameters of an answer that are looked into, at most.
MAX_PARAMETERS = 100


class AuthorizationCode(InteractiveSignIn):
    """One sign-in of a person to one source: its verifier and its state are used for it alone.

    turns: of the nodes of a cluster, which keep what they use until the new one is stored. Raises
    SecretMissing if the secret of the client can't be read.
    """

    def __init__(
        self, settings: OAuthSettings, state_dir: Path, turns: Turns | None = None
    ) -> None:
        self._settings = settings
        self._subject = f"source {settings.name}"
        self._turns = turns
        self._store = settings.token_store(state_dir, shared=turns is not None)
        self._verifier = secrets.token_urlsafe(VERIFIER_BYTES)
        self._state = secrets.token_urlsafe(STATE_BYTES)
        self._redirect_uri = settings.redirect_uri
        self.listen = _listen_address(settings.redirect_uri)
        self._http = HttpClient.of(settings, connections=1)
        self._endpoint = TokenEndpoint(settings.name, settings.client, self._http)
        self._endpoint.form({})

    def address(self, port: int) -> str:
        """The address of the authorization request (RFC 6749, 4.1.1; RFC 7636, 4.3)."""
        self._redirect_uri = _redirect_uri(self._settings.redirect_uri, port)
        digest = hashlib.sha256(self._verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self._scope(),
            "state": self._state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        asked = {name: value for name, value in asked.items() if value}
        base, _, query = self._settings.authorize_url.partition("#")[0].partition("?")
        own = [(name, value) for name, value in parse_qsl(query, True) if name not in asked]
        return f"{base}?{urlencode([*own, *asked.items()], quote_via=quote)}"

    def code_of(self, answer: str) -> str:
        """The code in an answer (RFC 6749, 4.1.2), whose state has to be that of this sign-in."""
        text = "".join(answer.split()).strip("<>\"'")
        if not ADDRESS.search(text):
            return self._checked(unquote(text) if ESCAPE.search(text) else text)
        parts = re.split(r"[?#]", text)
        try:
            given = parse_qs("&".join(parts[1:] or parts), max_num_fields=MAX_PARAMETERS)
        except ValueError:  # there are more
            given = {}
        state = _only(given, "state")
        if "state" in given and not secrets.compare_digest(state.encode(), self._state.encode()):
            raise UnusableAnswer(
                self._subject,
                "this is the answer to another sign-in",
                "Use the address that was shown last, and what it leads to",
            )
        if "error" in given:
            raise self._refusal(given)
        if "code" not in given:
            raise UnusableAnswer(
                self._subject,
                "there is no code in this address",
                "Give the address at which the browser ended after you had signed in",
            )
        if "state" not in given:
            raise UnusableAnswer(
                self._subject,
                "this address does not say to which sign-in it belongs: its state is missing",
                "Give the whole address, or the code alone",
            )
        return self._checked(_only(given, "code"))

    async def finish(self, code: str) -> SignInState:
        """Exchange the code for a refresh token (RFC 6749, 4.1.3), and store that."""
        async with taken(self._turns, self._settings.name):
            with anyio.CancelScope(shield=True):
                found = await self._finish(code)
        return SignInState(self._settings.name, found.account, found.ends_at)

    async def close(self) -> None:
        """Close the connection to the token endpoint."""
        await self._http.close()

    async def _finish(self, code: str) -> StoredSignIn:
        granted = await self._exchange(code)
        found = StoredSignIn(granted.refresh_token, _end(granted), granted.account)
        try:
            await anyio.to_thread.run_sync(self._store.sign_in, found)
        except OSError as error:
            raise StateError(
                str(self._store.path),
                f"the sign-in can't be stored ({os_reason(error)})",
                "Make room, or run this as the account that runs synqup; then sign in again",
            ) from None
        return found

    async def _exchange(self, code: str) -> TokenResponse:
        form = self._endpoint.form(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "code_verifier": self._verifier,
            }
        )
        again = self._settings.client.remedy(self._settings.name)
        try:
            granted = await self._endpoint.ask(form)
        except RetryableError as error:
            # A code is good for one use, and this was it.
            raise SourceError(error.subject, error.reason, again) from None
        if not granted.refresh_token:
            raise SourceError(
                self._subject,
                "the platform gave no refresh token, so that this sign-in would end at once",
                "Have it allow this application offline access (the scope offline_access), and see"
                " that offline_access in [[sources]] is not false; then sign in again",
            )
        return granted

    def _scope(self) -> str:
        asked = self._settings.scope.split()
        if self._settings.offline_access and OFFLINE_ACCESS not in asked:
            asked.append(OFFLINE_ACCESS)
        return " ".join(asked)

    def _checked(self, code: str) -> str:
        if not CODE.fullmatch(code):
            raise UnusableAnswer(self._subject, "this is no code", "Give it whole, and it alone")
        return code

    def _refusal(self, given: Mapping[str, Sequence[str]]) -> SignInRefused:
        """The error of an answer that says why there is no code (RFC 6749, 4.1.2.1)."""
        error, words = _only(given, "error"), _only(given, "error_description")
        said = f"{quoted(error)}: {quoted(words)}" if words else quoted(error)
        remedy = self._settings.client.remedy(self._settings.name)
        if error == "invalid_scope":
            remedy = (
                "Check scope in [[sources]], and set offline_access = false if the platform does"
                " not know offline_access"
            )
        return SignInRefused(self._subject, f"the platform refuses the sign-in ({said})", remedy)


def _listen_address(redirect_uri: str) -> ListenAddress | None:
    if not redirect_uri:
        return ListenAddress("127.0.0.1", 0, "/")
    url = URL(redirect_uri)
    if url.scheme != "http" or not url.host or not is_this_machine(url.host):
        return None
    return ListenAddress(url.host, url.explicit_port or 0, url.raw_path or "/")


def _redirect_uri(configured: str, port: int) -> str:
    """The redirect_uri to send: as configured, but for a port that is listened at."""
    if not configured:
        return f"http://127.0.0.1:{port}/"
    listen = _listen_address(configured)
    if listen is None or listen.port or not port:
        return configured
    return str(URL(configured).with_port(port))


def _only(given: Mapping[str, Sequence[str]], name: str) -> str:
    """The value of a parameter that may be there once (RFC 6749, 3.1); "" if it is not so."""
    values = given.get(name, ())
    return values[0] if len(values) == 1 else ""


def _end(granted: TokenResponse) -> float | None:
    lifetime = granted.refresh_lifetime
    return None if lifetime is None else time.time() + lifetime
