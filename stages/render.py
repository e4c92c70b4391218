"""Stage 5, render: the forms in which an invoice is delivered: itself, its PDF, or both.

The XML itself is never altered. A PDF comes from inside the XML or, where there is none, from the
platform. An invoice that came as a PDF goes as it is, and so does whatever is no invoice. A large
PDF lies in a temporary file, as a large document does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from msgspec import structs

from pipeline.document import Document, Sidecar
from pipeline.engine.engine import REFETCHES
from pipeline.errors import Corrupt, Rejected, RetryableError, WebPage
from pipeline.payload import Payload
from pipeline.source import Announced
from stages.formats import apart
from stages.formats.attachments import Attachment, chosen_pdf
from stages.model import Classified, Kind
from stages.settings import formats_of
from stages.verify import verify

log = structlog.get_logger(__name__)

PDF = "application/pdf"
#: How often a PDF that arrives damaged is fetched in all: as often as a document.
FETCHES = 1 + REFETCHES

#: Fetches another form of a document, by its media type, with what the source states of
#: its bytes. Rejected if there is none.
FetchForm = Callable[[Document[Classified], str], Awaitable[tuple[Payload, Announced]]]


class NoPdf(Rejected):
    """An invoice that would have to go as a PDF."""

    reason = "it holds no PDF, and the platform has none"
    remedy = 'Write formats = "ubl+pdf" to have its XML delivered'


class Render:
    """Renders documents; fetch_form asks the platform for what they do not bring themselves."""

    def __init__(self, fetch_form: FetchForm) -> None:
        self._fetch_form = fetch_form

    async def process(self, document: Document[Classified]) -> Document[Classified]:
        """Give a document the forms that `formats` asks for.

        Without a PDF, an XML that would have had it beside goes alone and the log says so; where
        only a PDF may go, NoPdf. RetryableError while the platform can't say whether it has one.
        """
        meta = document.meta
        formats = formats_of(meta.listed.config.delivery, meta.company)
        is_invoice = meta.kind in (Kind.PURCHASE, Kind.SALES)
        if formats == "ubl" or meta.extension != "xml" or not is_invoice:
            return document
        alone = formats == "pdf"
        try:
            pdf = await self._pdf(document, alone=alone)
        except NoPdf as error:
            if alone:
                raise
            log.warning("invoice goes without a PDF", document=error.subject, reason=error.reason)
            warnings = (*meta.warnings, f"no PDF goes beside it: {error.reason}")
            return document.grown(structs.replace(meta, warnings=warnings))
        if alone:
            await document.release()
            return document.grown(structs.replace(meta, extension="pdf"), pdf)
        return structs.replace(document, sidecars=(Sidecar("pdf", pdf),))

    async def _pdf(self, document: Document[Classified], *, alone: bool) -> Payload:
        """The PDF of an invoice; NoPdf if there is none.

        One that says that it only goes with the invoice may go beside it, for want of a better
        one, but never in its place.
        """
        inside = await _inside(document)
        if inside is not None and not inside.is_beside:
            return inside.pdf
        try:
            return await self._platforms(document, alone=alone)
        except NoPdf:
            if inside is None or alone:
                raise
            beside, inside = inside, None
            return beside.pdf
        finally:
            if inside is not None:
                await inside.pdf.release()

    async def _platforms(self, document: Document[Classified], *, alone: bool) -> Payload:
        """The platform's own PDF, whole. NoPdf; RetryableError while that can't be told."""
        label, listed = document.entry.label, document.meta.listed
        # What the list states is of the document itself.
        listed = structs.replace(listed, size=None, sha256=None)
        required = listed.config.service.require_checksum
        why = ""
        for _ in range(FETCHES):
            try:
                pdf, announced = await self._fetch_form(document, PDF)
            except Rejected as error:
                raise NoPdf(
                    label, f"it holds no PDF, and the platform's can't be had: {error.reason}"
                ) from None
            except WebPage as error:
                # It may be under repair, and it may be how the platform says that it has none.
                if alone:
                    raise RetryableError(label, error.reason, error.remedy) from None
                raise NoPdf(label, f"it holds no PDF, and for one {error.reason}") from None
            except RetryableError as error:
                # Of its own sort, for that the source fails documents is another matter.
                raise RetryableError(
                    label, f"its PDF can't be had for now: {error.reason}", error.remedy
                ) from None
            if b"%PDF-" not in pdf.head(1024):
                await pdf.release()
                raise NoPdf(label, "it holds no PDF, and the platform sent something else as that")
            check = partial(
                verify, pdf, listed, announced, subject=label, require_checksum=required
            )
            try:
                await apart(pdf, check)
            except Corrupt as error:
                await pdf.release()
                why = error.reason
                continue
            except Rejected as error:
                await pdf.release()
                raise NoPdf(
                    label, f"it holds no PDF, and of the platform's: {error.reason}"
                ) from None
            return pdf
        raise NoPdf(
            label, f"it holds no PDF, and the platform's arrived damaged {FETCHES} times ({why})"
        )


async def _inside(document: Document[Classified]) -> Attachment | None:
    payload, number = document.payload, document.meta.number
    assert payload is not None
    return await apart(payload, lambda: chosen_pdf(payload, number))
