"""Connection errors: says in words why a request brought no answer, whoever has sent it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from yarl import URL

from pipeline.errors import SourceUnavailable, SourceUnreachable, SynqupError
from pipeline.network.proxy import Proxy
from pipeline.network.proxy_errors import proxy_error
from pipeline.text import quoted


class CertificateRefused(SourceUnreachable):
    """The server's certificate can't be verified."""

    reason = "the server's certificate is not trusted"


def connection_error(
    error: aiohttp.ClientError | OSError,
    subject: str,
    url: URL,
    proxy: Proxy | None,
    *,
    other: str = "the source",
    section: str = "[[sources]]",
) -> SynqupError:
    """The error for a request that brought no answer, or none by the rules of HTTP.

    url: where it was to go; no more of it than its host and port is repeated. proxy: by which it
    went, if any. other: who was asked. section: of the configuration, that holds its settings.
    """
    if proxy is not None and (found := proxy_error(error, proxy, url, subject)):
        return found
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        failed = error.certificate_error
        if proxy is None:
            return certificate_refused(failed, subject, section)
        return _inspected(failed, subject, url, proxy)
    by = f" by way of the proxy {proxy}" if proxy is not None else ""
    return SourceUnavailable(subject, *_reason_and_remedy(error, other, by))


def _reason_and_remedy(
    error: aiohttp.ClientError | OSError, other: str, by: str
) -> tuple[str] | tuple[str, str]:
    """Why there was no answer, and what to do unless that is the usual."""
    match error:
        case aiohttp.ClientConnectorSSLError():
            return (f"no secure connection can be made{by} ({_message_of(error.os_error)})",)
        case TimeoutError():
            return (f"{other} does not answer in time{by}",)
        case aiohttp.ClientConnectorError():
            why = quoted(error.strerror or "") or _message_of(error.os_error)
            return (f"{other} does not answer{by} ({error.host}:{error.port}: {why})",)
        case aiohttp.ClientResponseError():
            why = quoted(error.message.partition("\n")[0]).rstrip(":") or "it can't be read"
            return (
                f"the answer breaks the rules of HTTP ({why})",
                "Tell the platform, or the operator of the proxy in between; it will be retried",
            )
        case aiohttp.InvalidURL():
            # Its message is the address.
            return "the address can't be used", "Correct it; it will be retried"
        case _:
            return (f"the connection failed{by} ({_message_of(error)})",)


def certificate_refused(error: Exception, subject: str, section: str) -> CertificateRefused:
    """The error for a server whose certificate can't be verified, without a proxy in between."""
    return CertificateRefused(
        subject,
        f"the server's certificate is not trusted ({_words_on_certificate(error)})",
        "Check the address; if a private authority has signed it, as where a firewall inspects"
        f" TLS, name that authority's certificate as ca_file in {section}, or add it to the"
        " certificate store of this system",
    )


def _inspected(error: Exception, subject: str, url: URL, proxy: Proxy) -> CertificateRefused:
    return CertificateRefused(
        subject,
        f"the certificate that comes for {url.host} by way of the proxy {proxy} is not trusted"
        f" ({_words_on_certificate(error)})",
        "If the proxy inspects TLS, name the certificate of the authority with which it signs as"
        f" ca_file in {proxy.section}, or add it to the certificate store of this system; else"
        " check the address",
    )


def _words_on_certificate(error: Exception) -> str:
    found = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else ""
    return quoted(found or str(error))


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
