"""Stage 5, render: the forms in which an invoice is delivered: itself, its PDF, or both.

The XML itself is never altered. A PDF comes from inside the XML or, where there is none, from the
platform; one that is the invoice already, and every statement, goes as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import anyio.to_thread
import structlog
from msgspec import structs

from pipeline.document import Companion, Document
from pipeline.errors import DocumentRefused
from pipeline.payload import Payload
from stages.classify import Classified
from stages.formats.attachments import chosen_pdf
from stages.list import Kind

log = structlog.get_logger(__name__)

PDF = "application/pdf"

#: Fetches another form of a document, by its media type. DocumentRefused if there is none.
FetchForm = Callable[[Document[Classified], str], Awaitable[Payload]]


class Render:
    """Renders documents; fetch_form asks the platform for what they do not bring themselves."""

    def __init__(self, fetch_form: FetchForm) -> None:
        self._fetch_form = fetch_form

    async def process(self, document: Document[Classified]) -> Document[Classified]:
        """Give a document the forms that [delivery] asks for.

        DocumentRefused where only a PDF may go and there is none; without one, an XML that would
        have had it beside goes alone.
        """
        facts = document.facts
        formats = facts.listed.config.delivery.formats
        if formats == "ubl" or facts.extension != "xml" or facts.kind is Kind.STATEMENT:
            return document
        pdf = await self._pdf(document)
        if formats == "pdf":
            if pdf is None:
                raise DocumentRefused(
                    document.entry.label,
                    "it holds no PDF, the platform has none, and formats allows nothing else",
                    'Write formats = "ubl+pdf" in [delivery] to have its XML delivered',
                )
            document.discard()
            return document.grown(structs.replace(facts, extension="pdf"), pdf)
        if pdf is None:
            log.warning("document has no PDF", document=document.entry.label)
            warnings = (*facts.warnings, "it has no PDF to go beside it")
            return document.grown(structs.replace(facts, warnings=warnings))
        return structs.replace(document, companions=(Companion("pdf", pdf),))

    async def _pdf(self, document: Document[Classified]) -> Payload | None:
        assert document.payload is not None
        data = await anyio.to_thread.run_sync(chosen_pdf, document.payload, document.facts.number)
        if data is not None:
            return Payload(len(data), hashlib.sha256(data).hexdigest(), data)
        try:
            pdf = await self._fetch_form(document, PDF)
        except DocumentRefused:
            return None
        if b"%PDF-" in pdf.head(1024):
            return pdf
        pdf.discard()
        return None
