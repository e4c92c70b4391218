"""What `synqup run` tells systemd: started, alive, reloading, stopping, each in its time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.notified import notified
from tests.helpers.processes import PATIENCE, mailbox, synqup, wait_until
from tests.helpers.volumes import mounted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's"),
]

PATIENT = "import pipeline.app.reporter as r; r.patience = lambda _: 2.0"
SLEEPS = f"""
import anyio, stages.verify
async def forever(_): await anyio.sleep_forever()
stages.verify.process = forever
{PATIENT}
"""
HANGS = """
import pathlib, sys, time, stages.verify
async def hang(_):
    pathlib.Path(sys.argv[-1]).with_name("hung").touch()
    time.sleep(1000)
stages.verify.process = hang
"""


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_tells_each_thing_in_its_time(tmp_path: Path, abstract: bool) -> None:
    path = f"@synqup-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with mailbox(tmp_path, "--documents", 30) as box, notified(box.config, path) as it:
        ready = it.until("READY")
        # It has been signed in to and listed by then.
        assert "EXTEND_TIMEOUT_USEC" in it.messages[0]
        assert not any("WATCHDOG" in one for one in it.messages[:ready])
        it.until("STATUS", "30 documents delivered, 0 on their way")
        it.until("WATCHDOG", after=len(it.messages))

        text = box.config.read_text()
        box.config.write_text(text.replace('poll_interval = "5m"', 'poll_interval = "4m"'))
        reloading = it.until("RELOADING")
        assert int(it.messages[reloading]["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        again = it.until("READY", after=reloading)
        assert all("STATUS" in one for one in it.messages[reloading + 1 : again])
        it.until("WATCHDOG", after=again)

        # An edit that can't be used is not applied, and nothing is reloaded.
        box.config.write_text("[service")
        wait_until(lambda: "configuration not applied" in box.log())
        it.receive()
        assert [one for one in it.messages[again:] if "RELOADING" in one] == []

        it.process.send_signal(signal.SIGTERM)
        stopping = it.until("STOPPING")
        assert int(it.messages[stopping]["EXTEND_TIMEOUT_USEC"]) > 30e6
        assert it.process.wait(PATIENCE) == 0
        said = it.process.stdout.read() if it.process.stdout else ""
        assert "Traceback" not in said


def test_it_is_ready_only_once_each_source_has_been_listed(tmp_path: Path, address: str) -> None:
    """Signed in is not enough: the list is asked for again and again, and never answers."""
    script = tmp_path / "faults.json"
    script.write_text('{"faults": [{"name": "no-answer", "on": "list", "seconds": 1000}]}')
    with (
        mailbox(tmp_path, "--documents", 5, "--faults", script) as box,
        notified(box.config, address) as it,
    ):
        it.until("STATUS", "Waiting for the first answer of billtobox")
        it.until("EXTEND_TIMEOUT_USEC", after=len(it.messages) + 1)
        assert "READY" not in it.names()
        assert "WATCHDOG" not in it.names()


def test_a_source_that_refuses_does_not_keep_the_service_from_starting(
    tmp_path: Path, address: str
) -> None:
    with mailbox(tmp_path, "--documents", 5) as box:
        secret = box.config.with_name(f"{box.config.name}.secret")
        right = secret.read_text()
        secret.write_text("wrong\n")
        text = box.config.read_text()
        box.config.write_text(text.replace('poll_interval = "5m"', 'poll_interval = "1s"'))
        with notified(box.config, address) as it:
            it.until("READY")
            it.until("STATUS", "1 of 1 sources can't be read: source billtobox: the sign-in was")
            secret.write_text(right)
            it.until("STATUS", "5 documents delivered", after=len(it.messages))


def test_a_stage_that_sleeps_for_ever_ends_the_signs_of_life(tmp_path: Path, address: str) -> None:
    with (
        mailbox(tmp_path, "--documents", 20) as box,
        notified(box.config, address, before=SLEEPS) as it,
    ):
        stuck = it.until("STATUS", "No progress: stage verify holds")
        assert "WATCHDOG" in it.names()
        time.sleep(2)
        it.receive()
        assert [one for one in it.messages[stuck:] if "WATCHDOG" in one] == []
        assert box.log().count("no progress") == 1
        # It can still be stopped.
        it.process.send_signal(signal.SIGTERM)
        it.until("STOPPING")


def test_a_loop_that_is_blocked_says_nothing_more(tmp_path: Path, address: str) -> None:
    with (
        mailbox(tmp_path, "--documents", 20) as box,
        notified(box.config, address, before=HANGS) as it,
    ):
        wait_until((tmp_path / "hung").exists)
        it.receive()
        time.sleep(2)
        assert it.receive() == []
        # As systemd does it then: where it was stands in the journal.
        it.process.send_signal(signal.SIGABRT)
        said, _ = it.process.communicate(timeout=PATIENCE)
        assert "line 5 in hang" in said
        assert it.process.returncode == -signal.SIGABRT


def test_a_drain_asks_for_the_time_that_it_takes(tmp_path: Path, address: str) -> None:
    options = ("--documents", 60, "--latency", 1500)
    with mailbox(tmp_path, *options) as box, notified(box.config, address) as it:
        text = box.config.read_text()
        it.until("READY")
        box.config.write_text(text.replace("[service]\n", '[service]\nshutdown_grace = "100s"\n'))
        it.until("RELOADING")
        it.until("STATUS", "on their way")
        it.process.send_signal(signal.SIGTERM)
        first = it.until("STOPPING")
        asked = int(it.messages[first]["EXTEND_TIMEOUT_USEC"])
        assert asked > 100e6
        again = it.until("STOPPING", after=first + 1)
        assert int(it.messages[again]["EXTEND_TIMEOUT_USEC"]) < asked
        assert it.process.wait(PATIENCE) == 0


def test_a_folder_that_its_unit_does_not_allow_is_named_with_the_remedy(
    tmp_path: Path, address: str
) -> None:
    out = tmp_path / "out"
    with (
        mailbox(tmp_path, "--documents", 3) as box,
        mounted(out, "--bind", str(out)),
    ):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(out)], check=True)
        with notified(box.config, address) as it:
            it.until("READY")
            wait_until(lambda: "run `synqup service install` again" in box.log())
            assert "Read-only file system" in box.log()
        # Where no unit is the cause, nothing is said of one.
        said = synqup("check", "--config", box.config, expect=1)
        assert "(Read-only file system); let the service's account write there" in said
