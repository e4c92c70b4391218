"""Every text of the page and of alerts is there in Dutch, French and English.

Where one is missing, the failure says which, where it is from, and into which files it goes.
"""

from __future__ import annotations

import re
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from pipeline.alerts.texts import ALERTS
from pipeline.language.catalogs import SENTENCES, Domain
from pipeline.language.codes import DEFAULT, LOCALES, NAMES
from pipeline.monitor.page.languages import PAGE, languages
from tests.helpers.imports import ROOT
from tests.helpers.messages import skeleton

TRANSLATED = sorted(set(LOCALES) - {DEFAULT})
PLACE = re.compile(r"%\(\w+\)s|\{\w*\}")
#: Texts that are the same in a language as in English.
ALIKE = {
    "Page %(number)s",
    "%(n)s bytes",
    "{name}: {reason}",
    "{name}: {reason}.",
    "{what} ({since})",
}

Id = str | tuple[str, ...]
texts_of = pytest.mark.parametrize("domain", [PAGE, ALERTS], ids=lambda domain: domain.name)
catalogs_of = pytest.mark.parametrize(
    "domain", [PAGE, ALERTS, *SENTENCES], ids=lambda domain: domain.name
)
in_each_language = pytest.mark.parametrize("code", TRANSLATED)


def folder_of(domain: Domain) -> Path:
    return ROOT.joinpath(*domain.package.split("."))


def file_of(domain: Domain, code: str) -> Path:
    return folder_of(domain) / "locale" / code / f"{domain.name}.po"


def written(domain: Domain) -> dict[Id, str]:
    """The texts of the code and of the templates, and where each one is."""
    found: dict[Id, str] = {}
    for name, line, message, _, _ in extract_from_dir(
        folder_of(domain),
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2.ext.babel_extract")],
        options_map={"templates/**.html": {"silent": "false", "newstyle_gettext": "true"}},
        keywords={"_": None, "both": (1, 2), "gettext": None, "ngettext": (1, 2)},
    ):
        found.setdefault(message, f"{name}:{line}")
    return found


def catalog(code: str, domain: Domain) -> dict[Id, tuple[str, ...]]:
    text = file_of(domain, code).read_text("utf-8")
    found = read_po(StringIO(text), locale=code, abort_invalid=True)
    return {
        one.id: (one.string,) if isinstance(one.string, str) else tuple(one.string)
        for one in found
        if one.id and not one.fuzzy
    }


def places(text: str) -> set[str]:
    return set(PLACE.findall(text))


def test_the_languages_are_those_of_the_readers() -> None:
    assert list(languages()) == ["nl", "fr", "en"] == list(NAMES)


@texts_of
@in_each_language
def test_no_text_is_missing_and_none_is_left_over(code: str, domain: Domain) -> None:
    texts, known = written(domain), catalog(code, domain)
    assert len(texts) > 50
    file = file_of(domain, code).relative_to(ROOT)
    missing = [
        f"{place}: {text!r}" for text, place in texts.items() if not all(known.get(text, ("",)))
    ]
    assert not missing, f"\nadd to {file}, as msgid and msgstr:\n" + "\n".join(missing)
    left = [repr(text) for text in known.keys() - texts.keys()]
    assert not left, f"\nremove from {file}, as nothing says them any more:\n" + "\n".join(left)


@catalogs_of
@in_each_language
def test_no_text_stands_in_a_catalog_twice(code: str, domain: Domain) -> None:
    ids = re.findall(r'(?m)^msgid (".*"(?:\n".*")*)$', file_of(domain, code).read_text("utf-8"))
    joined = ["".join(re.findall(r'"(.*)"', one)) for one in ids]
    assert not {one for one in joined if joined.count(one) > 1}


@catalogs_of
@in_each_language
def test_a_translation_has_the_same_places_to_fill(code: str, domain: Domain) -> None:
    for text, strings in catalog(code, domain).items():
        forms = (text,) if isinstance(text, str) else text
        wanted = set().union(*map(places, forms))
        for string in strings:
            # The form for one thing need not say its number.
            assert places(string) <= wanted, text
            assert places(string) >= set.intersection(*map(places, forms)), text


@catalogs_of
@in_each_language
def test_each_form_of_a_text_is_there(code: str, domain: Domain) -> None:
    for text, strings in catalog(code, domain).items():
        assert len(strings) == (1 if isinstance(text, str) else 2), text
        assert all(one.strip() == one for one in strings), text


@texts_of
@in_each_language
def test_an_english_text_is_not_left_as_it_is(code: str, domain: Domain) -> None:
    alike = {
        text
        for text, strings in catalog(code, domain).items()
        if isinstance(text, str) and strings == (text,) and " " in text
    }
    assert alike <= ALIKE


@pytest.mark.parametrize("domain", SENTENCES, ids=lambda domain: domain.name)
def test_all_languages_know_the_same_sentences(domain: Domain) -> None:
    first, *others = (set(catalog(code, domain)) for code in TRANSLATED)
    assert all(one == first for one in others)


@in_each_language
def test_no_sentence_stands_in_two_catalogs(code: str) -> None:
    # Whatever their places are called.
    ids = Counter(skeleton(str(id_)) for domain in SENTENCES for id_ in catalog(code, domain))
    assert not [id_ for id_, times in ids.items() if times > 1]


def test_every_catalog_is_read() -> None:
    found = {path.relative_to(ROOT) for path in (ROOT / "pipeline").rglob("*.po")}
    read = {file_of(one, code) for one in (PAGE, ALERTS, *SENTENCES) for code in TRANSLATED}
    assert found == {path.relative_to(ROOT) for path in read}
