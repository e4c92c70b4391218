"""Proxy errors: says in words what a proxy has refused, and what to set or whom to ask."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from http import HTTPStatus

import aiohttp
from yarl import URL

from pipeline.errors import SourceUnavailable, SynqupError
from pipeline.network.proxy import Proxy, ProxyRefused
from pipeline.text import enumerated, printable

PROXY_AUTHENTICATION_REQUIRED = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value
#: Statuses with which a proxy says that it is not to connect there, and that it can't for now.
FORBIDDEN = (401, 403, 451)
UNAVAILABLE = (429, 500, 502, 503, 504)
#: Characters of a proxy's own words that are quoted.
QUOTED = 200
#: A scheme at the beginning of a challenge (RFC 9110, 11.6.1), not the name of a parameter.
SCHEME = re.compile(r"(?:^|,)\s*([A-Za-z][\w.-]*)(?=\s*(?:,|$)|\s+[^\s=])")


def proxy_error(
    error: aiohttp.ClientError | OSError, proxy: Proxy, url: URL, subject: str
) -> SynqupError | None:
    """The error for a request by way of a proxy that the proxy has made fail; None for others.

    url: where the request was to go.
    """
    match error:
        case aiohttp.ClientHttpProxyError():
            return _refusal(error, proxy, url, subject)
        case aiohttp.ClientResponseError() if error.request_info.method == "CONNECT":
            return _no_proxy(proxy, _words(error.message.partition("\n")[0]).rstrip(":"), subject)
        case aiohttp.ClientConnectorError() if _is_at(error, proxy):
            return _unreachable(error, proxy, subject)
        case _:
            return None


def sign_in_error(proxy: Proxy, challenges: Iterable[str], url: URL, subject: str) -> ProxyRefused:
    """The error for a proxy that answers 407. challenges: its Proxy-Authenticate headers."""
    schemes = [scheme for one in challenges for scheme in SCHEME.findall(one[:1000])]
    if schemes and "basic" not in map(str.lower, schemes):
        reason = (
            f"the proxy {proxy} asks for a sign-in by {enumerated(schemes)} (407), and synqup signs"
            " in to proxies by Basic only"
        )
        remedy = (
            "Ask whoever runs the proxy to allow Basic for an account of synqup's, or to let this"
            f" machine reach {url.host} without a sign-in"
        )
    elif proxy.authorization:
        reason = f'the proxy {proxy} refuses the user "{proxy.user}" or the password (407)'
        remedy = f"Check {proxy.credentials_place}, and that this account is not locked"
    else:
        reason = f"the proxy {proxy} asks for a user and a password (407)"
        remedy = f"Set proxy_user and proxy_password in {proxy.section}"
    return ProxyRefused(subject, reason, remedy, is_sign_in=bool(proxy.authorization))


def _refusal(
    error: aiohttp.ClientHttpProxyError, proxy: Proxy, url: URL, subject: str
) -> SynqupError:
    status = error.status
    if status == PROXY_AUTHENTICATION_REQUIRED:
        challenges = error.headers.getall("Proxy-Authenticate", ()) if error.headers else ()
        return sign_in_error(proxy, challenges, url, subject)
    target = f"{url.host_subcomponent}:{url.port}"
    words = _words(error.message)
    said = f'{status}: "{words}"' if words else str(status)
    if status in FORBIDDEN:
        return ProxyRefused(
            subject,
            f"the proxy {proxy} does not allow a connection to {target} ({said})",
            f"Ask whoever runs the proxy to allow CONNECT to {target} for this machine; where no"
            f' proxy is needed, set proxy = "none" in {proxy.section}',
        )
    if status in UNAVAILABLE:
        return SourceUnavailable(
            subject,
            f"the proxy {proxy} can't connect to {target} ({said})",
            "Ask whoever runs the proxy whether it can reach that address; it will be retried",
        )
    return _no_proxy(proxy, said, subject)


def _no_proxy(proxy: Proxy, said: str, subject: str) -> ProxyRefused:
    return ProxyRefused(
        subject,
        f"{proxy} does not answer as a proxy that connects to https addresses"
        f" ({said or 'its answer can not be read'})",
        f"Check {proxy.place}",
    )


def _is_at(error: aiohttp.ClientConnectorError, proxy: Proxy) -> bool:
    """Whether a connection has failed at the proxy, and not behind it."""
    return (error.host, error.port) == (proxy.url.raw_host, proxy.url.port)


def _unreachable(error: aiohttp.ClientConnectorError, proxy: Proxy, subject: str) -> SynqupError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        failed = error.certificate_error
        said = getattr(failed, "verify_message", "") if isinstance(failed, ssl.SSLError) else ""
        return ProxyRefused(
            subject,
            f"the certificate of the proxy {proxy} is not trusted ({_words(said or str(failed))})",
            "Name the certificate of the authority that has signed it as ca_file in"
            f" {proxy.section}, or add it to the certificate store of this system",
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        said = _words(str(error.os_error))
        return ProxyRefused(
            subject,
            f"no secure connection to the proxy {proxy} can be made ({said})",
            f"Write http:// in {proxy.place}, unless the proxy itself speaks TLS",
        )
    failed = error.os_error
    return SourceUnavailable(
        subject,
        f"the proxy {proxy} does not answer ({_words(failed.strerror or str(failed))})",
        f"Check that it runs and that this machine may reach it, and check {proxy.place}; it will"
        " be retried",
    )


def _words(text: str) -> str:
    return printable(text[:QUOTED].strip())
