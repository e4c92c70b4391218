"""Connection errors: says in words why a request brought no answer."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from yarl import URL

from pipeline.errors import SourceUnavailable, SourceUnreachable, SynqupError
from pipeline.network.proxy import Proxy
from pipeline.network.proxy_errors import proxy_error
from stages.sources.http.headers import quoted


class CertificateRefused(SourceUnreachable):
    """The server's certificate can't be verified."""

    reason = "the server's certificate is not trusted"
    remedy = (
        "Check the address; if a private authority has signed it, as where a firewall inspects"
        " TLS, name that authority's certificate as ca_file in [[sources]], or add it to the"
        " certificate store of this system"
    )


def connection_error(
    error: aiohttp.ClientError | OSError, subject: str, url: URL, proxy: Proxy | None
) -> SynqupError:
    """The error for a request that brought no answer, or none by the rules of HTTP.

    url: where it was to go. proxy: by which it went, if any.
    """
    if proxy is not None and (found := proxy_error(error, proxy, url, subject)):
        return found
    return _error_without_answer(error, subject, url, proxy)


def _error_without_answer(
    error: aiohttp.ClientError | OSError, subject: str, url: URL, proxy: Proxy | None
) -> SynqupError:
    by = f" by way of the proxy {proxy}" if proxy is not None else ""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_refused(error.certificate_error, subject, url, proxy)
        case aiohttp.ClientConnectorSSLError():
            return SourceUnavailable(
                subject, f"no secure connection can be made{by} ({_message_of(error.os_error)})"
            )
        case TimeoutError():
            return SourceUnavailable(subject, f"the source does not answer in time{by}")
        case aiohttp.ClientConnectorError():
            reason = quoted(error.strerror or "") or _message_of(error.os_error)
            return SourceUnavailable(
                subject, f"the source does not answer{by} ({error.host}:{error.port}: {reason})"
            )
        case aiohttp.ClientResponseError():
            why = quoted(error.message.partition("\n")[0]).rstrip(":") or "it can't be read"
            return SourceUnavailable(
                subject,
                f"the answer breaks the rules of HTTP ({why})",
                "Tell the platform, or the operator of the proxy in between; it will be retried",
            )
        case _:
            return SourceUnavailable(subject, f"the connection failed{by} ({_message_of(error)})")


def _certificate_refused(
    error: Exception, subject: str, url: URL, proxy: Proxy | None
) -> CertificateRefused:
    found = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else ""
    said = quoted(found or str(error))
    if proxy is None:
        return CertificateRefused(subject, f"the server's certificate is not trusted ({said})")
    return CertificateRefused(
        subject,
        f"the certificate that comes for {url.host} by way of the proxy {proxy} is not trusted"
        f" ({said})",
        "If the proxy inspects TLS, name the certificate of the authority with which it signs as"
        f" ca_file in {proxy.section}, or add it to the certificate store of this system; else"
        " check the address",
    )


def _message_of(error: BaseException) -> str:
    """The message of an error; many errors of connections have none."""
    # ServerDisconnectedError quotes the part of the answer that had arrived.
    said = "" if isinstance(error, aiohttp.ServerDisconnectedError) else quoted(str(error))
    if said:
        return said
    for kind, words in SILENT_ERRORS.items():
        if isinstance(error, kind):
            return words
    return f"the system says no more than {type(error).__name__}"


#: Messages for errors that have none.
SILENT_ERRORS: Mapping[type[BaseException], str] = {
    ConnectionResetError: "the other side has reset the connection",
    ConnectionAbortedError: "the connection was broken off",
    ConnectionRefusedError: "no program listens there",
    BrokenPipeError: "the other side has closed the connection",
    TimeoutError: "no answer in time",
    ssl.SSLError: "the secure connection could not be made",
    ConnectionError: "the connection was lost",
    aiohttp.ServerDisconnectedError: "the other side has closed the connection",
}
