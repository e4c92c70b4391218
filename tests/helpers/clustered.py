"""Nodes of a cluster as real processes, their mailbox and their database."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.helpers.node_config import write_node
from tests.helpers.processes import PATIENCE, Mailbox, mailbox, process, send


class Node:
    """A process that is a node, with its own configuration, state and output."""

    def __init__(self, folder: Path, box: Mailbox, dsn: str, name: str, interval: str) -> None:
        self.config = write_node(folder, box, dsn, name, interval)
        self.output = folder / "output"
        self.process: subprocess.Popen[str] | None = None
        self._started = ExitStack()

    def start(self, command: str = "run") -> None:
        self._started.close()
        output = self._started.enter_context(self.output.open("ab"))
        self.process = self._started.enter_context(
            process(command, "--config", self.config, output=output)
        )

    def send(self, name: str) -> None:
        assert self.process is not None
        send(self.process, name)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        # Also if it stands still.
        self._started.close()


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
