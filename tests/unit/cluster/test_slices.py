"""Slices: a company stays in its part when others come or go."""

from __future__ import annotations

from hypothesis import given, strategies as st

from pipeline.cluster.slices import ALL, slices, within

identifiers = st.sets(st.text(max_size=12), max_size=60)


@given(identifiers, st.integers(1, 20))
def test_each_company_is_in_one_part_which_is_bounded(companies: set[str], most: int) -> None:
    found = slices(companies, most)
    assert sorted(one for part in found.values() for one in part) == sorted(companies)
    assert all(len(part) <= most for part in found.values())


@given(identifiers, st.text(max_size=12), st.integers(1, 20))
def test_a_company_that_comes_changes_no_part_but_its_own(
    companies: set[str], added: str, most: int
) -> None:
    before, after = slices(companies, most), slices(companies | {added}, most)
    gone = [name for name in before if name not in after]
    assert len(gone) <= 1
    for name, part in before.items():
        if name in after:
            assert after[name] - ({added} - companies) == part


@given(identifiers, st.integers(1, 20))
def test_a_part_is_found_by_its_name_alone(companies: set[str], most: int) -> None:
    for name, part in slices(companies, most).items():
        assert within(name, companies) == part


def test_few_companies_are_one_part() -> None:
    assert slices(["b", "a"]) == {ALL: {"a", "b"}}
    assert slices([]) == {ALL: frozenset()}


def test_ten_thousand_companies_are_some_hundred_parts() -> None:
    found = slices([f"BE{number:010d}" for number in range(10_000)])
    assert 200 <= len(found) <= 600
