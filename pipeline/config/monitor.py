"""Monitor settings: the section [monitor], and which addresses only this machine can reach."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Self

from msgspec import Struct, structs

from pipeline.config.types import Secret, absolute

EXAMPLE = '"127.0.0.1:8470"'
LOCALHOST = "localhost"
#: HOST:PORT, an IPv6 address in brackets.
_LISTEN = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
#: A host name (RFC 1123, 2.1), with underscores, which Windows allows.
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)


class Address(Struct, frozen=True):
    """An address to listen at; host: as it is bound, without brackets. port 0: any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether no other machine can reach it. A name counts only if it can't be another's."""
        return self.host == LOCALHOST or is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether an IP address is of this machine alone; False for a name."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def parse_address(text: str) -> Address:
    """Read HOST:PORT. Raises ValueError with what would be right."""
    found = _LISTEN.fullmatch(text.strip())
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f'"{text}" is not an address and a port; write it like {EXAMPLE}')
    host = (found["six"] or found["host"]).lower()
    return Address(_host(host, text), int(found["port"]))


def listen_address(text: str) -> str:
    """Validate an address to listen at; empty: none."""
    return str(parse_address(text)) if text.strip() else ""


def host_name(text: str) -> str:
    """Validate a name under which requests may come in: without scheme, port or path."""
    return _host(text.strip().lower().removeprefix("[").removesuffix("]"), text).rstrip(".")


def _host(host: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        # 127.1 and the like mean one address to the system and none to people.
        if re.fullmatch(r"[0-9.]+", host) or not _NAME.fullmatch(host):
            raise ValueError(
                f'"{text}" names no host; write an IP address or a name of this machine'
            ) from None
    return host.rstrip(".")


class MonitorSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[monitor]: the server that can be asked how the service is; without `listen` there is none.

    listen: address and port. token: what each request has to bear; it may be left out only where no
    other machine can reach the address. operator_token: with what one signs in on the page to act,
    and not only to look. allowed_hosts: names under which it may be asked besides
    the address itself and the name of this machine.
    """

    listen: Annotated[str, listen_address] = ""
    token: Secret | None = None
    operator_token: Secret | None = None
    allowed_hosts: tuple[Annotated[str, host_name], ...] = ()

    @property
    def address(self) -> Address | None:
        """The address to listen at; None if there is to be no server."""
        return parse_address(self.listen) if self.listen else None

    @property
    def lacks_token(self) -> bool:
        """Whether other machines could ask without a token."""
        return self.token is None and self.address is not None and not self.address.is_loopback

    def located(self, base: Path) -> Self:
        """The same section, the paths of its secrets absolute."""
        return structs.replace(
            self,
            token=_located(self.token, base),
            operator_token=_located(self.operator_token, base),
        )


def _located(secret: Secret | None, base: Path) -> Secret | None:
    if secret is None or secret.file is None:
        return secret
    return structs.replace(secret, file=str(absolute(base, secret.file)))
