"""Sign-in by a one-time token, which CodaBox mails to the client (`synqup sign-in`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

import anyio
import anyio.to_thread
import msgspec
from yarl import URL

from pipeline.config.secrets import read_secret
from pipeline.errors import (
    ConfigurationError,
    RetryableError,
    SignInRefused,
    SourceError,
    StateError,
)
from pipeline.files import os_reason
from pipeline.sign_in import InteractiveSignIn, SignInState, UnusableAnswer, sign_in_command
from pipeline.text import quoted
from pipeline.turns import Turns, taken
from stages.sources.codabox.api import read_credentials
from stages.sources.codabox.client import SOFTWARE_COMPANY
from stages.sources.codabox.credentials import Credentials
from stages.sources.codabox.settings import CodaBox
from stages.sources.http.client import HttpClient, status_error
from stages.sources.http.lenient_json import JSON_ERRORS

#: Bytes of an answer with credentials, at most.
MAX_ANSWER = 100_000
#: The signs of a token (RFC 3986, 2.3); also as the last part of an address.
TOKEN = re.compile(r"[A-Za-z0-9._~-]{4,1000}")
#: Statuses of a token that the platform does not know, or not any more.
TOKEN_REFUSED = (400, 404, 410)
#: Statuses by which it refuses the key of this software.
KEY_REFUSED = (401, 403)


class OneTimeToken(InteractiveSignIn):
    """One sign-in: has a token mailed, and exchanges it for a user and a password.

    They are given once, so they are stored before they are used: in a cluster by one node after
    the other, so that the latest are those that stay. ConfigurationError if it is not said for
    whom; SecretMissing.
    """

    def __init__(self, settings: CodaBox, state_dir: Path, turns: Turns | None = None) -> None:
        if not settings.by_person:
            problem = "username: it is set, so nobody has to sign in; remove it and password first"
            raise ConfigurationError(f"source {settings.name}", [problem])
        if not settings.vat:
            problem = (
                "vat: this is missing, and CodaBox mails the one-time token to the holder of that"
                ' number; write that of the firm, like "BE0403170701"'
            )
            raise ConfigurationError(f"source {settings.name}", [problem])
        self._settings = settings
        self._turns = turns
        self._subject = f"source {settings.name}"
        self._again = f"Ask for a new token: {sign_in_command(settings.name)}"
        self._store = settings.credentials(state_dir)
        self._company = read_secret(settings.software_company)
        self._http = HttpClient.of(settings, connections=1)
        self.instructions = (
            f"CodaBox mails a one-time token to the holder of {settings.vat}.\n"
            "Paste it here, or the address in that mail, and press Enter. It is good for one use."
        )

    async def begin(self) -> None:
        """Have the token mailed, once it is sure that what comes of it can be stored."""
        try:
            await anyio.to_thread.run_sync(self._store.try_writing)
        except OSError as error:
            raise self._not_stored(error, "") from None
        url = self._url("request-access-token", "invoicing-software")
        response = await self._http.send(
            "POST",
            url,
            subject=f"{self._subject}, request for a token",
            headers={**self._headers(), "Content-Type": "application/json"},
            data=msgspec.json.encode({"vat": self._settings.vat}),
        )
        try:
            if response.status in KEY_REFUSED:
                raise self._key_refused()
            if not 200 <= response.status < 300:
                raise await status_error(response, f"{self._subject}, request for a token")
        finally:
            response.release()

    def code_of(self, answer: str) -> str:
        """The token in what was pasted: it alone, or the last part of an address."""
        text = "".join(answer.split()).strip("<>\"'").rstrip("/")
        if "://" in text:
            path = re.split(r"[?#]", text.partition("://")[2])[0].partition("/")[2]
            text = unquote(path.rstrip("/").rpartition("/")[2])
        if not TOKEN.fullmatch(text) or not text.strip("."):
            raise UnusableAnswer(
                self._subject, "this is no token", "Give it as it stands in the mail, and it alone"
            )
        return text

    async def finish(self, code: str) -> SignInState:
        """Exchange the token, and store what it brings. UnusableAnswer if it is not known."""
        async with taken(self._turns, self._settings.name):
            with anyio.CancelScope(shield=True):
                found = await self._stored(code)
        return SignInState(self._settings.name, found.username)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _stored(self, token: str) -> Credentials:
        try:
            found = await self._exchange(token)
        except RetryableError as error:
            # A token is good for one use, and this may have been it.
            remedy = f"Give it once more; if it is refused then: {self._again}"
            raise UnusableAnswer(error.subject, error.reason, remedy) from None
        try:
            await anyio.to_thread.run_sync(self._store.write, found)
        except OSError as error:
            raise self._not_stored(error, "; the token has been used up") from None
        return found

    async def _exchange(self, token: str) -> Credentials:
        subject = f"{self._subject}, exchange of the token"
        url = self._url("get-credentials", token)
        response = await self._http.send("GET", url, subject=subject, headers=self._headers())
        try:
            if response.status in TOKEN_REFUSED:
                said = await status_error(response, subject)
                raise UnusableAnswer(
                    self._subject,
                    f"CodaBox does not know this token, or it has been used ({said.reason})",
                    f"Compare it with the latest mail. {self._again}",
                )
            if response.status in KEY_REFUSED:
                raise self._key_refused()
            if response.status != 200:
                raise await status_error(response, subject)
            body = await self._http.read(response, MAX_ANSWER, subject)
        finally:
            response.release()
        try:
            return Credentials(*read_credentials(body))
        except JSON_ERRORS:
            raise SourceError(
                subject, "the answer holds no user and password", self._again
            ) from None

    def _url(self, *parts: str) -> URL:
        base = URL(self._settings.url)
        path = "/".join([base.raw_path.rstrip("/"), *[quote(one, safe="") for one in parts], ""])
        return base.with_path(path, encoded=True)

    def _headers(self) -> Mapping[str, str]:
        return {"Accept": "application/json", SOFTWARE_COMPANY: self._company}

    def _key_refused(self) -> SignInRefused:
        return SignInRefused(
            self._subject,
            f"CodaBox refuses the key of this software ({SOFTWARE_COMPANY})",
            "Check software_company in [[sources]]; CodaBox gives it to the maker of the software",
        )

    def _not_stored(self, error: OSError, what: str) -> StateError:
        return StateError(
            str(self._store.path),
            f"user and password can't be stored ({quoted(os_reason(error))}){what}",
            f"Make room, or run this as the account that runs synqup. {self._again}",
        )
