"""Connection errors: says in words why a request brought no answer."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp

from pipeline.errors import SourceError, SourceUnavailable, SynqupError
from stages.sources.http.headers import quoted


class CertificateRefused(SourceError):
    """The server's certificate can't be verified."""

    reason = "the server's certificate is not trusted"
    remedy = (
        "Check the address; if a private authority has signed it, name that authority's"
        " certificate as ca_file in [[sources]]"
    )


def connection_error(error: aiohttp.ClientError | OSError, subject: str) -> SynqupError:
    """The error for a request that brought no answer, or none by the rules of HTTP."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return CertificateRefused(subject, _certificate(error.certificate_error))
        case aiohttp.ClientConnectorSSLError():
            return SourceUnavailable(
                subject, f"no secure connection can be made ({_message_of(error.os_error)})"
            )
        case TimeoutError():
            return SourceUnavailable(subject, "the source does not answer in time")
        case aiohttp.ClientConnectorError():
            reason = quoted(error.strerror or "") or _message_of(error.os_error)
            return SourceUnavailable(
                subject, f"the source does not answer ({error.host}:{error.port}: {reason})"
            )
        case aiohttp.ClientResponseError():
            why = quoted(error.message.partition("\n")[0]).rstrip(":") or "it can't be read"
            return SourceUnavailable(
                subject,
                f"the answer breaks the rules of HTTP ({why})",
                "Tell the platform, or the operator of the proxy in between; it will be retried",
            )
        case _:
            return SourceUnavailable(subject, f"the connection failed ({_message_of(error)})")


def _certificate(error: Exception) -> str:
    reason = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else ""
    return f"the server's certificate is not trusted ({quoted(reason or str(error))})"


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
