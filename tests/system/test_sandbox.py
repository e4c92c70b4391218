"""The sandbox: documents that an accounting package would import, the same for the same seed."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stdnum.be.vat
import stdnum.iban
from lxml import etree

from pipeline.app.wiring import load_config
from pipeline.errors import ConfigurationError
from pipeline.payload import Payload
from stages.formats import coda, content, format_of
from stages.model import Kind
from stages.sandbox import Mailbox, Sandbox, serve_sandbox, write_config, write_manifest
from stages.sandbox.corpus import Document
from stages.sandbox.identity import Ids
from stages.sandbox.invoices import Invoice
from stages.sandbox.state_index import State
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
        assert coda.problems(payload(data)) == []
        assert {len(line) for line in data.split(b"\r\n")[:-1]} == {128}
        assert data.isascii()
        statement = document.content
        assert isinstance(statement, Statement)
        assert stdnum.iban.is_valid(statement.iban)
        read = coda.read(payload(data))
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
            read = format_of(made).read(made)
            assert isinstance(read, content.Invoice)
            assert read.number == document.number
            assert read.issue_date == document.content.issued.isoformat()


def test_a_million_documents_cost_a_byte_each() -> None:
    tracemalloc.start()
    try:
        mailbox = Mailbox(1_000_000, 3, seed=1)
        page = mailbox.page(Kind.PURCHASE, State.TO_BE_FETCHED, None, 400_000, 50)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    assert len(page.documents) == 50
    totals = [mailbox.page(kind, None, None, 0, 0).total for kind in mailbox.kinds]
    assert sum(totals) == 1_000_000
    document = page.documents[7][0]
    assert mailbox.find(document.id) == document


def test_an_id_that_was_not_made_here_is_none() -> None:
    ids = Ids(1)
    assert [ids.index(ids.of(index)) for index in (0, 1, 10**12)] == [0, 1, 10**12]
    for text in ("", "7", Ids(2).of(0), ids.of(0).upper(), ids.of(0)[:-1] + "g"):
        assert ids.index(text) is None


def test_a_list_shifts_as_documents_leave_it() -> None:
    mailbox = Mailbox(3000, 1, seed=1)

    def ids(start: int, count: int) -> list[str]:
        page = mailbox.page(Kind.PURCHASE, State.TO_BE_FETCHED, None, start, count)
        return [document.id for document, _ in page.documents]

    everything = ids(0, 5000)
    for id_ in everything[::3]:
        document = mailbox.find(id_)
        assert document is not None
        mailbox.settle(document, State.FORWARDED)
        assert mailbox.state(document) is State.FORWARDED
    left = [id_ for place, id_ in enumerate(everything) if place % 3]
    assert ids(0, 5000) == left
    assert ids(777, 50) == left[777:827]
    mailbox.grow(100)
    assert ids(0, 5000)[: len(left)] == left
    assert len(ids(0, 5000)) == len(left) + 50


def test_files_of_a_folder_are_served_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/x.xml", "b.pdf", "manifest.json", "NOTICE.md", ".hidden"):
        (tmp_path / name).write_bytes(name.encode())
    mailbox = Mailbox.of_files(tmp_path, "0403.170.701")
    assert {d.read() for d in mailbox} == {b"a/x.xml", b"b.pdf"}
    assert {d.kind for d in mailbox} == {Kind.UNKNOWN}
    assert mailbox.companies[0].identifier == "BE0403170701"
    with pytest.raises(ConfigurationError, match="no such folder"):
        Mailbox.of_files(tmp_path / "absent", "0403.170.701")


def test_of_the_corpus_only_documents_are_served(corpus: Path) -> None:
    manifest = json.loads((corpus / "manifest.json").read_text())
    held = {
        sha256(document.read()).hexdigest() for document in Mailbox.of_files(corpus, "BE0403170701")
    }
    assert held == {one["sha256"] for one in manifest}


def test_the_manifest_says_what_is_held(tmp_path: Path) -> None:
    mailbox = Mailbox(30, 2, seed=3)
    write_manifest(tmp_path / "new" / "manifest.jsonl", mailbox)
    lines = [json.loads(x) for x in (tmp_path / "new/manifest.jsonl").read_text().splitlines()]
    for line, document in zip(lines, mailbox, strict=True):
        data = document.read()
        assert line == {
            "id": document.id,
            "kind": document.kind.value,
            "company": document.company.identifier,
            "number": document.number,
            "media_type": document.media_type,
            "size": len(data),
            "sha256": sha256(data).hexdigest(),
        }


class Client:
    """Speaks to a sandbox as any client would."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.token = ""

    async def grant(self, **form: str) -> tuple[int, dict[str, Any]]:
        own = {"client_id": self.sandbox.client_id, "client_secret": self.sandbox.client_secret}
        async with self.session.post(self.sandbox.token_url, data=own | form) as answer:
            return answer.status, await answer.json()

    async def ask(self, path: str, method: str = "GET", **more: Any) -> tuple[int, bytes, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        url = f"{self.sandbox.url}/{path}"
        async with self.session.request(method, url, headers=headers, **more) as answer:
            return answer.status, await answer.read(), answer.headers


@pytest.mark.anyio
async def test_it_speaks_the_wire_format(tmp_path: Path) -> None:
    mailbox = Mailbox(300, 2, seed=3)
    journal = tmp_path / "journal.jsonl"
    async with (
        serve_sandbox(mailbox, journal=journal) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        client = Client(sandbox, session)
        status, body, _ = await client.ask("purchase-invoices")
        assert status == 401
        assert json.loads(body).keys() == {"path", "error", "message", "status"}
        _, granted = await client.grant(grant_type="client_credentials")
        client.token = granted["access_token"]
        _, body, _ = await client.ask("purchase-invoices?page=1&size=500")
        page = json.loads(body)
        assert (page["size"], page["page"], page["total"]) == (50, 1, 150)
        assert len(page["results"]) == 50
        item = page["results"][0]
        assert item["purchase_invoice_date"].endswith("T00:00:00Z")
        assert item["platform_id"] in {company.platform_id for company in mailbox.companies}
        _, body, _ = await client.ask("purchase-invoices?page=3")
        assert json.loads(body)["results"] == []

        path = f"purchase-invoices/{item['id']}"
        document = mailbox.find(item["id"])
        assert document is not None
        for accept, start in (
            ("application/json", b'{"id":'),
            ("application/xml", b"<?xml"),
            ("application/xml;q=0.5, application/pdf", b"%PDF"),
            ("*/*", b'{"id":'),
        ):
            status, body, _ = await client.ask(path, headers={"Accept": accept})
            assert status == 200
            assert body.startswith(start)
        status, body, _ = await client.ask(path, headers={"Accept": "application/xml"})
        assert body == document.read()
        assert (await client.ask(path, headers={"Accept": "image/png"}))[0] == 406
        assert (await client.ask(f"sales-invoices/{item['id']}"))[0] == 404
        assert (await client.ask("no-list"))[0] == 404
        assert (await client.ask("purchase-invoices?page=x"))[0] == 400
        assert (await client.ask("purchase-invoices?accounting_status=x"))[0] == 400

        told = f"{path}/accounting-status"
        assert (await client.ask(told, "PUT", json={"status": "DONE"}))[0] == 400
        assert (await client.ask(told, "PUT", json={"status": "ERROR", "message": "no"}))[0] == 204
        for status_, count in (("TO_BE_FETCHED", 149), ("ERROR", 1), ("FORWARDED", 0)):
            _, body, _ = await client.ask(f"purchase-invoices?accounting_status={status_}")
            assert json.loads(body)["total"] == count
        # Written at once, for whoever looks on.
        (line,) = [json.loads(text) for text in journal.read_text().splitlines()]
        assert line.pop("at").endswith("+00:00")
        assert line == {"id": item["id"], "status": "ERROR", "message": "no"}


@pytest.mark.anyio
async def test_it_signs_in_by_secret_and_by_refresh_token() -> None:
    async with (
        serve_sandbox(Mailbox(1, 1, seed=3)) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        client = Client(sandbox, session)
        assert (await client.grant(grant_type="client_credentials", client_secret="x"))[0] == 401
        assert (await client.grant(grant_type="password"))[0] == 400
        first = {"grant_type": "refresh_token", "refresh_token": sandbox.refresh_token}
        status, granted = await client.grant(**first)
        assert status == 200
        assert (await client.grant(**first))[0] == 400
        assert (await client.grant(**first | {"refresh_token": granted["refresh_token"]}))[0] == 200


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_said() -> None:
    async with serve_sandbox(Mailbox(1)) as sandbox:
        port = int(sandbox.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(ConfigurationError, match="--port: can't listen there"):
            async with serve_sandbox(Mailbox(1), port=port):
                pass


@pytest.mark.anyio
async def test_the_configuration_that_it_writes_is_one(tmp_path: Path) -> None:
    mailbox = Mailbox(3, 4, seed=2)
    path = tmp_path / "new" / "synqup.toml"
    async with serve_sandbox(mailbox) as sandbox:
        for _ in range(2):
            write_config(path, sandbox, mailbox)
    config = load_config(path)
    assert [one.identifier for one in config.companies] == [c.identifier for c in mailbox.companies]
    assert [one.platform_id for one in config.companies] == [
        c.platform_id for c in mailbox.companies
    ]
    secret = path.with_name("synqup.toml.secret")
    assert secret.read_text().strip() == sandbox.client_secret
    assert secret.stat().st_mode & 0o777 == 0o600
    assert sandbox.client_secret not in path.read_text()
