"""Synqup is set up by options alone, from a list to a configuration that works."""

from __future__ import annotations

import csv
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import SYNQUP, Mailbox, mailbox, output_of, synqup
from tests.helpers.sampling import IN_CI

pytestmark = pytest.mark.slow

LIST = "Naam;Ondernemingsnummer;Dossiernr\nBakkerij Peeters;403170701;PEET01\n"
SOURCE = (
    *("--platform", "billtobox", "--set", "url=https://h.example/v4"),
    *("--set", "token_url=https://h.example/token", "--set", "client_id=us"),
    *("--secret", "client_secret=env:SYNQUP_SECRET"),
)


def init(folder: Path, *options: object, expect: int = 0, text: str = LIST, given: str = "") -> str:
    """Run init in a folder that holds a list, without a terminal; what it printed."""
    (folder / "list.csv").write_text(text, "utf-8")
    arguments = ("init", "--config", folder / "synqup.toml", "--language", "en", *options)
    return output_of(SYNQUP, *arguments, expect=expect, folder=folder, given=given)


def complete(folder: Path, *options: object, **more: Any) -> str:
    given = ("--package", "other", "--root", "out", "--import", "list.csv", "--yes")
    return init(folder, *SOURCE, *given, *options, **more)


def written(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "synqup.toml").read_text())


