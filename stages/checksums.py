"""Checksums: decides which stated ones can be checked, and computes digests of documents."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Protocol

import google_crc32c
from msgspec import Struct, structs

from pipeline.payload import Payload
from pipeline.source import StatedChecksum
from stages.digest_text import algorithm_named, read_digest

#: Bytes that are read at a time.
CHUNK = 65_536


class Hash(Protocol):
    """A digest that is being computed."""

    def update(self, data: bytes, /) -> None:
        """Add more bytes."""

    def digest(self) -> bytes:
        """The digest of all bytes so far."""


class _Zlib:
    """A checksum of zlib, in big-endian order as HTTP and Amazon S3 state it."""

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
#: Place of each algorithm among them, and bytes of its digests.
_STRENGTH = {algorithm: place for place, algorithm in enumerate(HASHES)}
_LENGTHS = {algorithm: len(new().digest()) for algorithm, new in HASHES.items()}
#: Those that vouch for more than that nothing was damaged by chance.
STRONG = frozenset({"sha-512", "sha-384", "sha-256", "sha-1", "md5"})


class Checksum(Struct, frozen=True):
    """A checksum that can be checked; fields as in StatedChecksum.

    perhaps_of: what it may be of instead of these bytes, so that it proves nothing if it differs.
    """

    stated_in: str
    algorithm: str
    digest: bytes
    proves_damage: bool = True
    perhaps_of: str = ""

    def __str__(self) -> str:
        return f"{self.stated_in} {self.algorithm}"

    @property
    def is_strong(self) -> bool:
        """Whether other bytes of another length can't have the same digest."""
        return self.algorithm in STRONG


class Checkable(Struct, frozen=True):
    """The checksums that can be checked, the strongest first, and a sentence for each other one."""

    checksums: tuple[Checksum, ...]
    warnings: tuple[str, ...]


def checkable(
    stated: Iterable[StatedChecksum], listed_sha256: str | None = None, coding: str = ""
) -> Checkable:
    """Select the checksums of a document that can be checked.

    stated: by the source, with the bytes. listed_sha256: by the list, in any spelling; it may name
    another algorithm. coding: of which the bytes were unpacked; what the list states may be of the
    packed ones then.
    """
    warnings: list[str] = []
    checksums: list[Checksum] = []
    if listed_sha256:
        algorithm, digest = stated_digest(listed_sha256, "sha-256")
        packed = f"the document in {coding}" if coding else ""
        listed = _checkable([StatedChecksum("the list's", algorithm, digest)], warnings)
        checksums += [structs.replace(one, perhaps_of=packed) for one in listed]
    checksums += _checkable(stated, warnings)
    checksums.sort(key=lambda one: (not one.proves_damage, _STRENGTH[one.algorithm]))
    return Checkable(tuple(checksums), tuple(warnings))


def stated_digest(text: str, algorithm: str) -> tuple[str, bytes | None]:
    """The algorithm and the digest that a text states, this algorithm unless it names another."""
    named = algorithm_named(algorithm)
    plain = named.removeprefix("id-")
    length = _LENGTHS.get(plain)
    if length is None:
        return algorithm, None
    found, digest = read_digest(text, plain, length)
    return algorithm if found == plain else found, digest


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


def _checkable(stated: Iterable[StatedChecksum], warnings: list[str]) -> Iterator[Checksum]:
    for one in stated:
        algorithm = algorithm_named(one.algorithm).removeprefix("id-")
        if one.covers:
            warnings.append(f"{one.stated_in} is of {one.covers} and can't be checked")
        elif algorithm not in HASHES:
            warnings.append(
                f'{one.stated_in} "{one.algorithm}" is of no algorithm that synqup knows'
            )
        elif one.digest is None or len(one.digest) != _LENGTHS[algorithm]:
            warnings.append(f"{one.stated_in} {algorithm} is no such checksum")
        else:
            yield Checksum(one.stated_in, algorithm, one.digest, one.proves_damage)
