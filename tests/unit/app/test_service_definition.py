"""A service is defined by its configuration: what it writes to, which secrets it reads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.app.service_definition import define_service, program
from pipeline.app.service_manager.checked import read_variables
from pipeline.app.service_manager.definition import ServiceError
from pipeline.app.wiring import Config, load_config, roots_of
from pipeline.config.cluster import ClusterSettings
from pipeline.config.types import Secret

TEXT = """\
[service]
state_dir = "state"
shutdown_grace = "45s"
[delivery]
purchases = "{books}/[enterprise_identifier]/achats"
sales = "{books}/all/ventes of [enterprise_name]"
statements = "bank"
others = "deliver"
others_path = "{books}/[accounting_file_id]"
[[sources]]
name = "one"
kind = "billtobox"
url = "https://api.example"
token_url = "https://id.example"
client_id = "x"
client_secret = {{ file = "secrets/one" }}
refresh_token = {{ env = "TOKEN" }}
[[companies]]
name = "A"
identifier = "BE0403170701"
accounting_file_id = "7"
source = "one"
statements = "own/[enterprise_name]"
"""


def configured(folder: Path, books: str = "books") -> Config:
    path = folder / "synqup.toml"
    path.write_text(TEXT.format(books=books))
    return load_config(path)


def test_folders_are_those_that_hold_the_folders_of_all_companies(tmp_path: Path) -> None:
    expected = {tmp_path / "books", tmp_path / "books" / "all", tmp_path / "own"}
    assert roots_of(configured(tmp_path)) == expected


def test_included_files_are_read_by_the_account_of_the_service(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "list.toml").touch()
    path.write_text('include = "own/list.toml"\n' + TEXT.format(books="books"))
    definition = define_service("synqup", path, load_config(path), "synqup")
    assert definition.included == (tmp_path / "own" / "list.toml",)


def test_the_root_of_a_disk_is_never_one_of_them(tmp_path: Path) -> None:
    top = tmp_path.anchor
    books = top.replace("\\", "/").rstrip("/")
    found = roots_of(configured(tmp_path, books))
    assert Path(top) not in found
    assert {Path(top, "BE0403170701", "achats"), Path(top, "7"), Path(top, "all")} <= found


def test_secrets_are_found_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    it = define_service("x", path, configured(tmp_path), "anna")
    assert it.secret_files == (tmp_path / "secrets" / "one",)
    assert it.variables == ("TOKEN",)
    assert it.environment_file == tmp_path / "x.env"
    assert it.shutdown_grace == 45
    assert it.misconfigured == 2
    assert it.writable == (tmp_path / "books", tmp_path / "own", tmp_path / "state")


def test_the_state_folder_is_made_wherever_it_lies(tmp_path: Path) -> None:
    """Root may write a sign-in to it before the service has made it."""
    config = configured(tmp_path)
    config = structs.replace(
        config, service=structs.replace(config.service, state_dir=tmp_path / "books" / "state")
    )
    it = define_service("x", tmp_path / "synqup.toml", config, "anna")
    assert it.writable == (tmp_path / "books", tmp_path / "own")
    assert it.to_be_made == (tmp_path / "books", tmp_path / "own", tmp_path / "books" / "state")


def test_the_program_is_the_script_that_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "synqup"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script), "service", "print"])
    if sys.platform != "win32":
        assert program() == (str(script),)
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert program() == (sys.executable, "-m", "pipeline.app.cli")


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("A=1\n# B=2\n;C=3\n\nno line\n D = x y \n", {"A": "1", "D": "x y"}),
        ('A=\'a b\'\nB="c#d"\nC="open\n', {"A": "a b", "B": "c#d", "C": '"open'}),
        ("\ufeffA=é=é\r\nA=2\r\n", {"A": "2"}),
        ("", {}),
    ],
)
def test_a_file_of_variables_is_read_as_systemd_does(
    tmp_path: Path, text: str, variables: dict[str, str]
) -> None:
    path = tmp_path / "x.env"
    assert read_variables(path) == {}
    path.write_bytes(text.encode())
    assert read_variables(path) == variables


def test_a_file_of_variables_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="can't be read"):
        read_variables(tmp_path)
    (tmp_path / "x").write_bytes(b"A=\xff\xfe")
    with pytest.raises(ServiceError, match="not UTF-8"):
        read_variables(tmp_path / "x")


def test_the_folder_that_nodes_share_is_one_that_it_writes_to(tmp_path: Path) -> None:
    config = configured(tmp_path)
    cluster = ClusterSettings(Secret(file=str(tmp_path / "dsn")), tmp_path / "shared")
    it = define_service(
        "x", tmp_path / "synqup.toml", structs.replace(config, cluster=cluster), "anna"
    )
    assert tmp_path / "shared" in it.writable
    assert tmp_path / "dsn" in it.secret_files
