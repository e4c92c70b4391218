"""Whatever text comes from outside, the name is one that NTFS and ext4 take, in its folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from pipeline.alternatives import alternative
from stages.naming.names import file_name, sanitize
from stages.naming.paths import company_folder
from stages.naming.templates import NAME_VARIABLES, fill, fill_compactly

TEMPLATE = "[issue_date]_[document_number]_[counterparty]"
NOTHING = dict.fromkeys(NAME_VARIABLES, "") | {"id": "id-1"}
ANYTHING = st.text(st.characters(), max_size=400)


def assert_valid(name: str) -> None:
    assert name
    assert name not in (".", "..")
    assert not set(name) & set('<>:"/\\|?*\0')
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in name)
    assert name == name.strip(" ").rstrip(".")
    assert not name.startswith(".")
    assert name.partition(".")[0].rstrip().upper() not in {"CON", "NUL", "AUX", "PRN", "COM1"}
    assert len(name.encode()) <= 255
    assert len(name.encode("utf-16-le")) // 2 <= 255


@given(ANYTHING)
def test_any_text_becomes_one_component(text: str) -> None:
    cleaned = sanitize(text)
    assert bool(cleaned) == bool(text)
    if cleaned:
        assert_valid(cleaned)
    assert sanitize(cleaned) == cleaned


@given(st.fixed_dictionaries(dict.fromkeys(NAME_VARIABLES, ANYTHING)))
def test_any_values_make_a_valid_name_and_so_do_its_twins(values: dict[str, str]) -> None:
    name = file_name(TEMPLATE, values, "xml")
    assert name.endswith(".xml")
    several = [alternative(name, number) for number in range(1, 13)]
    assert len({one.casefold() for one in several}) == 12
    for one in several:
        assert_valid(one)


@given(ANYTHING)
def test_no_name_of_a_company_leaves_its_folder(text: str) -> None:
    made = company_folder(
        "/base/[enterprise_name]/achats", name=text, identifier="", accounting_file_id=""
    )
    assert made.parts[:2] == (Path("/").anchor, "base")
    assert made.parts[-1] == "achats"
    assert len(made.parts) == (4 if text else 3)
    assert ".." not in made.parts


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (
            {"issue_date": "2026-01-02", "document_number": "F/12", "counterparty": "Dûpont & Co"},
            "2026-01-02_F_12_Dûpont & Co.xml",
        ),
        ({"document_number": "F12"}, "F12.xml"),
        ({"issue_date": "2026-01-02", "counterparty": "Dupont"}, "2026-01-02_Dupont.xml"),
        ({}, "id-1.xml"),
        ({"document_number": "CON"}, "_CON.xml"),
        ({"document_number": "../../etc/passwd"}, "_etc_passwd.xml"),
        ({"document_number": "NUL.txt"}, "_NUL.txt.xml"),
        ({"document_number": "com¹ .txt"}, "_com¹ .txt.xml"),
        ({"document_number": "A--1__2"}, "A--1__2.xml"),
        ({"document_number": "invoice\u202exml.exe"}, "invoice_xml.exe.xml"),
    ],
)
def test_names_read_as_their_template_says(values: dict[str, str], name: str) -> None:
    assert file_name(TEMPLATE, NOTHING | values, "xml") == name


def test_twins_keep_the_extension() -> None:
    names = [alternative("out/a.b.xml", number) for number in (1, 2, 3)]
    assert names == ["out/a.b.xml", "out/a.b-2.xml", "out/a.b-3.xml"]
    assert [alternative("a", number) for number in (1, 2)] == ["a", "a-2"]


@pytest.mark.parametrize(
    ("values", "filled"),
    [
        ({"a": "1", "b": "2", "c": "3"}, "1_2 - 3"),
        ({"a": "1", "c": "3"}, "1 - 3"),
        ({"a": "1", "b": "2"}, "1_2"),
        ({"a": "1--1", "b": "", "c": "[a]"}, "1--1 - [a]"),
    ],
)
def test_a_variable_without_a_value_takes_its_separator_along(
    values: dict[str, str], filled: str
) -> None:
    assert fill_compactly("[a]_[b] - [c]", values) == filled


def test_brackets_around_anything_else_stay() -> None:
    assert fill("/[books]/[a]", {"a": "[a]"}) == "/[books]/[a]"


def test_names_that_differ_in_composition_are_one() -> None:
    assert sanitize("e\u0301") == sanitize("\u00e9")


def test_a_path_is_filled(tmp_path: Path) -> None:
    made = company_folder(
        f"{tmp_path}/[enterprise_name]_[enterprise_identifier]/[accounting_file_id]",
        name="A/B",
        identifier="BE0403170701",
        accounting_file_id="PEET01",
    )
    assert made == tmp_path / "A_B_BE0403170701" / "PEET01"
