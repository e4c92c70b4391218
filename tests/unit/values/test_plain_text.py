"""One rule for invisible signs: with them or without them, a text is the same."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from stages.values.text import plain

INVISIBLE = st.text(st.characters(categories=["Cf"], codec="utf-8"), max_size=3)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("  a \t b\n", "a b"),
        ("\ufeffa", "a"),
        ("a\u00adb\u200bc\u202ed\u2066e", "abcde"),
        ("a\u00a0b\u2003c\u3000d\u2028e\x85f\u2800g", "a b c d e f g"),
        ("\uff11\uff12", "12"),
        ("a\x00b\x1bc\x7f", "abc"),
        ("e\u200d\u0301", "\u00e9"),
        ("x\ufe0f\U000e0100\u034f\u3164y", "xy"),
        ("\u200b \u200b", ""),
    ],
)
def test_what_nobody_sees_is_left_out(text: str, same: str) -> None:
    assert plain(text) == same


@given(st.text())
def test_the_plain_form_stays_and_has_nothing_invisible(text: str) -> None:
    once = plain(text)
    assert plain(once) == once
    assert once == once.strip()
    assert not [one for one in once if unicodedata.category(one) in {"Cc", "Cf", "Zl", "Zp"}]


@given(st.lists(st.tuples(st.sampled_from("aB9é-. "), INVISIBLE)))
def test_invisible_signs_change_nothing(signs: list[tuple[str, str]]) -> None:
    assert plain("".join(map("".join, signs))) == plain("".join(one for one, _ in signs))
