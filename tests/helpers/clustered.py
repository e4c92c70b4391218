"""Nodes of a cluster as real processes, their mailbox and their database."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.helpers.processes import PATIENCE, SYNQUP, Mailbox, mailbox

CLUSTER = """
[cluster]
dsn = {{ file = "dsn" }}
shared_dir = "{shared}"
node = "{name}"
"""


class Node:
    """A process that is a node, with its own configuration, state and output."""

    def __init__(self, folder: Path, box: Mailbox, dsn: str, name: str, interval: str) -> None:
        folder.mkdir()
        self.config = folder / "synqup.toml"
        self.output = folder / "output"
        for one in box.folder.iterdir():
            if one.is_file() and one.suffix not in (".jsonl", ".toml"):
                shutil.copy(one, folder)
        (folder / "dsn").write_text(dsn)
        text = box.config.read_text().replace('"out/', f'"{box.folder}/out/')
        text = text.replace('poll_interval = "5m"', f'poll_interval = "{interval}"')
        shared = box.folder / "shared"
        shared.mkdir(exist_ok=True)
        self.config.write_text(text + CLUSTER.format(name=name, shared=shared))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: str = "run") -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*SYNQUP, command, "--config", self.config], stdout=output, stderr=output
            )

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(PATIENCE)


class World:
    """A mailbox, a database, and nodes."""

    def __init__(self, box: Mailbox, folder: Path, dsn: str, stack: ExitStack) -> None:
        self.box = box
        self.folder = folder
        self.dsn = dsn
        self._stack = stack

    def node(self, name: str, interval: str = "2s", folder: str = "") -> Node:
        node = Node(self.folder / (folder or name), self.box, self.dsn, name, interval)
        self._stack.callback(node.end)
        return node

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        import psycopg  # noqa: PLC0415 - an extra

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            try:
                cursor = connection.execute(sql.encode(), parameters)
            except psycopg.errors.UndefinedTable:
                return []
            return cursor.fetchall() if cursor.description else []

    def delivered(self) -> int:
        found = self.rows("SELECT count(*) FROM documents WHERE state = 'delivered'")
        return int(found[0][0]) if found else 0

    def until(self, condition: Callable[[], object], patience: float = PATIENCE) -> None:
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, self.told()
            time.sleep(0.1)

    def told(self) -> str:
        """What the nodes have printed last, and the units: for a test that fails."""
        said = [path.read_text()[-1500:] for path in self.folder.glob("*/output")]
        return "\n".join([*said, str(self.rows("SELECT * FROM cluster_units"))])


@contextmanager
def worlds(dsn: str, *options: object) -> Iterator[World]:
    with (
        tempfile.TemporaryDirectory() as folder,
        mailbox(Path(folder) / "box", *options) as box,
        ExitStack() as stack,
    ):
        yield World(box, Path(folder), dsn, stack)
