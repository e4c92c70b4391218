"""Lenient JSON reader: reads each member of an object by itself, so that none spoils another.

Only for what a strict decoder has refused: a value of another type than agreed, half a surrogate,
NaN, nesting without end, bytes that are no UTF-8. What can't be read is missing then.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from itertools import pairwise

import msgspec
from msgspec import Raw

#: Errors of decoding untrusted JSON: it may be nested without end, or not be UTF-8.
JSON_ERRORS = (msgspec.DecodeError, ValueError, RecursionError)

#: Byte-order marks, the longer ones first, and the encodings that they stand for.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Which of the first four bytes of JSON without a mark are zero, by its encoding (RFC 4627, 3).
ZEROS = {"1110": "utf-32-be", "0111": "utf-32-le", "1010": "utf-16-be", "0101": "utf-16-le"}

#: Bytes around JSON that mean nothing.
AROUND = b" \t\r\n\0"

#: Tokens of JSON that matter: strings, brackets, commas; a quote alone is an unterminated string.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
#: Tokens that are read at most, which takes some seconds.
MAX_TOKENS = 4_000_000
#: Bytes of a value that is read by the slower decoder.
MAX_LENIENT = 100_000
#: A member of an object.
MEMBER = re.compile(rb'\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")\s*:(.*)', re.DOTALL)

WHOLE = re.compile(rb"-?[0-9]+")
INTEGER = re.compile(r"[0-9]{1,18}(?:\.0*)?")
#: Whole numbers above this are not exact where they have become floats on their way.
EXACT = 2.0**53


def as_utf8(body: bytes) -> bytes:
    """The same JSON in UTF-8, whichever Unicode encoding it came in.

    Byte-order marks, blanks and NULs around it are left out.
    """
    if body[:1] in (b"{", b"[") and body[-1:] != b"\0" and body[1:2] != b"\0":
        return body
    return _decoded_text(body).strip(AROUND)


def _decoded_text(body: bytes) -> bytes:
    encoding = ""
    for mark, named in MARKS:
        while body.startswith(mark) and encoding in ("", named):
            body, encoding = body[len(mark) :], named
    if not encoding and len(body) >= 2:
        zeros = "".join("0" if byte else "1" for byte in body[:4])
        # Two bytes are the shortest text of UTF-16; one of UTF-32 has four.
        encoding = ZEROS.get(zeros if len(zeros) == 4 else zeros[:2] * 2, "")
    if encoding in ("", "utf-8"):
        while (bare := body.strip(AROUND).removeprefix(codecs.BOM_UTF8)) != body:
            body = bare
        return body
    return body.decode(encoding, "replace").lstrip("\ufeff").encode("utf-8", "replace")


def members(value: bytes) -> Mapping[str, bytes]:
    """The members of an object, each still encoded. ValueError if it is no object."""
    try:
        raws: dict[str, Raw] = msgspec.json.decode(value, type=dict[str, Raw])
        return {name: bytes(raw) for name, raw in raws.items()}
    except JSON_ERRORS:
        pass
    found: dict[str, bytes] = {}
    for piece in pieces(value, b"{}"):
        match = MEMBER.fullmatch(piece)
        name = decoded(match[1]) if match else None
        if match and isinstance(name, str):
            found[name] = match[2].strip()
    return found


def elements(value: bytes) -> list[Raw]:
    """The elements of an array, each still encoded. ValueError if it is no array."""
    try:
        return msgspec.json.decode(value, type=list[Raw])
    except JSON_ERRORS:
        return [Raw(piece) for piece in pieces(value, b"[]")]


def pieces(value: bytes, brackets: bytes) -> list[bytes]:
    """What stands between the brackets of an object or array and its own commas.

    ValueError if the brackets are others, or don't close at its end.
    """
    value = value.strip()
    if value[:1] != brackets[:1]:
        raise ValueError("it is of another type")
    depth = 0
    cuts = [0]
    for count, match in enumerate(TOKEN.finditer(value)):
        token = match[0]
        if count == MAX_TOKENS or token == b'"':
            break
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
            if not depth:
                if match.end() != len(value) or token != brackets[1:]:
                    break
                cuts.append(match.start())
                found = [value[a + 1 : b].strip() for a, b in pairwise(cuts)]
                # Nothing follows the last comma where an array is empty, or ends with one.
                return found if found[-1] else found[:-1]
        elif depth == 1 and token == b",":
            cuts.append(match.start())
    raise ValueError("it does not end where it should")


def decoded(raw: bytes | None) -> object:
    """A value; None also where there is none, or it can't be read."""
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except JSON_ERRORS:
        pass
    try:
        # NaN, Infinity and signs of control, which the other refuses.
        return json.loads(raw, strict=False) if len(raw) <= MAX_LENIENT else None
    except JSON_ERRORS:
        return None


def text(raw: bytes | None) -> str | None:
    """A text, or a number as it is written; None for anything else."""
    value = decoded(raw)
    if isinstance(value, bool) or raw is None:
        return None
    if isinstance(value, str):
        return value if _is_encodable(value) else None
    return raw.decode("ascii", "replace") if isinstance(value, int | float) else None


def word(raw: bytes | None) -> str | None:
    """A text; None for anything else."""
    value = decoded(raw)
    return value if isinstance(value, str) and _is_encodable(value) else None


def name(raw: bytes | None, longest: int) -> str | None:
    """A text, or a whole number however it is written, that identifies something."""
    value = decoded(raw)
    if raw is not None and WHOLE.fullmatch(raw):
        found: str | None = raw.decode("ascii")
    elif isinstance(value, float):
        found = str(int(value)) if value.is_integer() and abs(value) < EXACT else None
    else:
        found = word(raw)
    return found if found and found.strip() and len(found) <= longest else None


def count(raw: bytes | None) -> int | None:
    """A whole number from zero on, which may be written as a text; None for anything else."""
    written = text(raw)
    if written is None or not INTEGER.fullmatch(written.strip()):
        return None
    return int(float(written)) if "." in written else int(written)


def _is_encodable(value: str) -> bool:
    """Whether a text has no half of a surrogate, which json.loads() lets through."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
