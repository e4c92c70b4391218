"""Checksums that come with a document, in its list or in the headers of its answer."""

from __future__ import annotations

import binascii
import hashlib
import re
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Protocol

import google_crc32c
from msgspec import Struct

from pipeline.payload import Payload

#: Bytes that are read at a time.
CHUNK = 65_536

#: RFC 9530, 2: a member of a structured field's dictionary whose value is a byte sequence, and
#: parameters that say nothing to us (RFC 8941, 3.1.2).
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*(?:;.*)?")
_MD5_ETAG = re.compile(r'"([0-9a-fA-F]{32})"')

#: What an algorithm is called here, by what it is called there (RFC 9530, 5; RFC 3230, 4.1.1).
ALGORITHMS = {
    "sha": "sha-1",
    "sha1": "sha-1",
    "sha256": "sha-256",
    "sha512": "sha-512",
    "adler": "adler32",
}
#: Those that Digest states in hexadecimal (IANA, HTTP Digest Algorithm Values).
IN_HEXADECIMAL = ("adler32", "crc32", "crc32c")


class Hash(Protocol):
    """A digest in the making."""

    def update(self, data: bytes, /) -> None:
        """Count more bytes in."""

    def digest(self) -> bytes:
        """The digest of all of them."""


class _Zlib:
    """A checksum as zlib has it, in big-endian order as HTTP and Amazon S3 state it."""

    def __init__(self, update: Callable[[bytes, int], int], start: int) -> None:
        self._update = update
        self._value = start

    def update(self, data: bytes, /) -> None:
        self._value = self._update(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4)


#: The algorithms that can be checked, from the strongest to the weakest.
HASHES: Mapping[str, Callable[[], Hash]] = {
    "sha-512": hashlib.sha512,
    "sha-384": hashlib.sha384,
    "sha-256": hashlib.sha256,
    "sha-1": partial(hashlib.sha1, usedforsecurity=False),
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "crc32c": google_crc32c.Checksum,
    "crc32": partial(_Zlib, zlib.crc32, 0),
    "adler32": partial(_Zlib, zlib.adler32, 1),
}
#: Bytes of their digests.
_LENGTHS = {algorithm: len(new().digest()) for algorithm, new in HASHES.items()}


class Checksum(Struct, frozen=True):
    """One checksum as it was stated.

    stated_in: where, for the reason. proves_damage: whether one that differs says anything.
    """

    stated_in: str
    algorithm: str
    digest: bytes
    proves_damage: bool = True

    def __str__(self) -> str:
        return f"{self.stated_in} {self.algorithm}"


class Stated(Struct, frozen=True):
    """All that was stated: what can be checked, and what can't, in words."""

    checksums: tuple[Checksum, ...]
    warnings: tuple[str, ...]


def stated(headers: Mapping[str, str], listed_sha256: str | None = None) -> Stated:
    """The checksums of a document, the strongest first.

    headers: of the answer, names in lower case. listed_sha256: from the list, in hexadecimal or
    base64.
    """
    checksums: list[Checksum] = []
    warnings: list[str] = []
    if listed_sha256:
        digest = _hex(listed_sha256) or _base64(listed_sha256)
        checksums += _checked("the list's", [("sha-256", digest)], warnings)
    coded = coding(headers)
    for name, parse in HEADERS.items():
        if (value := headers.get(name)) is None:
            continue
        if coded:
            # All of them are of the bytes as they were coded, which are not here any more.
            warnings.append(f"{name} is of the document in {coded} and can't be checked")
        elif name.startswith(AMAZON) and headers.get(f"{AMAZON}type") == "COMPOSITE":
            warnings.append(f"{name} is of the document's parts and can't be checked")
        else:
            checksums += _checked(name, parse(value), warnings)
    if not coded:
        checksums += _etag(headers)
    strength = list(HASHES)
    checksums.sort(key=lambda one: (not one.proves_damage, strength.index(one.algorithm)))
    return Stated(tuple(checksums), tuple(warnings))


def coding(headers: Mapping[str, str]) -> str:
    """How the bytes were coded on their way (RFC 9110, 8.4): "gzip"; "" if they were not."""
    said = headers.get("content-encoding", "").strip().lower()
    return "" if said == "identity" else said


def digests(payload: Payload, algorithms: Iterable[str]) -> dict[str, bytes]:
    """The digests of a document by algorithm, in one reading; SHA-256 is known already."""
    found = {"sha-256": bytes.fromhex(payload.sha256)}
    hashes: dict[str, Hash] = {one: HASHES[one]() for one in algorithms if one not in found}
    if hashes:
        with payload.open() as stream:
            while chunk := stream.read(CHUNK):
                for hash_ in hashes.values():
                    hash_.update(chunk)
    return found | {algorithm: hash_.digest() for algorithm, hash_ in hashes.items()}


#: What a header says: the name of each algorithm, and the digest, or None if it is not one.
Pairs = Iterable[tuple[str, bytes | None]]


def _structured(value: str) -> Pairs:
    """Content-Digest and Repr-Digest (RFC 9530, 2 and 3)."""
    for member in value.split(","):
        match = _MEMBER.fullmatch(member)
        name = member.partition("=")[0].strip()
        yield (match[1], _base64(match[2])) if match else (name, None)


def _instance(value: str) -> Pairs:
    """Digest (RFC 3230, 4.3.2): base64, but for the checksums in hexadecimal."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        # Which may lack the zeros in front.
        short = algorithm.lower() in IN_HEXADECIMAL
        yield algorithm, _hex(digest.strip().zfill(8)) if short else _base64(digest)


def _google(value: str) -> Pairs:
    """x-goog-hash (Google Cloud Storage, XML API): crc32c in big-endian order, md5; base64."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        yield algorithm, _base64(digest)


def _single(algorithm: str, value: str) -> Pairs:
    """Content-MD5 (RFC 1864) and x-amz-checksum-… (Amazon S3): one digest in base64."""
    yield algorithm, _base64(value)


#: What the names of Amazon S3's own checksums begin with.
AMAZON = "x-amz-checksum-"

#: How each header is read, whose names are in lower case.
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


def _checked(stated_in: str, pairs: Pairs, warnings: list[str]) -> Iterator[Checksum]:
    for said, digest in pairs:
        algorithm = ALGORITHMS.get(said.lower(), said.lower())
        if algorithm not in HASHES:
            warnings.append(f'{stated_in} "{said}" is of no algorithm that synqup knows')
        elif digest is None or len(digest) != _LENGTHS[algorithm]:
            warnings.append(f"{stated_in} {algorithm} is no such checksum")
        else:
            yield Checksum(stated_in, algorithm, digest)


def _etag(headers: Mapping[str, str]) -> Iterator[Checksum]:
    """An ETag that looks like an MD5. It may be anything else, unless S3 says that it is one.

    Amazon S3, "Object": the ETag is the MD5 of the object, if that was not uploaded in parts
    (then it has a dash) and not encrypted with keys of AWS KMS or of the customer.
    """
    if match := _MD5_ETAG.fullmatch(headers.get("etag", "").strip()):
        encryption = headers.get("x-amz-server-side-encryption", "AES256")
        by_customer = "x-amz-server-side-encryption-customer-algorithm" in headers
        is_s3 = "x-amz-request-id" in headers
        proves_damage = is_s3 and encryption == "AES256" and not by_customer
        yield Checksum("etag", "md5", bytes.fromhex(match[1]), proves_damage)


def _base64(text: str) -> bytes | None:
    bare = text.strip()
    try:
        # Some leave out the padding (RFC 8941, 4.2.7).
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        return None
