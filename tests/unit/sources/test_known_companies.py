"""What a platform knows and what is configured are compared, and told in one sentence."""

from __future__ import annotations

from pipeline.source import FoundCompany
from stages.settings import Company, Member
from stages.sources.http.known_companies import called, compared

ONE, TWO, THREE = "BE0403170701", "BE0428759497", "BE0898765475"


def member(number: str, id_: str | None = None) -> Member:
    return Member(Company(f"Firm {id_ or number}", number), id_)


def test_both_sides_are_named() -> None:
    found = [FoundCompany("A", "Alfa", file_number="A1"), FoundCompany("B"), FoundCompany("C", "C")]
    said = str(compared(found, [member(ONE, "A"), member(TWO, "X")]))
    assert said == (
        "the platform knows 3 companies, 1 of them is configured; left alone, as they are not in"
        " [[companies]]: B, C; configured, and not known there: Firm X (X)"
    )


def test_all_is_well_and_nothing_is_there() -> None:
    assert str(compared([FoundCompany("A")], [member(ONE, "A")])) == (
        "the platform knows 1 company, 1 of them is configured"
    )
    assert str(compared([], [])) == "the platform knows 0 companies, 0 of them are configured"


def test_one_without_an_id_is_known_by_its_numbers_where_any_are_stated() -> None:
    members = [member(ONE), member(TWO)]
    found = [FoundCompany("1", "A", "0403.170.701"), FoundCompany("2", "B", THREE)]
    known = compared(found, members)
    assert [one.id for one in known.left_out] == ["2"]
    assert [one.company.identifier for one in known.missing] == [TWO]
    assert known.missing_names == f"Firm {TWO} ({TWO})"
    assert not compared([FoundCompany("1"), FoundCompany("2", "B", "no number")], members).missing


def test_one_with_an_id_is_known_by_that_alone() -> None:
    known = compared([FoundCompany("1", "A", ONE)], [member(ONE, "2")])
    assert len(known.left_out) == len(known.missing) == 1


def test_a_platform_that_knows_nobody_knows_none_of_ours() -> None:
    assert len(compared([], [member(ONE), member(TWO, "2")]).missing) == 2


def test_one_by_one_the_ids_of_a_company_with_several_are_looked_for() -> None:
    known = compared([FoundCompany("1")], [member(ONE, "1"), member(ONE, "2")])
    assert [one.platform_id for one in known.missing] == ["2"]


def test_a_connector_may_know_them_otherwise() -> None:
    known = compared(
        [FoundCompany("1", file_number=" a ")],
        [Member(Company("Firm", ONE, accounting_file_id="A"), None), member(TWO)],
        lambda one: {("file", one.file_number.strip().upper())},
        lambda one: {("file", one.company.accounting_file_id)} - {("file", "")},
    )
    assert not known.left_out
    # One without any sign can't be known.
    assert [one.company.identifier for one in known.missing] == [TWO]


def test_hundreds_are_counted_and_a_few_named() -> None:
    found = [FoundCompany(f"C{n}", "x" * 1000) for n in range(212)]
    said = str(compared(found, [member(ONE, f"X{n}") for n in range(212)]))
    assert "knows 212 companies, 0 of them" in said
    assert said.count("and 202 more") == 2
    assert len(said) < 3000


def test_a_name_from_outside_is_printable() -> None:
    assert called(FoundCompany("1", "a\x1b[31m\nb")) == "a [31m b (1)"
    assert called(FoundCompany("1")) == called(FoundCompany("1", "1")) == "1"
