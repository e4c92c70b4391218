"""HTTP checksum headers: reads the checksums that the headers of an answer state.

Supported are Content-Digest and Repr-Digest (RFC 9530), Digest (RFC 3230), Content-MD5 (RFC 1864),
x-goog-hash (Google Cloud Storage), x-amz-checksum-… (Amazon S3), and an ETag that is an MD5. What a
header says is passed on as it is: `stages/checksums.py` decides what can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from aiohttp import hdrs
from multidict import CIMultiDictProxy

from pipeline.source import StatedChecksum
from pipeline.text import printable
from stages.checksums import stated_digest
from stages.sources.http.coding import content_codings

_MD5_ETAG = re.compile(r'"([0-9a-fA-F]{32})"')

#: Algorithms whose digests Digest states in hexadecimal (IANA, HTTP Digest Algorithm Values).
IN_HEXADECIMAL = ("adler32", "crc32", "crc32c")

#: The algorithms that a header names, and their digests; None for a value that is no digest.
Pairs = Iterable[tuple[str, bytes | None]]


def _structured(value: str) -> Pairs:
    """Content-Digest and Repr-Digest (RFC 9530, 2 and 3), without parameters (RFC 8941, 3.1.2)."""
    for member in value.split(","):
        algorithm, _, digest = member.partition(";")[0].strip().partition("=")
        yield stated_digest(digest, algorithm.strip())


def _instance(value: str) -> Pairs:
    """Digest (RFC 3230, 4.3.2): base64, except for the checksums in hexadecimal."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        if algorithm.lower() in IN_HEXADECIMAL:
            # Leading zeros may be missing.
            digest = digest.strip() if "=" in digest else digest.strip().zfill(8)
        yield stated_digest(digest, algorithm)


def _google(value: str) -> Pairs:
    """x-goog-hash (Google Cloud Storage, XML API): crc32c in big-endian order, md5; base64."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        yield stated_digest(digest, algorithm)


def _single(algorithm: str, value: str) -> Pairs:
    """Content-MD5 (RFC 1864) and x-amz-checksum-… (Amazon S3): one digest in base64."""
    yield stated_digest(value, algorithm)


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
    "etag",
    f"{AMAZON}type",
    "x-amz-request-id",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
)

_NAMES = (*HEADERS, *_CONTEXT)

#: Headers that state the coding in which the document is stored, whether it is sent so or not.
_STORED_CODING = ("x-goog-stored-content-encoding", "x-original-content-encoding")
_CODING = (hdrs.CONTENT_ENCODING, *_STORED_CODING)
#: Headers that say that something on the way has changed the bytes, and what they say then:
#: "214 Transformation Applied" (RFC 7234, 5.5.6), and Google Cloud Storage's own words for it.
_TRANSFORMED = (
    ("warning", re.compile(r"(?:^|,)\s*214\b")),
    ("x-guploader-response-body-transformations", re.compile(r"gunzip|gzip", re.IGNORECASE)),
)


def stated_checksums(headers: CIMultiDictProxy[str], coding: str) -> tuple[StatedChecksum, ...]:
    """The checksums that the headers of an answer state, in no order of strength.

    A header that comes several times counts as one with a list of values (RFC 9110, 5.3). coding:
    as by unpacked_coding().
    """
    said = {name: printable(", ".join(headers.getall(name))) for name in _NAMES if name in headers}
    return tuple(_stated(said, coding)) if said else ()


def unpacked_coding(headers: CIMultiDictProxy[str]) -> str:
    """The coding ("gzip") in which the source stores or sends the document, "" if in none.

    The bytes that are handed over are unpacked of it: here, or on their way by a store that does
    so for clients which don't ask for it (Google's decompressive transcoding).
    """
    for name in _CODING:
        if name in headers and (codings := content_codings(headers, name)):
            return printable(", ".join(codings))
    for name, words in _TRANSFORMED:
        if name in headers and words.search(", ".join(headers.getall(name))):
            return "another form"
    return ""


def _stated(said: Mapping[str, str], coding: str) -> Iterator[StatedChecksum]:
    for name, value in said.items():
        if (parse := HEADERS.get(name)) is None:
            continue
        composite = said.get(f"{AMAZON}type", "").strip().upper() == "COMPOSITE"
        if name.startswith(AMAZON) and composite and not coding:
            yield StatedChecksum(name, covers="the document's parts")
            continue
        plain = []
        for algorithm, digest in parse(value):
            if not coding or algorithm.lower().startswith("id-"):
                plain.append(StatedChecksum(name, algorithm, digest))
        yield from plain
        if coding and not plain:
            # Checksums are of the coded bytes, which are gone once they are unpacked.
            yield StatedChecksum(name, covers=f"the document in {coding}")
    if not coding:
        yield from _etag(said)


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
