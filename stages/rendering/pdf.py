"""Renderer: the PDF of an invoice in XML, or of a CODA file. The same bytes give the same PDF."""

from __future__ import annotations

from stages.formats.content import Unreadable

from stages.kind import Kind
from stages.rendering.documents import invoices_in
from stages.rendering.invoice import draw_invoice, title_of
from stages.rendering.model import Group
from stages.rendering.sheet import Full, Paragraph, Sheet
from stages.rendering.words import Words, language_of, words
from pipeline.payload import Payload


def invoice_pdf(payload: Payload, language: str, kind: Kind) -> bytes:
    """Return an invoice in XML as a PDF.

    language: "nl", "fr" or "en"; "" is that of the company's address in the invoice. kind: whether
    the company is its customer (a purchase) or its supplier. Unreadable if it can't be read.
    """
    invoices = invoices_in(payload)
    said = words(language or _language(invoices[0], kind))
    title = title_of(invoices[0], said)
    sheet = Sheet()
    try:
        for number, invoice in enumerate(invoices):
            if number:
                sheet.new_page()
            draw_invoice(sheet, invoice, said)
    except Full:
        sheet.cut(Paragraph(said.label("cut"), bold=True))
    footer = f"{said.label('sha256-xml')}: {payload.sha256}"
    return sheet.to_pdf(title, footer, said.label("page"))


def _language(invoice: Group, kind: Kind) -> str:
    party = "BG-7" if kind is Kind.PURCHASE else "BG-4"
    for group in invoice.groups:
        if group.term == party:
            for address in group.groups:
                country = address.text("BT-40", "BT-55")
                if country:
                    return language_of(country, address.text("BT-38", "BT-53"))
    return "en"