def listed(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads((folder / "companies.toml").read_text())["companies"]
    return rows


def make_list(box: Mailbox, path: Path) -> None:
    """The companies of a mailbox as Excel saves them: numbers without their zeros, cp1252."""
    rows = tomllib.loads(box.config.read_text())["companies"]
    with path.open("w", encoding="cp1252", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Dossiernr", "Naam", "BTW-nummer", "Platform ID", "Omzet"])
        for row in rows:
            number = row["identifier"].removeprefix("BE").lstrip("0")
            writer.writerow(
                [row["accounting_file_id"], row["name"], number, row["platform_id"], "1.234,50"]
            )


@pytest.mark.slow
@pytest.mark.parametrize("package", ["winbooks"] if IN_CI else ["bob50", "winbooks"])
def test_five_hundred_companies_from_a_list_to_a_green_check(tmp_path: Path, package: str) -> None:
    with mailbox(tmp_path / "box", "--companies", 500, "--documents", 1000) as box:
        make_list(box, tmp_path / "list.csv")
        served = tomllib.loads(box.config.read_text())["sources"][0]
        secret = box.config.with_name(served["client_secret"]["file"])
        config = tmp_path / "here" / "synqup.toml"
        said = synqup(
            *("init", "--config", config, "--platform", "billtobox", "--package", package),
            *("--set", f"url={served['url']}", "--set", f"token_url={served['token_url']}"),
            *("--set", f"client_id={served['client_id']}"),
            *("--secret", f"client_secret=file:{secret}"),
            *("--root", tmp_path / "out", "--import", tmp_path / "list.csv", "--yes"),
            *("--language", "nl"),
        )
        assert "Ondernemingen in" in said
        assert "en nog 480" in said
        checked = synqup("check", "--config", config)
        assert "FAIL" not in checked
        assert "signed in" in checked
        assert checked.count("will be created") >= 1500
        brought = synqup("catch-up", "--config", config)
        assert "1,000 delivered" in brought


def test_without_a_terminal_each_missing_option_is_named(tmp_path: Path) -> None:
    said = init(tmp_path, expect=2)
    for option in ("--platform", "--package", "--root", "--import", "--yes"):
        assert f"{option}: " in said
    said = init(tmp_path, *SOURCE, "--package", "other", "--import", "list.csv", "--yes", expect=2)
    assert "--root: this answer is missing; write --root" in said
    said = init(tmp_path, "--platform", "billtobox", "--package", "other", expect=2)
    for option in (
        *("--set url=VALUE: this answer is missing", "--set token_url=VALUE"),
        *("--set client_id=VALUE", "--secret client_secret=PLACE: this answer is missing"),
    ):
        assert option in said
    assert not (tmp_path / "synqup.toml").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--platform", "tobox"), '--platform: "tobox" is none of billtobox'),
        (("--package", "excel"), '--package: "excel" is none of accowin'),
        (("--formats", "docx"), '--formats: "docx" is none of ubl, ubl+pdf, pdf'),
        (("--root", "../x"), "--root: "),
        (("--root", "a[b"), "--root: a folder with brackets"),
        (("--set", "url=http://h.example"), "given twice"),
        (("--set", "urls=x"), 'did you mean "url"?'),
        (("--set", "page_size=999"), "--set page_size=VALUE: the platform gives 1 to 50"),
        (("--set", "page_size"), "is no KEY=VALUE"),
        (("--secret", "passwd=env:X"), "billtobox has no secret passwd"),
        (("--secret", "refresh_token=s3cret"), "is none of keyring:NAME, file:PATH, env:NAME"),
        (("--secret-stdin", "client_secret"), "nothing can be stored in a variable"),
        (("--column", "vat=X"), '--column: there is no key "vat"'),
        (("--column", "name=X"), 'there is no column "X"'),
        (("--company", "A"), "is no NAME;NUMBER;FILE_NUMBER;PLATFORM_ID"),
        (("--company", "A;1"), "--company: 1 has too few"),
        (("--import", "absent.csv"), "absent.csv"),
    ],
)
def test_a_wrong_answer_is_named_with_its_option(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    assert said in complete(tmp_path, *options, expect=2, given="s3cret\n")
    assert not (tmp_path / "synqup.toml").exists()
    assert not (tmp_path / "companies.toml").exists()


def test_what_is_written_is_commented_and_complete(tmp_path: Path) -> None:
    complete(tmp_path, "--set", "page_size=20", "--company", "Garage Dupont;0428759497;DUP;9")
    config = written(tmp_path)
    assert config["include"] == "companies.toml"
    assert config["sources"][0]["page_size"] == 20
    assert config["sources"][0]["client_secret"] == {"env": "SYNQUP_SECRET"}
    assert config["delivery"]["formats"] == "ubl"
    assert listed(tmp_path) == [
        {
            "name": "Garage Dupont",
            "identifier": "BE0428759497",
            "accounting_file_id": "DUP",
            "platform_id": "9",
            "source": "billtobox",
        },
        {
            "name": "Bakkerij Peeters",
            "identifier": "BE0403170701",
            "accounting_file_id": "PEET01",
            "source": "billtobox",
        },
    ]
    assert "# Where they come from." in (tmp_path / "synqup.toml").read_text()


def test_nothing_is_overwritten_without_being_told(tmp_path: Path) -> None:
    for name in ("synqup.toml", "companies.toml"):
        (tmp_path / name).write_text("# mine\n")
        assert "--overwrite" in complete(tmp_path, expect=2)
        assert (tmp_path / name).read_text() == "# mine\n"
        (tmp_path / name).chmod(0o604)
    complete(tmp_path, "--overwrite")
    assert len(listed(tmp_path)) == 1
    if sys.platform != "win32":
        for name in ("synqup.toml", "companies.toml"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o604


def test_wrong_lines_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    text = (
        LIST + 'A;403170702;X\n"B\nBV";BE 0403.170.701;X\nC;4,03171E+08;X\n;0428759497;X\n'
        "E;n.v.t.;X\n\n"
    )
    said = complete(tmp_path, text=text, expect=2)
    for line, words in (
        (3, "check digits are wrong"),
        (4, "BE0403170701 stands on line 2 already (Bakkerij Peeters)"),
        (6, "Excel has rounded this number"),
        (7, "has no name"),
        (8, "stands for no number"),
    ):
        assert any(f"line {line}: " in one and words in one for one in said.splitlines()), line
    assert not (tmp_path / "synqup.toml").exists()
    complete(tmp_path, "--leave-out", text=text)
    assert [one["name"] for one in listed(tmp_path)] == ["Bakkerij Peeters"]


def test_a_package_with_file_numbers_in_its_folders_wants_them(tmp_path: Path) -> None:
    text = LIST + "Garage Dupont;0428759497;\n"
    said = complete(tmp_path, "--package", "winbooks", text=text, expect=2)
    assert "line 3: Garage Dupont has no file number" in said
    complete(tmp_path, "--package", "winbooks", "--leave-out", text=text)
    assert len(listed(tmp_path)) == 1


def test_the_longest_path_is_measured_before_anything_is_written(tmp_path: Path) -> None:
    text = LIST + f"{'Lang ' * 40};0428759497;X\n"
    said = complete(tmp_path, "--root", "/srv/" + "d" * 60, text=text, expect=2)
    assert "take a shorter folder" in said
    assert not (tmp_path / "synqup.toml").exists()
    said = complete(tmp_path, "--root", "/srv/" + "d" * 100)
    assert "of the 259 that the package takes" in said
    assert "too long for usual file names" in complete(
        tmp_path, "--root", "/srv/" + "d" * 150, "--overwrite"
    )


def test_a_secret_comes_from_standard_input(tmp_path: Path) -> None:
    said = complete(
        tmp_path,
        *("--secret-stdin", "client_secret", "--source-name", "box"),
        *("--secret", "refresh_token=env:REFRESH"),
        given="s3cret\n",
        expect=2,
    )
    assert "nothing can be stored in a variable" in said
    options = [one for one in SOURCE if one not in ("--secret", "client_secret=env:SYNQUP_SECRET")]
    given = ("--package", "other", "--root", "out", "--import", "list.csv", "--yes")
    file = ("--secret", "client_secret=file:keys/s", "--secret-stdin", "client_secret")
    said = init(tmp_path, *options, *given, *file, given="s3cret\n", expect=2)
    assert "--secret client_secret: it can't be stored in file:keys/s" in said
    assert not (tmp_path / "synqup.toml").exists()
    (tmp_path / "keys").mkdir()
    said = init(tmp_path, *options, *given, *file, given="s3cret\n")
    assert "s3cret" not in said
    assert (tmp_path / "keys" / "s").read_text() == "s3cret\n"


def test_a_missing_secret_is_said(tmp_path: Path) -> None:
    said = complete(tmp_path)
    assert "The secret client_secret is not there yet" in said
    assert "SYNQUP_SECRET" in said


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    complete(tmp_path, "--config", tmp_path / "new" / "box.toml")
    assert (tmp_path / "new" / "box-companies.toml").exists()
    assert tomllib.loads((tmp_path / "new" / "box.toml").read_text())["include"] == (
        "box-companies.toml"
    )


def test_what_the_package_has_to_be_told_is_printed(tmp_path: Path) -> None:
    said = complete(tmp_path, "--package", "Adsolut", "--root", "/srv/ubl")
    assert "set EFFFPATH to /srv/ubl" in said
    assert "adsolut.toml" in said
