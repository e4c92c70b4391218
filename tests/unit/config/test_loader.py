"""A TOML file becomes structs, or all that is wrong with it is said; whatever its sections are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given, strategies as st
from msgspec import Struct

from pipeline.config.loader import LoadContext, convert, read_toml
from pipeline.config.types import MAX_QUANTITY, Duration, Secret, Size, above_zero, output_path
from pipeline.errors import ConfigurationError


class Oven(Struct, frozen=True):
    heat: Annotated[int, above_zero]
    bake: Duration = Duration(60)


class Shop(Struct, frozen=True):
    name: str
    till: Secret | None = None
    tags: tuple[str, ...] = ()


class Bakery(Struct, frozen=True):
    oven: Oven
    shops: tuple[Shop, ...]


def read(tmp_path: Path, text: str) -> tuple[Bakery, list[str]]:
    path = tmp_path / "bakery.toml"
    path.write_text(text, "utf-8")
    context = LoadContext(Bakery)
    return convert(read_toml(path), Bakery, context), context.problems


GOOD = '[oven]\nheat = 220\n[[shops]]\nname = "North"\n[[shops]]\nname = "South"\n'


def test_what_is_right_becomes_structs(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == (Bakery(Oven(220), (Shop("North"), Shop("South"))), [])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("heat", "haet = 1\nheat", 'oven.haet: there is no such key; did you mean "heat"?'),
        ("[oven]", "bake = 3\n[oven]", "bake: there is no such key; it belongs in [oven]"),
        ("220", "220\ntill = 3", "oven.till: there is no such key; it belongs in [[shops]]"),
        ("220", '"220"', "oven.heat: expected a number, got text"),
        ("220", "0", "oven.heat: this has to be more than zero; leave it out for the usual value"),
        ("heat = 220", "", 'oven.heat: this key is missing; write heat = "…"'),
        ("[oven]\nheat = 220", "", "oven: this section is missing; write [oven]"),
        ("[oven]\nheat = 220", "oven = 2", "oven: a table is expected here; write [oven]"),
        (
            '"South"\n',
            '"South"\ntags = [1]\n',
            "shops[2].tags[1] (South): expected text, got a number",
        ),
    ],
)
def test_a_problem_has_its_key_what_is_wrong_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    assert old in GOOD
    assert read(tmp_path, GOOD.replace(old, new))[1] == [problem]


@pytest.mark.parametrize(
    ("shops", "problem"),
    [
        ("[shops]\nname = 'North'", "shops: a list of tables is expected here; write [[shops]]"),
        ("shops = ['North']", "shops[1]: a table is expected here; write [[shops]]"),
        ("shops = []", "shops: this section is missing; write [[shops]]"),
        ("", "shops: this section is missing; write [[shops]]"),
    ],
)
def test_a_list_of_tables_is_asked_for_as_it_is_written(
    tmp_path: Path, shops: str, problem: str
) -> None:
    assert read(tmp_path, f"{shops}\n[oven]\nheat = 1")[1] == [problem]


@pytest.mark.parametrize("text", ["[oven", "a = \n", "x = 1\nx = 2", "x = " + "9" * 5000])
def test_what_is_no_toml_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="it is not TOML"):
        read(tmp_path, text)


def test_a_backslash_of_windows_gets_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="with / or between single quotes"):
        read(tmp_path, 'x = "C:\\Users"')


def test_what_can_not_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="it can't be read"):
        read_toml(tmp_path / "absent.toml")


def test_what_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8 at byte 0"):
        read_toml(tmp_path / "a.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff" + GOOD)[1] == []


@pytest.mark.parametrize(
    "secret",
    [
        *('"s3cret"', '["s3cret"]', '{ value = "s3cret" }', '{ env = "A", file = "s3cret" }'),
        *("{}", '{ env = "" }', "{ env = 1 }"),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(tmp_path: Path, secret: str) -> None:
    _, (problem,) = read(tmp_path, f"{GOOD}till = {secret}\n")
    assert problem.startswith("shops[2].till (South): ")
    assert "{ env =" in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [("30s", 30), ("1.5h", 5400), ("2 m", 120), ("1D", 86400), (30, 30), (0.5, 0.5)],
)
def test_durations(raw: object, seconds: float) -> None:
    assert Duration.parse(raw) == seconds


@pytest.mark.parametrize(
    ("raw", "size"), [("4 MB", 4_000_000), ("16MiB", 16 << 20), ("500 kB", 500_000), (77, 77)]
)
def test_sizes(raw: object, size: int) -> None:
    assert Size.parse(raw) == size


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.from_regex(r"\d+ ?[a-zA-Z]*"))
def test_a_quantity_is_taken_or_refused_in_words(raw: object) -> None:
    for kind in (Duration, Size):
        try:
            assert 0 <= kind.parse(raw) <= MAX_QUANTITY
        except ValueError as error:
            assert 'like "' in str(error)  # noqa: PT017 - either end is a good one


@pytest.mark.parametrize("path", ["out", "./out", "a/../b", "[x]/y", str(Path.cwd()), "."])
def test_a_path_below_the_file_or_absolute_is_taken(path: str) -> None:
    assert output_path(path) == path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../out", "leaves the folder"),
        ("a/../../b", "leaves the folder"),
        ("..", "leaves the folder"),
        ("", "can't be empty"),
        ("a\0b", "control characters"),
        ("C:\temp", "control characters"),
    ],
)
def test_any_other_path_is_refused(path: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        output_path(path)


@pytest.mark.skipif(sys.platform == "win32", reason="there they are paths like any other")
@pytest.mark.parametrize("path", ["D:/Winbooks", "D:Winbooks", "\\\\server\\share", "out\\sales"])
def test_a_path_of_windows_is_refused_elsewhere(path: str) -> None:
    with pytest.raises(ValueError, match="a path of Windows"):
        output_path(path)
    with pytest.raises(ValueError, match="a path of Windows"):
        output_path(Path(path))
