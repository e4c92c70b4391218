"""HTTP checksum headers: reads the checksums that the headers of an answer state.

Supported are Content-Digest and Repr-Digest (RFC 9530), Digest (RFC 3230), Content-MD5 (RFC 1864),
x-goog-hash (Google Cloud Storage), x-amz-checksum-… (Amazon S3), and an ETag that is an MD5. What a
header says is passed on as it is: `stages/checksums.py` decides what can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from multidict import CIMultiDictProxy

from pipeline.source import StatedChecksum
from pipeline.text import printable
from stages.checksums import from_base64, from_hexadecimal

#: RFC 9530, 2: a member of a structured field's dictionary whose value is a byte sequence, and
#: parameters that are ignored (RFC 8941, 3.1.2).
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*(?:;.*)?")
_MD5_ETAG = re.compile(r'"([0-9a-fA-F]{32})"')

#: Algorithms whose digests Digest states in hexadecimal (IANA, HTTP Digest Algorithm Values).
IN_HEXADECIMAL = ("adler32", "crc32", "crc32c")

#: The algorithms that a header names, and their digests; None for a value that is no digest.
Pairs = Iterable[tuple[str, bytes | None]]


def _structured(value: str) -> Pairs:
    """Content-Digest and Repr-Digest (RFC 9530, 2 and 3)."""
    for member in value.split(","):
        match = _MEMBER.fullmatch(member)
        name = member.partition("=")[0].strip()
        yield (match[1], from_base64(match[2])) if match else (name, None)


def _instance(value: str) -> Pairs:
    """Digest (RFC 3230, 4.3.2): base64, except for the checksums in hexadecimal."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        if algorithm.lower() in IN_HEXADECIMAL:
            # Leading zeros may be missing.
            yield algorithm, from_hexadecimal(digest.strip().zfill(8))
        else:
            yield algorithm, from_base64(digest)


def _google(value: str) -> Pairs:
    """x-goog-hash (Google Cloud Storage, XML API): crc32c in big-endian order, md5; base64."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        yield algorithm, from_base64(digest)


def _single(algorithm: str, value: str) -> Pairs:
    """Content-MD5 (RFC 1864) and x-amz-checksum-… (Amazon S3): one digest in base64."""
    yield algorithm, from_base64(value)


#: The prefix of the names of Amazon S3's own checksums.
AMAZON = "x-amz-checksum-"

#: The parser of each header; names in lower case.
HEADERS: Mapping[str, Callable[[str], Pairs]] = {
    "content-digest": _structured,
    "repr-digest": _structured,
    "digest": _instance,
    "content-md5": partial(_single, "md5"),
    "x-goog-hash": _google,
    f"{AMAZON}sha256": partial(_single, "sha-256"),
    f"{AMAZON}sha1": partial(_single, "sha-1"),
    f"{AMAZON}crc32c": partial(_single, "crc32c"),
    f"{AMAZON}crc32": partial(_single, "crc32"),
}

#: Further headers that tell what the checksums mean.
_CONTEXT = (
    "content-encoding",
    "etag",
    f"{AMAZON}type",
    "x-amz-request-id",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
)


def stated_checksums(headers: CIMultiDictProxy[str]) -> tuple[StatedChecksum, ...]:
    """The checksums that the headers of an answer state, in no order of strength.

    A header that comes several times counts as one with a list of values (RFC 9110, 5.3).
    """
    said = {
        name: printable(", ".join(headers.getall(name)))
        for name in (*HEADERS, *_CONTEXT)
        if name in headers
    }
    return tuple(_stated(said)) if said else ()


def _stated(said: Mapping[str, str]) -> Iterator[StatedChecksum]:
    coding = _coding(said)
    for name, parse in HEADERS.items():
        if (value := said.get(name)) is None:
            continue
        if coding:
            # Checksums are of the coded bytes, which are gone once the answer is decoded.
            yield StatedChecksum(name, covers=f"the document in {coding}")
        elif name.startswith(AMAZON) and said.get(f"{AMAZON}type") == "COMPOSITE":
            yield StatedChecksum(name, covers="the document's parts")
        else:
            for algorithm, digest in parse(value):
                yield StatedChecksum(name, algorithm, digest)
    if not coding:
        yield from _etag(said)


def _coding(said: Mapping[str, str]) -> str:
    """The content coding of the answer (RFC 9110, 8.4): "gzip"; "" if there is none."""
    coding = said.get("content-encoding", "").strip().lower()
    return "" if coding == "identity" else coding


def _etag(said: Mapping[str, str]) -> Iterator[StatedChecksum]:
    """An ETag that looks like an MD5. It may be anything else, unless S3 says that it is one.

    Amazon S3, "Object": the ETag is the MD5 of the object, if that was not uploaded in parts
    (then it has a dash) and not encrypted with keys of AWS KMS or of the customer.
    """
    if match := _MD5_ETAG.fullmatch(said.get("etag", "").strip()):
        encryption = said.get("x-amz-server-side-encryption", "AES256")
        by_customer = "x-amz-server-side-encryption-customer-algorithm" in said
        is_s3 = "x-amz-request-id" in said
        proves_damage = is_s3 and encryption == "AES256" and not by_customer
        yield StatedChecksum("etag", "md5", bytes.fromhex(match[1]), proves_damage=proves_damage)
