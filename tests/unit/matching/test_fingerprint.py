"""Duplicates are proved: what the fingerprint of a document takes for the same, and what not."""

from __future__ import annotations

import pytest

from pipeline.ledger.marks import contradict
from stages.formats.content import AccountStatement, Other, Statement
from stages.matching.fingerprint import fingerprint
from stages.model import Fingerprint
from tests.helpers.cii import d16b
from tests.helpers.invoices import invoice, ubl

INVOICE = ubl()


def told(text: str, data: str = "") -> Fingerprint:
    return fingerprint(invoice(text), data or text, lambda *_: False)


def is_same(one: str, other: str) -> bool:
    """Whether a document is left out after the other one, as the ledger decides it."""
    first, second = told(one), told(other)
    return first.parts == second.parts and not contradict(first.marks, second.marks)


def vat(number: str) -> str:
    return f"<cac:PartyTaxScheme><cbc:CompanyID>{number}</cbc:CompanyID></cac:PartyTaxScheme>"


def legal(number: str, scheme: str = "") -> str:
    scheme = f' schemeID="{scheme}"' if scheme else ""
    return (
        f"<cac:PartyLegalEntity><cbc:CompanyID{scheme}>{number}</cbc:CompanyID>"
        "</cac:PartyLegalEntity>"
    )


def country(code: str) -> str:
    return (
        "<cac:PostalAddress><cac:Country><cbc:IdentificationCode>"
        f"{code}</cbc:IdentificationCode></cac:Country></cac:PostalAddress>"
    )


def endpoint(number: str, scheme: str = "0208") -> str:
    return f'<cbc:EndpointID schemeID="{scheme}">{number}</cbc:EndpointID>'


@pytest.mark.parametrize(
    "supplier",
    [
        vat("BE0403170701"),
        vat("BE 0403.170.701"),
        vat("0403170701"),
        legal("0403.170.701"),
        endpoint("BE0403170701", "9925"),
        endpoint("5790000435975", "0088") + legal("0403170701", "0208"),
        country("BE") + vat("403170701"),
    ],
)
def test_a_supplier_is_known_by_any_spelling_of_its_number(supplier: str) -> None:
    assert is_same(ubl(supplier), INVOICE)
    assert "BE0403170701" in told(ubl(supplier)).parts


def test_a_number_of_the_supplier_that_differs_tells_two_apart() -> None:
    unit = vat("BE0700900917")
    one, two = unit + legal("0700100171", "0208"), unit + legal("0700200240", "0208")
    assert not is_same(ubl(one), ubl(two))
    assert is_same(ubl(one), ubl(unit))
    gln = endpoint("5790000435975", "0088")
    assert not is_same(ubl(gln + one), ubl(endpoint("5790000436101", "0088") + one))


def identified(number: str, scheme: str = "") -> str:
    scheme = f' schemeID="{scheme}"' if scheme else ""
    return f"<cac:PartyIdentification><cbc:ID{scheme}>{number}</cbc:ID></cac:PartyIdentification>"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (legal("0700100171", "0208"), legal("0700200240", "0208")),
        (endpoint("0700100171"), endpoint("0700200240")),
        (legal("0700100171", "0208"), legal("0700200241", "0208")),
        (identified("17"), identified("18")),
        (identified("SUP-1", "SUPPLIER"), identified("SUP-2", "SUPPLIER")),
        (identified("5790000435976", "0088"), identified("5790000435977", "0088")),
        (endpoint("a@b.be", "EM"), endpoint("c@b.be", "EM")),
    ],
)
def test_numbers_are_compared_place_by_place(one: str, other: str) -> None:
    # Members of a unit may have the endpoint of one of them, or its number in another place.
    shared = vat("BE0700900917") + identified("0700100171", "0208")
    assert not is_same(ubl(shared + one), ubl(shared + other))
    assert is_same(ubl(shared + one), ubl(shared + one, lines=3))
    assert is_same(ubl(shared + one), ubl(shared))
    assert is_same(ubl(shared + identified("n/a")), ubl(shared + identified("123456789")))


def test_another_customer_is_another_invoice() -> None:
    def to(name: str, number: str) -> str:
        return ubl(customer=f"<cac:PartyName><cbc:Name>{name}</cbc:Name></cac:PartyName>{number}")

    first = to("Klant", legal("0417497106", "0208"))
    assert not is_same(first, to("Klant", legal("0202239951", "0208")))
    assert not is_same(first, to("Andere", legal("0417497106", "0208")))
    assert is_same(first, to("KLANT", legal("BE 0417.497.106")))


def test_vat_numbers_of_a_supplier_stand_in_any_order() -> None:
    one, other = vat("NL820098395B01"), vat("FR40303265045")
    assert is_same(ubl(one + other), ubl(other + one))


def test_a_foreign_supplier_is_known_by_its_vat_number() -> None:
    first = ubl(vat("NL820098395B01") + legal("0403170701"))
    assert is_same(first, ubl(vat("NL8200.98.395.B.01")))
    assert is_same(first, ubl(country("NL") + vat("820098395B01")))
    assert not is_same(first, ubl(legal("0403170701")))


