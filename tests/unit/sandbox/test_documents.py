"""The sandbox's documents: what an accounting package would import, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from itertools import islice

import pytest
import stdnum.be.vat
import stdnum.iban
from lxml import etree

from pipeline.payload import Payload
from stages.formats import coda, content
from stages.formats.registry import format_of
from stages.kind import Kind
from stages.sandbox import Mailbox
from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice
from stages.sandbox.statements import Statement

CBC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}"

CAC = "{urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2}"

CENT = Decimal("0.01")


def _words(text: str) -> list[str]:
    return text.split()


#: The order of the elements of UBL 2.1 that Peppol BIS Billing 3.0 knows (UBL-Invoice-2.1.xsd).
ORDER = _words(
    """
    UBLExtensions CustomizationID ProfileID ID IssueDate DueDate InvoiceTypeCode Note
    TaxPointDate DocumentCurrencyCode TaxCurrencyCode AccountingCost BuyerReference
    InvoicePeriod OrderReference BillingReference DespatchDocumentReference
    ReceiptDocumentReference OriginatorDocumentReference ContractDocumentReference
    AdditionalDocumentReference ProjectReference AccountingSupplierParty AccountingCustomerParty
    PayeeParty TaxRepresentativeParty Delivery PaymentMeans PaymentTerms AllowanceCharge
    TaxTotal LegalMonetaryTotal InvoiceLine
    """
)

#: UBL-CreditNote-2.1.xsd.
CREDIT_ORDER = _words(
    """
    UBLExtensions CustomizationID ProfileID ID IssueDate TaxPointDate CreditNoteTypeCode Note
    DocumentCurrencyCode TaxCurrencyCode AccountingCost BuyerReference InvoicePeriod
    OrderReference BillingReference DespatchDocumentReference ReceiptDocumentReference
    ContractDocumentReference AdditionalDocumentReference OriginatorDocumentReference
    AccountingSupplierParty AccountingCustomerParty PayeeParty TaxRepresentativeParty Delivery
    PaymentMeans PaymentTerms AllowanceCharge TaxTotal LegalMonetaryTotal CreditNoteLine
    """
)

PARTY = _words(
    """
    EndpointID PartyIdentification PartyName PostalAddress PartyTaxScheme PartyLegalEntity
    Contact
    """
)

LINE = _words(
    """
    ID Note InvoicedQuantity CreditedQuantity LineExtensionAmount AccountingCost InvoicePeriod
    OrderLineReference DocumentReference AllowanceCharge Item Price
    """
)


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return list(Mailbox(400, 3, seed=5))


def invoices(documents: list[Document]) -> list[etree._Element]:
    return [etree.fromstring(d.read()) for d in documents if isinstance(d.content, Invoice)]


def statements(documents: list[Document]) -> list[Document]:
    return [d for d in documents if isinstance(d.content, Statement)]


def local(element: etree._Element) -> str:
    return etree.QName(element).localname


def amount(element: etree._Element, path: str) -> Decimal:
    text = element.findtext(path)
    assert text is not None
    return Decimal(text)


def assert_order(element: etree._Element, order: list[str]) -> None:
    places = [order.index(local(child)) for child in element]
    assert places == sorted(places)


def test_the_same_seed_makes_the_same_documents_and_another_one_others() -> None:
    def made(seed: int) -> list[tuple[str, bytes]]:
        return [(d.id, d.read()) for d in Mailbox(60, 3, seed)]

    assert made(1) == made(1)
    assert not {data for _, data in made(1)} & {data for _, data in made(2)}


def test_no_two_documents_are_alike(documents: list[Document]) -> None:
    assert len({d.id for d in documents}) == len(documents)
    assert len({d.read() for d in documents}) == len(documents)
    numbers = Counter(
        (d.content.supplier.identifier, d.number)
        for d in documents
        if isinstance(d.content, Invoice)
    )
    assert set(numbers.values()) == {1}


def test_there_are_all_sorts(documents: list[Document]) -> None:
    found = [d.content for d in documents if isinstance(d.content, Invoice)]
    assert {d.kind for d in documents} == {Kind.PURCHASE, Kind.SALES, Kind.STATEMENT}
    for trait in ("credit", "self_billed", "embeds_pdf"):
        assert {getattr(one, trait) for one in found} == {True, False}
    assert len({d.company.identifier for d in documents}) == 3


def test_elements_stand_in_the_order_of_the_schemas(documents: list[Document]) -> None:
    for root in invoices(documents):
        credit = local(root) == "CreditNote"
        assert_order(root, CREDIT_ORDER if credit else ORDER)
        for party in root.iter(f"{CAC}Party"):
            assert_order(party, PARTY)
        for line in root.iter(f"{CAC}InvoiceLine", f"{CAC}CreditNoteLine"):
            assert_order(line, LINE)


def test_amounts_keep_the_rules_of_en_16931(documents: list[Document]) -> None:
    for root in invoices(documents):
        lines = list(root.iter(f"{CAC}InvoiceLine", f"{CAC}CreditNoteLine"))
        total, tax = root.find(f"{CAC}LegalMonetaryTotal"), root.find(f"{CAC}TaxTotal")
        assert lines
        assert total is not None
        assert tax is not None
        nets = [amount(line, f"{CBC}LineExtensionAmount") for line in lines]
        for line, net in zip(lines, nets, strict=True):
            (quantity,) = (q for q in line if local(q).endswith("edQuantity"))
            assert quantity.text is not None
            assert net == Decimal(quantity.text) * amount(line, f"{CAC}Price/{CBC}PriceAmount")
        net = amount(total, f"{CBC}LineExtensionAmount")
        assert net == sum(nets)  # BR-CO-10
        assert amount(total, f"{CBC}TaxExclusiveAmount") == net  # BR-CO-13, no allowances
        vat = amount(tax, f"{CBC}TaxAmount")
        subtotals = tax.findall(f"{CAC}TaxSubtotal")
        assert vat == sum(amount(one, f"{CBC}TaxAmount") for one in subtotals)  # BR-CO-14
        gross = amount(total, f"{CBC}TaxInclusiveAmount")
        assert gross == net + vat  # BR-CO-15
        assert amount(total, f"{CBC}PayableAmount") == gross  # BR-CO-16, nothing prepaid
        rates = set()
        for one in subtotals:
            rate = amount(one, f"{CAC}TaxCategory/{CBC}Percent")
            base = amount(one, f"{CBC}TaxableAmount")
            rates.add(rate)
            due = (base * rate / 100).quantize(CENT, ROUND_HALF_UP)
            assert amount(one, f"{CBC}TaxAmount") == due  # BR-CO-17
            assert base == sum(  # BR-S-08
                net
                for line, net in zip(lines, nets, strict=True)
                if amount(line, f"{CAC}Item/{CAC}ClassifiedTaxCategory/{CBC}Percent") == rate
            )
        assert len(rates) == len(subtotals)
        assert all("." in (e.text or "") for e in root.iter() if "currencyID" in e.attrib)


def test_parties_have_numbers_and_endpoints_that_pass_their_checks(
    documents: list[Document],
) -> None:
    for root in invoices(documents):
        parties = list(root.iter(f"{CAC}Party"))
        assert len(parties) == 2
        for party in parties:
            endpoint = party.find(f"{CBC}EndpointID")
            assert endpoint is not None
            assert endpoint.get("schemeID") == "0208"
            vat = party.findtext(f"{CAC}PartyTaxScheme/{CBC}CompanyID")
            assert vat == f"BE{endpoint.text}"
            assert stdnum.be.vat.is_valid(vat)
            legal = party.find(f"{CAC}PartyLegalEntity/{CBC}RegistrationName")
            assert legal is not None
            assert legal.text
        account = root.findtext(f"{CAC}PaymentMeans/{CAC}PayeeFinancialAccount/{CBC}ID")
        assert stdnum.iban.is_valid(account)


def test_the_profile_says_what_the_document_is(documents: list[Document]) -> None:
    codes = {
        ("billing", "Invoice"): "380",
        ("billing", "CreditNote"): "381",
        ("selfbilling", "Invoice"): "389",
        ("selfbilling", "CreditNote"): "261",
    }
    seen = set()
    for root in invoices(documents):
        profile = (root.findtext(f"{CBC}ProfileID") or "").split(":")[5]
        customization = root.findtext(f"{CBC}CustomizationID") or ""
        assert customization.endswith(f":poacc:{profile}:3.0")
        code = root.findtext(f"{CBC}{local(root)}TypeCode")
        assert codes[profile, local(root)] == code
        seen.add(code)
    assert seen == set(codes.values())


def test_embedded_pdfs_are_whole(documents: list[Document]) -> None:
    from base64 import b64decode  # noqa: PLC0415

    from pypdf import PdfReader  # noqa: PLC0415

    found = 0
    for root in islice(invoices(documents), 100):
        for binary in root.iter(f"{CBC}EmbeddedDocumentBinaryObject"):
            from io import BytesIO  # noqa: PLC0415

            data = b64decode(binary.text or "", validate=True)
            page = PdfReader(BytesIO(data)).pages[0].extract_text()
            assert (root.findtext(f"{CBC}ID") or "?") in page
            found += 1
    assert found


def test_statements_add_up_and_follow_each_other(documents: list[Document]) -> None:
    days = set()
    for document in statements(documents):
        data = document.read()
        assert list(coda.read(payload(data)).problems) == []
        assert {len(line) for line in data.split(b"\r\n")[:-1]} == {128}
        assert data.isascii()
        statement = document.content
        assert isinstance(statement, Statement)
        assert stdnum.iban.is_valid(statement.iban)
        read = coda.read(payload(data)).content
        assert isinstance(read, content.Statement)
        assert read.accounts == (statement.iban,)
        days.add((statement.iban, statement.day))
    assert len(days) == len(statements(documents))


def payload(data: bytes) -> Payload:
    return Payload(len(data), sha256(data).hexdigest(), data)


def test_what_is_made_is_read_by_our_own_readers(documents: list[Document]) -> None:
    for document in documents:
        if isinstance(document.content, Invoice):
            made = payload(document.read())
            read = format_of(made).read(made).content
            assert isinstance(read, content.Invoice)
            assert read.number == document.number
            assert read.issue_date == document.content.issued.isoformat()
