"""Verify stage (3 of 6): checks checksums, size and structure of a document, and reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache, partial

from msgspec import Struct, structs

from pipeline.config.types import ServiceSettings
from pipeline.document import Document
from pipeline.errors import Corrupt, Rejected
from pipeline.payload import Payload
from pipeline.source import Announced
from pipeline.text import first_few
from stages.checksums import Checksum, checkable, digests
from stages.formats.content import Content, Hostile, Other, Reading, Unreadable
from stages.formats.registry import Format, Opened, format_of, opened, run_in_thread_if_slow
from stages.formats.scratch import Room
from stages.model import Fetched, Listed, Verified


async def process(document: Document[Fetched]) -> Document[Verified]:
    """Verify one document, and read it: its structure shows whether it is whole.

    What it was wrapped in is taken off, for an accounting package imports what is inside. Corrupt
    if it has not arrived whole, Rejected if it may not be delivered.
    """
    payload, meta = document.payload, document.meta
    assert payload is not None
    label = document.entry.label
    # The beginning of a spooled document is read in the thread.
    format_ = format_of(payload) if payload.data is not None else None
    work = partial(verify, payload, meta.listed, meta.announced, format_, subject=label)
    verified, unwrapped = await run_in_thread_if_slow(payload, work, format_)
    return document.with_meta(verified, unwrapped)


class Vouched(Struct, frozen=True):
    """How far the checksums vouch for a document.

    checksum: the name of the one that agreed, "" if none could be checked. warnings: of those that
    could not.
    """

    checksum: str
    warnings: tuple[str, ...]


#: What is so of nearly all documents of a source whose list states checksums.
_AS_LISTED = Vouched("the list's sha-256", ())


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
    if _is_as_listed(payload, listed, announced):
        return _AS_LISTED
    vouching, warnings = _vouching(payload, listed, announced, subject)
    warnings += tuple(_check_sizes(payload, listed, announced, vouching, subject))
    checksum = str(vouching or "")
    if require_checksum and not checksum:
        raise Rejected(
            subject,
            "; ".join(first_few(("it came with no checksum that could be checked", *warnings))),
            "Set require_checksum = false in [service] if this source never sends one",
        )
    return Vouched(checksum, warnings)


def verify(
    payload: Payload,
    listed: Listed,
    announced: Announced,
    format_: Format | None = None,
    *,
    subject: str,
) -> tuple[Verified, Payload]:
    """Check a document and read it; return what it says, and its bytes without their wrapping.

    format_: of the document, None to detect it.
    If a checksum has agreed, problems of the structure are only warnings, because the source holds
    the same bytes; what is merely odd is never more than one. Of a document that was wrapped, what
    came is discarded once all is well. Rejected if the content is hostile.
    """
    service = listed.config.service
    room = _room(service)
    if listed.by_hand is not None and listed.by_hand.as_is:
        return _as_is(payload, listed, announced, room, subject)
    required = service.require_checksum
    try:
        vouched = vouch(payload, listed, announced, subject=subject, require_checksum=required)
    except Corrupt as error:
        found, vouched = _vouched_inside(payload, listed, announced, subject, room, error)
    else:
        found = _opened(payload, room, format_, subject)
    try:
        content = _checked(found.reading, vouched, subject)
    except BaseException:
        if found.payload is not payload:
            found.payload.discard()
        raise
    if found.payload is not payload:
        payload.discard()
    reading = found.reading
    verified = Verified(
        listed=listed,
        content=content,
        checksum=vouched.checksum,
        warnings=tuple(first_few((*vouched.warnings, *reading.problems, *reading.warnings))),
        media_type=announced.media_type,
        verified_at=time.time(),
    )
    return verified, found.payload


def _as_is(
    payload: Payload, listed: Listed, announced: Announced, room: Room, subject: str
) -> tuple[Verified, Payload]:
    """Read a document that a person wants to have delivered, whatever is wrong with it.

    Corrupt if its bytes are not those that were kept.
    """
    vouched = vouch(payload, listed, announced, subject=subject)
    warnings: tuple[str, ...]
    try:
        found = opened(payload, room)
    except Unreadable as error:
        content: Content = Other("unknown", f"a document that can't be read: {error}")
        warnings, inside = (str(error),), payload
    else:
        reading, inside = found.reading, found.payload
        content = reading.content or Other("unknown", "a document that can't be read")
        warnings = tuple(first_few((*reading.problems, *reading.warnings)))
        if inside is not payload:
            payload.discard()
    verified = Verified(
        listed, content, vouched.checksum, warnings, announced.media_type, time.time()
    )
    return verified, inside


@lru_cache(1)  # making paths takes longer than it seems, and most documents need no room
def _room(service: ServiceSettings) -> Room:
    """Return the room for what is unpacked: beside the documents that were too large for memory."""
    return Room(service.state_dir / "spool", service.spool_threshold, service.max_document_size)


def _opened(payload: Payload, room: Room, format_: Format | None, subject: str) -> Opened:
    try:
        return opened(payload, room, format_)
    except Hostile as error:
        raise Rejected(subject, str(error), "Ask its sender for a plain document") from None
    except Unreadable as error:
        raise Rejected(subject, str(error), "Ask its sender to send it again") from None


def _vouched_inside(
    payload: Payload,
    listed: Listed,
    announced: Announced,
    subject: str,
    room: Room,
    differs: Corrupt,
) -> tuple[Opened, Vouched]:
    """Open a document of which the list states the checksum and the size without its wrapping.

    differs: raised if that is not so either. Corrupt if it is not as the source itself states.
    """
    vouch(payload, structs.replace(listed, sha256=None, size=None), announced, subject=subject)
    try:
        found = opened(payload, room)
    except Unreadable:
        raise differs from None
    if found.payload is payload:
        raise differs
    try:
        return found, vouch(
            found.payload,
            listed,
            structs.replace(announced, checksums=(), length=None),
            subject=subject,
            require_checksum=listed.config.service.require_checksum,
        )
    except (Corrupt, Rejected) as error:
        found.payload.discard()
        raise (differs if isinstance(error, Corrupt) else error) from None


def _checked(reading: Reading, vouched: Vouched, subject: str) -> Content:
    """Return the content of a document that is whole enough. Corrupt or Rejected if it is not."""
    if reading.problems and not vouched.checksum:
        raise Corrupt(subject, "; ".join(first_few(reading.problems)))
    if reading.content is None:
        raise Rejected(subject, reading.problems[0], "Ask its sender to send it again")
    return reading.content


def _is_as_listed(payload: Payload, listed: Listed, announced: Announced) -> bool:
    """Whether a document is as its list says, and nothing else is stated that could be checked."""
    return (
        listed.sha256 == payload.sha256
        and (listed.size is None or listed.size == payload.size)
        and (announced.length is None or announced.length == payload.size)
        and not (announced.checksums or announced.coding)
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
