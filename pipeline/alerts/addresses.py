"""Alert addresses: checks the web and mail addresses of [alerts] when they are read.

A validator returns the value to use, or raises ValueError with what is wrong and what would be
right. None repeats a web address: whoever knows it can often send to it.
"""

from __future__ import annotations

import ipaddress
import re
from email.headerregistry import Address
from email.utils import parseaddr
from string import Formatter

from yarl import URL

#: What a template of a heartbeat may hold.
PLACEHOLDERS = ("status", "message")
#: A field of an HTTP header (RFC 9110, 5.1).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
#: Headers that only the request itself can set.
_OWN_HEADERS = ("content-length", "content-type", "host", "transfer-encoding", "connection")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, however it resolves names."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def web_address(text: str) -> str:
    """Check the address of a receiver; empty: none. It may be http only within the own network."""
    if not text:
        return text
    try:
        # Without its placeholders, which are filled in when it is used.
        url = URL(text.replace("{", "").replace("}", ""))
        host = url.host
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https"):
        raise ValueError('this is no web address; write it like "https://host/path"')
    if url.user or url.password:
        raise ValueError("an address may not hold a user or a password; write them as a header")
    if url.scheme == "http" and not _is_near(host):
        raise ValueError("the alert would travel over the Internet in the clear; write https://")
    return text


def template(text: str) -> str:
    """Check the address of a heartbeat with placeholders. Raises ValueError."""
    try:
        names = [name for _, name, form, change in Formatter().parse(text) if name is not None]
        plain = not any(form or change for _, _, form, change in Formatter().parse(text))
    except ValueError:
        names, plain = [], False
    if not plain or not names or not set(names) <= set(PLACEHOLDERS):
        raise ValueError(
            "a template holds {status} or {message} and no other braces; write it like"
            ' "https://host/api/push/TOKEN?status={status}&msg={message}&ping="'
        )
    return text


def mail_address(text: str) -> str:
    """Check an address of mail, with or without a name: "a@b.be", "Synqup <a@b.be>"."""
    name, address = parseaddr(text)
    user, at, domain = address.rpartition("@")
    try:
        if not (user and at and domain) or not address.isascii() or not text.isprintable():
            raise ValueError
        Address(name, addr_spec=address)
    # A name of many kinds of nonsense makes email raise what it likes.
    except (ValueError, IndexError, AttributeError):
        raise ValueError(
            f'"{text[:100]}" is no address of mail; write it like "it@example.be"'
        ) from None
    return text


def host_name(text: str) -> str:
    """Check the name or the IP address of a mail server."""
    host = text.strip()
    if not host or not host.isascii() or re.search(r"[\s/@]", host) or "://" in host:
        raise ValueError('this is no name of a server; write it like "smtp.example.be"')
    if host.count(":") == 1:
        raise ValueError("write the port of the server as port")
    return host.strip("[]")


def header_name(text: str) -> str:
    """Check the name of an HTTP header."""
    if not _TOKEN.fullmatch(text) or text.lower() in _OWN_HEADERS:
        raise ValueError('this is no header that can be set; write one like "Authorization"')
    return text


def header_value(text: str) -> str:
    """Check the value of an HTTP header."""
    if not text.isprintable() or not text.isascii():
        raise ValueError("a header holds printable letters of ASCII only")
    return text


def _is_near(host: str) -> bool:
    """Whether a host is this machine or within the own network, by its address or its name."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith((".local", ".lan", ".internal", ".home.arpa"))
    return found.is_private or found.is_loopback
