"""The PDF of an invoice inside its XML, and which of several attachments is the invoice itself.

UBL: cac:AdditionalDocumentReference, cac:Attachment (EN 16931, BG-24). CII:
ram:AdditionalReferencedDocument, ram:AttachmentBinaryObject. Of several PDFs that one is taken
which the earliest of these is true of, and the first in the document's order among those:

1. its type or its description says that it is the invoice or credit note (UBL.BE:
   "CommercialInvoice"; e-FFF likewise, in cbc:DocumentType);
2. its id is the invoice's number;
3. its file's name holds the invoice's number;
4. it is a PDF.

Only the middle of a document is looked at for attachments; what is read has been verified before.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from lxml import etree
from msgspec import Struct

from pipeline.payload import Payload

#: Elements that refer to a document, and the one inside that holds its bytes, by local name.
REFERENCES = ("{*}AdditionalDocumentReference", "{*}AdditionalReferencedDocument")
BYTES = ("EmbeddedDocumentBinaryObject", "AttachmentBinaryObject")
#: What says what an attachment is, in both vocabularies.
SAYS = ("DocumentType", "DocumentDescription", "Name")
IDS = ("ID", "IssuerAssignedID")

#: How an invoice or a credit note is called in the languages that are met, letters only.
INVOICE = re.compile(
    r"invoice|factuu?r|facture|rechnung|creditn|notede?credit|gutschrift", re.IGNORECASE
)
#: UNTDID 1001: an object that is invoiced (130) and supporting documents (916) are never it.
NEVER = {"50", "130", "916"}


class Attachment(Struct, frozen=True):
    """A PDF inside an invoice, and how sure it is that it shows the invoice: 1 is the surest."""

    rank: int
    data: bytes


def chosen_pdf(payload: Payload, number: str) -> bytes | None:
    """The PDF of an invoice whose XML is in payload, or None if it holds none.

    number: the invoice's own.
    """
    best: Attachment | None = None
    for attachment in _pdfs(payload, number):
        if best is None or attachment.rank < best.rank:
            best = attachment
    return best.data if best is not None else None


def _pdfs(payload: Payload, number: str) -> Iterator[Attachment]:
    with payload.open() as stream:
        # Attachments are longer than what a text may have without huge_tree; the document's own
        # size has been bounded, and its nesting and entities have been verified.
        elements = etree.iterparse(
            stream,
            tag=REFERENCES,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=True,
        )
        for _, element in elements:
            if attachment := _pdf(element, number):
                yield attachment
            element.clear()


def _pdf(element: etree._Element, number: str) -> Attachment | None:
    holder = next((one for one in element.iter() if _name(one) in BYTES and one.text), None)
    if holder is None or "pdf" not in holder.get("mimeCode", "pdf").lower():
        return None
    try:
        data = binascii.a2b_base64(holder.text or "")
    except binascii.Error:
        return None
    if b"%PDF-" not in data[:1024]:
        return None
    return Attachment(_rank(element, holder.get("filename", ""), number), data)


def _rank(element: etree._Element, filename: str, number: str) -> int:
    texts = [(_name(one), (one.text or "").strip()) for one in element]
    if not any(name in ("DocumentTypeCode", "TypeCode") and text in NEVER for name, text in texts):
        said = [re.sub(r"[^A-Za-z]", "", text) for name, text in texts if name in SAYS]
        if any(INVOICE.search(text) for text in said):
            return 1
    if number and any(name in IDS and text == number for name, text in texts):
        return 2
    if number and _letters(number) in _letters(filename):
        return 3
    return 4


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _letters(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())
