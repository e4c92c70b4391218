"""The number of an alternative name is found from the name."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from pipeline.alternatives import alternative, number_of

PATHS = st.builds("/{}/{}".format, st.text(max_size=6), st.text("ab.-2/", min_size=1, max_size=8))


@given(PATHS, st.integers(1, 10_000))
def test_it_is_found_again(path: str, number: int) -> None:
    assert number_of(alternative(path, number), path) == number


@pytest.mark.parametrize(
    "path",
    ["/a/7.xml", "/a/8-3.xml", "/a/7-03.xml", "/a/7-\u0663.xml", "/a/7-.xml", "/a/7-3.pdf", ""],
)
def test_what_is_none_has_the_first(path: str) -> None:
    assert number_of(path, "/a/7.xml") == 1
