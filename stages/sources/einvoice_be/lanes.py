"""Lanes: one for each API key, which is of one company; with what is sent by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio.to_thread
from msgspec import Struct
from yarl import URL

from pipeline.config.secrets import SecretMissing, read_secret
from pipeline.errors import PartFailed, RetryableError, SignInRefused, SourceError
from pipeline.text import FEW
from stages.settings import Company, Member
from stages.sources.einvoice_be.settings import EInvoiceBe, Key
from stages.sources.http.auth import BEARER, StaticAuth
from stages.sources.http.client import HttpClient
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.session import ApiSession

#: Bytes of an answer that is no list, at most.
MAX_ANSWER = 1_000_000
JSON = {"Accept": "application/json"}


class KeyRefused(SignInRefused):
    """The key of one company is not taken: no other one is concerned."""

    reason = "the platform does not take its key"
    remedy = "Make a new key in the company's settings at e-invoice.be, and put it in its place"


class Lane:
    """What is asked for by one key. subject: names its company in errors."""

    def __init__(
        self, key: Key, settings: EInvoiceBe, http: HttpClient, limiter: ConcurrencyLimiter
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
            raise KeyRefused(self.subject) from None
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


class Matched(Struct, frozen=True):
    """Keys and companies that belong together, and those that are alone.

    doubled: further keys of a company that has one already.
    """

    lanes: Sequence[tuple[Company, Lane]]
    unknown: Sequence[Lane]
    keyless: Sequence[Company]
    doubled: Sequence[tuple[Company, Lane]] = ()


def match(lanes: Sequence[Lane], members: Sequence[Member]) -> Matched:
    """Find the company of each key: by its number, else by its name or id at the source."""
    by_number = {one.company.identifier: one.company for one in reversed(members)}
    by_name: dict[str, Company] = {}
    for one in reversed(members):
        by_name[_folded(one.company.name)] = one.company
    for one in members:
        if one.platform_id:
            by_name[_folded(one.platform_id)] = one.company
    matched: dict[str, tuple[Company, Lane]] = {}
    doubled: list[tuple[Company, Lane]] = []
    unknown: list[Lane] = []
    for lane in lanes:
        key = lane.key
        company = by_number.get(key.identifier) if key.identifier else None
        if company is None and not key.identifier:
            company = by_name.get(_folded(key.name))
        if company is None:
            unknown.append(lane)
        elif company.identifier in matched:
            doubled.append((company, lane))
        else:
            matched[company.identifier] = (company, lane)
    keyless = {
        one.company.identifier: one.company
        for one in members
        if one.company.identifier not in matched
    }
    return Matched(list(matched.values()), unknown, list(keyless.values()), doubled)


def failure_of(
    failures: Sequence[SourceError | RetryableError], lanes: int, source: str
) -> SourceError | RetryableError:
    """The one error that tells of all companies that failed. lanes: how many there are in all.

    It concerns the whole source only where every lane has failed in the same way.
    """
    first = failures[0]
    reason = first.reason
    if others := [one.subject.removeprefix(f"source {source}, ") for one in failures[1:]]:
        more = f" and {len(others) - FEW} more" if len(others) > FEW else ""
        reason += f"; there is trouble too with {', '.join(others[:FEW])}{more}"
    if len(failures) >= lanes:
        if all(isinstance(one, SignInRefused) for one in failures):
            return KeyRefused(first.subject, reason, first.remedy)
        if all(isinstance(one, RetryableError) for one in failures):
            return first
    return PartFailed(first.subject, reason, first.remedy)


def _folded(name: str) -> str:
    return "".join(name.casefold().split())
