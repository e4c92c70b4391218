"""Rendered documents: the PDF of a document, and the text that a reader finds in it."""

from __future__ import annotations

import io
from hashlib import sha256

from pypdf import PdfReader

from pipeline.payload import Payload
from stages.kind import Kind
from stages.rendering.pdf import invoice_pdf, statement_pdf


def payload(data: str | bytes) -> Payload:
    data = data.encode() if isinstance(data, str) else data
    return Payload(len(data), sha256(data).hexdigest(), data)


def rendered(data: str | bytes, language: str = "en", kind: Kind = Kind.PURCHASE) -> bytes:
    return invoice_pdf(payload(data), language, kind)


def shown(data: str | bytes, language: str = "en", kind: Kind = Kind.PURCHASE) -> str:
    """The text of an invoice's PDF, page by page."""
    return text_of(rendered(data, language, kind))


def statement(data: str | bytes, language: str = "en") -> str:
    """The text of a statement's PDF."""
    return text_of(statement_pdf(payload(data), language))


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def pages_of(pdf: bytes) -> int:
    return len(PdfReader(io.BytesIO(pdf)).pages)
