"""A list of companies is edited by programs, and keeps what people have written into it."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, strategies as st

from stages.setup.companies import NewCompany
from stages.setup.edit import add_companies, change_companies, remove_companies

TEXT = """\
# All our clients

[[companies]]
name = "A" # since 2020
identifier = "1"

# B pays late
[[companies]]
name   = "B"
identifier = "2"
accounts = [
  "BE1", # current
]

# Those of Ghent

# C is a farm
[[ companies ]]
name = "C"
identifier = "3"
# the end
"""
D = NewCompany("D", "4", accounts=("x", "y"))
D_TEXT = '\n[[companies]]\nname = "D"\nidentifier = "4"\naccounts = ["x", "y"]\n'


def names(text: str) -> list[str]:
    return [row["name"] for row in tomllib.loads(text).get("companies", [])]


def test_what_is_added_stands_at_the_end() -> None:
    assert add_companies(TEXT, [D]) == TEXT + D_TEXT
    assert add_companies("", [D]) == D_TEXT
    assert names(add_companies(TEXT.rstrip("\n"), [D])) == ["A", "B", "C", "D"]
    assert names(add_companies("[service]\nx = 1\n", [D])) == ["D"]


def test_a_removed_company_takes_its_own_comment_with_it() -> None:
    left = remove_companies(TEXT, {1})
    assert names(left) == ["A", "C"]
    assert "B pays late" not in left
    for kept in ("All our clients", "since 2020", "Those of Ghent", "C is a farm", "the end"):
        assert kept in left


def test_the_head_of_a_file_stays() -> None:
    text = '# All\n[[companies]]\nname = "A"\n\n[[companies]]\nname = "B"\n'
    assert remove_companies(text, {0}) == '# All\n[[companies]]\nname = "B"\n'


def test_several_are_removed_at_once() -> None:
    assert names(remove_companies(TEXT, {0, 2})) == ["B"]
    assert "[[" not in remove_companies(TEXT, {0, 1, 2})


def test_changes_stay_within_their_row() -> None:
    changed = change_companies(TEXT, {1: {"name": "BB", "formats": "pdf"}, 0: {"accounts": ["z"]}})
    lines = changed.splitlines()
    assert lines[lines.index('identifier = "1"') + 1] == 'accounts = ["z"]'
    assert lines[lines.index("]") + 1] == 'formats = "pdf"'
    assert 'name   = "BB"' in lines
    assert set(TEXT.splitlines()) - set(lines) == {'name   = "B"', "[[ companies ]]"}


def test_ends_of_lines_are_kept() -> None:
    text = TEXT.replace("\n", "\r\n")
    for edited in (
        add_companies(text, [D]),
        remove_companies(text, {1}),
        change_companies(text, {1: {"name": "BB", "formats": "pdf"}}),
    ):
        assert "\n" not in edited.replace("\r\n", "")


def test_a_list_in_brackets_is_edited_as_well() -> None:
    text = 'companies = [\n  { name = "A", identifier = "1" }, # one\n  { name = "B" },\n]\n'
    assert names(add_companies(text, [D])) == ["A", "B", "D"]
    assert names(remove_companies(text, {0})) == ["B"]
    assert names(change_companies(text, {1: {"name": "C", "identifier": "9"}})) == ["A", "C"]


def test_what_can_not_be_edited_is_refused() -> None:
    text = TEXT + '[x]\ny = """\n[[companies]]\n"""\n'
    assert names(add_companies(text, [D])) == ["A", "B", "C", "D"]
    hidden = '[x]\ny = """\n[[companies]]\n"""\n' + TEXT
    with pytest.raises(ValueError, match="do it by hand"):
        remove_companies(hidden, {0})


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
)
def test_any_text_comes_back(name: str, accounts: list[str]) -> None:
    added = add_companies(TEXT, [NewCompany(name, "4", accounts=tuple(accounts))])
    row = tomllib.loads(added)["companies"][-1]
    assert row["name"] == name
    assert row.get("accounts", []) == accounts
    changed = change_companies(TEXT, {0: {"name": name, "accounts": accounts}})
    assert tomllib.loads(changed)["companies"][0]["name"] == name
