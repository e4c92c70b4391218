"""Stage 3, verify: what has arrived is what the source holds, by checksum, size and structure."""

from __future__ import annotations

import time
from functools import partial

from pipeline.document import Document
from pipeline.errors import Corrupt, Rejected
from pipeline.payload import Payload
from pipeline.source import Announced
from pipeline.text import first_few
from stages.checksums import checkable, digests
from stages.formats import apart, problems
from stages.formats.content import Hostile, Unreadable
from stages.model import Fetched, Listed, Verified


async def process(document: Document[Fetched]) -> Document[Verified]:
    """Verify one document.

    Corrupt when it has not arrived whole, Rejected when it may not be delivered.
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
    return document.grown(await apart(payload, work))


def verify(
    payload: Payload,
    listed: Listed,
    announced: Announced,
    *,
    subject: str,
    require_checksum: bool = False,
) -> Verified:
    """Hold a document against its checksums, its size and its structure.

    announced: what the source states of its bytes. subject: what errors call the document.
    Corrupt when one of them says otherwise, except that a checksum that vouches for the
    bytes makes an oddity of the structure a warning. Rejected when there is no checksum
    and has to be one, and when the content is hostile.
    """
    checksum, warnings = _vouching(payload, listed, announced, subject)
    _check_size(payload, listed, announced, subject)
    if require_checksum and not checksum:
        raise Rejected(
            subject,
            "; ".join(first_few(("it came with no checksum that could be checked", *warnings))),
            "Set require_checksum = false in [service] if this source never sends one",
        )
    odd = _problems(payload, subject)
    if odd and not checksum:
        raise Corrupt(subject, "; ".join(first_few(odd)))
    return Verified(
        listed=listed,
        checksum=checksum,
        warnings=tuple(first_few((*warnings, *odd))),
        media_type=announced.media_type,
        verified_at=time.time(),
    )


def _vouching(
    payload: Payload, listed: Listed, announced: Announced, subject: str
) -> tuple[str, tuple[str, ...]]:
    """The strongest checksum that agrees, or "", and what could not be checked.

    A weaker one that differs where a stronger one agrees is wrong itself.
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


def _problems(payload: Payload, subject: str) -> list[str]:
    try:
        return problems(payload)
    except Hostile as error:
        raise Rejected(subject, str(error), "Ask its sender for a plain one") from None
    except Unreadable as error:
        return [str(error)]
