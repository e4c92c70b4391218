"""Plain text reader: tells mail messages, tables (CSV), other text and empty files apart."""

from __future__ import annotations

import re

from pipeline.payload import Payload
from stages.formats.content import Content, Other, Reading
from stages.formats.mail import is_mail

#: Bytes from the beginning that are looked at.
HEAD = 4096

#: Control bytes that no text has in any common encoding.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x19\x1c-\x1f\x7f]")


def recognises(head: bytes) -> bool:
    """Whether the document is text, or empty."""
    return _CONTROL.search(head.rstrip(b"\0\x1a")) is None


def read(payload: Payload) -> Reading:
    """Return what it is, and what is wrong with it."""
    return Reading(_content(payload), tuple(_problems(payload)))


def _content(payload: Payload) -> Content:
    """Return which sort of text it is."""
    head = payload.head(HEAD)
    if not head.strip(b"\0 \t\r\n\x1a"):
        return Other("empty", "an empty file")
    if is_mail(head):
        return Other("eml", "an e-mail message", "eml")
    if _is_table(head):
        return Other("csv", "a table in plain text (CSV)", "csv")
    return Other("text", "a plain text", "txt")


def _problems(payload: Payload) -> list[str]:
    """Return that the document is empty, if it is: text has no structure to be checked."""
    return [] if payload.head(HEAD).strip(b"\0 \t\r\n\x1a") else ["it is empty"]


def is_quick(data: bytes) -> bool:
    """Return True: only the first bytes are read."""
    return True


def _is_table(head: bytes) -> bool:
    """Whether one separator divides each of the first lines into the same number of columns."""
    lines = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1][:4]
    return len(lines) > 1 and any(
        len({line.count(sign) for line in lines}) == 1 and lines[0].count(sign) > 1
        for sign in (b";", b"\t", b",", b"|")
    )
