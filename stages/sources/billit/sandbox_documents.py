"""What the sandbox of Billit makes of a mailbox: envelopes (SBDH), and answers to sales.

The inbox of a company holds its purchases, and for each of its sales what the customer answered
(IMR). A feed holds everything: invoices as "Order", statements as "Document".
"""

from __future__ import annotations

import os
from base64 import b64encode
from random import Random

from stages.kind import Kind
from stages.sandbox.answers import (
    PROFILE,
    TRANSACTION,
    Answer,
    draw_answer,
    to_application_response,
)
from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice
from stages.sandbox.ubl import CUSTOMIZATION, UBL

#: The kinds that come by Peppol.
INBOX_KINDS = (Kind.PURCHASE, Kind.SALES, Kind.UNKNOWN)
#: How the inbox calls an answer.
IMR = "IMR"

SBDH = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
BILLING = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
#: Before this element an invoice has its attachments.
SUPPLIER = b"  <cac:AccountingSupplierParty>"
#: Bytes of an attachment that are drawn; they are repeated.
DRAWN = 100_000


def is_answer(document: Document) -> bool:
    """Whether the inbox holds an answer in place of a document."""
    return document.kind is Kind.SALES


def sent(document: Document, attachment: int = 0) -> bytes:
    """What came by Peppol: in an envelope, as its sender sent it.

    attachment: bytes of one that is put into an invoice.
    """
    content = document.content
    if is_answer(document) and isinstance(content, Invoice):
        rng = Random(f"answer to {document.id}")  # noqa: S311 - made up
        data = to_application_response(draw_answer(rng, f"IR-{document.index}", content))
    else:
        data = document.read()
    if not data.startswith(DECLARATION):
        return data  # a file of a folder, which may be an envelope itself
    if attachment:
        data = with_attachment(data, attachment)
    sender, receiver = parties(document)
    return _envelope(data.removeprefix(DECLARATION).rstrip(), document, sender, receiver)


def parties(document: Document) -> tuple[Company, Company]:
    """Who has sent what is in the inbox, and whose inbox it is."""
    match document.content:
        case Invoice() as invoice:
            other = invoice.customer if is_answer(document) else invoice.supplier
        case Answer() as answer:
            other = answer.invoice.customer
        case _:
            other = document.company
    return other, document.company


def document_type(document: Document) -> str:
    """What the inbox calls a document, by the document types of Peppol."""
    if is_answer(document):
        return IMR
    credit = isinstance(document.content, Invoice) and document.content.credit
    root = "CreditNote" if credit else "Invoice"
    return f"{UBL}{root}-2::{root}##{CUSTOMIZATION}billing:3.0::2.1"


def with_attachment(data: bytes, size: int) -> bytes:
    """An invoice with an attachment of so many bytes in it."""
    drawn = b"%PDF-1.7\n" + os.urandom(DRAWN)
    content = b64encode((drawn * (size // len(drawn) + 1))[:size])
    element = (
        b"  <cac:AdditionalDocumentReference>\n    <cbc:ID>plan</cbc:ID>\n    <cac:Attachment>\n"
        b'      <cbc:EmbeddedDocumentBinaryObject mimeCode="application/pdf" filename="plan.pdf">'
        + content
        + b"</cbc:EmbeddedDocumentBinaryObject>\n    </cac:Attachment>\n"
        b"  </cac:AdditionalDocumentReference>\n"
    )
    return data.replace(SUPPLIER, element + SUPPLIER, 1)


def _envelope(data: bytes, document: Document, sender: Company, receiver: Company) -> bytes:
    answers = is_answer(document)
    root = data[1:].split(None, 1)[0].decode()
    custom = TRANSACTION if answers else f"{CUSTOMIZATION}billing:3.0"
    type_ = f"{UBL}{root}-2::{root}##{custom}::2.1"
    return (
        f"""\
<?xml version="1.0" encoding="UTF-8"?>
<StandardBusinessDocument xmlns="{SBDH}">
  <StandardBusinessDocumentHeader>
    <HeaderVersion>1.0</HeaderVersion>
    <Sender><Identifier Authority="iso6523-actorid-upis">0208:{sender.number}</Identifier></Sender>
    <Receiver><Identifier Authority="iso6523-actorid-upis">0208:{receiver.number}</Identifier>\
</Receiver>
    <DocumentIdentification>
      <Standard>{UBL}{root}-2</Standard>
      <TypeVersion>2.1</TypeVersion>
      <InstanceIdentifier>{document.id}</InstanceIdentifier>
      <Type>{root}</Type>
      <CreationDateAndTime>2026-03-02T09:30:32Z</CreationDateAndTime>
    </DocumentIdentification>
    <BusinessScope>
      <Scope><Type>DOCUMENTID</Type><InstanceIdentifier>{type_}</InstanceIdentifier></Scope>
      <Scope><Type>PROCESSID</Type><InstanceIdentifier>{PROFILE if answers else BILLING}\
</InstanceIdentifier></Scope>
    </BusinessScope>
  </StandardBusinessDocumentHeader>
  """.encode()
        + data
        + b"\n</StandardBusinessDocument>\n"
    )