def test_another_name_beside_the_same_number_tells_two_apart() -> None:
    def named(name: str) -> str:
        name = f"<cac:PartyName><cbc:Name>{name}</cbc:Name></cac:PartyName>"
        return ubl(name + vat("BE0700900917"))

    assert not is_same(named("Moeder A NV"), named("Dochter B NV"))
    assert is_same(named("Moeder A NV"), named("MOEDER A  N.V."))
    assert is_same(named("Moeder A NV"), ubl(vat("BE0700900917")))


@pytest.mark.parametrize("none", ["/", "NA", "BE0000000000", "123456789", "BE0403170702"])
def test_a_number_that_identifies_nobody_proves_nothing(none: str) -> None:
    one, two = ubl(vat(none)), ubl(vat(none), lines=3)
    assert not is_same(one, two)
    assert is_same(one, one)
    assert told(one).parts[0] == "bytes"


def test_a_number_that_several_have_proves_nothing() -> None:
    one = invoice(ubl(vat("BE0403170701")))
    assert fingerprint(one, "a", lambda *_: True).parts == ("bytes", "a")
    both = vat("BE0403170701")
    assert told(ubl(both, both)).parts[0] == "bytes"


def test_ubl_and_cii_of_one_invoice_are_the_same() -> None:
    supplier = country("FR") + vat("FR40303265045")
    other = d16b().replace("FR11999999998", "FR40303265045").replace("999999998", "303265045")
    assert is_same(ubl(supplier), other)
    assert is_same(ubl(supplier), d16b(old=True).replace("FR11999999998", "FR40303265045"))


def paid(account: str = "BE68539007547034", due: str = "2026-03-01", **more: str) -> str:
    details = {"tax": "21", "line": "12.10", "name": "thing", "payee": ""} | more
    details = {"category": "S", "means": "30", "terms": ""} | details
    return ubl(
        before=f"<cbc:DueDate>{due}</cbc:DueDate>" if due else "",
        after=(
            f"<cac:PayeeParty><cac:PartyName><cbc:Name>{details['payee']}</cbc:Name>"
            "</cac:PartyName></cac:PayeeParty>"
            f"<cac:PaymentMeans><cbc:PaymentMeansCode>{details['means']}</cbc:PaymentMeansCode>"
            "<cac:PayeeFinancialAccount>"
            f"<cbc:ID>{account}</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>"
            f"<cac:PaymentTerms><cbc:Note>{details['terms']}</cbc:Note></cac:PaymentTerms>"
            "<cac:TaxTotal><cac:TaxSubtotal><cbc:TaxableAmount>10</cbc:TaxableAmount>"
            "<cbc:TaxAmount>2.1</cbc:TaxAmount><cac:TaxCategory>"
            f"<cbc:ID>{details['category']}</cbc:ID>"
            f"<cbc:Percent>{details['tax']}</cbc:Percent></cac:TaxCategory></cac:TaxSubtotal>"
            "</cac:TaxTotal>"
        ),
    ).replace(
        "<cac:InvoiceLine><cbc:ID>1</cbc:ID>",
        "<cac:InvoiceLine><cbc:ID>1</cbc:ID><cbc:InvoicedQuantity>1</cbc:InvoicedQuantity>"
        f"<cbc:LineExtensionAmount>{details['line']}</cbc:LineExtensionAmount>"
        f"<cac:Item><cbc:Name>{details['name']}</cbc:Name></cac:Item>",
    )


@pytest.mark.parametrize(
    "other",
    [
        paid(account="BE45068999950189"),
        paid(account=""),
        paid(due="2026-03-02"),
        paid(due=""),
        paid(tax="6"),
        paid(line="12.20"),
        paid(name="another thing"),
        paid(payee="Factor NV"),
        paid(category="AE"),
        paid(means="59"),
        paid(terms="2 % within 8 days"),
        paid(due="1/3/2026"),
        ubl(),
    ],
)
def test_what_a_reader_acts_on_tells_two_apart(other: str) -> None:
    assert not is_same(paid(), other)
    assert told(paid()).numbered == told(other).numbered


@pytest.mark.parametrize(
    "other",
    [
        paid(account="be68 5390 0754 7034"),
        paid(due=" 2026-03-01Z "),
        paid(tax="21.00"),
        paid(line="012.1"),
        paid(name="  thing\n"),
        paid(name="th\u200bing"),
        paid(category="03"),
        paid().replace(">F-1<", ">F\u20111<"),
        paid().replace(">EUR<", ">\u200beur<"),
        paid().replace("cbc:", "b:").replace("xmlns:cbc", "xmlns:b"),
        paid().replace("><", ">\n  <"),
    ],
)
def test_another_spelling_is_the_same(other: str) -> None:
    assert other != paid()
    assert is_same(paid(), other)


def test_days_that_nobody_can_read_are_not_taken_for_one() -> None:
    assert not is_same(paid(due="1/3/2026"), paid(due="2/3/2026"))


def test_a_code_of_older_documents_is_no_other_category() -> None:
    assert is_same(paid(category="03"), paid(category="01"))


