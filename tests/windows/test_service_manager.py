"""The service commands against Windows' Service Control Manager, as far as Wine has one.

Wine starts no service again that has failed, and knows neither a delayed start nor that a service
which ends with an exit status has failed too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import PATIENCE, ROOT, lines, mailbox, wait_until
from tests.helpers.systems import windows_only

pytestmark = [windows_only("there is another service manager"), pytest.mark.slow]

NAME = "synqup-tests"
#: Runs service commands one after the other, as a process takes some seconds to start. Of what it
#: does not know this Windows says that it has done it.
SERVICE = """
import json, sys
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
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as ended:
        # `status` ends so where the service does not run.
        if ended.code not in (None, 0, int("status" in arguments)):
            raise
"""


def service(*commands: tuple[object, ...]) -> str:
    """What service commands say."""
    given = [["service", *map(str, one), "--name", NAME] for one in commands]
    done = subprocess.run(
        [sys.executable, "-c", SERVICE, json.dumps(given)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def stops(folder: Path) -> int:
    """How often it has stopped after a drain, by its log."""
    told = lines(folder / "state" / "logs" / "synqup.log")
    return sum(one["event"] == "stopped" and not one["dropped"] for one in told)


def test_it_is_installed_runs_stops_and_is_removed(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 20) as box:
        install = ("install", "--config", box.config)
        try:
            said = service(install, ("status",))
            assert f"installed {NAME}" in said
            assert f"{NAME} runs" in said.splitlines()[-1]
            wait_until(lambda: len(box.journal()) == 20)
            box.assert_everything_stands_once()
            said = service(("stop",), ("status",), install)
            assert said.count(f"{NAME} is stopped") == 2
            assert f"brought {NAME} up to date" in said
            assert f"{NAME} runs" in said
            assert stops(tmp_path) == 1
        finally:
            said = service(("uninstall",), ("status",))
        assert f"removed {NAME}" in said
        assert "is not installed" in said
        assert stops(tmp_path) == 2
        box.assert_everything_stands_once()
