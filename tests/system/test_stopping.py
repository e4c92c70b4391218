"""A stop ends the process with its documented status, in any moment, whatever hangs."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from tests.crash.plan import Fault, Plan
from tests.crash.world import Host
from tests.helpers.processes import PATIENCE, ROOT, Mailbox, mailbox, synqup, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to processes"),
]

MAIN = "from pipeline.app.cli import main; main()"
#: Threads that never come back, as on a dead share; the file says that one has begun.
HANG = """
import pathlib, sys, time
def hang(*_, **__):
    pathlib.Path(sys.argv[-1]).with_name("hung").touch()
    time.sleep(1000)
"""
STATUS = {"run": 0, "catch-up": 1}


class Running:
    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def tell(self, *signals: signal.Signals) -> None:
        for one in signals:
            if self.process.poll() is None:
                self.process.send_signal(one)
            time.sleep(0.02)

    def hangs(self) -> bool:
        return (self.folder / "hung").exists()

    def ended(self) -> tuple[int, str]:
        """The status, and what was said."""
        said, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


@contextmanager
def running(command: str, config: Path, before: str = "") -> Iterator[Running]:
    with subprocess.Popen(
        [sys.executable, "-c", f"{HANG}{before}\n{MAIN}", command, "--config", str(config)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Running(process, config.parent)
        finally:
            process.kill()


def grace(config: Path, seconds: float, more: str = "") -> None:
    text = config.read_text()
    text = text.replace("[service]\n", f'[service]\nshutdown_grace = "{seconds}s"\n{more}')
    config.write_text(text)


def assert_nothing_is_lost(box: Mailbox) -> None:
    synqup("catch-up", "--config", box.config)
    found = Counter(sha256(path.read_bytes()).hexdigest() for path in box.delivered())
    assert found == Counter(one["sha256"] for one in box.manifest())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "number", "times"),
    [
        ("run", signal.SIGTERM, 2),
        ("run", signal.SIGTERM, 10),
        ("catch-up", signal.SIGINT, 1),
        ("catch-up", signal.SIGINT, 10),
    ],
)
def test_signals_end_it_with_its_status(
    tmp_path: Path, command: str, number: signal.Signals, times: int
) -> None:
    with mailbox(tmp_path, "--documents", 200, "--latency", 20) as box:
        with running(command, box.config) as it:
            wait_until(lambda: len(box.journal()) > 20)
            it.tell(*[number] * times)
            status, said = it.ended()
        assert status == STATUS[command], said
        assert "Traceback" not in said
        if command == "catch-up":
            assert "Stopped before the end; the next run will bring what is missing" in said
        assert_nothing_is_lost(box)


@pytest.mark.slow
def test_the_end_of_the_grace_ends_it_with_its_status(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 20, "--latency", 700) as box:
        grace(box.config, 0.05)
        with running("run", box.config) as it:
            # Whatever it is about then: it ends.
            wait_until((tmp_path / "state" / "spool").exists)
            it.tell(signal.SIGTERM)
            status, said = it.ended()
        assert status == 0, said
        assert "Traceback" not in said


#: What hangs, in a thread or in the main one, and what makes it hang.
HANGING = {
    "imports": (
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        return hang() if name == 'pipeline.app.wiring' else None\n"
        "sys.meta_path.insert(0, Slow())"
    ),
    "start": "import pipeline.app.command_run as c; c.load_config = hang",
    "lock": "import pipeline.app.lock; pipeline.app.lock.make_folder = hang",
    "opening": "import pipeline.ledger.ledger; pipeline.ledger.ledger.open_database = hang",
    "recovery": "import stages.delivery.staging as s; s.Staging.keep = hang",
    "rename": "import stages.delivery.publish_group as p; p.publish = hang",
    "spool": "import stages.download; stages.download._private = hang",
    "commit": (
        "import pipeline.ledger.writer as w; real = w._commit\n"
        "def commit(connection, group):\n"
        "    return hang() if any(one.durable for one in group) else real(connection, group)\n"
        "w._commit = commit"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "places"),
    [
        ("run", ("imports", "start", "opening", "spool", "commit")),
        ("catch-up", ("imports", "lock", "recovery", "rename")),
    ],
)
def test_what_hangs_does_not_keep_the_process(
    tmp_path: Path, command: str, places: tuple[str, ...]
) -> None:
    """Each in a process of its own, all at once, for each takes a while to be given up."""
    with mailbox(tmp_path, "--documents", 20) as box, ExitStack() as stack:
        started = {}
        for place in places:
            folder = tmp_path / place
            folder.mkdir()
            for path in (box.config, *tmp_path.glob("*.secret")):
                shutil.copy(path, folder)
            config = folder / box.config.name
            grace(config, 0.2, 'spool_threshold = "100 B"\n')
            started[place] = stack.enter_context(running(command, config, HANGING[place]))
        for it in started.values():
            wait_until(it.hangs)
            it.tell(signal.SIGINT)
        for place, it in started.items():
            status, said = it.ended()
            assert status == STATUS[command], (place, said)
            assert "Traceback" not in said, (place, said)
            if place == "rename":
                assert "0 delivered" in said
                assert "Stopped before the end" in said
        # What was in the midst of it has lost nothing.
        synqup("catch-up", "--config", tmp_path / places[-1] / box.config.name)
        files = [path for path in tmp_path.glob("*/out/**/*") if path.is_file()]
        found = Counter(sha256(path.read_bytes()).hexdigest() for path in files)
        assert found == Counter(one["sha256"] for one in box.manifest())


@pytest.mark.slow
def test_a_reload_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    before = "import pipeline.app.service; pipeline.app.service.load_config = hang"
    with mailbox(tmp_path, "--documents", 20) as box:
        grace(box.config, 0.2)
        with running("run", box.config, before) as it:
            wait_until(it.hangs)
            it.tell(signal.SIGTERM)
            status, said = it.ended()
        assert status == 0, said
        assert "Traceback" not in said
        assert_nothing_is_lost(box)


@pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc")
@pytest.mark.parametrize("times", [1, 3])
def test_a_stop_while_the_ledger_finds_no_room_is_a_stop(
    host: Host, tmp_path: Path, times: int
) -> None:
    with host.world(tmp_path, 12) as world:
        flag = world.folder / "full"
        plan = Plan(world.folder, faults=(Fault("commit", "ledger", errno.ENOSPC, flag),))
        with world.running("run", plan=plan) as process:
            wait_until(lambda: len(world.acknowledged()) == 12)
            flag.touch()
            world.grow(12)
            wait_until(lambda: "ledger can't be written" in process.said())
            for _ in range(times):
                process.send(signal.SIGTERM)
            assert process.wait() == 0, process.said()
            assert "Traceback" not in process.said()
        flag.unlink()
        assert world.synqup("catch-up") == 0
        world.take()
        assert world.problems() == []
