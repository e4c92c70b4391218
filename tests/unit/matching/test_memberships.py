"""What a platform knows and what is configured are compared in one sentence."""

from __future__ import annotations

from pipeline.source import FoundCompany
from stages.matching.memberships import compared
from stages.settings import Company


def is_same(one: FoundCompany, company: Company) -> bool:
    return one.id == company.accounting_file_id


def company(code: str) -> Company:
    return Company(f"Firm {code}", "BE0403170701", accounting_file_id=code)


def test_both_sides_are_named() -> None:
    found = [FoundCompany("A", "Alfa", file_number="A"), FoundCompany("B"), FoundCompany("C", "C")]
    said = compared(found, [company("A"), company("X")], is_same)
    assert said == (
        "the platform knows 3 companies, 1 of them is configured; left alone, as they are not in"
        " [[companies]]: B, C; configured, and not known there: Firm X (BE0403170701)"
    )


def test_all_is_well_and_nothing_is_there() -> None:
    known = [FoundCompany("A")]
    assert compared(known, [company("A")], is_same) == (
        "the platform knows 1 company, 1 of them is configured"
    )
    assert compared([], [], is_same) == "the platform knows 0 companies, 0 of them are configured"


def test_hundreds_are_counted_and_a_few_named() -> None:
    said = compared([FoundCompany(f"C{n}") for n in range(212)], [], is_same)
    assert "knows 212 companies, 0 of them" in said
    assert "more" in said
    assert len(said) < 400
