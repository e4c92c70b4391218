"""What a file is, seen from a company that is given by any of its identifiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from stages.classify import classify_file
from stages.kind import Kind
from tests.helpers.camt import camt, one
from tests.helpers.cases import case
from tests.helpers.invoices import ubl


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "a.xml"
    path.write_text(
        ubl(
            '<cbc:EndpointID schemeID="0208">0403170701</cbc:EndpointID>',
            '<cbc:EndpointID schemeID="0088">5790000435975</cbc:EndpointID>'
            "<cac:PartyIdentification><cbc:ID>10202</cbc:ID></cac:PartyIdentification>"
            "<cac:PartyTaxScheme><cbc:CompanyID>NL8200.98.395.B.01</cbc:CompanyID>"
            "</cac:PartyTaxScheme>",
        )
    )
    return path


@pytest.mark.parametrize(
    ("company", "kind"),
    [
        ("BE 0403.170.701", Kind.SALES),
        ("0403170701", Kind.SALES),
        ("403170701", Kind.SALES),
        ("0208:0403170701", Kind.SALES),
        ("9925:BE0403170701", Kind.SALES),
        ("NL8200.98.395.B.01", Kind.PURCHASE),
        ("NL820098395B01", Kind.PURCHASE),
        ("0088:5790000435975", Kind.PURCHASE),
        ("5790000435975", Kind.PURCHASE),
        ("10202", Kind.PURCHASE),
        ("BE0000000196", Kind.UNKNOWN),
        ("0060:5790000435975", Kind.UNKNOWN),
        ("1020", Kind.UNKNOWN),
    ],
)
def test_seen_from_a_company(document: Path, company: str, kind: Kind) -> None:
    found = classify_file(document, company)
    assert found.kind is kind
    assert (found.format, found.number, found.issue_date) == ("ubl-invoice", "F-1", "2026-02-01")


@pytest.mark.parametrize("company", ["BE68 5390 0754 7034", "0403.170.701"])
def test_a_statement_seen_from_its_account_and_its_holder(tmp_path: Path, company: str) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(camt(one()))
    found = classify_file(path, company)
    assert (found.kind, found.format) == (Kind.STATEMENT, "camt.053")


@pytest.mark.parametrize("text", ["<!DOCTYPE a><a/>", "<a>"])
def test_what_cannot_be_read_says_why(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    found = classify_file(path, "0403170701")
    assert found.kind is Kind.UNKNOWN
    assert "document type" in found.reason or "not well-formed" in found.reason


def test_a_company_is_needed(document: Path) -> None:
    with pytest.raises(ConfigurationError):
        classify_file(document, " ")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no-stmt.xml", "no statement of account"),
        ("stmt-whose-account-has-no-number.xml", "whose account has no number"),
    ],
)
def test_a_statement_without_an_account_is_of_nobody(name: str, why: str) -> None:
    found = classify_file(case("04-statement-without-account", name), "BE0403170701")
    assert found.company == ""
    assert why in found.reason
