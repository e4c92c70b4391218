"""Runs the program, and a sandbox mailbox, as processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

#: Seconds after which a process that ought to have done something has failed to.
PATIENCE = 100

#: Raises Ctrl-Break in a process once a file is there, in a thread of its own as Windows does: a
#: test has no console there through which to send it.
BREAK = """
import pathlib, signal, sys, threading, time
def watch(path):
    while not path.exists():
        time.sleep(0.02)
    signal.raise_signal(signal.SIGBREAK)
threading.Thread(target=watch, args=(pathlib.Path(sys.argv.pop()),), daemon=True).start()
from pipeline.app.cli import main
main()
"""

SYNQUP = [sys.executable, "-c", "from pipeline.app.cli import main; main()"]

ROOT = Path(__file__).parents[2]

FOLDERS = {"purchase": "achats", "sales": "ventes", "statement": "coda"}


def synqup(*arguments: object, expect: int = 0) -> str:
    return output_of(SYNQUP, *arguments, expect=expect)


def output_of(
    command: Sequence[str],
    *arguments: object,
    expect: int = 0,
    folder: Path = ROOT,
    given: str | None = None,
) -> str:
    """What a command prints in a folder, on standard error last. given: on its standard input."""
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)} if folder != ROOT else None,
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def process(*arguments: object, output: IO[Any] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process for as long as the block runs. output: where all goes that it prints."""
    command = [*SYNQUP, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as name:
        if os.name == "nt":
            command = [sys.executable, "-c", BREAK, *map(str, arguments), str(Path(name) / "stop")]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=output or subprocess.PIPE, stderr=output, text=True
        ) as running:
            try:
                yield running
            finally:
                running.kill()


def send(running: subprocess.Popen[str], name: str) -> None:
    """Send a signal to a process(); on Windows one that asks it to end is Ctrl-Break."""
    if name == "SIGKILL":
        running.kill()
    elif os.name == "nt":
        assert isinstance(running.args, list)
        Path(running.args[-1]).touch()
    else:
        running.send_signal(getattr(signal, name))


class Mailbox:
    """A sandbox process with the configuration, the manifest and the journal that it wrote."""

    process: subprocess.Popen[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "synqup.toml"

    def manifest(self) -> list[dict[str, Any]]:
        return lines(self.folder / "manifest.jsonl")

    def journal(self) -> list[dict[str, Any]]:
        return lines(self.folder / "journal.jsonl")

    def delivered(self) -> list[Path]:
        found = (self.folder / "out").rglob("*")
        return [path for path in found if path.is_file() and ".synqup" not in path.parts]

    def log(self) -> str:
        """What the program has logged so far."""
        return (self.folder / "state" / "logs" / "synqup.log").read_text(errors="replace")

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(synqup("status", "--config", self.config, "--json"))
        return told

    def assert_everything_stands_once(self) -> None:
        manifest = self.manifest()
        expected = Counter(
            (one["sha256"], one["company"], FOLDERS[one["kind"]]) for one in manifest
        )
        found = Counter(
            (
                sha256(path.read_bytes()).hexdigest(),
                path.parts[-3].rpartition("_")[2],
                path.parts[-2],
            )
            for path in self.delivered()
        )
        assert found == expected
        journal = self.journal()
        assert sorted(one["id"] for one in journal) == sorted(one["id"] for one in manifest)
        assert {one["status"] for one in journal} == {"FORWARDED"}


def lines(path: Path) -> list[dict[str, Any]]:
    """Those that are whole: another process may be writing."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


@contextmanager
def mailbox(folder: Path, *options: object) -> Iterator[Mailbox]:
    box = Mailbox(folder)
    with process(
        *("sandbox", "--write-config", box.config, "--manifest", folder / "manifest.jsonl"),
        *("--journal", folder / "journal.jsonl", *options),
    ) as sandbox:
        assert sandbox.stdout is not None
        assert re.match("listening on http://", sandbox.stdout.readline())
        box.process = sandbox
        yield box


def wait_until(condition: Any) -> None:
    """Poll: another process does the work."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
