"""A person sets Synqup up at a terminal, in three languages, and makes mistakes."""

from __future__ import annotations

import stat
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.settings import GOOD
from tests.helpers.terminal import Terminal, terminal

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="of POSIX")]

#: A keyring that holds nothing, whatever this machine has.
ENVIRONMENT = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring", "LANGUAGE": ""}
DUTCH = ENVIRONMENT | {"LC_ALL": "nl_BE.UTF-8"}


def answer_source(person: Terminal) -> None:
    person.answer("Welk platform", "billtobox")
    person.answer("Adres van de API", "http://host.example/v4")
    person.expect("Dat kan niet", "https://")
    person.answer("Adres van de API", "https://host.example/v4")
    person.answer("Adres dat tokens geeft", "https://host.example/token")
    person.answer("Client-id", "wij")


def test_a_person_is_asked_in_dutch(tmp_path: Path) -> None:
    with terminal("init", cwd=tmp_path, environment=DUTCH) as person:
        answer_source(person)
        person.answer("Waar staat het geheim client_secret", "2")
        person.answer("Welk bestand bevat client_secret", "")
        person.answer("wordt niet getoond", "s3cret")
        person.expect("Welk boekhoudpakket")
        person.answer("nummer of naam", "wordperfect")
        person.answer("is geen van", "WinBooks")
        person.answer("Onder welke map", "/srv/[x]")
        person.answer("Onder welke map", str(tmp_path / "boeken"))
        person.expect("In welke vorm")
        person.answer("nummer of naam [ubl]", "")
        person.expect("Welke ondernemingen")
        person.answer("nummer of naam", "2")
        person.answer("Naam van de onderneming", "Bakkerij Peeters")
        person.answer("ondernemings- of btw-nummer", "403170702")
        person.expect("controlecijfers")
        person.answer("ondernemings- of btw-nummer", "403170701")
        person.answer("dossiernummer", "")
        person.expect("Dat kan niet")
        person.answer("dossiernummer", "PEET01")
        person.answer("id bij het platform", "")
        person.answer("Naam van de onderneming", "Nog eens Peeters")
        person.answer("ondernemings- of btw-nummer", "BE0403.170.701")
        person.expect("twee keer")
        person.answer("ondernemings- of btw-nummer", "0428759497")
        person.answer("dossiernummer", "DUP")
        person.answer("id bij het platform", "77")
        person.answer("Naam van de onderneming", "")
        person.expect("Waar documenten komen", f"{tmp_path}/boeken/PEET01/inbound", "Langste map")
        assert not (tmp_path / "synqup.toml").exists()
        person.answer("Dit wegschrijven? (j/n)", "j")
        person.expect("Weggeschreven", "Wat WinBooks moet weten", "Volgende stap")
        assert person.end() == 0
        assert "s3cret" not in person.text
    written = tomllib.loads((tmp_path / "synqup.toml").read_text())
    assert written["sources"][0]["client_secret"] == {"file": "billtobox-client_secret.secret"}
    secret = tmp_path / "billtobox-client_secret.secret"
    assert secret.read_text() == "s3cret\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert "s3cret" not in (tmp_path / "synqup.toml").read_text()
    listed = tomllib.loads((tmp_path / "companies.toml").read_text())["companies"]
    assert [(one["identifier"], one.get("platform_id")) for one in listed] == [
        ("BE0403170701", None),
        ("BE0428759497", "77"),
    ]


def test_a_person_who_does_not_agree_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "lijst.csv").write_text("Naam;BTW\nA;0403170701\n")
    with terminal(
        *("init", "--package", "other", "--root", "out", "--formats", "ubl", "--language", "fr"),
        *("--set", "url=https://h.example/v4", "--set", "token_url=https://h.example/t"),
        *("--set", "client_id=nous", "--platform", "billtobox"),
        cwd=tmp_path,
        environment=ENVIRONMENT,
    ) as person:
        person.expect("Où se trouve le secret")
        person.answer("numéro ou nom", "3")
        person.answer("Quelle variable", "")
        person.expect("Quelles entreprises")
        person.answer("numéro ou nom", "1")
        person.answer("Quel fichier", "absent.csv")
        (tmp_path / "fout.csv").write_text("Naam;BTW\nA;0403170701\nB;0403170702\n")
        person.answer("Quel fichier", "fout.csv")
        person.expect("ligne 3", "0403170702")
        (tmp_path / "fout.csv").unlink()
        person.answer("Quel fichier", "lijst.csv")
        person.expect("Entreprises dans lijst.csv : 1")
        person.answer("Écrire ceci ? (o/n)", "peut-être")
        person.answer("Écrire ceci ? (o/n)", "n")
        person.expect("Rien n'a été écrit")
        assert person.end() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["lijst.csv"]


def test_an_input_that_ends_names_the_option(tmp_path: Path) -> None:
    with terminal("init", "--language", "en", cwd=tmp_path, environment=ENVIRONMENT) as person:
        person.answer("number or name", "1")
        person.expect("Address of the API")
        person.press(b"\x04")
        person.expect("--set url=VALUE: the input has ended before this answer")
        assert person.end() == 2
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with terminal("init", "--language", "en", cwd=tmp_path, environment=ENVIRONMENT) as person:
        person.expect("Which platform")
        person.press(b"\x03")
        assert person.end() == 130
        assert "Traceback" not in person.text
    assert not list(tmp_path.iterdir())


def test_a_list_is_agreed_to_before_it_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text(GOOD)
    (tmp_path / "list.csv").write_text("Name;VAT\nGarage Dupont;0428759497\n")
    for answer, status in (("n", 1), ("y", 0)):
        with terminal(
            *("companies", "import", "list.csv", "--config", path, "--language", "en"),
            cwd=tmp_path,
        ) as person:
            person.expect("Where documents go", "Garage Dupont")
            assert path.read_text() == GOOD
            person.answer("Write this?", answer)
            assert person.end() == status
    assert path.read_text().startswith(GOOD)
    assert "Garage Dupont" in path.read_text()
