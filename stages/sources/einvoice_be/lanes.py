"""Lanes: one for each API key, which is of one company."""

from __future__ import annotations

from collections.abc import Mapping

import anyio.to_thread
from yarl import URL

from pipeline.config.secrets import SecretMissing, read_secret
from pipeline.errors import SignInRefused, SourceError
from stages.sources.einvoice_be.settings import EInvoiceBe
from stages.sources.http.auth import BEARER, StaticAuth
from stages.sources.http.client import HttpClient
from stages.sources.http.company_keys import CompanyKey
from stages.sources.http.keyed import KeyRefused
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.session import ApiSession

#: Bytes of an answer that is no list, at most.
MAX_ANSWER = 1_000_000
JSON = {"Accept": "application/json"}


#: What to do about a refused key.
REMEDY = "Make a new key in the company's settings at e-invoice.be, and put it in its place"


class Lane:
    """What is asked for by one key. subject: names its company in errors."""

    def __init__(
        self, key: CompanyKey, settings: EInvoiceBe, http: HttpClient, limiter: ConcurrencyLimiter
    ) -> None:
        self.key = key
        self.subject = f"source {settings.name}, {key.label}"
        self._http = http
        base = URL(settings.url)
        self._root = base.with_path(base.path.rstrip("/").removesuffix("/api"))
        self._session = ApiSession(settings.name, http, StaticAuth(self._headers), limiter)

    async def get(
        self,
        path: str,
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
        too_long: type[SourceError] = SourceError,
        missing: type[SourceError] | None = None,
    ) -> bytes:
        """The body of an answer to GET. KeyRefused if it is 401.

        path: below the base address, encoded. too_long: raised above `limit` bytes. missing: raised
        where there is no such thing (404), in place of Rejected.
        """
        url = self._root.with_path(self._root.path.rstrip("/") + path, encoded=True)
        accepted = (404, 410) if missing else ()
        try:
            async with self._session.request(
                "GET", url.with_query(query), subject=subject, headers=JSON, accepted=accepted
            ) as answer:
                if missing and answer.status in accepted:
                    raise missing(subject)
                body = bytearray()
                async for chunk in self._http.body(answer, subject):
                    body += chunk
                    if len(body) > limit:
                        break
        except SecretMissing as error:
            reason = f"its key can't be read: {error.subject}: {error.reason}"
            raise KeyRefused(self.subject, reason, error.remedy) from None
        except SignInRefused:
            raise KeyRefused(self.subject, remedy=REMEDY) from None
        if len(body) > limit:
            body.clear()  # the traceback of the error would keep it in memory
            raise too_long(subject, f"the answer is longer than {limit:,} bytes")
        return bytes(body)

    async def _headers(self) -> Mapping[str, str]:
        secret = await anyio.to_thread.run_sync(read_secret, self.key.secret)
        key = secret.strip()
        if not key or not key.isascii() or not key.isprintable():
            raise SecretMissing(
                "its place", "what lies there is no key", "Write the key there, and nothing else"
            )
        return {"Authorization": BEARER + key}
