"""Every real document, seen from both sides by each of its identifiers, and by a stranger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages.classify import explain
from stages.list import Kind
from stages.parties import Identifier, spellings

STRANGER = "BE0999999922"
STRUCTURED = {"ubl-invoice", "ubl-credit-note", "cii-invoice"}


@pytest.fixture(scope="module")
def invoices(corpus: Path) -> list[tuple[Path, dict[str, Any]]]:
    entries = json.loads((corpus / "manifest.json").read_text())
    found = [(corpus / entry["path"], entry) for entry in entries if entry["kind"] in STRUCTURED]
    assert found
    return found


def test_says_of_itself_what_the_manifest_says(
    invoices: list[tuple[Path, dict[str, Any]]],
) -> None:
    wrong = []
    for path, entry in invoices:
        found = explain(path, STRANGER)
        said = {"format": found.format, "number": found.number, "issue_date": found.issue_date}
        for key, value in said.items():
            expected = entry.get("kind" if key == "format" else key, value)
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
            shared = {key for pair in sides[other] for key in spellings(Identifier("", *pair))}
            for scheme, value in sides[kind]:
                if shared & set(spellings(Identifier("", scheme, value))):
                    continue
                for company in (value, f"{scheme}:{value}") if scheme else (value,):
                    found = explain(path, company)
                    if found.kind is not kind:
                        wrong.append(f"{path.name} of {company}: {found.kind}, {found.reason}")
    assert not wrong


def test_names_both_parties_to_a_stranger(invoices: list[tuple[Path, dict[str, Any]]]) -> None:
    wrong = []
    for path, entry in invoices:
        found = explain(path, STRANGER)
        values = [value for _, value in (*entry["supplier_ids"], *entry["customer_ids"])]
        if found.kind is not Kind.UNKNOWN or not all(value in found.reason for value in values):
            wrong.append(f"{path.name}: {found.kind}, {found.reason}")
        if found.supplier not in found.reason or found.customer not in found.reason:
            wrong.append(f"{path.name}: {found.supplier} and {found.customer}, {found.reason}")
    assert not wrong
