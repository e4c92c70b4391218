"""The rules: whose a document is, what the list may say, and what the reason names."""

from __future__ import annotations

import pytest

from stages.formats.content import INVOICES, Invoice, Other, Statement
from stages.formats.party import Identifier, Party
from stages.matching.parties import Directory
from stages.matching.rules import Classification, ListHint, decide
from stages.model import Kind
from stages.settings import Company

A = Company(name="A", identifier="BE0403170701", source="s", accounts=("BE68539007547034",))
B = Company(name="B", identifier="BE0417497106", source="s")
STRANGER = Party("Stranger", (Identifier("EndpointID", "0208", "0999999922"),))
SILENT = Party("Somebody", ())
OURS = {
    one.name: Party(one.name, (Identifier("EndpointID", "0208", one.identifier[2:]),))
    for one in (A, B)
}


def invoice(supplier: Party, customer: Party) -> Invoice:
    return Invoice(
        format="ubl-invoice",
        number="1",
        issue_date="2026-02-01",
        type_code="380",
        currency="EUR",
        total="1",
        supplier=supplier,
        customer=customer,
        supplier_element="AccountingSupplierParty",
        customer_element="AccountingCustomerParty",
        extension="xml",
    )


def verdict(
    supplier: Party,
    customer: Party,
    kind: Kind | None = None,
    mailbox: Company | None = None,
    *companies: Company,
) -> Classification:
    return decide(
        invoice(supplier, customer), Directory(companies or [A, B]), ListHint(kind, mailbox, "s")
    )


@pytest.mark.parametrize("kind", [None, *Kind])
@pytest.mark.parametrize("mailbox", [None, A, B])
def test_content_wins_over_the_list(kind: Kind | None, mailbox: Company | None) -> None:
    sales = verdict(OURS["A"], STRANGER, kind, mailbox)
    assert (sales.kind, sales.company) == (Kind.SALES, A)
    purchase = verdict(STRANGER, OURS["A"], kind, mailbox)
    assert (purchase.kind, purchase.company) == (Kind.PURCHASE, A)
    assert len(sales.warnings) == (kind not in (None, Kind.SALES)) + (mailbox is B)
    assert len(purchase.warnings) == (kind not in (None, Kind.PURCHASE)) + (mailbox is B)


def test_the_reason_names_element_value_and_company() -> None:
    assert verdict(OURS["A"], STRANGER).reason == (
        "the supplier (AccountingSupplierParty) is A (BE0403170701) by its EndpointID "
        "0208:0403170701"
    )
    assert verdict(STRANGER, OURS["A"]).reason == (
        "the customer (AccountingCustomerParty) is A (BE0403170701) by its EndpointID "
        "0208:0403170701"
    )


@pytest.mark.parametrize(
    ("mailbox", "kind", "expected"),
    [
        (A, None, (Kind.SALES, A)),
        (B, None, (Kind.PURCHASE, B)),
        (A, Kind.PURCHASE, (Kind.SALES, A)),
        (None, Kind.PURCHASE, (Kind.PURCHASE, B)),
        (None, None, (Kind.UNKNOWN, None)),
    ],
)
def test_both_ours_follows_the_mailbox(
    mailbox: Company | None, kind: Kind | None, expected: tuple[Kind, Company | None]
) -> None:
    found = verdict(OURS["A"], OURS["B"], kind, mailbox)
    assert (found.kind, found.company) == expected
    for text in ("A (BE0403170701)", "B (BE0417497106)", "0208:0403170701", "0208:0417497106"):
        assert text in found.reason


@pytest.mark.parametrize(
    ("kind", "company"),
    [(Kind.SALES, A), (Kind.PURCHASE, A), (None, None), (Kind.STATEMENT, None)],
)
@pytest.mark.parametrize("mailbox", [A, None])
def test_both_that_very_company_follows_the_list(
    kind: Kind | None, company: Company | None, mailbox: Company | None
) -> None:
    found = verdict(OURS["A"], OURS["A"], kind, mailbox)
    assert found.company is company
    assert found.kind is (kind if company else Kind.UNKNOWN)


@pytest.mark.parametrize("kind", [None, *Kind])
@pytest.mark.parametrize("mailbox", [None, A])
def test_strangers_are_named(kind: Kind | None, mailbox: Company | None) -> None:
    found = verdict(STRANGER, Party("Other", (Identifier("x", "", "77"),)), kind, mailbox)
    assert (found.kind, found.company) == (Kind.UNKNOWN, None)
    for text in ("Stranger", "0999999922", "Other", "77"):
        assert text in found.reason


def test_a_silent_party_is_whom_the_list_says() -> None:
    found = verdict(STRANGER, SILENT, Kind.PURCHASE, A)
    assert (found.kind, found.company) == (Kind.PURCHASE, A)
    found = verdict(SILENT, STRANGER, Kind.SALES, A)
    assert (found.kind, found.company) == (Kind.SALES, A)
    # The side that the list puts us on is taken by a stranger.
    assert verdict(STRANGER, SILENT, Kind.SALES, A).company is None
    assert verdict(SILENT, STRANGER, Kind.PURCHASE, A).company is None
    # No word.
    assert verdict(STRANGER, SILENT, None, A).company is None
    assert verdict(STRANGER, SILENT, Kind.PURCHASE, None).company is None


def test_a_contact_does_not_break_the_silence() -> None:
    mail = Identifier("Contact/ElectronicMail", "", "x@y.be", is_contact=True)
    assert verdict(STRANGER, Party("P", (mail,)), Kind.PURCHASE, A).company is A


def test_a_private_customer_of_ours() -> None:
    found = verdict(OURS["A"], SILENT, Kind.PURCHASE, A)
    assert (found.kind, found.company) == (Kind.SALES, A)
    assert found.warnings


def statement(*accounts: str, holder: str = "", scheme: str = "0208") -> Statement:
    holders = (Identifier("the header record", scheme, holder),) if holder else ()
    return Statement("coda", holders, "Holder", accounts, "1", "2026-02-01", "cod")


def test_a_statement_is_of_the_account_and_of_the_holder() -> None:
    directory = Directory([A, B])
    assert decide(statement("BE68539007547034"), directory, ListHint()).company is A
    assert decide(statement("1", holder="0417497106"), directory, ListHint()).company is B
    both = decide(statement("BE68539007547034", holder="0417497106"), directory, ListHint())
    assert both.company is A
    assert both.warnings
    nobody = decide(
        statement("1", holder="0999999922"), directory, ListHint(Kind.STATEMENT, A, "s")
    )
    assert nobody.company is None
    assert "0999999922" in nobody.reason
    silent = decide(statement("1"), directory, ListHint(Kind.STATEMENT, A, "s"))
    assert (silent.kind, silent.company) == (Kind.STATEMENT, A)


def test_others_follow_the_list_only_where_they_may_be_it() -> None:
    directory = Directory([A])
    pdf = Other("pdf", "a PDF", "pdf", INVOICES)
    order = Other("ubl-order", "a UBL order", "xml")
    assert decide(pdf, directory, ListHint(Kind.PURCHASE, A, "s")).company is A
    assert decide(pdf, directory, ListHint(Kind.STATEMENT, A, "s")).company is None
    assert decide(pdf, directory, ListHint(None, A, "s")).company is None
    refused = decide(order, directory, ListHint(Kind.PURCHASE, A, "s"))
    assert refused.company is None
    assert "a UBL order" in refused.reason
