"""Marks tell documents of one identity apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.ledger.marks import contradict, marks

MARKS = st.dictionaries(
    st.text("abc", min_size=1, max_size=2), st.sets(st.text("123", min_size=1, max_size=2))
)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("", "", False),
        ("a=1", "", False),
        ("a=1", "b=2", False),
        ("a=1", "a=1 b=2", False),
        ("a=1", "a=2", True),
        ("a=1,2", "a=2,3", False),
        ("a=1,2", "a=3", True),
        ("a=1 b=1", "a=1 b=2", True),
    ],
)
def test_a_name_that_both_have_needs_a_value_in_common(
    one: str, other: str, *, expected: bool
) -> None:
    assert contradict(one, other) is expected
    assert contradict(other, one) is expected


@settings(max_examples=50)
@given(MARKS, MARKS)
def test_it_is_what_the_sets_say(one: dict[str, set[str]], other: dict[str, set[str]]) -> None:
    both = [name for name in one if one[name] and other.get(name)]
    expected = any(one[name].isdisjoint(other[name]) for name in both)
    assert contradict(marks(one), marks(other)) is expected
    assert not contradict(marks(one), marks(one))
