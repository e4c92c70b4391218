"""Right-to-left text is drawn in the order in which it is read (UAX #9), Arabic in its forms."""

from __future__ import annotations

import pytest

from stages.rendering.bidi import plain, runs, shaped, visual


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("abc 12", "abc 12"),
        ("אבג", "גבא"),
        ("אבג abc", "abc גבא"),
        ("abc אבג", "abc גבא"),
        ("abc אבג 12", "abc 12 גבא"),
        ("אבג 12.5", "12.5 גבא"),
        ("אבג (דה)", "(הד) גבא"),
        ("€12 אבג", "גבא €12"),
        ("abc אבג דהו xyz", "abc והד גבא xyz"),
    ],
)
def test_the_order_of_drawing(text: str, drawn: str) -> None:
    assert visual(text) == drawn


def test_arabic_letters_join() -> None:
    assert shaped("بيت") == "\ufe91\ufef4\ufe96"
    assert shaped("لا") == "\ufefb"
    assert shaped("بَب") == "\ufe91\u064e\ufe90"
    assert "".join(map(plain, shaped("مؤسسة الأمل"))) == "مؤسسة الأمل"


def test_marks_of_direction_have_no_effect() -> None:
    assert [one for one in visual("\u202eabc אב") if one.isalpha()] == list("abcבא")


def test_runs_are_in_the_order_of_reading() -> None:
    assert [one.text.strip() for one in runs("abc אב 12") if one.text.strip()] == [
        "abc",
        "בא",
        "12",
    ]
