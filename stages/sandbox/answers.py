"""Answers of the sandbox's customers to its sales, as a Peppol Invoice Response of BIS 3 (T111)."""

from __future__ import annotations

from datetime import date, timedelta
from html import escape
from random import Random

from msgspec import Struct

from stages.sandbox.companies import Company
from stages.sandbox.invoices import Invoice
from stages.sandbox.ubl import UBL

TRANSACTION = "urn:fdc:peppol.eu:poacc:trns:invoice_response:3"
PROFILE = "urn:fdc:peppol.eu:poacc:bis:invoice_response:3"

#: The response codes (UNCL4343) in turn, each with a reason (OPStatusReason) and its words.
SAYINGS = (
    ("AP", "", ""),
    ("AB", "", ""),
    ("RE", "REF", "Bestelnummer onbekend / numéro de commande inconnu"),
    ("IP", "", ""),
    ("UQ", "PRI", "Prijs wijkt af van de bestelling"),
    ("PD", "", ""),
    ("CA", "PAY", "Paiement à 60 jours"),
)


class Answer(Struct, frozen=True):
    """An answer to an invoice. number: of its own. code, reason, words: see SAYINGS."""

    number: str
    issued: date
    invoice: Invoice
    code: str
    reason: str
    words: str


def draw_answer(rng: Random, number: str, invoice: Invoice) -> Answer:
    """Draw what the customer says of an invoice."""
    issued = invoice.issued + timedelta(days=rng.randrange(1, 20))
    return Answer(number, issued, invoice, *rng.choice(SAYINGS))


def to_application_response(answer: Answer) -> bytes:
    """Write an answer in UTF-8."""
    invoice = answer.invoice
    type_code = "381" if invoice.credit else "380"
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<ApplicationResponse xmlns="{UBL}ApplicationResponse-2"
    xmlns:cac="{UBL}CommonAggregateComponents-2" xmlns:cbc="{UBL}CommonBasicComponents-2">
  <cbc:CustomizationID>{TRANSACTION}</cbc:CustomizationID>
  <cbc:ProfileID>{PROFILE}</cbc:ProfileID>
  <cbc:ID>{answer.number}</cbc:ID>
  <cbc:IssueDate>{answer.issued}</cbc:IssueDate>
  <cac:SenderParty>{_party(invoice.customer)}
  </cac:SenderParty>
  <cac:ReceiverParty>{_party(invoice.supplier)}
  </cac:ReceiverParty>
  <cac:DocumentResponse>
    <cac:Response>
      <cbc:ResponseCode listID="UNCL4343OpSubset">{answer.code}</cbc:ResponseCode>
      <cbc:EffectiveDate>{answer.issued}</cbc:EffectiveDate>{_status(answer)}
    </cac:Response>
    <cac:DocumentReference>
      <cbc:ID>{invoice.number}</cbc:ID>
      <cbc:IssueDate>{invoice.issued}</cbc:IssueDate>
      <cbc:DocumentTypeCode listID="UNCL1001">{type_code}</cbc:DocumentTypeCode>
    </cac:DocumentReference>
  </cac:DocumentResponse>
</ApplicationResponse>
""".encode()


def _party(company: Company) -> str:
    return f"""
    <cbc:EndpointID schemeID="0208">{company.number}</cbc:EndpointID>
    <cac:PartyLegalEntity>
      <cbc:RegistrationName>{escape(company.name)}</cbc:RegistrationName>
      <cbc:CompanyID schemeID="0208">{company.number}</cbc:CompanyID>
    </cac:PartyLegalEntity>"""


def _status(answer: Answer) -> str:
    if not answer.reason:
        return ""
    return f"""
      <cac:Status>
        <cbc:StatusReasonCode listID="OPStatusReason">{answer.reason}</cbc:StatusReasonCode>
        <cbc:StatusReason>{escape(answer.words)}</cbc:StatusReason>
      </cac:Status>"""
