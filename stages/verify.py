"""Verify stage (3 of 6): checks checksums, size and structure of a document, and reads it."""

from __future__ import annotations

import time
from functools import partial

from msgspec import Struct

from pipeline.document import Document
from pipeline.errors import Corrupt, Rejected
from pipeline.payload import Payload
from pipeline.source import Announced
from pipeline.text import first_few
from stages.checksums import checkable, digests
from stages.formats.content import Hostile, Unreadable
from stages.formats.registry import read, run_in_thread_if_slow
from stages.model import Fetched, Listed, Verified


async def process(document: Document[Fetched]) -> Document[Verified]:
    """Verify one document, and read it: its structure shows whether it is whole.

    Corrupt if it has not arrived whole, Rejected if it may not be delivered.
    """
    payload, meta = document.payload, document.meta
    assert payload is not None
    label = document.entry.label
    work = partial(verify, payload, meta.listed, meta.announced, subject=label)
    return document.grown(await run_in_thread_if_slow(payload, work))


class Vouched(Struct, frozen=True):
    """How far the checksums vouch for a document.

    checksum: the name of the one that agreed, "" if none could be checked. warnings: of those that
    could not.
    """

    checksum: str
    warnings: tuple[str, ...]


def vouch(
    payload: Payload,
    listed: Listed,
    announced: Announced,
    *,
    subject: str,
    require_checksum: bool = False,
) -> Vouched:
    """Check the checksums and the size of a document.

    announced: what the source states of its bytes. subject: what errors call the document. Corrupt
    if one of them is wrong, Rejected if a checksum is required and there is none.
    """
    checksum, warnings = _vouching(payload, listed, announced, subject)
    _check_size(payload, listed, announced, subject)
    if require_checksum and not checksum:
        raise Rejected(
            subject,
            "; ".join(first_few(("it came with no checksum that could be checked", *warnings))),
            "Set require_checksum = false in [service] if this source never sends one",
        )
    return Vouched(checksum, warnings)


def verify(payload: Payload, listed: Listed, announced: Announced, *, subject: str) -> Verified:
    """Check a document and read it.

    If a checksum has agreed, problems of the structure are only warnings, because the source holds
    the same bytes; what is merely odd is never more than one. Rejected if the content is hostile.
    """
    required = listed.config.service.require_checksum
    vouched = vouch(payload, listed, announced, subject=subject, require_checksum=required)
    try:
        reading = read(payload)
    except Hostile as error:
        raise Rejected(subject, str(error), "Ask its sender for a plain document") from None
    except Unreadable as error:
        raise Rejected(subject, str(error), "Ask its sender to send it again") from None
    if reading.problems and not vouched.checksum:
        raise Corrupt(subject, "; ".join(first_few(reading.problems)))
    if reading.content is None:
        raise Rejected(subject, reading.problems[0], "Ask its sender to send it again")
    return Verified(
        listed=listed,
        content=reading.content,
        checksum=vouched.checksum,
        warnings=tuple(first_few((*vouched.warnings, *reading.problems, *reading.warnings))),
        media_type=announced.media_type,
        verified_at=time.time(),
    )


def _vouching(
    payload: Payload, listed: Listed, announced: Announced, subject: str
) -> tuple[str, tuple[str, ...]]:
    """Return the strongest checksum that agrees, or "", and warnings of what could not be checked.

    Corrupt if one differs. A weaker one that differs although a stronger one agrees is wrong itself
    and becomes a warning.
    """
    given = checkable(announced.checksums, listed.sha256)
    found = digests(payload, {one.algorithm for one in given.checksums})
    vouching, warnings = "", list(given.warnings)
    for checksum in given.checksums:
        here = found[checksum.algorithm]
        if checksum.digest == here:
            vouching = vouching or str(checksum)
        elif checksum.proves_damage:
            differs = f"{checksum} says {checksum.digest.hex()}, and what arrived has {here.hex()}"
            if not vouching:
                raise Corrupt(subject, differs)
            warnings.append(differs)
    return vouching, tuple(warnings)


def _check_size(payload: Payload, listed: Listed, announced: Announced, subject: str) -> None:
    for who, size in (("the list", listed.size), ("the source", announced.length)):
        if size is not None and size != payload.size:
            raise Corrupt(subject, f"{who} says {size:,} bytes, and {payload.size:,} have arrived")
