"""The service commands against Windows' Service Control Manager, as far as Wine has one.

Wine starts no service again that has failed, and knows neither a delayed start nor that a service
which ends with an exit status has failed too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import PATIENCE, ROOT, lines, mailbox, wait_until
from tests.helpers.systems import windows_only

pytestmark = [windows_only("there is another service manager"), pytest.mark.slow]

NAME = "synqup-tests"
#: The program, with a Windows that says of what it does not know that it has done it.
SYNQUP = """
import pywintypes, win32service
change = win32service.ChangeServiceConfig2
def change_what_is_known(service, level, value):
    try:
        change(service, level, value)
    except pywintypes.error as error:
        if error.winerror != 124:  # ERROR_INVALID_LEVEL
            raise
win32service.ChangeServiceConfig2 = change_what_is_known
from pipeline.app.cli import main
main()
"""


def service(*arguments: object, expect: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SYNQUP, "service", *map(str, arguments), "--name", NAME],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def stops(folder: Path) -> int:
    """How often it has stopped after a drain, by its log."""
    told = lines(folder / "state" / "logs" / "synqup.log")
    return sum(one["event"] == "stopped" and not one["dropped"] for one in told)


def test_it_is_installed_runs_stops_and_is_removed(tmp_path: Path) -> None:
    pytest.importorskip("pipeline.app.service_manager", reason="there are no service commands yet")
    with mailbox(tmp_path, "--documents", 20) as box:
        try:
            said = service("install", "--config", box.config)
            assert f"installed {NAME}" in said
            assert f"{NAME} runs" in said
            wait_until(lambda: len(box.journal()) == 20)
            box.assert_everything_stands_once()
            assert "runs" in service("status")
            assert "is stopped" in service("stop")
            wait_until(lambda: stops(tmp_path) == 1)
            said = service("install", "--config", box.config)
            assert f"brought {NAME} up to date" in said
            assert f"{NAME} runs" in said
        finally:
            service("uninstall")
        wait_until(lambda: stops(tmp_path) == 2)
        assert "is not installed" in service("status", expect=1)
        box.assert_everything_stands_once()
