"""Routes: how each address is reached: by which proxy if any, and with which trusted authorities.

Whoever sends requests with aiohttp asks its Routes for the route to an address, and sends with what
the route says:

    route = await routes.to(url)
    session.request(method, url, headers=route.headers(own), **route.options)

A failure is put into words by `pipeline/network/proxy_errors.py`, where it is the proxy's.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import anyio
import anyio.to_thread
from msgspec import Struct
from yarl import URL

from pipeline.errors import SourceError, SourceUnreachable, SynqupError
from pipeline.files import os_reason
from pipeline.network.proxy import Proxy, ProxyRefused, ProxySettings, find_proxy
from pipeline.network.trust import tls_context

#: Seconds after which a route is looked up anew: the system's settings and secrets may change.
ROUTE_SECONDS = 60.0
#: Seconds for which a proxy that has refused a user and a password is not asked with them again:
#: many lock an account after some wrong ones.
REFUSED_SECONDS = 60.0

#: The header that carries a user and a password to a proxy.
AUTHORIZATION = "Proxy-Authorization"


class RequestOptions(TypedDict):
    """The arguments of aiohttp's `ClientSession.request` that make a request take a route."""

    proxy: URL | None
    proxy_headers: Mapping[str, str] | None
    ssl: ssl.SSLContext | bool


class Route(Struct, frozen=True):
    """The route to one address. until: the moment, by the monotonic clock, to look it up anew."""

    proxy: Proxy | None
    options: RequestOptions
    sent_to_proxy: Mapping[str, str]
    until: float

    def headers(self, own: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """The headers of a request: its own, and those for a proxy that passes on what it reads."""
        return {**(own or {}), **self.sent_to_proxy} if self.sent_to_proxy else own


class Routes:
    """The routes of one source, or of one other section of the configuration.

    subject: whose they are, for errors. ca_file: certificates of authorities that are trusted
    besides those of the system.
    """

    def __init__(
        self, subject: str, settings: ProxySettings | None = None, ca_file: Path | None = None
    ) -> None:
        self._subject = subject
        self._settings = settings or ProxySettings()
        self._ca_file = ca_file
        self._routes: dict[URL, Route] = {}
        self._tls: ssl.SSLContext | None = None
        self._finding = anyio.Lock()
        self._refused: Proxy | None = None
        self._refusal: ProxyRefused | None = None
        self._refused_until = 0.0

    async def to(self, url: URL) -> Route:
        """The route to an address.

        ProxyRefused, SecretMissing, or SourceError for a ca_file that can't be used.
        """
        origin = url.origin()
        route = self._routes.get(origin)
        if route is None or time.monotonic() >= route.until:
            async with self._finding:
                # The task that held the lock before may have found it.
                route = self._routes.get(origin)
                if route is None or time.monotonic() >= route.until:
                    route = await anyio.to_thread.run_sync(self._find, origin)
                    self._routes[origin] = route
        if self._refusal is not None and route.proxy == self._refused:
            if time.monotonic() < self._refused_until:
                # Not to be kept: somebody may correct the secret meanwhile.
                self._routes.pop(origin, None)
                raise ProxyRefused(self._subject, self._refusal.reason, self._refusal.remedy)
            self._refusal = None
        return route

    def failed(self, route: Route, error: SynqupError) -> None:
        """Note why a request has failed on a route: the next one may have to look for it anew."""
        is_barred = isinstance(error, SourceUnreachable)
        if route.proxy is not None or is_barred:
            self._routes.clear()
        if is_barred:
            # Somebody may add a certificate to ca_file, or to the system's, while synqup runs.
            self._tls = None
        if isinstance(error, ProxyRefused) and error.is_sign_in:
            self._refused, self._refusal = route.proxy, error
            self._refused_until = time.monotonic() + REFUSED_SECONDS

    def _find(self, origin: URL) -> Route:
        proxy = find_proxy(origin, self._settings, self._subject)
        is_tls = origin.scheme == "https"
        needs_tls = is_tls or (proxy is not None and proxy.url.scheme == "https")
        if self._tls is None and (needs_tls or self._ca_file is not None):
            self._tls = self._context()
        credentials = {AUTHORIZATION: proxy.authorization} if proxy and proxy.authorization else {}
        return Route(
            proxy,
            RequestOptions(
                proxy=proxy.url if proxy else None,
                # Of CONNECT. Within the tunnel they would go to the target.
                proxy_headers=credentials if is_tls else None,
                ssl=self._tls or True,
            ),
            {} if is_tls else credentials,
            time.monotonic() + ROUTE_SECONDS,
        )

    def _context(self) -> ssl.SSLContext:
        try:
            return tls_context(self._ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise SourceError(
                self._subject,
                f"ca_file {self._ca_file} can't be used ({os_reason(error)})",
                "Name a readable file of certificates in PEM form",
            ) from None
