"""A configuration may stand in several files; what is wrong is said of the file where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.include import MAX_FILES, config_files, read_config
from pipeline.errors import ConfigurationError
from stages.configuration import load_config
from stages.flow import STAGE_NAMES
from stages.sources.registry import SECTIONS
from tests.helpers.settings import GOOD, SECOND, load, problems

FIRST = GOOD[: GOOD.index("[[companies]]")]
LIST = GOOD[GOOD.index("[[companies]]") :]
INCLUDE = 'include = "companies.toml"\n'


def refused(folder: Path, text: str) -> str:
    (folder / "synqup.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as error:
        read_config(folder / "synqup.toml")
    return str(error.value)


def test_a_list_in_a_file_of_its_own_is_as_one_in_the_first(tmp_path: Path) -> None:
    whole = load(tmp_path, GOOD + SECOND)
    (tmp_path / "companies.toml").write_text(LIST + SECOND)
    parted = load(tmp_path, INCLUDE + FIRST)
    assert parted == whole
    assert load(tmp_path, 'include = ["companies.toml"]\n' + FIRST) == whole
    assert load(tmp_path, f'include = "{tmp_path}/companies.toml"\n' + FIRST) == whole


def test_lists_of_several_files_are_joined_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "companies.toml").write_text(SECOND)
    assert [one.name for one in load(tmp_path, INCLUDE + GOOD).companies] == [
        "Bakkerij Peeters",
        "Garage Dupont",
    ]


def test_a_file_may_include_others_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "all.toml").write_text('include = ["a.toml", "b.toml"]')
    (tmp_path / "clients" / "a.toml").write_text(LIST)
    (tmp_path / "clients" / "b.toml").write_text(SECOND)
    config = load(tmp_path, 'include = "clients/all.toml"\n' + FIRST)
    assert len(config.companies) == 2
    assert config_files(tmp_path / "synqup.toml") == tuple(
        tmp_path / name
        for name in ("synqup.toml", "clients/all.toml", "clients/a.toml", "clients/b.toml")
    )


def test_what_is_wrong_names_the_file_and_the_number_there(tmp_path: Path) -> None:
    (tmp_path / "companies.toml").write_text(SECOND + SECOND.replace("BE0428759497", "BE1"))
    (problem,) = problems(tmp_path, INCLUDE + GOOD)
    assert problem.startswith("companies.toml: companies[2].identifier (Garage Dupont): ")


def test_a_company_of_two_files_is_named_in_both(tmp_path: Path) -> None:
    (tmp_path / "companies.toml").write_text(LIST)
    (problem,) = problems(tmp_path, INCLUDE + GOOD)
    assert "companies.toml: companies[1].identifier (Bakkerij Peeters)" in problem
    assert "companies[1] is BE0403170701 too" in problem


def test_a_section_stands_in_one_file_only(tmp_path: Path) -> None:
    (tmp_path / "companies.toml").write_text('[delivery]\nformats = "pdf"\n')
    said = refused(tmp_path, INCLUDE + GOOD)
    assert "companies.toml" in said
    assert "[delivery]: it stands in synqup.toml too; keep one of them" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("include = 3", "include: expected is a file"),
        ("include = [3]", "include: expected is a file"),
        ('include = ""', "include: a file has to have a name"),
        ('include = "absent.toml"', "absent.toml: the configuration can't be used"),
        ('include = "synqup.toml"', "synqup.toml is included already"),
        ('include = ["a.toml", "./a.toml"]', "a.toml is included already"),
    ],
)
def test_an_include_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").touch()
    assert said in refused(tmp_path, text)


def test_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('include = "b.toml"')
    (tmp_path / "b.toml").write_text('include = "a.toml"')
    said = refused(tmp_path, 'include = "a.toml"')
    assert "b.toml: the configuration can't be used" in said
    assert "a.toml is included already" in said


def test_a_circle_by_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").symlink_to(tmp_path / "synqup.toml")
    assert "included already" in refused(tmp_path, 'include = "a.toml"')


def test_number_and_size_are_bounded(tmp_path: Path) -> None:
    names = [f"{number}.toml" for number in range(MAX_FILES)]
    for name in names:
        (tmp_path / name).touch()
    assert f"more than {MAX_FILES} files" in refused(tmp_path, f"include = {names}")
    for name in names[:2]:
        (tmp_path / name).write_text("#" * 3_000_000)
    assert "in all" in refused(tmp_path, f"include = {names[:2]}")


def test_a_file_that_is_missing_or_half_saved_is_still_known(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text(INCLUDE)
    assert config_files(path) == (path, tmp_path / "companies.toml")
    (tmp_path / "companies.toml").write_text("[[comp")
    assert config_files(path) == (path, tmp_path / "companies.toml")
    path.write_text("inclu")
    assert config_files(path) == (path,)


def test_what_a_file_is_to_hold_can_be_tried_before(tmp_path: Path) -> None:
    (tmp_path / "companies.toml").write_text(LIST)
    path = tmp_path / "synqup.toml"
    path.write_text(INCLUDE + FIRST)
    edited = {tmp_path / "companies.toml": (LIST + SECOND).encode()}
    assert len(read_config(path, edited).raw["companies"]) == 2
    assert len(read_config(path).raw["companies"]) == 1


def test_a_misspelt_include_is_recognised(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, 'includes = "companies.toml"\n' + GOOD)
    assert 'did you mean "include"?' in problem


def test_relative_paths_of_an_included_company_are_those_of_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "a.toml").write_text(LIST + 'sales = "own"\n')
    assert load(tmp_path, 'include = "clients/a.toml"\n' + FIRST).companies[0].sales == str(
        tmp_path / "own"
    )


def test_the_loader_takes_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "companies.toml").write_text(LIST)
    load(tmp_path, INCLUDE + FIRST)
    monkeypatch.chdir(tmp_path)
    config = load_config(Path("synqup.toml"), STAGE_NAMES, SECTIONS)
    assert config.service.state_dir == tmp_path / "state"
