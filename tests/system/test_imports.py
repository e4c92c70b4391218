"""A command imports what it needs and no more: it starts as fast as that, whatever others need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import PATIENCE, ROOT, mailbox, output_of, synqup

#: Says at its end which modules the process has imported.
TELLING = """
import sys
from pipeline.app.cli import main
try:
    main()
finally:
    print("imported", *sorted(sys.modules), file=sys.stderr)
"""

#: What takes long to import, or belongs to one command.
HEAVY = (
    *(
        "aiohttp",
        "anyio",
        "asyncio",
        "lxml",
        "pypdf",
        "reportlab",
        "rich",
        "sqlite3",
        "structlog",
        "watchfiles",
    ),
    *("pipeline.engine", "pipeline.ledger", "stages"),
)
#: What only the sandbox needs.
SANDBOX = ("aiohttp.web", "stages.sandbox", "stages.sources.billtobox.sandbox")
#: What only the service needs, and what only some documents and secrets do.
NEVER_IN_A_CATCH_UP = (
    *SANDBOX,
    "keyring",
    "pypdf",
    "reportlab",
    "watchfiles",
    "pipeline.app.service",
)
#: What is needed only where somebody is to be told.
ALERTS = ("aiosmtplib", "pipeline.alerts.command", "pipeline.alerts.watch", "pipeline.alerts.rules")


def imported_by(*arguments: object, expect: int = 0) -> set[str]:
    said = output_of([sys.executable, "-c", TELLING], *arguments, expect=expect)
    _, _, modules = said.rpartition("imported ")
    return set(modules.split())


def offenders(imported: set[str], unwanted: tuple[str, ...]) -> set[str]:
    """The unwanted modules that were imported; a package stands for all that is in it."""
    return {
        name for name in imported for one in unwanted if name == one or name.startswith(f"{one}.")
    }


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--help",), 0),
        (("--version",), 0),
        ((), 2),
        (("catch-up", "--help"), 0),
        (("run", "--config", "there-is-none.toml"), 2),
        (("check",), 2),
        (("sign-in", "--help"), 0),
        (("sign-in",), 2),
        (("alert", "--help"), 0),
        (("logs", "--help"), 0),
        (("support", "there-is-no-config.zip"), 2),
        (("backup", "--help"), 0),
        (("restore", "there-is-none.zip", "--config", "there-is-none.toml"), 2),
        (("sandbox", "--documents", "many"), 2),
    ],
)
def test_help_and_usage_errors_import_nothing_of_what_commands_do(
    arguments: tuple[str, ...], status: int
) -> None:
    assert not offenders(imported_by(*arguments, expect=status), HEAVY)


def test_the_help_tells_each_command_in_a_whole_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.app.cli import main; main()", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    commands = done.stdout.partition("Commands:")[2].strip().splitlines()
    assert len(commands) >= 7
    assert all(re.fullmatch(r"  [a-z-]+ +[A-Z].*[^.]\.", f"  {one.strip()}") for one in commands)


def test_what_asks_no_source_imports_no_http_client(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 3) as box:
        document = tmp_path / "invoice.xml"
        document.write_text("<Invoice/>")
        no_client = ("aiohttp", "pypdf", "watchfiles", *SANDBOX)
        assert not offenders(imported_by("status", "--config", box.config), no_client)
        assert not offenders(imported_by("status", "--config", box.config, "--json"), no_client)
        synqup("catch-up", "--config", box.config)
        assert not offenders(imported_by("logs", "--config", box.config), no_client)
        backup = tmp_path / "backup.zip"
        assert not offenders(imported_by("backup", backup, "--config", box.config), no_client)
        restored = imported_by("restore", backup, "--config", box.config, "--replace")
        assert not offenders(restored, no_client)
        classified = imported_by("classify", document, "--config", box.config)
        assert not offenders(classified, no_client)


def test_a_sign_in_is_looked_at_without_an_http_client_and_made_without_a_sandbox(
    tmp_path: Path,
) -> None:
    with mailbox(tmp_path, "--documents", 3, "--sign-in") as box:
        status = imported_by("status", "--config", box.config)
        assert not offenders(status, ("aiohttp", *SANDBOX))
        unwanted = ("pypdf", "watchfiles", "stages.sandbox", "pipeline.app.service")
        unknown = imported_by("sign-in", "nobody", "--config", box.config, expect=2)
        assert not offenders(unknown, unwanted)


def test_what_asks_a_source_imports_no_server_and_no_reader_of_pdfs(tmp_path: Path) -> None:
    """All documents of this mailbox are XML or CODA."""
    with mailbox(tmp_path, "--documents", 12) as box:
        checked = imported_by("check", "--config", box.config)
        assert not offenders(checked, NEVER_IN_A_CATCH_UP)
        listed = imported_by("catch-up", "--config", box.config, "--dry-run")
        assert not offenders(listed, NEVER_IN_A_CATCH_UP)
        brought = imported_by("catch-up", "--config", box.config)
        assert not offenders(brought, (*NEVER_IN_A_CATCH_UP, *ALERTS))
        assert "aiohttp" in brought
        assert len(box.delivered()) == 12
