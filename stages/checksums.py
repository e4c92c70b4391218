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

#: RFC 9530, 2: a member of a structured field's dictionary whose value is a byte sequence.
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)\s*=\s*:([A-Za-z0-9+/=]*):\s*")
_MD5_ETAG = re.compile(r'"([0-9a-fA-F]{32})"')

#: What an algorithm is called here, by what it is called there (RFC 9530, 5; RFC 3230, 4.1.1).
ALGORITHMS = {"sha": "sha-1", "sha1": "sha-1", "sha256": "sha-256", "sha512": "sha-512"}


class Hash(Protocol):
    """A digest in the making."""

    def update(self, data: bytes, /) -> None:
        """Count more bytes in."""

    def digest(self) -> bytes:
        """The digest of all of them."""


class _Crc32:
    """CRC-32 as zlib has it, in big-endian order as Amazon S3 states it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

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
    "crc32": _Crc32,
}


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

    headers: of the answer, names in lower case. listed_sha256: hexadecimal, from the list.
    """
    checksums: list[Checksum] = []
    warnings: list[str] = []
    if listed_sha256:
        checksums += _checked("the list's", [("sha-256", _hex(listed_sha256))], warnings)
    coding = headers.get("content-encoding", "").strip().lower()
    for name, parse in HEADERS.items():
        if (value := headers.get(name)) is None:
            continue
        if coding not in ("", "identity"):
            # All of them are of the bytes as they were coded, which are not here any more.
            warnings.append(f"{name} is of the document in {coding} and can't be checked")
            continue
        checksums += _checked(name, parse(value), warnings)
    if coding in ("", "identity"):
        checksums += _etag(headers)
    strength = list(HASHES)
    checksums.sort(key=lambda one: (not one.proves_damage, strength.index(one.algorithm)))
    return Stated(tuple(checksums), tuple(warnings))


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
        yield (match[1], _base64(match[2])) if match else (member.strip(), None)


def _instance(value: str) -> Pairs:
    """Digest (RFC 3230, 4.3.2): base64, but for the checksums in hexadecimal."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        decode = _hex if algorithm.lower().startswith("crc32") else _base64
        yield algorithm, decode(digest)


def _google(value: str) -> Pairs:
    """x-goog-hash (Google Cloud Storage, XML API): crc32c in big-endian order, md5; base64."""
    for member in value.split(","):
        algorithm, _, digest = member.strip().partition("=")
        yield algorithm, _base64(digest)


def _single(algorithm: str, value: str) -> Pairs:
    """Content-MD5 (RFC 1864) and x-amz-checksum-… (Amazon S3): one digest in base64."""
    yield algorithm, _base64(value)


#: How each header is read, whose names are in lower case.
HEADERS: Mapping[str, Callable[[str], Pairs]] = {
    "content-digest": _structured,
    "repr-digest": _structured,
    "digest": _instance,
    "content-md5": partial(_single, "md5"),
    "x-goog-hash": _google,
    "x-amz-checksum-sha256": partial(_single, "sha-256"),
    "x-amz-checksum-sha1": partial(_single, "sha-1"),
    "x-amz-checksum-crc32c": partial(_single, "crc32c"),
    "x-amz-checksum-crc32": partial(_single, "crc32"),
}


def _checked(stated_in: str, pairs: Pairs, warnings: list[str]) -> Iterator[Checksum]:
    for said, digest in pairs:
        algorithm = ALGORITHMS.get(said.lower(), said.lower())
        if algorithm not in HASHES:
            warnings.append(f'{stated_in} "{said}" is of no algorithm that synqup knows')
        elif digest is None or len(digest) != len(HASHES[algorithm]().digest()):
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
    try:
        return b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        return None
