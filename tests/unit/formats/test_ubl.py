"""UBL: the roots, the profiles, and where the parties' identifiers stand."""

from __future__ import annotations

import pytest

from stages.formats.content import Other
from stages.formats.xml import content_of
from tests.helpers.invoices import UBL, invoice, ubl, values


@pytest.mark.parametrize(
    ("root", "format_", "type_code"),
    [
        ("Invoice", "ubl-invoice", "380"),
        ("CreditNote", "ubl-credit-note", "381"),
        ("SelfBilledInvoice", "ubl-invoice", "389"),
        ("SelfBilledCreditNote", "ubl-credit-note", "261"),
        ("DebitNote", "ubl-debit-note", "383"),
        ("FreightInvoice", "ubl-invoice", "780"),
    ],
)
def test_roots(root: str, format_: str, type_code: str) -> None:
    found = invoice(ubl(root=root))
    assert (found.format, found.type_code) == (format_, type_code)
    assert (found.number, found.issue_date) == ("F-1", "2026-02-01")
    assert (found.currency, found.total) == ("EUR", "12.10")
    assert found.supplier.identifiers[0].value == "0403170701"
    assert found.customer.identifiers[0].value == "0417497106"


@pytest.mark.parametrize("code", ["389", "261", "386"])
def test_the_type_that_is_stated_counts(code: str) -> None:
    found = invoice(ubl(before=f"<cbc:InvoiceTypeCode>{code}</cbc:InvoiceTypeCode>"))
    assert found.type_code == code


@pytest.mark.parametrize("prefix", ["ns0", "a-b", "ubl"])
def test_prefixes_are_free(prefix: str) -> None:
    data = ubl().replace("cac:", f"{prefix}1:").replace("cbc:", "")
    data = data.replace("xmlns:cac", f"xmlns:{prefix}1").replace(f'xmlns="{UBL}Invoice-2" ', "")
    data = data.replace("xmlns:cbc", "xmlns").replace("<Invoice ", f"<{prefix}:Invoice ")
    data = data.replace("</Invoice>", f"</{prefix}:Invoice>")
    data = data.replace(f"{prefix}:Invoice ", f'{prefix}:Invoice xmlns:{prefix}="{UBL}Invoice-2" ')
    assert values(data) == (["0403170701"], ["0417497106"])


def test_a_debit_note_has_a_total_and_lines_of_its_own() -> None:
    text = ubl(root="DebitNote").replace("LegalMonetaryTotal", "RequestedMonetaryTotal")
    found = invoice(text)
    assert found.total == "12.10"
    quantity = "<cbc:DebitedQuantity>2</cbc:DebitedQuantity></cac:DebitNoteLine>"
    other = invoice(text.replace("</cac:DebitNoteLine>", quantity))
    assert found.details is not None
    assert other.details is not None
    assert found.details.lines != other.details.lines


def test_every_place_of_an_identifier() -> None:
    found = invoice(
        ubl(
            '<cbc:EndpointID schemeID="0088">5790000435975</cbc:EndpointID>'
            "<cac:PartyIdentification><cbc:ID>10202</cbc:ID></cac:PartyIdentification>"
            '<cac:PartyIdentification><cbc:ID schemeID="SEPA">BE1</cbc:ID>'
            "</cac:PartyIdentification><cac:PartyName><cbc:Name>Trade</cbc:Name></cac:PartyName>"
            "<cac:PostalAddress><cac:Country><cbc:IdentificationCode>NL</cbc:IdentificationCode>"
            "</cac:Country></cac:PostalAddress>"
            "<cac:PartyTaxScheme><cbc:CompanyID>NL820098395B01</cbc:CompanyID><cac:TaxScheme>"
            "<cbc:ID>VAT</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>"
            "<cac:PartyTaxScheme><cbc:CompanyID>123</cbc:CompanyID><cac:TaxScheme>"
            "<cbc:ID>TAX</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>"
            "<cac:PartyLegalEntity><cbc:RegistrationName>Legal</cbc:RegistrationName>"
            '<cbc:CompanyID schemeID="0106">57151520</cbc:CompanyID></cac:PartyLegalEntity>'
            "<cac:Contact><cbc:ElectronicMail>a@b.nl</cbc:ElectronicMail></cac:Contact>"
        )
    ).supplier
    assert [(one.element, one.scheme, one.value, one.is_vat) for one in found.identifiers] == [
        ("PartyTaxScheme/CompanyID", "", "NL820098395B01", True),
        ("PartyTaxScheme/CompanyID", "", "123", False),
        ("PartyLegalEntity/CompanyID", "0106", "57151520", False),
        ("PartyIdentification/ID", "", "10202", False),
        ("PartyIdentification/ID", "SEPA", "BE1", False),
        ("EndpointID", "0088", "5790000435975", False),
        ("Contact/ElectronicMail", "", "a@b.nl", False),
    ]
    assert (found.name, found.country) == ("Legal", "NL")


