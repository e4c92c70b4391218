"""PDF (ISO 32000-1, 7.5): recognised by its header, whole when its end-of-file marker is there.

A hybrid invoice (Factur-X, ZUGFeRD 1 and 2, XRechnung in a PDF; some senders put a UBL there) is
what the XML inside says. Any other PDF is a print, which may be what the list calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from pipeline.payload import Payload
from stages.formats import xml
from stages.formats.content import INVOICE_KINDS, Content, Hostile, Invoice, Other, Unreadable
from stages.model import Kind

if TYPE_CHECKING:
    from stages.formats.embedded import XmlFile

#: Readers look for the header in the first 1024 bytes and for the marker in the last (Annex H).
SEARCHED = 1024

#: What is text, whatever stands in it.
_MARKUP = (b"<", b"{", b"\xef\xbb\xbf")


def recognises(head: bytes) -> bool:
    """Whether the header stands where readers look for it."""
    if head.startswith(_MARKUP):
        return False
    at = head.find(b"%PDF-", 0, SEARCHED)
    return at == 0 or (at > 0 and not head.lstrip().startswith(_MARKUP))


def read(payload: Payload) -> Content:
    """The invoice inside, if there is one; Hostile if looking for it costs too much."""
    from stages.formats.embedded import xml_files  # noqa: PLC0415 - slow, and needed by few

    try:
        files = xml_files(payload)
    except Hostile:
        raise
    except Unreadable as error:
        return _print(f"a PDF that can't be read ({error})")
    reasons = []
    for file in files:
        content = _content(file)
        if isinstance(content, Invoice):
            return _hybrid(content, file.name)
        what = content.description if isinstance(content, Other) else "a statement"
        reasons.append(f"{file.name or 'an unnamed file'} in it is {what}")
    return _print("; ".join(["a PDF without an invoice inside", *reasons]))


def problems(payload: Payload) -> list[str]:
    """Whether the end is missing."""
    with payload.open() as stream:
        stream.seek(max(payload.size - SEARCHED, 0))
        return [] if b"%%EOF" in stream.read() else ["the PDF has no end (%%EOF)"]


def is_quick(data: bytes) -> bool:
    """It never is: a small one can be made to keep its reader busy for long."""
    return False


def _content(file: XmlFile) -> Content:
    """What XML inside says; as with XML by itself, only what is harmless is read."""
    try:
        xml.problems(Payload(len(file.data), sha256="", data=file.data))
        return xml.content_of(file.data)
    except Hostile as error:
        raise Hostile(f"{file.name} in the PDF: {error}") from None
    except Unreadable as error:
        return Other("xml", f"no document that can be read ({error})")


def _hybrid(invoice: Invoice, name: str) -> Invoice:
    """The invoice as one that came in a PDF, which it is delivered as."""
    is_ubl = invoice.format.startswith("ubl")
    return structs.replace(
        invoice,
        format="ubl-pdf" if is_ubl else "facturx-pdf",
        supplier_element=f"{invoice.supplier_element} of {name} in the PDF",
        customer_element=f"{invoice.customer_element} of {name} in the PDF",
        extension="pdf",
    )


def _print(what: str) -> Content:
    """What is printed for people says nothing of its parties that could be relied on."""
    return Other("pdf", what, "pdf", possible_kinds=(*INVOICE_KINDS, Kind.STATEMENT))
