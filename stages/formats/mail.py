"""Mail reader: the one attachment of an e-mail message (RFC 5322, MIME), where there is only one.

A message with several attachments stays a message: nothing says which of them is the document.
"""

from __future__ import annotations

import email
import re
from email.message import Message
from itertools import islice
from typing import BinaryIO

#: Bytes of a message whose attachments are looked for.
MAX_SIZE = 32_000_000
#: Parts of a message that are looked at, and lines of it that may separate parts.
MAX_PARTS = 64
MAX_SEPARATORS = 10_000

#: Fields of a message's header (RFC 5322, 3.6; RFC 2045, 4); servers put any of their own in front,
#: and a mailbox in one file (RFC 4155) its line.
_FIRST = re.compile(rb"(?:From [^\n]*\n)?[A-Za-z][\w-]{1,60}:[^\n]*\n")
_FURTHER = re.compile(rb"^(?:from|message-id|mime-version):", re.IGNORECASE | re.MULTILINE)

#: Types of parts that are no attachment, whatever their names: what people read, pictures of a
#: signature, signatures, and the notice of a delivery.
_NO_ATTACHMENT = re.compile(r"multipart/|message/|image/|.*signature$|text/(?:html|calendar)$")


def is_mail(head: bytes) -> bool:
    """Whether a document that begins with these bytes is an e-mail message."""
    return _FIRST.match(head) is not None and _FURTHER.search(head) is not None


def only_attachment(stream: BinaryIO, size: int) -> bytes | None:
    """Return what is attached to a message, None if that is nothing or more than one file."""
    if size > MAX_SIZE:
        return None
    try:
        data = stream.read()
        if data.count(b"\n--") > MAX_SEPARATORS:
            return None
        parts = list(islice(email.message_from_bytes(data).walk(), MAX_PARTS + 1))
        found = [part for part in parts if _is_attachment(part)]
        if len(found) != 1 or len(parts) > MAX_PARTS:
            return None
        attached = found[0].get_payload(decode=True)
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - a malformed message makes the parser fail in any way
        return None
    return attached if isinstance(attached, bytes) else None


def _is_attachment(part: Message) -> bool:
    type_ = part.get_content_type()
    if _NO_ATTACHMENT.match(type_):
        return False
    return type_ != "text/plain" or bool(part.get_filename())
