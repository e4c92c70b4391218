"""The list of companies is edited by commands, and a running service takes each edit."""

from __future__ import annotations

import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import PATIENCE, SYNQUP, mailbox, process, synqup, wait_until
from tests.helpers.settings import GOOD, SECOND

FIRST = GOOD[: GOOD.index("[[companies]]")]
LIST = "# All of them\n" + GOOD[GOOD.index("[[companies]]") :] + "\n# pays late\n" + SECOND.lstrip()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a list of its own, in which a person has written."""
    path = tmp_path / "synqup.toml"
    path.write_text('include = "companies.toml"  # the list\n' + FIRST)
    (tmp_path / "companies.toml").write_text(LIST)
    return path


def rows(config: Path, name: str = "companies.toml") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(config.with_name(name).read_text())["companies"]
    return found


def run(command: str, config: Path, *options: object, expect: int = 0) -> str:
    return synqup(
        *("companies", command, "--config", config, "--language", "en"), *options, expect=expect
    )


def import_list(config: Path, text: str, *options: object, expect: int = 0) -> str:
    path = config.with_name("list.csv")
    path.write_text(text, "utf-16")
    return run("import", config, path, "--yes", *options, expect=expect)


def test_one_company_is_added(config: Path) -> None:
    before = config.read_text()
    said = run(
        *("add", config, "Café L'Été", "180.502.053", "--file-number", "CAF"),
        *("--platform-id", "77", "--account", "BE71 0961 2345 6769"),
    )
    assert "Companies added" in said
    assert "Café L'Été_BE0180502053" in said
    assert rows(config)[-1] == {
        "name": "Café L'Été",
        "identifier": "BE0180502053",
        "accounting_file_id": "CAF",
        "platform_id": "77",
        "accounts": ["BE71096123456769"],
        "source": "billtobox",
    }
    assert config.with_name("companies.toml").read_text().startswith(LIST)
    assert config.read_text() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("A", "0403170702"), "check digits"),
        (("A", "BE 0403.170.701"), "BE0403170701 is Bakkerij Peeters already"),
        (("", "0180502053"), "NAME: this can't be empty"),
        (("A", "0180502053", "--source", "x"), '--source: there is no source "x"; there are bil'),
        (("A", "0180502053", "--account", "BE1"), "--account: BE1 is no valid IBAN"),
    ],
)
def test_a_company_that_is_wrong_is_not_added(
    config: Path, options: tuple[str, ...], said: str
) -> None:
    assert said in run("add", config, *options, expect=2)
    assert config.with_name("companies.toml").read_text() == LIST


def test_companies_are_removed_with_their_comments(config: Path) -> None:
    run("remove", config, "BE 0428.759.497")
    text = config.with_name("companies.toml").read_text()
    assert [one["name"] for one in rows(config)] == ["Bakkerij Peeters"]
    assert "# All of them" in text
    assert "pays late" not in text


def test_what_can_not_be_removed_is_said(config: Path) -> None:
    assert "no company is configured as BE0180502053" in run(
        "remove", config, "0180502053", "0428759497", expect=2
    )
    assert "no company would be left" in run("remove", config, "0428759497", "403170701", expect=2)
    assert config.with_name("companies.toml").read_text() == LIST


def test_a_list_is_imported_again_and_again(config: Path) -> None:
    text = "Nom;N° d'entreprise;N° de dossier\nBakkerij Peeters;403170701;\nCafé;180502053;CAF\n"
    said = import_list(config, text)
    assert "Companies that are there already and stay as they are: 1" in said
    assert "Companies added" in said
    assert [one["name"] for one in rows(config)] == ["Bakkerij Peeters", "Garage Dupont", "Café"]
    before = config.with_name("companies.toml").stat()
    assert "There is nothing to change" in import_list(config, text)
    assert config.with_name("companies.toml").stat().st_mtime_ns == before.st_mtime_ns


def test_other_values_are_taken_when_that_is_said(config: Path) -> None:
    text = "Naam;BTW;Dossiernr\nPeeters BV;403170701;PEET02\nGarage Dupont;428759497;DUP\n"
    said = import_list(config, text, expect=2)
    assert "line 2: BE0403170701 is configured already with other values (name: Peeters" in said
    assert config.with_name("companies.toml").read_text() == LIST
    import_list(config, text, "--update")
    assert [(one["name"], one["accounting_file_id"]) for one in rows(config)] == [
        ("Peeters BV", "PEET02"),
        ("Garage Dupont", "DUP"),
    ]
    assert "# pays late" in config.with_name("companies.toml").read_text()


def test_an_edit_that_could_not_be_used_is_not_written(config: Path) -> None:
    text = config.read_text().replace("_[enterprise_identifier]", "")
    config.write_text(text)
    said = import_list(config, "Naam;BTW\nBakkerij Peeters;0180502053\n", expect=2)
    assert "share the folder" in said
    assert config.with_name("companies.toml").read_text() == LIST


def test_without_a_terminal_the_answer_is_an_option(config: Path) -> None:
    path = config.with_name("list.csv")
    path.write_text("Naam;BTW\nCafé;0180502053\n")
    assert "--yes: this answer is missing" in run("import", config, path, expect=2)


def test_companies_of_the_first_file_are_edited_there(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text(GOOD + SECOND)
    run("remove", path, "0428759497")
    run("add", path, "Café", "0180502053")
    assert path.read_text().startswith(GOOD)
    assert [one["name"] for one in rows(path, "synqup.toml")] == ["Bakkerij Peeters", "Café"]


def test_several_sources_have_to_be_told_apart(config: Path) -> None:
    second = FIRST[FIRST.index("[[sources]]") :].replace('name = "billtobox"', 'name = "two"')
    config.write_text(config.read_text() + second)
    said = run("add", config, "Café", "0180502053", expect=2)
    assert "--source: this answer is missing; there are billtobox, two" in said
    run("add", config, "Café", "0180502053", "--source", "two")
    import_list(config, "Naam;BTW;Bron\nX;0417497106;two\nY;0400378485;billtobox\n")
    assert [one["source"] for one in rows(config)[-3:]] == ["two", "two", "billtobox"]
    said = import_list(config, "Naam;BTW;Bron\nX;0202239951;three\n", expect=2)
    assert "there is no source three; there are billtobox, two" in said


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_mode_and_link_are_kept(config: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    real = (tmp_path / "companies.toml").rename(tmp_path / "kept" / "list.toml")
    real.chmod(0o604)
    (tmp_path / "companies.toml").symlink_to(real)
    run("add", config, "Café", "0180502053")
    assert (tmp_path / "companies.toml").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o604
    assert len(rows(config)) == 3
    assert list((tmp_path / "kept").iterdir()) == [real]


@pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")
def test_commands_at_the_same_time_lose_nothing(config: Path) -> None:
    numbers = ("0180502053", "0417497106", "0400378485", "0202239951")
    running = [
        subprocess.Popen(
            [*SYNQUP, "companies", "add", number, number, "--config", str(config)],
            stdout=subprocess.DEVNULL,
        )
        for number in numbers
    ]
    assert [one.wait(100) for one in running] == [0] * len(numbers)
    assert {one["name"] for one in rows(config)[2:]} == set(numbers)


def test_a_running_service_takes_an_import_as_one_edit(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--companies", 40, "--documents", 200) as box:
        text = box.config.read_text()
        start = text.index("[[companies]]")
        companies = tomllib.loads(text)["companies"]
        first, second = text[start:].split("\n[[companies]]")[:2]
        (tmp_path / "companies.toml").write_text(f"{first}\n[[companies]]{second}")
        box.config.write_text('include = "companies.toml"\n' + text[:start])
        lines = [f"{one['identifier']};{one['name']};{one['platform_id']}" for one in companies]
        (tmp_path / "list.csv").write_text("\n".join(["VAT;Name;Platform ID", *lines]) + "\n")
        with process("run", "--config", box.config) as service:
            wait_until((tmp_path / "state" / "logs" / "synqup.log").exists)
            wait_until(box.delivered)
            run("import", box.config, tmp_path / "list.csv", "--yes", "--update")
            wait_until(lambda: "configuration applied" in box.log())
            assert box.log().count("configuration applied") == 1
            # Killed, it might acknowledge a document twice, which is allowed and not the question.
            service.terminate()
            assert service.wait(PATIENCE) == 0
            assert '"companies": 40' in box.log() or "companies=40" in box.log()
        synqup("catch-up", "--config", box.config)
        box.assert_everything_stands_once()