def test_what_a_profile_of_cii_has_no_place_for_contradicts_nothing() -> None:
    supplier = country("FR") + vat("FR40303265045")
    other = (
        d16b(lines=0).replace("FR11999999998", "FR40303265045").replace("999999998", "303265045")
    )
    detailed = paid().replace(ubl()[ubl().index("<cac:Party>") :][:10], "<cac:Party>", 1)
    start, end = detailed.index("<cac:Party>"), detailed.index("</cac:Party>")
    detailed = f"{detailed[:start]}<cac:Party>{supplier}{detailed[end:]}"
    assert is_same(detailed, other)


def total(amount: str, root: str = "Invoice") -> str:
    return ubl(root=root).replace(">12.10<", f">{amount}<")


@pytest.mark.parametrize("amount", ["12.1", "12.10", "12.1000", " 12.10 ", "+12.10", "012.10"])
def test_an_amount_is_one_however_it_is_written(amount: str) -> None:
    assert is_same(total(amount), INVOICE)


def test_the_sign_tells_invoices_apart_and_not_credit_notes() -> None:
    assert not is_same(total("-12.10"), INVOICE)
    assert is_same(total("-12.10", "CreditNote"), total("12.10", "CreditNote"))
    of_its_own = "</cbc:IssueDate><cbc:CreditNoteTypeCode>CN</cbc:CreditNoteTypeCode>"
    one, other = (
        total(amount, "CreditNote").replace("</cbc:IssueDate>", of_its_own)
        for amount in ("-12.10", "12.10")
    )
    assert is_same(one, other)
    assert is_same(total("0"), total("-0.00"))


@pytest.mark.parametrize("amount", ["1,5", "NaN", "1e999999999999", "Infinity"])
def test_an_amount_that_is_none_proves_nothing(amount: str) -> None:
    assert told(total(amount)).parts[0] == "bytes"
    assert is_same(total(amount), total(amount))


def test_a_date_is_one_with_and_without_its_time_zone() -> None:
    assert is_same(INVOICE.replace("2026-02-01", "2026-02-01+01:00"), INVOICE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0403170701", "0202239951"),
        (">F-1<", ">F-2<"),
        ("2026-02-01", "2027-02-01"),
        ("12.10", "12.11"),
        ("</cbc:IssueDate>", "</cbc:IssueDate><cbc:InvoiceTypeCode>384</cbc:InvoiceTypeCode>"),
    ],
)
def test_each_part_tells_two_apart(old: str, new: str) -> None:
    assert old in INVOICE
    other = told(INVOICE.replace(old, new))
    assert other.hash("BE1", "sales") != told(INVOICE).hash("BE1", "sales")


def test_it_is_of_one_company_and_one_side() -> None:
    one = told(INVOICE)
    assert (
        len({one.hash(*whose) for whose in (("BE1", "sales"), ("BE1", "purchase"), ("B", ""))}) == 3
    )
    assert one.hash("BE1", "sales") < 2**63


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (endpoint("0403170701"), ""),
        (">F-1<", "> <"),
        ("2026-02-01", ""),
        (">12.10<", "><"),
    ],
)
def test_without_one_of_its_parts_only_the_same_bytes_are_the_same(old: str, new: str) -> None:
    assert old in INVOICE
    assert told(INVOICE.replace(old, new), "digest").parts == ("bytes", "digest")


def test_without_a_number_of_the_supplier_its_name_is_enough_for_a_warning() -> None:
    name = "<cac:PartyName><cbc:Name>{}</cbc:Name></cac:PartyName>"
    one, two = told(ubl(name.format("Tuinman"))), told(ubl(name.format(" TUINMAN "), lines=3))
    assert one.parts != two.parts
    assert one.number_hash("BE1") == two.number_hash("BE1") is not None
    assert told(ubl("")).number_hash("BE1") is None


def statement(**more: str) -> Statement:
    said = {"number": "17", "opening": "2026-02-01 EUR 1", "closing": "2026-02-02 EUR 2"} | more
    return Statement("coda", (AccountStatement(("BE68539007547034",), **said),), "cod")


@pytest.mark.parametrize(
    "other",
    [
        {"number": "18"},
        {"number": "017"},
        {"page": "2"},
        {"opening": "2026-02-01 EUR 3"},
        {"closing": "2026-02-03 EUR 2"},
    ],
)
def test_a_statement_is_its_account_number_page_period_and_balances(other: dict[str, str]) -> None:
    def of(one: Statement) -> Fingerprint:
        return fingerprint(one, "digest", lambda *_: False)

    assert of(statement()) == of(statement())
    assert of(statement()) != of(statement(**other))
    assert of(statement(opening="")).parts == ("bytes", "digest")


@pytest.mark.parametrize("said", [{"number": ""}, {"number": "000"}, {"page": "1,?"}])
def test_without_a_number_a_statement_is_its_bytes(said: dict[str, str]) -> None:
    found = fingerprint(statement(**said), "digest", lambda *_: False)
    assert found.parts == ("bytes", "digest")


def test_anything_else_is_its_bytes() -> None:
    other = Other("pdf", "a PDF")
    assert fingerprint(other, "digest", lambda *_: False) == Fingerprint(("bytes", "digest"))
