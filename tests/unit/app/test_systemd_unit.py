"""The unit is made for its configuration, is understood by systemd, and is rated safe by it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.app.service_manager.definition import ServiceDefinition, outermost, valid_name
from pipeline.app.service_manager.systemd_unit import quote, unit_text

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is Linux's")

ANALYZE = shutil.which("systemd-analyze")
DEPLOYED = Path(__file__).parents[3] / "deploy" / "synqup.service"

PLAIN = ServiceDefinition(
    name="synqup",
    config=Path("/etc/synqup/synqup.toml"),
    program=("/opt/synqup/bin/synqup",),
    installed_in=(Path("/opt/synqup"), Path("/usr")),
    account="synqup",
    state_dir=Path("/var/lib/synqup"),
    folders=(Path("/srv/books"),),
    secret_files=(Path("/etc/synqup/billtobox.secret"),),
)
#: All that loosens the rules, and names that have to be quoted.
ODD = ServiceDefinition(
    name="synqup-2",
    config=Path("/home/an na/100% sure/$HOME.toml"),
    program=("/root/py thon", "-m", "pipeline.app.cli"),
    installed_in=(Path("/root"),),
    account="anna",
    state_dir=Path("/tmp/state"),
    folders=(Path('/srv/Café "Noël" 50%'), Path("/srv/back\\slash"), Path("/tmp/state/out")),
    secret_files=(Path("/home/an na/a secret"),),
    variables=("SYNQUP_SECRET", "TOKEN"),
    shutdown_grace=125.5,
)


def lines(definition: ServiceDefinition, key: str) -> list[str]:
    return re.findall(rf"(?m)^{key}=(.*)$", unit_text(definition))


def test_the_unit_in_deploy_is_the_one_that_is_printed() -> None:
    assert unit_text(PLAIN) == DEPLOYED.read_text("utf-8")


def test_it_may_write_to_the_folders_of_its_configuration_alone() -> None:
    assert lines(PLAIN, "ProtectSystem") == ["strict"]
    assert lines(PLAIN, "ReadWritePaths") == ["-/srv/books", "-/var/lib/synqup"]
    assert lines(ODD, "ReadWritePaths") == [
        '"-/srv/Café \\"Noël\\" 50%%"',
        '"-/srv/back\\\\slash"',
        "-/tmp/state",
    ]


def test_homes_and_temporary_folders_are_hidden_unless_they_are_needed() -> None:
    assert lines(PLAIN, "ProtectHome") == lines(PLAIN, "PrivateTmp") == ["yes"]
    assert lines(ODD, "ProtectHome") == ["read-only"]
    assert lines(ODD, "PrivateTmp") == ["no"]
    at_home = structs.replace(PLAIN, installed_in=(Path("/root/.pyenv"),))
    assert lines(at_home, "ProtectHome") == ["read-only"]


def test_it_is_started_again_unless_its_configuration_is_wrong() -> None:
    assert lines(PLAIN, "Restart") == ["on-failure"]
    assert lines(PLAIN, "RestartPreventExitStatus") == ["2"]
    assert lines(PLAIN, "StartLimitIntervalSec") == ["0"]
    assert lines(PLAIN, "Type") == ["notify"]
    assert lines(PLAIN, "WatchdogSec") == ["180"]


def test_a_stop_is_given_the_time_of_the_drain() -> None:
    assert lines(PLAIN, "TimeoutStopSec") == ["60"]
    assert lines(ODD, "TimeoutStopSec") == ["155"]


def test_secrets_are_read_from_a_file_of_variables_or_could_be_credentials() -> None:
    assert lines(PLAIN, "EnvironmentFile") == []
    assert lines(PLAIN, "#LoadCredential") == ["billtobox.secret:/etc/synqup/billtobox.secret"]
    assert lines(ODD, "EnvironmentFile") == ["-/home/an na/100%% sure/synqup-2.env"]
    assert "NAME=VALUE for SYNQUP_SECRET, TOKEN" in unit_text(ODD)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("/srv/books", "/srv/books"),
        ("", '""'),
        ("a b", '"a b"'),
        ("50%", '"50%%"'),
        ("a\nb;c", '"a\\nb;c"'),
        ("$X", '"$X"'),
    ],
)
def test_values_are_quoted_as_systemd_reads_them(text: str, quoted: str) -> None:
    assert quote(text) == quoted
    assert quote("$X", command=True) == '"$$X"'


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("definition", [PLAIN, ODD], ids=["plain", "odd"])
def test_systemd_rates_it_two_at_most_and_understands_every_line(
    definition: ServiceDefinition, tmp_path: Path
) -> None:
    assert ANALYZE is not None
    program = tmp_path / "synqup"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = structs.replace(definition, program=(str(program), *definition.program[1:]))
    unit = tmp_path / "synqup.service"
    account = "daemon"  # that exists everywhere
    unit.write_text(unit_text(structs.replace(here, account=account)).replace("#Load", "Load"))
    rated = subprocess.run(
        [ANALYZE, "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"level for synqup.service: ([0-9.]+)", rated.stdout)
    assert found is not None, rated.stderr
    assert float(found[1]) <= 2.0
    verified = subprocess.run(
        [ANALYZE, "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    assert str(unit) not in verified.stderr


def test_names_are_of_letters_that_every_service_manager_takes() -> None:
    for name in ("synqup", "synqup-2", "Synqup_office.1"):
        assert valid_name(name) == name
    for name in ("", "a b", "../x", "-x", "x@y", "a/b", "é", "x\n", "a" * 81):
        with pytest.raises(ValueError, match="is no name for a service"):
            valid_name(name)


def test_a_folder_within_another_one_is_named_by_that() -> None:
    folders = tuple(map(Path, ("/srv/a/b", "/srv/a", "/srv/ab", "/srv/a", "/var/x/y")))
    assert outermost(folders) == tuple(map(Path, ("/srv/a", "/srv/ab", "/var/x/y")))
