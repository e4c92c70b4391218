"""The texts are there in three languages, and so are the facts of each package."""

from __future__ import annotations

import re
import string
import tomllib
from importlib.resources import files

import pytest

from stages.naming.templates import NAME_VARIABLES, PATH_VARIABLES, variables
from stages.setup.companies import FORMATS
from stages.setup.packages import load_package, package_ids
from stages.setup.problems import Problem
from stages.setup.texts import LANGUAGES, Texts, language_of
from tests.helpers.imports import ROOT


def catalogue(language: str) -> dict[str, str]:
    text = files("stages.setup").joinpath("texts", f"{language}.toml").read_text("utf-8")
    return {
        f"{section}.{key}": said
        for section, texts in tomllib.loads(text).items()
        for key, said in texts.items()
    }


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_in_any_language(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    assert english.keys() == other.keys()
    assert not {key for key in english if blanks(english[key]) != blanks(other[key])}
    assert all(text.strip() for text in other.values())


def test_every_text_that_is_used_exists_and_every_text_is_used() -> None:
    used = set()
    for path in [*(ROOT / "stages" / "setup").glob("*.py"), *(ROOT / "pipeline").rglob("*.py")]:
        source = path.read_text("utf-8")
        used |= set(re.findall(r'"((?:ask|say|comment|problem)\.[a-z_]+)"', source))
        for name in re.findall(r'(?:Trouble|Problem)\([^"()]*"([a-z-]+)"', source):
            used.add(f"problem.{name.replace('-', '_')}")
    assert used == catalogue("en").keys()


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "nl_BE.UTF-8"}, "nl"),
        ({"LANG": "fr_BE.UTF-8", "LC_ALL": "nl_BE"}, "nl"),
        ({"LANG": "nl_BE", "LANGUAGE": "de:fr:en"}, "fr"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_BE"}, "en"),
        ({"LANG": "FR"}, "fr"),
        ({}, "en"),
    ],
)
def test_the_language_is_that_of_the_environment(
    environment: dict[str, str], language: str
) -> None:
    assert language_of(environment) == language


def test_a_problem_is_said_with_its_line() -> None:
    problem = Problem(7, "check-digits", {"value": "BE1"})
    assert Texts("en").problem(problem).startswith("line 7: BE1: the check digits")
    assert Texts("nl").problem(problem).startswith("regel 7: BE1: ")
    assert Texts("fr").problem(problem).startswith("ligne 7 : BE1 : ")


def test_the_packages_of_belgium_are_there() -> None:
    assert package_ids() == (
        *("accowin", "adsolut", "bob50", "briljant", "exact-globe", "expertm", "octopus"),
        *("popsy", "sage", "winbooks", "other"),
    )


@pytest.mark.parametrize("id_", package_ids())
def test_a_package_says_all_and_where_it_is_from(id_: str) -> None:
    package = load_package(id_)
    assert package.formats in FORMATS
    assert package.tell.keys() == set(LANGUAGES)
    for path in package.paths("C:/x").values():
        assert path.startswith("C:/x/")
        assert set(variables(path)) <= set(PATH_VARIABLES)
    assert set(variables(package.invoice_name + package.statement_name)) <= set(NAME_VARIABLES)
    told = {frozenset(blanks(text)) for text in package.tell.values()}
    assert len(told) == 1
    assert told.pop() <= {"root", "purchases", "sales", "statements"}
    assert package.facts
    known = ("the vendor: ", "a third party's manual: ", "help page of the platform: ")
    for fact in package.facts:
        assert fact.source == "ours, not confirmed by the vendor" or fact.source.startswith(known)


def test_paths_below_the_root_of_a_disk() -> None:
    package = load_package("other")
    assert package.paths("/")["sales"].startswith("/[")
    assert package.paths("C:/x/")["sales"].startswith("C:/x/[")
