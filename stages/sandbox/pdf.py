"""PDF writer of the sandbox: an invoice on one page, as the platform shows it and UBLs embed it."""

from __future__ import annotations

from io import BytesIO

from stages.sandbox.invoices import Invoice, money

A4 = (595, 842)


def to_pdf(invoice: Invoice) -> bytes:
    """Draw an invoice; the same invoice gives the same bytes."""
    # The import is slow, and the service does not need it.
    from pypdf import PdfWriter  # noqa: PLC0415
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject  # noqa: PLC0415

    writer = PdfWriter()
    page = writer.add_blank_page(*A4)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
            NameObject("/Encoding"): NameObject("/WinAnsiEncoding"),
        }
    )
    page[NameObject("/Resources")] = DictionaryObject(
        {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
    )
    content = DecodedStreamObject()
    content.set_data(_content(invoice))
    page[NameObject("/Contents")] = writer._add_object(content)  # noqa: SLF001 - no public way
    file = BytesIO()
    writer.write(file)
    return file.getvalue()


def _content(invoice: Invoice) -> bytes:
    """The page's drawing operators (ISO 32000-1, 9.4)."""
    lines = "".join(f"{_literal(text)} Tj T*\n" for text in _text(invoice))
    return f"BT /F1 11 Tf 14 TL 60 780 Td\n{lines}ET".encode("cp1252", "replace")


def _text(invoice: Invoice) -> list[str]:
    return [
        f"{'Creditnota' if invoice.credit else 'Factuur'} {invoice.number}",
        f"Datum: {invoice.issued}   Vervaldag: {invoice.due}",
        "",
        *(
            f"{role}: {company.name}, {company.street}, {company.postcode} {company.city},"
            f" {company.identifier}"
            for role, company in (("Van", invoice.supplier), ("Aan", invoice.customer))
        ),
        "",
        *(
            f"{line.quantity} x {line.name}: EUR {money(line.amount)} ({line.rate} %)"
            for line in invoice.lines
        ),
        "",
        f"Netto EUR {money(invoice.net)}   Btw EUR {money(invoice.vat)}",
        f"Totaal EUR {money(invoice.total)}   {invoice.supplier.iban}",
    ]


def _literal(text: str) -> str:
    """A literal string (ISO 32000-1, 7.3.4.2)."""
    return "(" + text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") + ")"
