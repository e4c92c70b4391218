"""However a process is started, and whoever reads what it prints, its documents arrive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.invoices import SUPPLIER, ubl
from tests.helpers.processes import PATIENCE, ROOT, mailbox, synqup

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="the shell is that of POSIX"),
]

SYNQUP = f"{sys.executable} -m pipeline.app.cli"
#: Ways in which nobody reads what is printed.
UNREAD = [
    ">/dev/full 2>/dev/full",
    ">&- 2>&- <&-",
    "2>&1 | true",
]
GREEK = "Ωμέγα \u202e\x9b31m"


def shell(command: str, expect: int = 0, **environment: str) -> str:
    """Run a line of bash; the status is that of its first program."""
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == expect, said
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return said


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize("unread", UNREAD)
def test_a_stream_that_nobody_reads_keeps_no_document(tmp_path: Path, unread: str) -> None:
    shell(f"{SYNQUP} demo --documents 12 --directory {tmp_path}/demo {unread}")
    assert files(tmp_path / "demo" / "out") == 12


@pytest.mark.parametrize(
    ("command", "status", "unread"),
    [
        ("check", 3, ">/dev/full 2>&-"),
        ("catch-up", 3, ">&- 2>/dev/full"),
        ("status --json", 0, "| true"),
        ("nonsense", 2, "2>&-"),
    ],
)
def test_the_exit_status_says_what_happened_to_documents(
    tmp_path: Path, command: str, status: int, unread: str
) -> None:
    config = tmp_path / "synqup.toml"
    config.write_text(CONFIG)
    option = "" if command == "nonsense" else f"--config {config}"
    shell(f"{SYNQUP} {command} {option} {unread}", status, SYNQUP_TEST_SECRET="x")


CONFIG = """
[service]
state_dir = "state"
[delivery]
purchases = "out/[enterprise_name]/in"
sales = "out/[enterprise_name]/out"
statements = "out/[enterprise_name]/coda"
[[sources]]
name = "box"
kind = "billtobox"
url = "http://127.0.0.1:9/v4"
token_url = "http://127.0.0.1:9/token"
client_id = "us"
client_secret = { env = "SYNQUP_TEST_SECRET" }
attempts = 1
[[companies]]
name = "Ωμέγα"
identifier = "BE0403170701"
source = "box"
"""


@pytest.mark.parametrize("encoding", ["cp1252", "ascii:strict"])
def test_a_name_that_the_encoding_lacks_is_shown_all_the_same(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "Ωμέγα.xml"
    party = f"{SUPPLIER}<cac:PartyName><cbc:Name>{GREEK}</cbc:Name></cac:PartyName>"
    path.write_text(ubl(party), "utf-8")
    command = f"{SYNQUP} classify --company BE0000000196 {path}"
    said = shell(command, PYTHONIOENCODING=encoding)
    assert "BE0417497106" in said or "0417497106" in said
    assert "\x9b" not in said
    assert "\u202e" not in said
    told = json.loads(shell(f"{command} --json", PYTHONIOENCODING=encoding))
    assert told["supplier"].startswith("Ωμέγα")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are of no locale")
def test_names_of_files_are_utf_8_under_any_locale(tmp_path: Path) -> None:
    shell(
        f"{SYNQUP} demo --documents 12 --directory {tmp_path}/demo",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    assert files(tmp_path / "demo" / "out") == 12
    assert [path.name for path in (tmp_path / "demo" / "out").iterdir() if "é" in path.name]


def test_what_is_told_to_nobody_who_reads_is_dropped() -> None:
    """The log of a service goes to standard error, whose reader may have stopped for good."""
    program = (
        "import sys; from pipeline.app.streams import prepare_process; prepare_process()\n"
        "for number in range(20_000): print('a line of the log', number, file=sys.stderr)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        # Nobody reads.
        assert process.wait(PATIENCE) == 0


def test_without_docstrings_and_assertions_all_works(tmp_path: Path) -> None:
    optimised = f"{sys.executable} -OO -m pipeline.app.cli"
    shell(f"{optimised} demo --documents 12 --directory {tmp_path}/demo")
    assert files(tmp_path / "demo" / "out") == 12
    config = tmp_path / "synqup.toml"
    config.write_text(CONFIG)
    said = shell(f"{optimised} check --config {config}", 3, SYNQUP_TEST_SECRET="x")
    assert "source box: the source does not answer (" in said
    with mailbox(tmp_path / "box") as box:
        pass
    assert box.config.exists()
    reasons = subprocess.run(
        [
            sys.executable,
            "-OO",
            "-c",
            "from pipeline.errors import *; print(SourceUnavailable(''))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert reasons.startswith(": the source does not answer. Check the address")


def test_a_log_that_cannot_be_written_keeps_no_document(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 12) as box:
        logs = tmp_path / "state" / "logs"
        logs.mkdir(parents=True)
        (logs / "synqup.log").symlink_to("/dev/full")
        config = box.config.read_text().partition("[[companies]]")[0]
        box.config.write_text(config + COMPANY)
        said = synqup("catch-up", "--config", box.config, expect=1)
        assert said.count("the log can't be written and is left out: No space left") == 1
        assert "12 quarantined" in said


#: None of the sandbox's.
COMPANY = """
[[companies]]
name = "Another"
identifier = "BE0403170701"
source = "billtobox"
"""
