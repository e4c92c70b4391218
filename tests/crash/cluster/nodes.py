"""Nodes: real processes of `synqup run`, and their supervisor, which starts them again."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.crash.processes import Process

from .inside import Fate, meet
from .link import Link, link
from .rig import Rig

CLUSTER = """
[cluster]
dsn = {{ file = "dsn" }}
shared_dir = "{shared}"
node = "{name}"
"""
COMPANY = "[[companies]]"
#: Seconds after which a node is started again that has ended by itself, or was killed.
AGAIN = 0.3


class Node:
    """One node. link: its way to PostgreSQL; ends: how its processes have ended."""

    def __init__(self, rig: Rig, name: str, link_: Link, interval: str) -> None:
        self.name = name
        self.link = link_
        self.folder = rig.folder / name
        self.folder.mkdir()
        self.config = self.folder / "synqup.toml"
        #: What its next process meets.
        self.fate = Fate()
        self.ends: Counter[int] = Counter()
        self.stopped_at: float | None = None
        self.started_at = 0.0
        self._process: Process | None = None
        self._lives = 0
        self._again_at = 0.0
        for one in rig.folder.glob("synqup.toml.*"):
            shutil.copy(one, self.folder)
        database = conninfo_to_dict(rig.dsn)["dbname"]
        assert isinstance(database, str)
        dsn = rig.server.dsn(database, host="127.0.0.1", port=link_.port)
        (self.folder / "dsn").write_text(dsn)
        text = rig.world.config.read_text().replace('"out/', f'"{rig.out}/')
        text = text.replace('poll_interval = "5m"', f'poll_interval = "{interval}"')
        self.config.write_text(text + CLUSTER.format(shared=rig.folder / "shared", name=name))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.alive

    @property
    def is_stopped(self) -> bool:
        """Whether its process stands still (SIGSTOP), by whomever."""
        if not self.is_alive:
            return False
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state == "T"

    def forget_companies(self, every: int) -> None:
        """Leave each n-th company out of its configuration."""
        head, *companies = self.config.read_text().split(COMPANY)
        *companies, last = companies
        last, mark, rest = last.partition("\n[cluster]")
        kept = [one for number, one in enumerate([*companies, last], 1) if number % every]
        self.config.write_text(COMPANY.join([head, *kept]) + mark + rest)

    def start(self) -> None:
        self._lives += 1
        self.started_at = time.monotonic()
        self._process = Process(
            *("run", "--config", self.config),
            output=self.folder / f"said-{self._lives}",
            prepare=partial(meet, self.fate),
        )

    def supervise(self, fate: Callable[[], Fate], on_end: Callable[[], object]) -> None:
        """Start it again some time after it has ended.

        fate: what its next process is to meet. on_end: called once for each end.
        """
        if self.is_alive:
            return
        if self._process is not None:
            self.ends[self._process.wait()] += 1
            self._process = None
            self.stopped_at = None
            on_end()
            self._again_at = max(self._again_at, time.monotonic() + AGAIN)
        if time.monotonic() >= self._again_at:
            self.fate = fate()
            self.start()

    def rest(self, seconds: float) -> None:
        """Let the supervisor leave it for so long, once it has ended."""
        self._again_at = time.monotonic() + seconds

    def send(self, number: signal.Signals) -> None:
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()

    def said(self) -> Iterator[tuple[str, str]]:
        """What its processes have printed, by the names of the files."""
        for path in sorted(self.folder.glob("said-*")):
            yield f"{self.name}/{path.name}", path.read_text(errors="replace")


@contextmanager
def nodes(
    rig: Rig, count: int, interval: str = "2s", edit: Callable[[Node], None] = lambda _: None
) -> Iterator[list[Node]]:
    """So many nodes, not started yet; none is left when the block ends."""
    with ExitStack() as stack:
        found = []
        for number in range(1, count + 1):
            way = stack.enter_context(link(rig.server.port))
            node = Node(rig, f"n{number}", way, interval)
            stack.callback(node.end)
            edit(node)
            found.append(node)
        yield found
