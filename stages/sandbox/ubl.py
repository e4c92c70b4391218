"""UBL writer of the sandbox: UBL 2.1 by Peppol BIS Billing 3.0 or Peppol BIS Self-Billing 3.0.

The order of the elements is that of the UBL 2.1 schemas; which elements there are follows from the
syntax tables of Peppol BIS Billing 3.0. Text is made by templates, as up to a million are written.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape

from stages.sandbox.companies import Company
from stages.sandbox.invoices import Invoice, Line, money, vat_of
from stages.sandbox.pdf import to_pdf

UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
CUSTOMIZATION = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:"
PROFILE = "urn:fdc:peppol.eu:2017:poacc:"


def to_ubl(invoice: Invoice) -> bytes:
    """Write an invoice in UTF-8."""
    root = "CreditNote" if invoice.credit else "Invoice"
    process = "selfbilling" if invoice.self_billed else "billing"
    # A credit note in UBL has its due date (BT-9) in the means of payment.
    due = "" if invoice.credit else f"\n  <cbc:DueDate>{invoice.due}</cbc:DueDate>"
    payment_due = (
        f"\n    <cbc:PaymentDueDate>{invoice.due}</cbc:PaymentDueDate>" if invoice.credit else ""
    )
    lines = "".join(_line(invoice, n, line) for n, line in enumerate(invoice.lines, 1))
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<{root} xmlns="{UBL}{root}-2"
    xmlns:cac="{UBL}CommonAggregateComponents-2" xmlns:cbc="{UBL}CommonBasicComponents-2">
  <cbc:CustomizationID>{CUSTOMIZATION}{process}:3.0</cbc:CustomizationID>
  <cbc:ProfileID>{PROFILE}{process}:01:1.0</cbc:ProfileID>
  <cbc:ID>{invoice.number}</cbc:ID>
  <cbc:IssueDate>{invoice.issued}</cbc:IssueDate>{due}
  <cbc:{root}TypeCode>{_type_code(invoice)}</cbc:{root}TypeCode>
  <cbc:DocumentCurrencyCode>EUR</cbc:DocumentCurrencyCode>
  <cbc:BuyerReference>{invoice.order}</cbc:BuyerReference>\
{_embedded_pdf(invoice)}
  <cac:AccountingSupplierParty>{_party(invoice.supplier)}
  </cac:AccountingSupplierParty>
  <cac:AccountingCustomerParty>{_party(invoice.customer)}
  </cac:AccountingCustomerParty>
  <cac:PaymentMeans>
    <cbc:PaymentMeansCode name="Credit transfer">30</cbc:PaymentMeansCode>{payment_due}
    <cbc:PaymentID>{_structured(invoice.remittance)}</cbc:PaymentID>
    <cac:PayeeFinancialAccount>
      <cbc:ID>{invoice.supplier.iban}</cbc:ID>
      <cac:FinancialInstitutionBranch>
        <cbc:ID>{invoice.supplier.bic}</cbc:ID>
      </cac:FinancialInstitutionBranch>
    </cac:PayeeFinancialAccount>
  </cac:PaymentMeans>
  <cac:PaymentTerms>
    <cbc:Note>30 dagen / 30 jours</cbc:Note>
  </cac:PaymentTerms>
  <cac:TaxTotal>
    <cbc:TaxAmount currencyID="EUR">{money(invoice.vat)}</cbc:TaxAmount>{_subtotals(invoice)}
  </cac:TaxTotal>
  <cac:LegalMonetaryTotal>
    <cbc:LineExtensionAmount currencyID="EUR">{money(invoice.net)}</cbc:LineExtensionAmount>
    <cbc:TaxExclusiveAmount currencyID="EUR">{money(invoice.net)}</cbc:TaxExclusiveAmount>
    <cbc:TaxInclusiveAmount currencyID="EUR">{money(invoice.total)}</cbc:TaxInclusiveAmount>
    <cbc:PayableAmount currencyID="EUR">{money(invoice.total)}</cbc:PayableAmount>
  </cac:LegalMonetaryTotal>{lines}
</{root}>
""".encode()


