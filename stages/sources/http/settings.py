"""HTTP settings: what every HTTP connector may set in its [[sources]] section, and its checks."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Struct, structs
from yarl import URL

from pipeline.config.loader import LoadContext
from pipeline.config.types import Duration, Secret, above_zero, absolute
from pipeline.files import check_file, os_reason
from pipeline.network.proxy import NONE, SYSTEM, ProxySettings, proxy_setting, proxy_user
from pipeline.network.trust import LARGEST_CA_FILE
from pipeline.retry import RetryPolicy
from stages.settings import SourceSettings

#: A host, or "*." and what it ends with; perhaps with a port.
HOST = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::[0-9]{1,5})?")


#: Attempts at a page of a list, at most, before the poll is given up.
LIST_ATTEMPTS = 3


class Timeouts(Struct, frozen=True):
    """Seconds for the connection, from the request to the end of the headers, and for each read."""

    connect: float
    first_byte: float
    stall: float

    @property
    def by_proxy(self) -> float:
        """Seconds to the end of the headers by way of a proxy, which has to connect and answer."""
        return 2 * (self.connect + self.first_byte)


class HttpSettings(SourceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings that all HTTP connectors share; a connector's own section inherits from it.

    connections: concurrent requests of every sort (documents, acknowledgements, pages of lists) at
    most. How many there really are is found by how the source answers, see `congestion.py`.
    proxy: "system" for what the operating system says, "none", or the address of an HTTP proxy;
    every request goes that way. proxy_user, proxy_password: for the proxy, whichever of the two
    names it; both or none.
    ca_file: certificates (PEM) of authorities that are trusted besides those of the system.
    connect_timeout, first_byte_timeout, stall_timeout: as in Timeouts.
    attempts: how often a request is sent in all while its failures are temporary. retry_wait:
    the first wait between two attempts, which doubles up to longest_retry_wait.
    longest_asked_wait: the longest `Retry-After` that is waited for.
    """

    connections: Annotated[int, above_zero] = 128
    proxy: Annotated[str, proxy_setting] = SYSTEM
    proxy_user: Annotated[str, proxy_user] = ""
    proxy_password: Secret | None = None
    ca_file: Path | None = None
    connect_timeout: Annotated[Duration, above_zero] = Duration(10)
    first_byte_timeout: Annotated[Duration, above_zero] = Duration(60)
    stall_timeout: Annotated[Duration, above_zero] = Duration(30)
    attempts: Annotated[int, above_zero] = 5
    retry_wait: Annotated[Duration, above_zero] = Duration(0.5)
    longest_retry_wait: Annotated[Duration, above_zero] = Duration(20)
    longest_asked_wait: Annotated[Duration, above_zero] = Duration(120)

    @property
    def concurrency(self) -> int:
        """The same as connections."""
        return self.connections

    @property
    def timeouts(self) -> Timeouts:
        """The timeouts of every request."""
        return Timeouts(self.connect_timeout, self.first_byte_timeout, self.stall_timeout)

    @property
    def proxy_settings(self) -> ProxySettings:
        """How every request goes out."""
        return ProxySettings(self.proxy, self.proxy_user, self.proxy_password)

    @property
    def retries(self) -> RetryPolicy:
        """The retry policy of every request."""
        return RetryPolicy(
            self.attempts, self.retry_wait, self.longest_retry_wait, self.longest_asked_wait
        )

    @property
    def list_retries(self) -> RetryPolicy:
        """The retry policy of a page of a list: a poll is given up sooner than a document."""
        return structs.replace(self.retries, attempts=min(self.attempts, LIST_ATTEMPTS))

    @property
    def longest_silence(self) -> float:
        """Seconds that one request may take at most, with all its retries and pauses."""
        request = self.connect_timeout + self.first_byte_timeout + self.stall_timeout
        return self.attempts * (request + self.longest_retry_wait + self.longest_asked_wait)

    def validate(self, base: Path, key: str, context: LoadContext) -> None:
        """Check that the settings of the proxy agree, and that ca_file holds certificates."""
        self._check_proxy(key, context)
        if self.ca_file is None:
            return
        path = absolute(base, self.ca_file)
        try:
            check_file(path, LARGEST_CA_FILE)
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            context.add_problem(
                f"{key}.ca_file",
                f"{self.ca_file} holds no certificate",
                "name a file of certificates in PEM form (-----BEGIN CERTIFICATE-----)",
            )
        except OSError as error:
            context.add_problem(
                f"{key}.ca_file",
                f"{self.ca_file} can't be read ({os_reason(error)})",
                "name a file of certificates that this account may read",
            )

    def _check_proxy(self, key: str, context: LoadContext) -> None:
        if not context.is_valid(key, "proxy", "proxy_user", "proxy_password"):
            return
        given = {"proxy_user": self.proxy_user, "proxy_password": self.proxy_password}
        refuse_half(given, "write both or none", key, context)
        if all(given.values()) and self.proxy == NONE:
            context.add_problem(
                f"{key}.proxy",
                'this is "none", and proxy_user and proxy_password are for a proxy',
                "remove these, or write its address",
            )


def refuse_half(given: Mapping[str, object], right: str, key: str, context: LoadContext) -> None:
    """Report a key whose other half is missing. given: two keys with their values."""
    missing = [name for name, value in given.items() if not value]
    if len(missing) == 1:
        (found,) = given.keys() - missing
        context.add_problem(f"{key}.{missing[0]}", f"this is missing, and {found} needs it", right)


def web_address(text: str) -> str:
    """Check an address to which credentials are sent. Raises ValueError."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if not url.host or url.scheme not in ("http", "https"):
        raise ValueError('this is no web address; write it like "https://host/v4"')
    if url.user or url.password:
        raise ValueError("an address may not hold a user or a password; remove them")
    if url.scheme == "http" and not is_this_machine(url.host):
        raise ValueError("credentials would travel in the clear; write https://")
    return text


def host_pattern(text: str) -> str:
    """Check the name of a host, or "*." before the end of one. Raises ValueError."""
    bare = text.strip().lower()
    if not HOST.fullmatch(bare) or re.fullmatch(r"\*\.[^.]*", bare):
        raise ValueError('this is no host; write it like "files.host.be", or "*.host.be" for any')
    return bare


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its name or number."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
