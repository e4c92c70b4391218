"""Marks tell documents of one identity apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.ledger.marks import contradict, marks

MARKS = st.dictionaries(
    st.text("abc", min_size=1, max_size=2), st.sets(st.text("123", min_size=1, max_size=2))
)


def written(text: str) -> str:
    """Marks of `name=value,value` words."""
    words = [word.split("=") for word in text.split()]
    return marks((name, value) for name, values in words for value in values.split(","))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", False),
        ("a=1", "", False),
        ("a=1", "b=2", False),
        ("a=1", "a=1 b=2", False),
        ("a=1", "a=2", True),
        ("a=1,2", "a=2,3", True),
        ("a=1,2", "a=2", False),
        ("a=1,2", "a=2,1", False),
        ("a=1,2", "a=3", True),
        ("a=1 b=1", "a=1 b=2", True),
    ],
)
def test_no_value_of_a_name_that_both_have_may_be_replaced(
    one: str, other: str, *, expected: bool
) -> None:
    assert contradict(written(one), written(other)) is expected
    assert contradict(written(other), written(one)) is expected


@settings(max_examples=50)
@given(MARKS, MARKS)
def test_it_is_what_the_sets_say(one: dict[str, set[str]], other: dict[str, set[str]]) -> None:
    def spelt(values: dict[str, set[str]]) -> str:
        return marks((name, value) for name, found in values.items() for value in sorted(found))

    both = [name for name in one if one[name] and other.get(name)]
    expected = any(one[name] - other[name] and other[name] - one[name] for name in both)
    assert contradict(spelt(one), spelt(other)) is expected
    assert not contradict(spelt(one), spelt(one))


@given(st.text(), st.text(), st.text())
def test_marks_of_parts_are_joined(name: str, one: str, other: str) -> None:
    whole = marks([(name, one), ("b", other)])
    assert marks([(name, one)]) + marks([("b", other)]) == whole
    assert len(whole) == 16