def test_blanks_comments_and_cdata_are_not_of_a_value() -> None:
    number = "\n <!-- a --> <![CDATA[0403]]><!-- b -->170<![CDATA[701]]> <?c?>\n"
    data = ubl(f"<!-- d -->\n  <cbc:EndpointID>{number}</cbc:EndpointID>\n <?e?> ")
    assert values(data)[0] == ["0403170701"]


def test_e_fff_names_the_register_in_place_of_the_scheme() -> None:
    found = invoice(
        ubl(
            '<cac:PartyIdentification><cbc:ID schemeAgencyID="BE" schemeAgencyName="KBO" '
            'schemeURI="http://www.e-fff.be/KBO">0403170701</cbc:ID></cac:PartyIdentification>'
        )
    )
    assert found.supplier.identifiers[0].scheme == "KBO"


@pytest.mark.parametrize(
    "other",
    [
        "PayeeParty",
        "TaxRepresentativeParty",
        "BuyerCustomerParty",
        "SellerSupplierParty",
        "OriginatorCustomerParty",
    ],
)
def test_nobody_else_is_a_party(other: str) -> None:
    number = "<cbc:EndpointID>BE0999999922</cbc:EndpointID>"
    party = f"<cac:{other}>{number}<cac:Party>{number}</cac:Party></cac:{other}>"
    data = ubl(before=party, after=party)
    assert values(data) == (["0403170701"], ["0417497106"])
    alone = data.replace("AccountingSupplierParty", "X").replace("AccountingCustomerParty", "X")
    assert values(alone) == ([], [])


def test_what_is_around_and_inside_a_party_is_not_of_it() -> None:
    data = ubl(
        "<cac:AgentParty><cbc:EndpointID>1</cbc:EndpointID></cac:AgentParty>"
        "<cac:Person><cbc:ID>2</cbc:ID></cac:Person>"
    ).replace(
        "<cac:AccountingCustomerParty>",
        "<cac:AccountingCustomerParty><cbc:CustomerAssignedAccountID>0403170701"
        "</cbc:CustomerAssignedAccountID>",
    )
    assert values(data) == ([], ["0417497106"])


def test_elements_of_another_namespace_are_not_of_a_party() -> None:
    data = ubl('<x:EndpointID xmlns:x="x">BE0999999922</x:EndpointID>')
    assert values(data)[0] == []


@pytest.mark.parametrize(
    ("root", "what"),
    [
        ("Order", "order"),
        ("DespatchAdvice", "despatch advice"),
        ("Reminder", "reminder"),
        ("Waybill", "Waybill"),
    ],
)
def test_other_documents_are_named(root: str, what: str) -> None:
    content = content_of(f'<{root} xmlns="{UBL}{root}-2"/>'.encode())
    assert isinstance(content, Other)
    assert content.format == f"ubl-{root.lower()}"
    assert what in content.description
    assert not content.possible_kinds


def test_another_version_may_be_what_the_list_says() -> None:
    content = content_of(f'<Invoice xmlns="{UBL}Invoice-3"/>'.encode())
    assert isinstance(content, Other)
    assert content.possible_kinds


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-02-01Z", "2026-02-01"), ("2026-02-01+01:00", "2026-02-01"), ("soon", ""), ("", "")],
)
def test_the_issue_date_is_a_day_or_nothing(text: str, day: str) -> None:
    assert invoice(ubl().replace(">2026-02-01<", f">{text}<")).issue_date == day
