"""Alert errors: why a message or a heartbeat could not be sent, in words."""

from __future__ import annotations

import ssl

import aiohttp
from yarl import URL

from pipeline.errors import RetryableError, SynqupError
from pipeline.network.proxy import Proxy
from pipeline.network.proxy_errors import proxy_error
from pipeline.text import sanitized

#: Characters of a receiver's own words that are quoted.
QUOTED = 200


class NotSent(RetryableError):
    """A message that has not arrived for now. It is kept, and sent again."""

    reason = "it could not be sent"
    remedy = "It will be sent again"


class MessageRefused(NotSent):
    """A message that the receiver refuses for what it is; others may arrive."""

    reason = "the receiver refuses this message"


def connection_error(
    error: aiohttp.ClientError | OSError, subject: str, url: URL, proxy: Proxy | None
) -> SynqupError:
    """The error for a request that brought no answer. It names hosts, and no address as a whole."""
    if proxy is not None and (found := proxy_error(error, proxy, url, subject)):
        return found
    by = f" by way of the proxy {proxy}" if proxy is not None else ""
    where = f"{url.host_subcomponent}:{url.port}"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return certificate_error(error.certificate_error, subject, f"{url.host}{by}")
        case TimeoutError():
            return NotSent(
                subject, f"{where} does not answer in time{by}", "Check the address and the network"
            )
        case aiohttp.ClientConnectorSSLError():
            return NotSent(
                subject,
                f"no secure connection to {where} can be made{by} ({words(error.os_error)})",
                "Check whether it speaks TLS",
            )
        case aiohttp.ClientConnectorError():
            return NotSent(
                subject,
                f"{where} can't be reached{by} ({words(error.os_error)})",
                "Check the address, the network and the firewall",
            )
        case _:
            # The words of others may hold the whole address, which may be a secret.
            return NotSent(subject, f"the connection to {where} failed{by} ({_kind(error)})")


def certificate_error(error: Exception, subject: str, host: str) -> NotSent:
    """The error for a server whose certificate can't be verified."""
    said = getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else ""
    return NotSent(
        subject,
        f"the certificate of {host} is not trusted ({sanitized(said or str(error), QUOTED)})",
        "If a private authority has signed it, name that as ca_file in [alerts], or add it to the"
        " certificate store of this system",
    )


def words(error: OSError) -> str:
    """What the system says of a failure."""
    return sanitized(error.strerror or str(error) or type(error).__name__, QUOTED)


def _kind(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return "the other side has closed it"
    return type(error).__name__
