"""The rules: whose a document is, what the list may say, and what the reason names."""

from __future__ import annotations

import pytest

from stages.formats.content import INVOICE_KINDS, AccountStatement, Invoice, Other, Statement
from stages.formats.party import Identifier, Party
from stages.kind import Kind
from stages.matching.classification import Classification, ListHint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import apply_rules
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


def classify(
    supplier: Party,
    customer: Party,
    kind: Kind | None = None,
    mailbox: Company | None = None,
    *companies: Company,
) -> Classification:
    return apply_rules(
        invoice(supplier, customer), CompanyIndex(companies or [A, B]), ListHint(kind, mailbox, "s")
    )


@pytest.mark.parametrize("kind", [None, *Kind])
@pytest.mark.parametrize("mailbox", [None, A, B])
def test_content_wins_over_the_list(kind: Kind | None, mailbox: Company | None) -> None:
    sales = classify(OURS["A"], STRANGER, kind, mailbox)
    assert (sales.kind, sales.company) == (Kind.SALES, A)
    purchase = classify(STRANGER, OURS["A"], kind, mailbox)
    assert (purchase.kind, purchase.company) == (Kind.PURCHASE, A)
    assert len(sales.warnings) == (kind not in (None, Kind.SALES)) + (mailbox is B)
    assert len(purchase.warnings) == (kind not in (None, Kind.PURCHASE)) + (mailbox is B)


def test_the_reason_names_element_value_and_company() -> None:
    assert classify(OURS["A"], STRANGER).reason == (
        "the supplier (AccountingSupplierParty) is A (BE0403170701) by its EndpointID "
        "0208:0403170701"
    )
    assert classify(STRANGER, OURS["A"]).reason == (
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
    found = classify(OURS["A"], OURS["B"], kind, mailbox)
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
    found = classify(OURS["A"], OURS["A"], kind, mailbox)
    assert found.company is company
    assert found.kind is (kind if company else Kind.UNKNOWN)


@pytest.mark.parametrize("kind", [None, *Kind])
@pytest.mark.parametrize("mailbox", [None, A])
def test_strangers_are_named(kind: Kind | None, mailbox: Company | None) -> None:
    found = classify(STRANGER, Party("Other", (Identifier("x", "", "77"),)), kind, mailbox)
    assert (found.kind, found.company) == (Kind.UNKNOWN, None)
    for text in ("Stranger", "0999999922", "Other", "77"):
        assert text in found.reason


def test_a_silent_party_is_whom_the_list_says() -> None:
    found = classify(STRANGER, SILENT, Kind.PURCHASE, A)
    assert (found.kind, found.company) == (Kind.PURCHASE, A)
    found = classify(SILENT, STRANGER, Kind.SALES, A)
    assert (found.kind, found.company) == (Kind.SALES, A)
    # The side that the list puts us on is taken by a stranger.
    assert classify(STRANGER, SILENT, Kind.SALES, A).company is None
    assert classify(SILENT, STRANGER, Kind.PURCHASE, A).company is None
    # No word.
    assert classify(STRANGER, SILENT, None, A).company is None
    assert classify(STRANGER, SILENT, Kind.PURCHASE, None).company is None


def test_a_silent_party_beside_another_company_of_ours_is_whom_the_list_says() -> None:
    found = classify(OURS["A"], SILENT, Kind.PURCHASE, B)
    assert (found.kind, found.company, found.warnings) == (Kind.PURCHASE, B, ())
    assert "supplier (AccountingSupplierParty) is A" in found.reason
    assert "the list calls it purchase of B (BE0417497106)" in found.reason
    found = classify(SILENT, OURS["A"], Kind.SALES, B)
    assert (found.kind, found.company, found.warnings) == (Kind.SALES, B, ())
    # Without its word, or where the list puts B on the side of A, it is A's.
    for kind in (None, Kind.SALES):
        found = classify(OURS["A"], SILENT, kind, B)
        assert (found.kind, found.company) == (Kind.SALES, A)
        assert found.warnings
    # In the mailbox of A it is what A does.
    assert classify(OURS["A"], SILENT, Kind.PURCHASE, A).kind is Kind.SALES


@pytest.mark.parametrize(
    "words", ["Kleinunternehmer", "à compléter", "не указан", "なし", "BEXXXX"]
)
@pytest.mark.parametrize("scheme", ["", "0208"])
def test_words_in_the_place_of_a_number_are_silent(words: str, scheme: str) -> None:
    customer = Party("Klant", (Identifier("EndpointID", scheme, words),))
    assert classify(STRANGER, customer, Kind.PURCHASE, A).company == A
    coded = Party("Klant", (Identifier("EndpointID", "0205", "ABCDEF"),))
    assert classify(STRANGER, coded, Kind.PURCHASE, A).company is None


def test_a_contact_does_not_break_the_silence() -> None:
    mail = Identifier("Contact/ElectronicMail", "", "x@y.be", is_contact=True)
    assert classify(STRANGER, Party("P", (mail,)), Kind.PURCHASE, A).company is A


def test_a_private_customer_of_ours() -> None:
    found = classify(OURS["A"], SILENT, Kind.PURCHASE, A)
    assert (found.kind, found.company) == (Kind.SALES, A)
    assert found.warnings


def statement(*accounts: str, holder: str = "", scheme: str = "0208") -> Statement:
    holders = (Identifier("the header record", scheme, holder),) if holder else ()
    return Statement("coda", (AccountStatement(accounts, holders, "Holder", "1"),), "cod")


def test_a_statement_is_of_the_account_and_of_the_holder() -> None:
    index = CompanyIndex([A, B])
    assert apply_rules(statement("BE68539007547034"), index, ListHint()).company is A
    assert apply_rules(statement("1", holder="0417497106"), index, ListHint()).company is B
    both = apply_rules(statement("BE68539007547034", holder="0417497106"), index, ListHint())
    assert both.company is A
    assert both.warnings
    nobody = apply_rules(
        statement("1", holder="0999999922"), index, ListHint(Kind.STATEMENT, A, "s")
    )
    assert nobody.company is None
    assert "0999999922" in nobody.reason
    silent = apply_rules(statement("1"), index, ListHint(Kind.STATEMENT, A, "s"))
    assert (silent.kind, silent.company) == (Kind.STATEMENT, A)


@pytest.mark.parametrize("none", ["/", "NA", "n.v.t.", "0000000000"])
def test_a_holder_that_bears_a_placeholder_is_silent(none: str) -> None:
    index = CompanyIndex([A, B])
    said = statement("1", holder=none)
    assert apply_rules(said, index, ListHint(Kind.STATEMENT, A, "s")).company == A
    beside = Statement("coda", (*said.parts, *statement("BE68539007547034").parts), "cod")
    found = apply_rules(beside, index, ListHint())
    assert found.company == A
    assert found.warnings
    assert apply_rules(beside, index, ListHint(Kind.STATEMENT, B, "s")).company is None


def test_others_follow_the_list_only_where_they_may_be_it() -> None:
    index = CompanyIndex([A])
    pdf = Other("pdf", "a PDF", "pdf", INVOICE_KINDS)
    order = Other("ubl-order", "a UBL order", "xml")
    assert apply_rules(pdf, index, ListHint(Kind.PURCHASE, A, "s")).company is A
    assert apply_rules(pdf, index, ListHint(Kind.STATEMENT, A, "s")).company is None
    assert apply_rules(pdf, index, ListHint(None, A, "s")).company is None
    refused = apply_rules(order, index, ListHint(Kind.PURCHASE, A, "s"))
    assert refused.company is None
    assert "a UBL order" in refused.reason
