"""Renderer: the PDF of an invoice in XML, or of a CODA file. The same bytes give the same PDF."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.payload import Payload
from stages.formats.coda_movements import entries
from stages.kind import Kind
from stages.rendering.documents import invoices_in
from stages.rendering.invoice import draw_invoice, title_of
from stages.rendering.model import Group
from stages.rendering.sheet import Full, Paragraph, Sheet
from stages.rendering.statement import draw_statements
from stages.rendering.words import Words, language_of, words

#: The language where nothing says which one it is.
DEFAULT = "en"
#: That of statements, which state no address.
STATEMENTS = "nl"


def invoice_pdf(payload: Payload, language: str, kind: Kind) -> bytes:
    """Return an invoice in XML as a PDF.

    language: "nl", "fr" or "en"; "auto" is that of the company's address in the invoice. kind:
    whether the company is its customer (a purchase) or its supplier. Unreadable if the invoice
    can't be read.
    """
    invoices = invoices_in(payload)
    said = words(_language(invoices[0], kind) if language == "auto" else language)
    title = title_of(invoices[0], said)

    def draw(sheet: Sheet) -> None:
        for number, invoice in enumerate(invoices):
            if number:
                sheet.new_page()
            draw_invoice(sheet, invoice, said)

    return _pdf(draw, said, title, f"{said.label('sha256-xml')}: {payload.sha256}")


def statement_pdf(payload: Payload, language: str) -> bytes:
    """Return a CODA file as a PDF; language: as in invoice_pdf(). Unreadable if it is no CODA."""
    said = words(STATEMENTS if language == "auto" else language)
    footer = f"{said.label('sha256-coda')}: {payload.sha256}"

    def draw(sheet: Sheet) -> None:
        draw_statements(sheet, entries(payload), said)

    return _pdf(draw, said, said.label("statement"), footer)


def _pdf(draw: Callable[[Sheet], None], said: Words, title: str, footer: str) -> bytes:
    sheet = Sheet()
    try:
        draw(sheet)
    except Full:
        sheet.cut(Paragraph(said.label("cut"), bold=True))
    return sheet.to_pdf(title, footer, said.label("page"))


def _language(invoice: Group, kind: Kind) -> str:
    """Return the language of the company's address."""
    party = "BG-7" if kind is Kind.PURCHASE else "BG-4"
    addresses = (one for group in invoice.groups if group.term == party for one in group.groups)
    for address in addresses:
        if country := address.text("BT-40", "BT-55"):
            return language_of(country, address.text("BT-38", "BT-53"))
    return DEFAULT
