"""Lines are equal however their amounts and names are spelt."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, strategies as st

from stages.formats.invoice_lines import LineDigest
from stages.values.text import plain

AMOUNTS = st.decimals(-(10**6), 10**6, allow_nan=False, places=4)


def digest(amounts: list[str], quantities: list[str], names: list[str]) -> str:
    lines = LineDigest()
    lines.add((amounts, quantities, names, [], []))
    return lines.digest()


@given(st.lists(AMOUNTS, min_size=1, max_size=8), st.sampled_from([0, 1, 4, 9]))
def test_zeros_at_the_end_change_nothing(amounts: list[Decimal], zeros: int) -> None:
    plain = [f"{one.normalize():f}" for one in amounts]
    longer = [f"{one:.4f}" + "0" * zeros for one in amounts]
    assert digest(plain, plain, []) == digest(longer, longer, [])
    other = [*plain[:-1], f"{amounts[-1] + 1:f}"]
    if abs(amounts[-1] + 1) != abs(amounts[-1]):
        assert digest(other, plain, []) != digest(plain, plain, [])


def test_names_are_compared_without_their_blanks() -> None:
    assert digest([], [], ["a  b", " c\n"]) == digest([], [], ["a b", "c"])
    assert digest([], [], ["a", "b c"]) != digest([], [], ["a b", "c"])
    assert digest([], [], []) == ""


@given(st.lists(st.text("aé\u2013e\u0301\u200b\u00ad\u00a0½ß", max_size=6), min_size=1, max_size=4))
def test_names_are_compared_without_what_nobody_sees(names: list[str]) -> None:
    spelt = [plain(one) for one in names]
    assert digest([], [], names) == digest([], [], spelt)
    parts = LineDigest()
    for one in names:
        parts.add(([], [], [one], [], []))
    assert parts.digest() == digest([], [], spelt)


def test_lines_that_were_dropped_in_between_are_the_same_lines() -> None:
    whole, parts = LineDigest(), LineDigest()
    whole.add((["1.00", "2"], ["3", "4"], ["a", "b"], ["c", "d"], ["e", "f g"]))
    parts.add((["1"], ["3.0"], ["a"], [" c"], ["e"]))
    parts.add((["2.0"], ["4"], ["b"], ["d"], [" f  g"]))
    assert whole.digest() == parts.digest()
    assert whole.descriptions() == parts.descriptions()
    assert whole.words() == parts.words()


def test_descriptions_are_compared_apart() -> None:
    one, other, none = LineDigest(), LineDigest(), LineDigest()
    one.add((["1"], ["1"], ["a"], ["b"], ["d e"]))
    other.add((["1"], ["1"], ["a"], ["c"], ["d  e "]))
    none.add((["1"], ["1"], ["a"], [], []))
    assert one.digest() == other.digest() == none.digest()
    assert one.descriptions() != other.descriptions()
    assert none.descriptions() == ""
    assert one.words() == other.words()
    assert none.words() == ""
