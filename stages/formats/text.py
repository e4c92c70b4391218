"""Text of no format of ours: mail, tables, plain text; and a file with nothing in it."""

from __future__ import annotations

import re

from pipeline.payload import Payload
from stages.formats.content import Content, Other

#: Bytes of it that are looked at.
LOOKED_AT = 4096

#: Bytes that no text has, in any of the encodings that are common here.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x19\x1c-\x1f\x7f]")

#: Fields of a message's header (RFC 5322, 3.6; RFC 2045, 4).
_MAIL = re.compile(
    rb"(?:return-path|received|delivered-to|from|to|subject|date|message-id|mime-version|x-[\w-]+)"
    rb":[^\n]*\n",
    re.IGNORECASE,
)
_MAIL_TOO = re.compile(rb"^(?:from|message-id|mime-version):", re.IGNORECASE | re.MULTILINE)


def recognises(head: bytes) -> bool:
    """Whether it is text, or nothing at all."""
    return _CONTROL.search(head.rstrip(b"\0\x1a")) is None


def read(payload: Payload) -> Content:
    """Which sort of text it is."""
    head = payload.head(LOOKED_AT)
    if not head.strip(b"\0 \t\r\n\x1a"):
        return Other("empty", "an empty file")
    if _MAIL.match(head) and _MAIL_TOO.search(head):
        return Other("eml", "an e-mail message", "eml")
    if _is_table(head):
        return Other("csv", "a table in plain text (CSV)", "csv")
    return Other("text", "a plain text", "txt")


def problems(payload: Payload) -> list[str]:
    """None but that there is nothing in it: text has no structure to hold."""
    return [] if payload.head(LOOKED_AT).strip(b"\0 \t\r\n\x1a") else ["it is empty"]


def is_quick(data: bytes) -> bool:
    """It is: only its first bytes are read."""
    return True


def _is_table(head: bytes) -> bool:
    """Whether the first lines are parted into as many columns by the same sign."""
    lines = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1][:4]
    return len(lines) > 1 and any(
        len({line.count(sign) for line in lines}) == 1 and lines[0].count(sign) > 1
        for sign in (b";", b"\t", b",", b"|")
    )
