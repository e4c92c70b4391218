"""Two nodes on Windows: what one has staged as it was ended is brought once, whoever goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.node_config import write_node
from tests.helpers.processes import PATIENCE, ROOT, Mailbox, mailbox, wait_until
from tests.helpers.systems import windows_only

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

pytestmark = windows_only("the proofs of nodes are those of tests/crash/cluster")

DOCUMENTS = 40


class Node:
    """A node whose processes meet a fate. said: what they print."""

    def __init__(self, box: Mailbox, dsn: str, name: str) -> None:
        self.folder = box.folder.parent / name
        self.config = write_node(self.folder, box, dsn, name, "2s")
        self.said = self.folder / "said"

    @contextmanager
    def running(self, fate: str) -> Iterator[subprocess.Popen[bytes]]:
        files = (self.folder / "sign", self.folder / "stop")
        command = [sys.executable, "-m", "tests.windows.node", fate, *map(str, files)]
        with (
            self.said.open("ab") as said,
            subprocess.Popen(
                [*command, "run", "--config", str(self.config)], cwd=ROOT, stdout=said, stderr=said
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def stop(self) -> None:
        (self.folder / "stop").touch()


def count(dsn: str, sql: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return int(connection.execute(sql).fetchone()[0])


def test_what_is_staged_as_a_node_is_ended_is_brought_once(tmp_path: Path, postgres: str) -> None:
    options = ("--companies", 60, "--documents", DOCUMENTS)
    with mailbox(tmp_path / "box", *options) as box:
        one, other = (Node(box, postgres, name) for name in ("n1", "n2"))
        with one.running("staged,1,die,") as process:
            assert process.wait(PATIENCE) != 0
        assert (one.folder / "sign").exists(), one.said.read_text()
        staged = "SELECT count(*) FROM documents WHERE state = 'staged'"
        assert count(postgres, staged) > 0
        assert len(box.delivered()) < DOCUMENTS
        with one.running(",1,die,") as again, other.running(",1,die,") as beside:
            wait_until(lambda: len(box.journal()) >= DOCUMENTS)
            for node in (one, other):
                node.stop()
            statuses = [process.wait(PATIENCE) for process in (again, beside)]
        assert statuses == [0, 0], one.said.read_text() + other.said.read_text()
        box.assert_everything_stands_once()
        assert count(postgres, staged) == 0
