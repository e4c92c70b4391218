"""Every text of the page is there in Dutch, French and English, with the same places to fill."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from pipeline.language.catalogs import SENTENCES, Domain
from pipeline.language.codes import DEFAULT, LOCALES
from pipeline.monitor.page.languages import PAGE, languages
from tests.helpers.imports import ROOT
from tests.helpers.messages import error_sentences

FOLDER = ROOT / "pipeline" / "monitor" / "page"
TRANSLATED = sorted(set(LOCALES) - {DEFAULT})
PLACE = re.compile(r"%\(\w+\)s|\{\w*\}")

Id = str | tuple[str, ...]


def written() -> dict[Id, str]:
    """The texts of the code and of the templates, and where each one is."""
    found: dict[Id, str] = {}
    for name, _, message, _, _ in extract_from_dir(
        FOLDER,
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")],
        options_map={"templates/**.html": {"silent": "false", "newstyle_gettext": "true"}},
        keywords={"_": None, "both": (1, 2), "gettext": None, "ngettext": (1, 2)},
    ):
        found.setdefault(message, name)
    return found


def catalog(code: str, domain: Domain) -> dict[Id, tuple[str, ...]]:
    folder = ROOT.joinpath(*domain.package.split("."), "locale", code)
    text = (folder / f"{domain.name}.po").read_text("utf-8")
    found = read_po(StringIO(text), locale=code, abort_invalid=True)
    return {
        one.id: (one.string,) if isinstance(one.string, str) else tuple(one.string)
        for one in found
        if one.id and not one.fuzzy
    }


def places(text: str) -> set[str]:
    return set(PLACE.findall(text))


def test_the_languages_are_those_of_the_readers() -> None:
    assert list(languages()) == ["nl", "fr", "en"]


@pytest.mark.parametrize("code", TRANSLATED)
def test_no_text_is_missing_and_none_is_left_over(code: str) -> None:
    texts, known = written(), catalog(code, PAGE)
    assert len(texts) > 100
    assert not {text: place for text, place in texts.items() if not all(known.get(text, ("",)))}
    assert not known.keys() - texts.keys()


@pytest.mark.parametrize("code", TRANSLATED)
@pytest.mark.parametrize("domain", [PAGE, SENTENCES])
def test_a_translation_has_the_same_places_to_fill(code: str, domain: Domain) -> None:
    for text, strings in catalog(code, domain).items():
        forms = (text,) if isinstance(text, str) else text
        wanted = set().union(*map(places, forms))
        for string in strings:
            # The form for one thing need not say its number.
            assert places(string) <= wanted, text
            assert places(string) >= set.intersection(*map(places, forms)), text


@pytest.mark.parametrize("code", TRANSLATED)
def test_an_english_text_is_not_left_as_it_is(code: str) -> None:
    alike = {
        text
        for text, strings in catalog(code, PAGE).items()
        if isinstance(text, str) and strings == (text,) and " " in text
    }
    assert alike <= {"Page %(number)s", "%(n)s bytes"}


def test_all_languages_know_the_same_sentences() -> None:
    first, *others = (set(catalog(code, SENTENCES)) for code in TRANSLATED)
    assert all(one == first for one in others)


@pytest.mark.parametrize("code", TRANSLATED)
def test_what_errors_of_sources_and_documents_say_is_translated(code: str) -> None:
    """Nearly all of it: what is raised tomorrow is shown in English until somebody has said it."""
    found, say = error_sentences(), languages()[code].sentence
    assert len(found) > 60
    missing = {text: place for text, place in found.items() if say(text) == text}
    assert len(missing) < len(found) / 8, missing
