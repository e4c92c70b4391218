"""The service of Windows as a process, with an SCM of the test's own: it starts, drains and ends.

All but the few lines that call Windows runs here: controls come in a thread of their own, and the
process ends itself after it has told how.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import PATIENCE, ROOT, mailbox, wait_until

pytestmark = pytest.mark.slow

#: An SCM that prints what it is told, and takes a line of standard input for a control.
SCM = """
import json, sys, threading
from functools import partial
from pathlib import Path
from pipeline.app.windows_service import run_configured, run_hosted

class Scm:
    def report(self, state, **more):
        print(json.dumps({"state": state.name, **more}), flush=True)
    def log(self, severity, sentence):
        print(json.dumps({"log": severity, "sentence": sentence}), flush=True)

def connect(host):
    def controls():
        for line in sys.stdin:
            host.control(line.strip())
    threading.Thread(target=controls, daemon=True).start()

environment = Path(sys.argv[2]) if sys.argv[2:] else None
work = partial(run_configured, Path(sys.argv[1]), environment)
"""
RUN = 'run_hosted("synqup", Scm(), work, connect)'


class Hosted:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.told: list[dict[str, Any]] = []

    def until(self, **wanted: object) -> dict[str, Any]:
        """Read until something is told with these values."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if wanted.items() <= self.told[-1].items():
                return self.told[-1]
        raise AssertionError(self.told)

    def control(self, why: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{why}\n")
        self.process.stdin.flush()

    def entries(self) -> list[str]:
        return [one["sentence"] for one in self.told if "log" in one]


@contextmanager
def hosted(*arguments: Path, before: str = "") -> Iterator[Hosted]:
    with subprocess.Popen(
        [sys.executable, "-c", f"{SCM}\n{before}\n{RUN}", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Hosted(process)
        finally:
            process.kill()


@pytest.mark.parametrize("why", ["it was asked to", "Windows shuts down"])
def test_it_runs_until_a_control_and_drains(tmp_path: Path, why: str) -> None:
    with mailbox(tmp_path, "--documents", 60, "--latency", 20) as box, hosted(box.config) as it:
        assert it.until(state="START_PENDING")["checkpoint"] == 1
        it.until(state="RUNNING")
        wait_until(lambda: len(box.journal()) == 60)
        it.control(why)
        it.control(why)
        assert it.until(state="STOP_PENDING")["hint"] > 0
        ended = it.until(state="STOPPED")
        assert (ended["win32_code"], ended["service_code"]) == (0, 0)
        assert it.process.wait(PATIENCE) == 0
        assert it.entries() == [
            "Service synqup has started.",
            f"Service synqup is stopping: {why}.",
            "Service synqup has stopped.",
        ]
        box.assert_everything_stands_once()


@pytest.mark.parametrize(
    "hangs",
    [
        "import stages.delivery.staging as s; s.Staging.keep = hang",
        "import pipeline.ledger.ledger; pipeline.ledger.ledger.open_database = hang",
    ],
    ids=["recovery", "opening"],
)
def test_a_thread_that_hangs_does_not_keep_it_from_stopping(tmp_path: Path, hangs: str) -> None:
    """And Windows hears that it has stopped: who ends without that is started again."""
    before = f"""
import time
def hang(*_): Path(sys.argv[1]).with_name("hung").touch(); time.sleep(1000)
{hangs}"""
    with mailbox(tmp_path, "--documents", 3) as box:
        text = box.config.read_text()
        box.config.write_text(text.replace("[service]\n", '[service]\nshutdown_grace = "0.2s"\n'))
        with hosted(box.config, before=before) as it:
            wait_until((tmp_path / "hung").exists)
            it.control("it was asked to")
            assert it.until(state="STOPPED")["win32_code"] == 0
            assert it.process.wait(PATIENCE) == 0


def test_a_control_that_comes_first_of_all_is_a_stop(tmp_path: Path) -> None:
    at_once = "connect = lambda host: host.control('it was asked to')"
    with mailbox(tmp_path, "--documents", 3) as box, hosted(box.config, before=at_once) as it:
        assert it.until(state="STOPPED")["win32_code"] == 0
        assert it.process.wait(PATIENCE) == 0


def test_failures_stand_in_the_event_log_and_a_wrong_configuration_is_no_crash(
    tmp_path: Path,
) -> None:
    with mailbox(tmp_path, "--documents", 3) as box:
        text = box.config.read_text()
        box.config.write_text(text.replace("[delivery]", "[deliveries]"))
        with hosted(box.config) as it:
            assert it.until(state="STOPPED")["win32_code"] == 0
            assert it.process.wait(PATIENCE) == 2
            assert "deliveries" in it.entries()[0]

        (tmp_path / "state").write_text("no folder")
        box.config.write_text(text)
        with hosted(box.config) as it:
            ended = it.until(state="STOPPED")
            assert (ended["win32_code"], ended["service_code"]) == (1066, 1)
            assert it.process.wait(PATIENCE) == 1
            assert "the state folder can't be used" in it.entries()[0]

        bug = "import pipeline.app.command_run as r; r.load_config = lambda _: 1 / 0"
        with hosted(box.config, before=bug) as it:
            assert it.until(state="STOPPED")["service_code"] == 70
            assert "ZeroDivisionError" in it.entries()[0]


def test_secrets_may_come_from_a_file_of_variables(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 3) as box:
        secret = box.config.with_name(f"{box.config.name}.secret")
        variables = tmp_path / "synqup.env"
        variables.write_text(f'# for the service\nBOX_SECRET="{secret.read_text().strip()}"\n')
        text = box.config.read_text()
        text = text.replace(f'{{ file = "{secret.name}" }}', '{ env = "BOX_SECRET" }')
        box.config.write_text(text)
        secret.unlink()
        with hosted(box.config, variables) as it:
            wait_until(lambda: len(box.journal()) == 3)
            it.control("it was asked to")
            it.until(state="STOPPED")
