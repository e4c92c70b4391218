"""Digest reader: reads a checksum in whatever spelling it is stated."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from functools import lru_cache
from urllib.parse import unquote

#: Our name of an algorithm, by other spellings of it (RFC 9530, 5; RFC 3230, 4.1.1; RFC 5843).
#: Those that begin with "id-" are of the document before any content coding.
ALGORITHMS = {
    "sha": "sha-1",
    "sha1": "sha-1",
    "sha256": "sha-256",
    "sha384": "sha-384",
    "sha512": "sha-512",
    "md-5": "md5",
    "crc-32": "crc32",
    "crc-32c": "crc32c",
    "adler": "adler32",
    "adler-32": "adler32",
    **{f"sha2-{bits}": f"sha-{bits}" for bits in (256, 384, 512)},
}

#: Words before a digest that don't tell its algorithm.
_LABELS = {
    *("hash", "checksum", "digest", "sum", "value", "hex", "hexadecimal"),
    *("base64", "b64", "base64url"),
}

#: Names that may stand before a digest, also with nothing but a dash or a blank between.
_KNOWN = (
    r"sha[23]?[-_ ]?(?:512[/_](?:224|256)|1|224|256|384|512)|sha|md[-_ ]?5|crc[-_ ]?32c?|adler-?32"
)
#: A name before a digest: "sha256:…", "sha-256=:…:", "SHA256 …", "{SHA256}…", "SHA256 (name) = …",
#: "sha256sum: …", "ni:///sha-256;…" (RFC 6920).
_PREFIXED = re.compile(
    rf"(?:urn:|hash:|ni:///?)*[\[{{]?(?P<known>{_KNOWN})(?:sum)?[\]}}]?"
    r"(?:\s*(?:\([^()]*\)\s*)?[:=;|]\s*|(?<=[\]}])\s*|[-\s]|/)"
    r"(?P<rest>.+)|(?P<other>[a-z][a-z0-9_./-]{0,30})\s*[:=]\s*(?P<more>[^=\s].*)",
    re.IGNORECASE | re.DOTALL,
)
_BLANK = re.compile(r"\s+")
_HEXADECIMAL = re.compile(r"(?:0x|\\x)?[0-9a-f]{2}(?:[\s:-]*[0-9a-f]{2})*", re.IGNORECASE)
#: As most state it.
_PLAIN = re.compile(r"[0-9a-fA-F]+")
#: Signs of base64url, and those of base64 in their place (RFC 4648, 5).
_URL_SAFE = str.maketrans("-_", "+/")
#: Signs of a text that is looked at, at most: no digest is longer than 200.
MOST = 1000


@lru_cache(256)
def algorithm_named(name: str) -> str:
    """Our name of an algorithm, as which an unknown one stays as it is, in lower case."""
    plain = re.sub(r"[_ ]", "-", name.strip().lower())
    return ALGORITHMS.get(plain, plain)


def read_digest(text: str, algorithm: str, length: int) -> tuple[str, bytes | None]:
    """The algorithm and the digest that a text states; None if it is no digest.

    algorithm, length: of the digest, in bytes, unless the text itself names another algorithm; its
    digest may have any length then.
    """
    if len(text) == 2 * length and _PLAIN.fullmatch(text):
        return algorithm, bytes.fromhex(text)
    bare = _without_quotes(text) if len(text) <= MOST else ""
    if digest := _of_length(bare, length):
        return algorithm, digest
    match = _PREFIXED.fullmatch(bare)
    if match and algorithm_named(match["other"] or "") in _LABELS:
        bare = match["more"]
        if digest := _of_length(bare, length):
            return algorithm, digest
        match = _PREFIXED.fullmatch(bare)
    if match:
        named = algorithm_named(match["known"] or match["other"])
        rest = match["rest"] or match["more"]
        if named == algorithm:
            return algorithm, _of_length(rest, length)
        if match["known"] or not _HEXADECIMAL.fullmatch(bare):
            return named, from_hexadecimal(rest) or from_base64(rest)
    return algorithm, None


def from_base64(text: str) -> bytes | None:
    """The bytes that a text in base64 or base64url stands for; None if it is none."""
    # RFC 8941, 3.3.5, puts it between colons; some leave out the padding (4.2.7).
    bare = _BLANK.sub("", text).strip(":").rstrip("=").translate(_URL_SAFE)
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def from_hexadecimal(text: str) -> bytes | None:
    """The bytes that a text in hexadecimal stands for; None if it is none."""
    bare = text.strip().strip(":")
    if not _HEXADECIMAL.fullmatch(bare):
        return None
    return bytes.fromhex(re.sub(r"^[0\\][xX]|[\s:-]", "", bare))


def _without_quotes(text: str) -> str:
    """Return a text without quotes, and without the escapes of an address."""
    return unquote(text).strip().strip("\"'").strip()


def _of_length(text: str, length: int) -> bytes | None:
    """The bytes of this length that a text stands for, the hexadecimal reading first."""
    bare = _without_quotes(text)
    # A file of checksums has the name of the document behind each.
    for spelled in (bare, *bare.split()[:1]):
        for digest in (from_hexadecimal(spelled), from_base64(spelled)):
            if digest is None:
                continue
            if len(digest) == length:
                return digest
            if len(digest) == 2 * length:
                # Some encode the hexadecimal text once more.
                inner = from_hexadecimal(digest.decode("latin-1"))
                if inner is not None and len(inner) == length:
                    return inner
    return None
