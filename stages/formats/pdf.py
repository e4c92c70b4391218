"""PDF reader: finds the invoice inside a hybrid PDF (ISO 32000-1, 7.5).

A PDF is recognised by its header and whole if it has its end-of-file marker. A hybrid invoice
(Factur-X, ZUGFeRD 1 and 2, XRechnung in a PDF, and UBL from some senders) is what the XML inside
says. Any other PDF is a print for people; it may be what the list calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from pipeline.payload import Payload
from stages.formats import xml
from stages.formats.bundles import combined
from stages.formats.content import (
    INVOICE_KINDS,
    Bundle,
    Content,
    Hostile,
    Invoice,
    Other,
    Reading,
    Unreadable,
    checked,
)
from stages.kind import Kind

if TYPE_CHECKING:
    from stages.formats.embedded import XmlFile

#: Bytes at either end in which readers look for the header and the marker (Annex H).
EDGE = 1024

#: Beginnings of text, which may quote the header of a PDF further on, and of a ZIP, which may hold
#: a PDF as it is.
_NO_PDF = (b"<", b"{", b"\xef\xbb\xbf", b"PK\x03\x04")


def recognises(head: bytes) -> bool:
    """Whether the header of a PDF stands where readers look for it."""
    if head.startswith(_NO_PDF):
        return False
    at = head.find(b"%PDF-", 0, EDGE)
    return at == 0 or (at > 0 and not head.lstrip().startswith(_NO_PDF))


def read(payload: Payload) -> Reading:
    """Return the invoice inside, or that it is a print. Hostile if the search costs too much."""
    return checked(_content(payload), lambda: problems(payload))


def _content(payload: Payload) -> Content:
    """Return the invoice among the document's own files, else among those of its pages."""
    from stages.formats.embedded import Place, xml_files  # noqa: PLC0415 - pypdf is slow to import

    reasons = []
    for places in (tuple(Place), (Place.PAGES,)):
        try:
            files = xml_files(payload, places)
        except Hostile:
            raise
        except Unreadable as error:
            return _print(f"a PDF that can't be read ({error})")
        if not files:
            break
        contents = [(file, _content_of(file)) for file in files]
        invoices = [part for file, content in contents for part in _hybrids(content, file.name)]
        found = combined(invoices, "pdf", "a PDF with several invoices inside", "pdf")
        if found is not None:
            return found
        for file, content in contents:
            what = content.description if isinstance(content, Other | Bundle) else "a statement"
            reasons.append(f"{file.name or 'an unnamed file'} in it is {what}")
    return _print("; ".join(["a PDF without an invoice inside", *reasons]))


def problems(payload: Payload) -> list[str]:
    """Return that the end-of-file marker is missing, if it is."""
    with payload.open() as stream:
        stream.seek(max(payload.size - EDGE, 0))
        return [] if b"%%EOF" in stream.read() else ["the PDF has no end (%%EOF)"]


def is_quick(data: bytes) -> bool:
    """Return False: a small PDF can be made so that reading it takes long."""
    return False


def _content_of(file: XmlFile) -> Content:
    """Return what an XML file inside says, if it is whole."""
    try:
        return xml.content_of(file.data)
    except Hostile as error:
        raise Hostile(f"{file.name} in the PDF: {error}") from None
    except Unreadable as error:
        return Other("xml", f"a document that can't be read ({error})")


def _hybrids(content: Content, name: str) -> list[Invoice]:
    """Return the invoices of the XML as such that came as a PDF and are delivered as a PDF."""
    parts = content.parts if isinstance(content, Bundle) else (content,)
    return [_hybrid(part, name) for part in parts if isinstance(part, Invoice)]


def _hybrid(invoice: Invoice, name: str) -> Invoice:
    """Return the invoice of the XML as one that came as a PDF and is delivered as a PDF."""
    is_ubl = invoice.format.startswith("ubl")
    return structs.replace(
        invoice,
        format="ubl-pdf" if is_ubl else "facturx-pdf",
        supplier_element=f"{invoice.supplier_element} of {name} in the PDF",
        customer_element=f"{invoice.customer_element} of {name} in the PDF",
        extension="pdf",
    )


def _print(what: str) -> Content:
    """Return a print: its text could name the parties, but can't be relied on."""
    return Other("pdf", what, "pdf", possible_kinds=(*INVOICE_KINDS, Kind.STATEMENT))
