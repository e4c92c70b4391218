"""Checksum headers of the sandbox's downloads: each document has another kind of the usual ones."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from hashlib import md5, sha256

import google_crc32c

from stages.kind import Kind
from stages.sandbox.corpus import Document


def checksum_headers(document: Document, data: bytes) -> dict[str, str]:
    """The checksum header of one document; the kind of header depends on its index.

    Every eighth document has none, except in lists of unknown kind: their files may have any
    content, and only a checksum can vouch for those.
    """
    choices = VOUCHING if document.kind is Kind.UNKNOWN else (*VOUCHING, _none)
    return choices[document.index % len(choices)](data)


def _content_digest(data: bytes) -> dict[str, str]:
    """RFC 9530, 2."""
    return {"Content-Digest": f"sha-256=:{_sha256(data)}:"}


def _repr_digest(data: bytes) -> dict[str, str]:
    """RFC 9530, 3."""
    return {"Repr-Digest": f"sha-256=:{_sha256(data)}:"}


def _digest(data: bytes) -> dict[str, str]:
    """RFC 3230, 4.3.2."""
    return {"Digest": f"SHA-256={_sha256(data)}"}


def _content_md5(data: bytes) -> dict[str, str]:
    """RFC 1864."""
    return {"Content-MD5": _md5(data)}


def _goog_hash(data: bytes) -> dict[str, str]:
    """Google Cloud Storage, XML API: CRC-32C in big-endian order, and MD5."""
    crc32c = b64encode(google_crc32c.value(data).to_bytes(4)).decode()
    return {"x-goog-hash": f"crc32c={crc32c},md5={_md5(data)}"}


def _amz_checksum(data: bytes) -> dict[str, str]:
    """Amazon S3, additional checksums."""
    return {"x-amz-checksum-sha256": _sha256(data)}


def _etag(data: bytes) -> dict[str, str]:
    """Amazon S3: the MD5 of an object that was uploaded in one part."""
    return {"ETag": f'"{md5(data, usedforsecurity=False).hexdigest()}"'}


def _none(_: bytes) -> dict[str, str]:
    return {}


VOUCHING: tuple[Callable[[bytes], dict[str, str]], ...] = (
    _content_digest,
    _repr_digest,
    _digest,
    _content_md5,
    _goog_hash,
    _amz_checksum,
    _etag,
)


def _sha256(data: bytes) -> str:
    return b64encode(sha256(data).digest()).decode()


def _md5(data: bytes) -> str:
    return b64encode(md5(data, usedforsecurity=False).digest()).decode()