def _type_code(invoice: Invoice) -> str:
    """UNTDID 1001."""
    if invoice.credit:
        return "261" if invoice.self_billed else "381"
    return "389" if invoice.self_billed else "380"


def _structured(remittance: str) -> str:
    return f"+++{remittance[:3]}/{remittance[3:7]}/{remittance[7:]}+++"


def _embedded_pdf(invoice: Invoice) -> str:
    if not invoice.embeds_pdf:
        return ""
    name = invoice.number.replace("/", "-")
    return f"""
  <cac:AdditionalDocumentReference>
    <cbc:ID>{invoice.number}</cbc:ID>
    <cbc:DocumentDescription>Commercial invoice</cbc:DocumentDescription>
    <cac:Attachment>
      <cbc:EmbeddedDocumentBinaryObject mimeCode="application/pdf" filename="{name}.pdf">\
{b64encode(to_pdf(invoice)).decode()}</cbc:EmbeddedDocumentBinaryObject>
    </cac:Attachment>
  </cac:AdditionalDocumentReference>"""


def _party(company: Company) -> str:
    name = escape(company.name)
    return f"""
    <cac:Party>
      <cbc:EndpointID schemeID="0208">{company.number}</cbc:EndpointID>
      <cac:PartyName>
        <cbc:Name>{name}</cbc:Name>
      </cac:PartyName>
      <cac:PostalAddress>
        <cbc:StreetName>{escape(company.street)}</cbc:StreetName>
        <cbc:CityName>{escape(company.city)}</cbc:CityName>
        <cbc:PostalZone>{company.postcode}</cbc:PostalZone>
        <cac:Country>
          <cbc:IdentificationCode>BE</cbc:IdentificationCode>
        </cac:Country>
      </cac:PostalAddress>
      <cac:PartyTaxScheme>
        <cbc:CompanyID>{company.identifier}</cbc:CompanyID>
        <cac:TaxScheme>
          <cbc:ID>VAT</cbc:ID>
        </cac:TaxScheme>
      </cac:PartyTaxScheme>
      <cac:PartyLegalEntity>
        <cbc:RegistrationName>{name}</cbc:RegistrationName>
        <cbc:CompanyID schemeID="0208">{company.number}</cbc:CompanyID>
      </cac:PartyLegalEntity>
    </cac:Party>"""


def _subtotals(invoice: Invoice) -> str:
    return "".join(
        f"""
    <cac:TaxSubtotal>
      <cbc:TaxableAmount currencyID="EUR">{money(base)}</cbc:TaxableAmount>
      <cbc:TaxAmount currencyID="EUR">{money(vat_of(base, rate))}</cbc:TaxAmount>
      <cac:TaxCategory>{_category(rate)}
      </cac:TaxCategory>
    </cac:TaxSubtotal>"""
        for rate, base in invoice.vat_bases.items()
    )


def _category(rate: int) -> str:
    return f"""
        <cbc:ID>S</cbc:ID>
        <cbc:Percent>{rate}</cbc:Percent>
        <cac:TaxScheme>
          <cbc:ID>VAT</cbc:ID>
        </cac:TaxScheme>"""


def _line(invoice: Invoice, number: int, line: Line) -> str:
    element, quantity = (
        ("CreditNoteLine", "CreditedQuantity")
        if invoice.credit
        else ("InvoiceLine", "InvoicedQuantity")
    )
    return f"""
  <cac:{element}>
    <cbc:ID>{number}</cbc:ID>
    <cbc:{quantity} unitCode="{line.unit}">{line.quantity}</cbc:{quantity}>
    <cbc:LineExtensionAmount currencyID="EUR">{money(line.amount)}</cbc:LineExtensionAmount>
    <cac:Item>
      <cbc:Name>{escape(line.name)}</cbc:Name>
      <cac:ClassifiedTaxCategory>{_category(line.rate)}
      </cac:ClassifiedTaxCategory>
    </cac:Item>
    <cac:Price>
      <cbc:PriceAmount currencyID="EUR">{money(line.price)}</cbc:PriceAmount>
    </cac:Price>
  </cac:{element}>"""
