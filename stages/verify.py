"""Verify stage (3 of 6): checks the checksums, the size and the structure of a document."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from pipeline.document import Document
from pipeline.errors import Corrupt, Rejected
from pipeline.payload import Payload
from pipeline.source import Announced
from pipeline.text import first_few
from stages.checksums import Checksum, checkable, digests
from stages.formats.content import Hostile, Unreadable
from stages.formats.registry import problems, run_in_thread_if_slow
from stages.model import Fetched, Listed, Verified


async def process(document: Document[Fetched]) -> Document[Verified]:
    """Verify one document.

    Corrupt if it has not arrived whole, Rejected if it may not be delivered.
    """
    payload, meta = document.payload, document.meta
    assert payload is not None
    work = partial(
        verify,
        payload,
        meta.listed,
        meta.announced,
        subject=document.entry.label,
        require_checksum=meta.listed.config.service.require_checksum,
    )
    return document.grown(await run_in_thread_if_slow(payload, work))


def verify(
    payload: Payload,
    listed: Listed,
    announced: Announced,
    *,
    subject: str,
    require_checksum: bool = False,
) -> Verified:
    """Check the checksums, the size and the structure of a document.

    announced: what the source states of its bytes. subject: what errors call the document.
    Corrupt if one of them is wrong; but if a checksum has agreed, problems of the structure are
    only warnings, because the source holds the same bytes. Rejected if a checksum is required and
    there is none, and if the content is hostile.
    """
    vouching, warnings = _vouching(payload, listed, announced, subject)
    warnings += tuple(_check_sizes(payload, listed, announced, vouching, subject))
    checksum = str(vouching or "")
    if require_checksum and not checksum:
        raise Rejected(
            subject,
            "; ".join(first_few(("it came with no checksum that could be checked", *warnings))),
            "Set require_checksum = false in [service] if this source never sends one",
        )
    found = _problems(payload, subject)
    if found and not checksum:
        raise Corrupt(subject, "; ".join(first_few(found)))
    return Verified(
        listed=listed,
        checksum=checksum,
        warnings=tuple(first_few((*warnings, *found))),
        media_type=announced.media_type,
        verified_at=time.time(),
    )


def _vouching(
    payload: Payload, listed: Listed, announced: Announced, subject: str
) -> tuple[Checksum | None, tuple[str, ...]]:
    """Return the strongest checksum that agrees, if any, and warnings of what says nothing.

    Corrupt if one differs. A weaker one that differs although a stronger one agrees is wrong
    itself, and one that may be of other bytes says nothing: these become warnings.
    """
    given = checkable(announced.checksums, listed.sha256, announced.coding)
    found = digests(payload, {one.algorithm for one in given.checksums})
    vouching: Checksum | None = None
    warnings = list(given.warnings)
    for checksum in given.checksums:
        here = found[checksum.algorithm]
        if checksum.digest == here:
            vouching = vouching or checksum
            continue
        differs = f"{checksum} says {checksum.digest.hex()}, and what arrived has {here.hex()}"
        if checksum.perhaps_of:
            warnings.append(f"{differs}; it may be of {checksum.perhaps_of}")
        elif checksum.proves_damage:
            if vouching is None:
                raise Corrupt(subject, differs)
            warnings.append(differs)
    return vouching, tuple(warnings)


def _check_sizes(
    payload: Payload, listed: Listed, announced: Announced, vouching: Checksum | None, subject: str
) -> Iterator[str]:
    """Yield a warning for each size that differs and may be of other bytes; else Corrupt."""
    certain = vouching is not None and vouching.is_strong
    for who, size, is_of_others in (
        ("the list", listed.size, certain or announced.coding),
        ("the source", announced.length, certain),
    ):
        if size is not None and size != payload.size:
            differs = f"{who} says {size:,} bytes, and {payload.size:,} have arrived"
            if not is_of_others:
                raise Corrupt(subject, differs)
            yield differs


def _problems(payload: Payload, subject: str) -> list[str]:
    try:
        return problems(payload)
    except Hostile as error:
        raise Rejected(subject, str(error), "Ask its sender for a plain document") from None
    except Unreadable as error:
        return [str(error)]
