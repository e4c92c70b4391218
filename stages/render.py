"""Render stage (5 of 6): makes the forms in which an invoice is delivered: XML, PDF, or both.

The XML is never altered. The PDF is the supplier's, the one inside the XML; if there is none, the
platform's; if it has none, ours, made from the XML (`stages/rendering/`). An invoice that came as a
PDF is delivered as it is. A statement in CODA may have a PDF beside it, which is always ours. Every
other document goes as it is. A large PDF lies in a temporary file, as a large document does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from msgspec import structs

from pipeline.document import Document, Sidecar
from pipeline.errors import Corrupt, Rejected, RetryableError, WebPage
from pipeline.payload import Payload
from pipeline.source import Announced
from pipeline.stage import REFETCHES
from stages.formats.attachments import Attachment, chosen_pdf
from stages.formats.pdf import problems
from stages.formats.registry import run_in_thread_if_slow
from stages.kind import Kind
from stages.model import Classified, Listed
from stages.rendering.worker import Renderer, RenderingFailed
from stages.settings import formats_of, language_of, statement_formats_of
from stages.verify import vouch

log = structlog.get_logger(__name__)

#: The name of the form that is asked for (`Form.name`).
PDF = "pdf"
#: How often a PDF that arrives damaged is fetched in all, which is as often as a document.
FETCHES = 1 + REFETCHES

#: Fetches another form of a document, by its name, with what the source states of
#: its bytes. Rejected if there is none.
FetchForm = Callable[[Document[Classified], str], Awaitable[tuple[Payload, Announced]]]


class NoPdf(Rejected):
    """An invoice has no PDF, none can be made of it, and `formats` asks for nothing else."""

    reason = "it holds no PDF, the platform has none, and none can be made"
    remedy = 'Write formats = "ubl+pdf" to have its XML delivered'


class Render:
    """Renders documents. fetch_form: fetches the PDF of an invoice that has none inside."""

    def __init__(self, fetch_form: FetchForm) -> None:
        self._fetch_form = fetch_form
        self._renderer = Renderer()

    async def process(self, document: Document[Classified]) -> Document[Classified]:
        """Give a document the forms that `formats`, or `statement_formats`, asks for.

        If no PDF can be had or made, what should have one beside it goes alone, with a warning in
        the log; if only a PDF may go, NoPdf. RetryableError while the platform can't tell whether
        it has one.
        """
        meta = document.meta
        if meta.format == "coda":
            return await self._with_statement(document)
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
            return _without(document, error.reason)
        if alone:
            await document.release()
            return document.with_meta(structs.replace(meta, extension="pdf"), pdf)
        return structs.replace(document, sidecars=(Sidecar("pdf", pdf),))

    async def _with_statement(self, document: Document[Classified]) -> Document[Classified]:
        """Give a statement a PDF beside it if `statement_formats` asks for one."""
        meta, payload = document.meta, document.payload
        assert payload is not None
        delivery = meta.listed.config.delivery
        if statement_formats_of(delivery, meta.company) == "coda":
            return document
        try:
            pdf = await self._renderer.statement(payload, language_of(delivery, meta.company))
        except RenderingFailed as error:
            return _without(document, f"none can be made: {error}")
        return structs.replace(document, sidecars=(Sidecar("pdf", pdf),))

    async def _pdf(self, document: Document[Classified], *, alone: bool) -> Payload:
        """Return the PDF of an invoice: its own, the platform's, or ours; NoPdf if there is none.

        alone: whether it is delivered instead of the XML. A PDF that only supplements the invoice
        may go beside the XML if there is no other, but never instead of it.
        """
        inside = await _inside(document)
        if inside is not None and not inside.is_supplement:
            return inside.pdf
        try:
            return await self._other_pdf(document, alone=alone)
        except NoPdf:
            if inside is None or alone:
                raise
            supplement, inside = inside, None
            return supplement.pdf
        finally:
            if inside is not None:
                await inside.pdf.release()

    async def _other_pdf(self, document: Document[Classified], *, alone: bool) -> Payload:
        """Return a PDF that is not inside the XML: the platform's, or ours if it has none."""
        try:
            return await self._platform_pdf(document, alone=alone)
        except NoPdf as none:
            meta, payload = document.meta, document.payload
            assert payload is not None
            language = language_of(meta.listed.config.delivery, meta.company)
            try:
                return await self._renderer.invoice(payload, language, meta.kind)
            except RenderingFailed as error:
                why = f"{none.reason}, and none can be made of the XML: {error}"
                raise NoPdf(none.subject, why) from None

    async def _platform_pdf(self, document: Document[Classified], *, alone: bool) -> Payload:
        """Return the platform's own PDF, verified. NoPdf; RetryableError while it can't tell."""
        label, listed = document.entry.label, document.meta.listed
        # Size and checksum in the list are those of the XML.
        listed = structs.replace(listed, size=None, sha256=None)
        why = ""
        for _ in range(FETCHES):
            try:
                pdf, announced = await self._fetch_form(document, PDF)
            except Rejected as error:
                raise NoPdf(
                    label, f"it holds no PDF, and the platform's can't be had: {error.reason}"
                ) from None
            except WebPage as error:
                # The platform may be in maintenance, or this may be how it says that it has none.
                if alone:
                    raise RetryableError(label, error.reason, error.remedy) from None
                raise NoPdf(label, f"it holds no PDF, and for one {error.reason}") from None
            except RetryableError as error:
                # A plain RetryableError, so that the circuit breaker does not count it.
                raise RetryableError(
                    label, f"its PDF can't be had for now: {error.reason}", error.remedy
                ) from None
            if b"%PDF-" not in pdf.head(1024):
                await pdf.release()
                raise NoPdf(label, "it holds no PDF, and the platform sent something else as that")
            check = partial(_check, pdf, listed, announced, label)
            try:
                await run_in_thread_if_slow(pdf, check)
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


def _without(document: Document[Classified], reason: str) -> Document[Classified]:
    """Return a document that goes without the PDF beside it, with a warning that says why."""
    meta = document.meta
    log.warning("document goes without a PDF", document=document.entry.label, reason=reason)
    warnings = (*meta.warnings, f"no PDF goes beside it: {reason}")
    return document.with_meta(structs.replace(meta, warnings=warnings))


def _check(pdf: Payload, listed: Listed, announced: Announced, subject: str) -> None:
    """Check a PDF of the platform. Corrupt if it is damaged; Rejected as by vouch()."""
    required = listed.config.service.require_checksum
    vouched = vouch(pdf, listed, announced, subject=subject, require_checksum=required)
    if not vouched.checksum and (found := problems(pdf)):
        raise Corrupt(subject, found[0])


async def _inside(document: Document[Classified]) -> Attachment | None:
    """Return the PDF inside the XML of a document, None if there is none."""
    payload, number = document.payload, document.meta.number
    assert payload is not None
    return await run_in_thread_if_slow(payload, lambda: chosen_pdf(payload, number))
