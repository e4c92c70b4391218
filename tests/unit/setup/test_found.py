"""The companies that a platform lists, as they can be configured."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from pipeline.source import FoundCompany
from stages.setup import found
from stages.setup.companies import NewCompany
from stages.setup.found import usable
from stages.setup.texts import LANGUAGES, Texts

ONE, TWO = "BE0403170701", "BE0428759497"


def test_they_have_name_number_id_and_file_number() -> None:
    companies, left_out = usable(
        [
            FoundCompany("11", " Bakkerij\n Peeters ", "0403.170.701", "PEET01"),
            FoundCompany("12", "", "BE 0428 759 497"),
        ]
    )
    assert companies == [
        NewCompany("Bakkerij Peeters", ONE, "PEET01", "11"),
        NewCompany(TWO, TWO, "", "12"),
    ]
    assert not left_out


def test_those_without_a_number_of_use_are_named_in_each_language() -> None:
    companies, left_out = usable(
        [
            FoundCompany("1", "Without"),
            FoundCompany("2", "Wrong", "0403170702"),
            FoundCompany("3", "First", ONE),
            FoundCompany("4", "Again", "403170701"),
            FoundCompany("5"),
            FoundCompany(""),
        ]
    )
    assert [one.name for one in companies] == ["First"]
    named = ["Without (1)", "Wrong (2)", "Again (4)", "5", "?"]
    assert [one.name for one in left_out] == named
    english = Texts("en")
    said = [english.problem(one.problem) for one in left_out]
    for sentence, words in zip(
        said, ("no enterprise", "check digits", "twice (First)"), strict=False
    ):
        assert words in sentence
    for language in LANGUAGES:
        texts = Texts(language)
        for one in left_out:
            assert one.name in texts(
                "say.left_out", name=one.name, reason=texts.problem(one.problem)
            )


def test_a_list_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "MAX_COMPANIES", 1)
    companies, left_out = usable([FoundCompany("1", "A", ONE), FoundCompany("2", "B", TWO)])
    assert len(companies) == len(left_out) == 1
    assert "more than 1" in Texts("en").problem(left_out[0].problem)


@given(st.lists(st.builds(FoundCompany, *[st.text(max_size=40)] * 4), max_size=5))
def test_whatever_a_platform_says_each_company_is_taken_or_named(given: list[FoundCompany]) -> None:
    companies, left_out = usable(given)
    assert len(companies) + len(left_out) == len(given)
    for company in companies:
        assert company.name.isprintable()
