"""Patterns find what fills them, in a time that no text can make long."""

from __future__ import annotations

import re

from hypothesis import given, strategies as st

from pipeline.language.catalogs import SENTENCES, messages
from pipeline.language.patterns import pattern
from pipeline.monitor.page.languages import languages

TEXTS = st.text(alphabet="ab:, ", max_size=30)
IDS = st.lists(st.text(alphabet="ab:, ", max_size=3), min_size=2, max_size=5)


def by_expression(parts: list[str]) -> re.Pattern[str]:
    return re.compile("(.+?)".join(map(re.escape, parts)), re.DOTALL)


@given(IDS, TEXTS)
def test_a_pattern_finds_what_a_regular_expression_would(parts: list[str], text: str) -> None:
    names = [f"n{number}" for number in range(len(parts) - 1)]
    places = [f"{{{name}}}" for name in names] + [""]
    one = pattern("".join(part + place for part, place in zip(parts, places, strict=True)), "")
    wanted = by_expression(parts).fullmatch(text)
    found = one.values(text)
    assert (found is None) == (wanted is None)
    if found is not None and wanted is not None:
        assert list(found.values()) == list(wanted.groups())


def test_no_pattern_is_so_short_that_it_takes_what_others_have_said() -> None:
    """A place needs words around it that nobody else would say."""
    for code in ("nl", "fr"):
        for id_ in (one for domain in SENTENCES for one in messages(code, domain)):
            if "{" in id_:
                fixed = re.sub(r"\{\w+\}", "", id_)
                assert len(fixed.strip()) >= 4, id_


def test_the_longest_sentence_is_said() -> None:
    hostile = ("the supplier (a) is b by its c, the customer (d) is " * 100)[:4000]
    assert languages()["nl"].sentence(hostile)
    assert languages()["nl"].sentence("; ".join(["it is a folder"] * 200))
    assert languages()["nl"].sentence("; , . " * 600)


def test_sentences_one_after_the_other_are_each_said() -> None:
    for count in (2, 5, 11):
        said = languages()["nl"].sentence("; ".join(["it is a folder"] * count))
        assert said == "; ".join(["het is een map"] * count)
