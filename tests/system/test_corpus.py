"""Every real document, seen from both sides by each of its identifiers, and by a stranger."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stages.classify import classify_file
from stages.formats.party import Identifier
from stages.kind import Kind
from stages.matching.parties import lookup_keys

STRANGER = "BE0999999922"
INVOICES = {"ubl-invoice", "ubl-credit-note", "cii-invoice", "facturx-pdf"}
#: The holder's number in a header: after the bank's BIC, wherever that may have been shifted to.
HOLDER = re.compile(r"[A-Z]{4}BEBB +0([0-9]{10}) ")


@pytest.fixture(scope="module")
def invoices(corpus: Path) -> list[tuple[Path, dict[str, Any]]]:
    return of_kinds(corpus, INVOICES)


@pytest.fixture(scope="module")
def statements(corpus: Path) -> list[tuple[Path, dict[str, Any]]]:
    return of_kinds(corpus, {"coda"})


def of_kinds(corpus: Path, kinds: set[str]) -> list[tuple[Path, dict[str, Any]]]:
    entries = json.loads((corpus / "manifest.json").read_text())
    found = [(corpus / entry["path"], entry) for entry in entries if entry["kind"] in kinds]
    assert {entry["kind"] for _, entry in found} == kinds
    return found


def test_says_of_itself_what_the_manifest_says(
    invoices: list[tuple[Path, dict[str, Any]]],
) -> None:
    wrong = []
    for path, entry in invoices:
        found = classify_file(path, STRANGER)
        said = {"format": found.format, "number": found.number, "issue_date": found.issue_date}
        for key, value in said.items():
            # The manifest does not know the number of a ZUGFeRD 1.
            expected = entry.get("kind" if key == "format" else key) or value
            if value != expected or not value:
                wrong.append(f"{path.name}: {key} is {value!r}, not {expected!r}")
    assert not wrong


def test_belongs_to_each_side_by_each_of_its_identifiers(
    invoices: list[tuple[Path, dict[str, Any]]],
) -> None:
    wrong = []
    for path, entry in invoices:
        sides = {Kind.SALES: entry["supplier_ids"], Kind.PURCHASE: entry["customer_ids"]}
        for kind, other in ((Kind.SALES, Kind.PURCHASE), (Kind.PURCHASE, Kind.SALES)):
            shared = {key for pair in sides[other] for key in lookup_keys(Identifier("", *pair))}
            for scheme, value in sides[kind]:
                if shared & set(lookup_keys(Identifier("", scheme, value))):
                    continue
                for company in (value, f"{scheme}:{value}") if scheme else (value,):
                    found = classify_file(path, company)
                    if found.kind is not kind:
                        wrong.append(f"{path.name} of {company}: {found.kind}, {found.reason}")
    assert not wrong


def test_names_both_parties_to_a_stranger(invoices: list[tuple[Path, dict[str, Any]]]) -> None:
    wrong = []
    for path, entry in invoices:
        found = classify_file(path, STRANGER)
        values = [value for _, value in (*entry["supplier_ids"], *entry["customer_ids"])]
        if found.kind is not Kind.UNKNOWN or not all(value in found.reason for value in values):
            wrong.append(f"{path.name}: {found.kind}, {found.reason}")
        if found.supplier not in found.reason or found.customer not in found.reason:
            wrong.append(f"{path.name}: {found.supplier} and {found.customer}, {found.reason}")
    assert not wrong


def test_a_statement_is_of_whom_its_header_names(
    statements: list[tuple[Path, dict[str, Any]]],
) -> None:
    wrong = []
    named = [(path, entry, holder) for path, entry in statements if (holder := holder_of(path))]
    assert named
    for path, entry, holder in named:
        for company in (holder, f"0208:{holder}", f"{holder[:4]}.{holder[4:7]}.{holder[7:]}"):
            found = classify_file(path, company)
            said = (found.kind, found.format, found.number)
            if said != (Kind.STATEMENT, "coda", entry["accounts"][-1]["number"]):
                wrong.append(f"{path.name} of {company}: {said}, {found.reason}")
            if holder not in found.reason:
                wrong.append(f"{path.name} of {company}: {found.reason}")
    assert not wrong


def test_a_statement_names_its_holder_and_account_to_a_stranger(
    statements: list[tuple[Path, dict[str, Any]]],
) -> None:
    wrong = []
    for path, entry in statements:
        found = classify_file(path, STRANGER)
        named = [holder_of(path), *(account["account"] for account in entry["accounts"])]
        if found.kind is not Kind.STATEMENT or not all(one in found.reason for one in named):
            wrong.append(f"{path.name}: {found.kind}, {found.reason}")
        assert "of no configured company or account" in found.reason
    assert not wrong


def holder_of(path: Path) -> str:
    """The enterprise number in a statement's header, if it names one."""
    found = HOLDER.search(path.read_text(encoding="cp1252").partition("\n")[0])
    return found[1] if found else ""
