"""Rendering worker: makes PDFs one at a time in a thread, away from the event loop.

reportlab is imported when the first one is made: most mailboxes need none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from pipeline.payload import Payload
from stages.formats.content import Unreadable
from stages.kind import Kind

#: PDFs that are made at once: they would only take turns on the interpreter.
AT_ONCE = 1


class RenderingFailed(Exception):
    """A document can't be shown. The message is part of a sentence."""


class Renderer:
    """Makes PDFs for the render stage."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    async def invoice(self, payload: Payload, language: str, kind: Kind) -> Payload:
        """Return the PDF of an invoice in XML. RenderingFailed, and OSError if a file can't be.

        language: "nl", "fr", "en", or "auto". A document in a temporary file gets its PDF in
        another one beside it, which the caller has to release.
        """
        return await self._made(payload, lambda: _invoice(payload, language, kind))

    async def statement(self, payload: Payload, language: str) -> Payload:
        """Return the PDF of a CODA file; as invoice()."""
        return await self._made(payload, lambda: _statement(payload, language))

    async def _made(self, payload: Payload, work: Callable[[], bytes]) -> Payload:
        # The thread is waited for, even on a stop: nothing is left behind that nobody knows of.
        return await anyio.to_thread.run_sync(_kept, payload, work, limiter=self._limiter)


def _kept(payload: Payload, work: Callable[[], bytes]) -> Payload:
    """Make a PDF, and keep it as the document is kept: in memory or in a file."""
    try:
        data = work()
    except Unreadable as error:
        raise RenderingFailed(str(error)) from None
    except Exception as error:
        # Whatever is wrong with a document or in here: the document itself has to go on.
        raise RenderingFailed(f"it can't be shown ({type(error).__name__})") from error
    path = None if payload.spool is None else payload.spool.with_name(f"{payload.spool.name}.r")
    if path is not None:
        _write(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return Payload(len(data), digest, data if path is None else None, path)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _invoice(payload: Payload, language: str, kind: Kind) -> bytes:
    from stages.rendering.pdf import invoice_pdf  # noqa: PLC0415 - imports reportlab

    return invoice_pdf(payload, language, kind)


def _statement(payload: Payload, language: str) -> bytes:
    from stages.rendering.pdf import statement_pdf  # noqa: PLC0415 - imports reportlab

    return statement_pdf(payload, language)
