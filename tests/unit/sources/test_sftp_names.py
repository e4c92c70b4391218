"""Names and patterns of folders: any bytes come back, and paths tell company and kind."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, strategies as st

from stages.settings import Company, Member
from stages.sources.sftp.companies import CompanyFolders
from stages.sources.sftp.documents import Marker
from stages.sources.sftp.names import (
    LONGEST_NAME,
    NamePatterns,
    free_names,
    is_sane,
    stem_of,
    to_bytes,
    to_text,
)
from stages.sources.sftp.patterns import Patterns, Spot, folder_pattern
from stages.sources.sftp.rest import Rest
from stages.sources.sftp.settings import IGNORED


@given(st.binary(max_size=300))
@example(b"re\xe7u%41\n.xml")
@example(b"\xed\xa0\x80\xff\x00")
def test_any_bytes_become_text_and_come_back(name: bytes) -> None:
    text = to_text(name)
    assert to_bytes(text) == name
    assert text.encode("utf-8").decode() == text
    assert not any(sign in text for sign in "\n\r\0\x1b\x85\u2028")


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_two_names_have_two_texts(one: bytes, other: bytes) -> None:
    assert (to_text(one) == to_text(other)) == (one == other)


@given(st.binary(min_size=1, max_size=LONGEST_NAME).filter(lambda name: b"/" not in name))
def test_free_names_are_names_and_all_different(name: bytes) -> None:
    names = list(itertools.islice(free_names(name), 50))
    assert names[0] == name
    assert len(set(names)) == 50
    assert all(len(one) <= LONGEST_NAME for one in names)


def test_a_number_stands_before_the_extension() -> None:
    assert list(itertools.islice(free_names(b"a.b.xml"), 3)) == [
        b"a.b.xml",
        b"a.b (2).xml",
        b"a.b (3).xml",
    ]
    assert list(itertools.islice(free_names(b"LICENCE"), 2)) == [b"LICENCE", b"LICENCE (2)"]
    assert stem_of(b".hidden") == b".hidden"


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"../etc", b"/", b"x" * 256])
def test_what_is_no_name_is_seen(name: bytes) -> None:
    assert not is_sane(name)


@pytest.mark.parametrize(
    "name",
    [
        "a.xml.filepart",
        "A.PART",
        "b.tmp",
        "c.partial",
        "d.crdownload",
        ".hidden",
        "~lock.xml",
        "processed",
        "Processed",
    ],
)
def test_uploads_that_go_on_are_left_alone(name: str) -> None:
    assert name in NamePatterns(IGNORED)


@pytest.mark.parametrize("name", ["a.xml", "part.xml", "a.part.xml", "unprocessed", "x~"])
def test_documents_are_not(name: str) -> None:
    assert name not in NamePatterns(IGNORED)


def test_no_pattern_takes_long() -> None:
    """Many stars make a regular expression try each split."""
    assert "a" * 255 not in NamePatterns(["*" * 200 + "b"])
    assert "a" * 100 not in NamePatterns(["a*a*a*a*b"])


def walk(patterns: Patterns, path: str) -> Spot | None:
    spots = patterns.start()
    for name in path.split("/") if path else ():
        spots = patterns.into(spots, name)
    return patterns.holding(spots)


TREE = Patterns(
    [
        "[company]/[year]/[iban]",
        "[company]/[year]/Invoices-IN-*",
        "home/[company]/klant-*",
        "dossier-[company]_in",
        "[company]/**",
    ]
)


@pytest.mark.parametrize(
    ("path", "pattern", "company"),
    [
        ("PEET01/2026/BE68539007547034", 0, "PEET01"),
        ("peet01/2026/invoices-in-01", 1, "peet01"),
        ("home/PEET01/Klant-7", 2, "PEET01"),
        ("dossier-PEET_01_in", 3, "PEET_01"),
        ("PEET01", 4, "PEET01"),
        ("PEET01/2026/CARO/x/y/z", 4, "PEET01"),
        ("PEET01/20260/Invoices-IN-01", 4, "PEET01"),
    ],
)
def test_the_first_pattern_that_a_folder_matches_counts(
    path: str, pattern: int, company: str
) -> None:
    spot = walk(TREE, path)
    assert spot is not None
    assert (spot.pattern, spot.company) == (pattern, company)


def test_the_root_is_a_folder_too() -> None:
    assert walk(Patterns(["**"]), "") is not None
    assert walk(Patterns([""]), "") is not None
    assert walk(Patterns([""]), "x") is None
    assert walk(Patterns(["in/**/[year]"]), "in/a/b/2026") is not None
    assert walk(Patterns(["in/**/[year]"]), "in/2026") is not None
    assert walk(Patterns(["in/**/[year]"]), "in/a/b") is None


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[compagny]/x", "there is no \\[compagny\\]; known are \\[company\\]"),
        ("[company/x", "not closed"),
        ("company]/x", "not closed"),
        ("../x", "above the root"),
        ("[company]/[company]", "once only"),
        ("**/x/**", "once only"),
    ],
)
def test_what_is_wrong_with_a_pattern_is_said(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        folder_pattern(pattern)


def company(name: str, number: str, file: str = "") -> Company:
    return Company(name, number, accounting_file_id=file)


def test_a_folder_is_called_as_the_company_is_in_any_case() -> None:
    one, two = company("One", "BE0403170701", "ONE01"), company("Two", "BE0417497106", "TWO01")
    folders = CompanyFolders([Member(one, "77"), Member(two, None)])
    for name in ("77", "one01", "ONE01 ", "BE0403170701", "be0403170701", "0403.170.701"):
        assert folders.find(name) is one
    assert folders.find("two01") is two
    assert folders.find("77 ") is one
    assert folders.find("three") is None
    assert folders.alone() is None
    assert CompanyFolders([Member(one, None)]).alone() is one
    assert folders.without(["one01", "x"]) == [two]


def test_a_name_of_two_companies_tells_none_and_the_platforms_own_tells_first() -> None:
    one, two = company("One", "BE0403170701", "X"), company("Two", "BE0417497106", "X")
    assert CompanyFolders([Member(one, None), Member(two, None)]).find("x") is None
    assert CompanyFolders([Member(one, "X"), Member(two, None)]).find("x") is one


def test_a_file_is_at_rest_once_nothing_of_it_has_changed() -> None:
    rest = Rest(30)
    rest.begin()
    assert not rest.is_at_rest(b"a", 10, 100, 0.0)
    rest.end()
    rest.begin()
    assert not rest.is_at_rest(b"a", 10, 100, 29.0)
    rest.end()
    rest.begin()
    assert not rest.is_at_rest(b"a", 11, 100, 30.0)
    assert not rest.is_at_rest(b"a", 10, 101, 30.0)
    assert rest.is_at_rest(b"a", 10, 100, 30.0)
    rest.end()


def test_a_file_that_went_and_came_back_begins_anew() -> None:
    rest = Rest(30)
    rest.begin()
    rest.is_at_rest(b"a", 10, 100, 0.0)
    rest.end()
    rest.begin()
    rest.end()
    rest.begin()
    assert not rest.is_at_rest(b"a", 10, 100, 60.0)


def test_a_walk_that_failed_forgets_nothing() -> None:
    rest = Rest(30)
    rest.begin()
    rest.is_at_rest(b"a", 10, 100, 0.0)
    rest.begin()
    assert rest.is_at_rest(b"a", 10, 100, 30.0)


def test_a_marker_is_named_after_its_file_with_or_without_extension() -> None:
    marker = Marker("*.OK")
    assert marker.is_marker(b"a.ok")
    assert not marker.is_marker(b"a.xml")
    assert marker.names(b"A.xml") == (b"a.xml.ok", b"a.ok")
    assert b"A.OK" in marker.names_as_written(b"A.xml")
