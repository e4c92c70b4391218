"""Readable view: a document as a PDF, whatever its format and wherever its bytes still are.

They come from the copies of what was delivered, from the quarantine, from the file that was
delivered if it is still the same, or from the source. Few at a time, each within a deadline.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import PurePath

import anyio
import anyio.to_thread
import structlog

from pipeline.document import Key
from pipeline.engine.copies import Copies
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import ControlError, NotKnown, Rejected
from pipeline.files import os_reason, read_file
from pipeline.ledger.details import decoded
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.selection import Selected, row_of
from pipeline.long_paths import local_path
from pipeline.payload import Payload
from pipeline.readable import Readable
from pipeline.source import Entry, Source
from stages.formats import coda, pdf
from stages.formats.content import Answer, Content, Other, Statement, Unreadable
from stages.formats.registry import format_of, opened
from stages.formats.scratch import Room
from stages.kind import Kind
from stages.model import Listed
from stages.settings import Config

log = structlog.get_logger(__name__)

#: Views that are made at once; others wait for their turn.
AT_ONCE = 2
#: Seconds that one view may take in all, and that a folder and a source are waited for.
DEADLINE = 25.0
FOLDER_DEADLINE = 5.0
SOURCE_DEADLINE = 15.0
#: Bytes of a document that is shown, at most.
MAX_SIZE = 40_000_000
#: Characters of a file's name, without its extension.
MAX_NAME = 100


class ReadableDocuments:
    """Makes readable views, under the configuration in force.

    ledger: its path. source: finds a source that is open by its name; None where there are none to
    be asked.
    """

    def __init__(
        self,
        ledger: LedgerPlace,
        copies: Copies,
        quarantine: Quarantine,
        config: Callable[[], Config],
        source: Callable[[str], Source | None] | None,
    ) -> None:
        self._ledger = ledger
        self._copies = copies
        self._quarantine = quarantine
        self._config = config
        self._source = source
        self._turns = anyio.CapacityLimiter(AT_ONCE)
        # Of their own: a thread that hangs holds none that others need.
        self._readers = anyio.CapacityLimiter(AT_ONCE)
        self._renderers = anyio.CapacityLimiter(AT_ONCE)

    async def readable(self, key: Key, language: str) -> Readable:
        """Make the view of a document; see ReadableMaker."""
        row = await anyio.to_thread.run_sync(row_of, self._ledger, key, abandon_on_cancel=True)
        if row is None:
            raise NotKnown(
                "the document", "the ledger has no such document", "Search for it by another word"
            )
        try:
            with anyio.fail_after(DEADLINE):
                async with self._turns:
                    return Readable(_name(row), await self._made(row, language))
        except TimeoutError:
            raise ControlError(
                row.label,
                f"it could not be shown within {DEADLINE:.0f} seconds",
                "Try it again at a quieter time",
            ) from None

    async def _made(self, row: Selected, language: str) -> bytes:
        content = await self._content(row)
        payload = Payload(len(content), sha256(content).hexdigest(), content)
        try:
            return await anyio.to_thread.run_sync(
                partial(shown, payload, language, Kind(row.kind or Kind.UNKNOWN)),
                abandon_on_cancel=True,
                limiter=self._renderers,
            )
        except Unreadable as error:
            remedy = f"Open the file itself: {row.path}" if row.path else ""
            raise ControlError(row.label, str(error), remedy) from None

    async def _content(self, row: Selected) -> bytes:
        """The bytes of a document, from the nearest place that has them. SynqupError."""
        for read in (self._copied, self._quarantined, self._delivered):
            with anyio.move_on_after(FOLDER_DEADLINE):
                content = await anyio.to_thread.run_sync(
                    read, row, abandon_on_cancel=True, limiter=self._readers
                )
                if content is not None:
                    return content
        return await self._fetched(row)

    def _copied(self, row: Selected) -> bytes | None:
        try:
            return self._copies.get(row.key)
        except (OSError, sqlite3.Error) as error:
            log.info("a copy can't be read", document=row.label, reason=str(error))
            return None

    def _quarantined(self, row: Selected) -> bytes | None:
        """What the quarantine keeps of it, if that is not of another revision."""
        try:
            stored = self._quarantine.look(row.key)
            if stored is None or stored.revision not in ("", row.key.revision):
                return None
            if row.sha256 and stored.sent_sha256 not in ("", row.sha256):
                return None
            content = read_file(stored.path, MAX_SIZE, follow=False)
        except OSError as error:
            log.info("the quarantine can't be read", document=row.label, reason=os_reason(error))
            return None
        return content if sha256(content).hexdigest() == stored.sha256 else None

    def _delivered(self, row: Selected) -> bytes | None:
        """The file that was delivered, if it is there and is what the source has sent."""
        if row.state is not State.DELIVERED or not row.path:
            return None
        try:
            content = read_file(local_path(row.path), MAX_SIZE)
        except OSError:
            return None
        return content if sha256(content).hexdigest() == row.sha256 else None

    async def _fetched(self, row: Selected) -> bytes:
        """What the source holds, which has to be what it held before."""
        if self._source is None:
            raise _nowhere(row, "no service runs that could fetch it", "Start the service")
        source = self._source(row.key.source)
        if source is None:
            raise self._gone(row, "its source is not configured, or can't be opened")
        try:
            with anyio.fail_after(SOURCE_DEADLINE):
                content = await source.retries.run(partial(self._received, source, row))
        except TimeoutError:
            raise _nowhere(
                row,
                f"its source has not sent it within {SOURCE_DEADLINE:.0f} seconds",
                "Try it again",
            ) from None
        except Rejected as error:
            raise self._gone(row, error.reason) from None
        if row.sha256 and sha256(content).hexdigest() != row.sha256:
            raise self._gone(row, "its source has another document in its place")
        return content

    async def _received(self, source: Source, row: Selected) -> bytes:
        details = decoded(row.details)
        listed = Listed(
            self._config(),
            id=details.id or row.key.id.rpartition("/")[2],
            kind=Kind(row.kind) if row.kind else None,
            number=details.number,
        )
        entry = Entry(row.key.id, row.key.revision, row.label, listed)
        kept, size = [], 0
        async with source.fetch(entry) as incoming:
            async for chunk in incoming.chunks:
                kept.append(chunk)
                size += len(chunk)
                if size > MAX_SIZE:
                    raise ControlError(row.label, f"it has more than {MAX_SIZE:,} bytes")
        return b"".join(kept)

    def _gone(self, row: Selected, why: str) -> ControlError:
        if row.state is not State.DELIVERED:
            return _nowhere(row, why, "Try it again, so that it is fetched")
        if self._config().service.keep_delivered is None:
            remedy = 'Write keep_delivered = "90d" into [service], for those that come from then on'
            return _nowhere(row, why, remedy)
        return _nowhere(row, why, "Look for it in its folder, or at the platform")


def shown(payload: Payload, language: str, kind: Kind = Kind.UNKNOWN) -> bytes:
    """A document as a PDF: as it is, if it is one. Unreadable if it can't be shown.

    What it is wrapped in is taken off. It takes no more than the renderer's own bounds.
    """
    if format_of(payload) is pdf:
        return payload.read()
    found = opened(payload, Room(in_memory=MAX_SIZE, most=MAX_SIZE))
    try:
        return _drawn(found.payload, found.reading.content, language, kind)
    except Unreadable:
        raise
    except Exception as error:
        # Whatever is wrong with the document, or in here: it can be opened otherwise.
        log.exception("a document can't be shown")
        raise Unreadable(f"it can't be shown ({type(error).__name__})") from error
    finally:
        if found.payload is not payload:
            found.payload.discard()


def _drawn(payload: Payload, content: Content | None, language: str, kind: Kind) -> bytes:
    from stages.rendering.pdf import invoice_pdf, statement_pdf  # noqa: PLC0415 - reportlab

    format_ = format_of(payload)
    if format_ is pdf:
        return payload.read()
    if format_ is coda:
        return statement_pdf(payload, language)
    match content:
        case Statement():
            what = f"a statement in {content.format}"
        case Answer():
            what = "an answer to an invoice"
        case Other():
            what = content.description
        case _:
            return invoice_pdf(payload, language, kind)
    raise Unreadable(f"there is no readable view of {what}")


def _nowhere(row: Selected, why: str, remedy: str) -> ControlError:
    return ControlError(row.label, f"nothing of it is kept here, and {why}", remedy)


def _name(row: Selected) -> str:
    """The name of the PDF: as the document was delivered, else its number, else its label."""
    base = PurePath(row.path).stem if row.path else decoded(row.details).number or row.label
    plain = re.sub(r"[^\w.-]+", "_", base).strip("._")[:MAX_NAME]
    return f"{plain or 'document'}.pdf"
