"""Faults of several nodes: PostgreSQL and the platform on Linux, nodes and importer under Wine.

Called by kills.py. Nodes die by TerminateProcess, and hang until others have taken over what they
had in hand. At the moment of each acknowledgement the file is in its folder, or was taken.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from tests.crash.cluster.nodes import CLUSTER
from tests.crash.cluster.result import BUG
from tests.crash.cluster.rig import Rig, rigged
from tests.crash.world import wait_until

ROOT = Path(__file__).parents[2]
RUN = [str(ROOT / "tests" / "windows" / "run"), "--python", "-m", "tests.windows.terminate_nodes"]
#: Documents that are there from the beginning, and that come each second.
BACKLOG, DOCUMENTS = 120, 8
COMPANIES = 120
#: What Python says where a signal comes while its event loop is to be woken by thousands of calls.
WAKING = re.compile(
    r"Exception ignored when trying to send to the signal wakeup fd:\s+Traceback.*\n.*\n.*Error.*"
)
#: Seconds for all to be delivered and told after the last fault.
PATIENCE = 150


def kill_nodes(nodes: int, faults: int, seed: int, naive: str = "") -> tuple[str, list[str]]:
    """Let nodes meet faults; what came of it in a line, and what is wrong."""
    with rigged(BACKLOG, companies=COMPANIES, seed=seed, takes=_nobody) as rig:
        for number in range(1, nodes + 1):
            _write_node(rig, f"n{number}")
        said = _run(rig, nodes, faults, seed, naive)
        takeovers = rig.takeovers()
        problems = rig.problems()
        texts = [path.read_text("utf-8", "replace") for path in rig.folder.glob("n*/said")]
        problems += [
            text[hit.start() : hit.end() + 1500]
            for text in (WAKING.sub("", text) for text in texts)
            if (hit := BUG.search(text))
        ]
        if not takeovers.by_others:
            problems.append("no row was taken over by another node: this run proves nothing")
        if said[-1:] != [f"ended {[0] * nodes}"]:
            problems.append(f"the nodes did not end as asked: {said[-5:]}")
        kinds = Counter(one.split(" ", 2)[2] for one in said if one.startswith("fault "))
        return (
            f"{nodes} nodes, {kinds.total()} faults ({dict(sorted(kinds.items()))});"
            f" {rig.documents} documents, {rig.arrived()} delivered, {rig.acks} acknowledgements;"
            f" takeovers of staged rows by other nodes {takeovers.by_others}, by a restart"
            f" {takeovers.by_restart}"
        ), problems


def _run(rig: Rig, nodes: int, faults: int, seed: int, naive: str) -> list[str]:
    """The lines that the supervisor of the nodes has printed."""
    said = []
    arguments = [_windows(rig.folder), str(nodes), str(faults), str(seed), *([naive] * bool(naive))]
    with subprocess.Popen(
        [*RUN, *arguments], cwd=ROOT, encoding="utf-8", errors="replace",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        for line in running.stdout:
            said.append(line.rstrip("\r\n"))
            if line.startswith("more"):
                rig.grow(DOCUMENTS)
            elif line.startswith("calm"):
                with suppress(AssertionError):
                    wait_until(lambda: _is_done(rig, nodes), PATIENCE)
                (rig.folder / "done").touch()
    return said


def _is_done(rig: Rig, nodes: int) -> bool:
    """Whether all is delivered and told, and each node is at work: it can be asked to end."""
    working = (
        "SELECT count(*) FROM cluster_nodes"
        " WHERE digest <> '' AND heartbeat > now() - interval '9 seconds'"
    )
    return (
        rig.arrived() >= rig.documents
        and rig.told() >= rig.documents
        and rig.rows(working) == [(nodes,)]
    )


def _write_node(rig: Rig, name: str) -> None:
    """Write the configuration of a node, which sees everything on its drive Z."""
    folder = rig.folder / name
    folder.mkdir()
    for one in rig.folder.glob("synqup.toml.*"):
        shutil.copy(one, folder)
    database = conninfo_to_dict(rig.dsn)["dbname"]
    assert isinstance(database, str)
    (folder / "dsn").write_text(rig.server.dsn(database, host="127.0.0.1"))
    text = rig.world.config.read_text().replace('"out/', f'"Z:{rig.out}/')
    text = text.replace('poll_interval = "5m"', 'poll_interval = "2s"')
    shared = f"Z:{rig.folder / 'shared'}"
    (folder / "synqup.toml").write_text(text + CLUSTER.format(shared=shared, name=name))


def _windows(path: Path) -> str:
    """A path of this system as Wine sees it."""
    return f"Z:{path}".replace("/", "\\")


@contextmanager
def _nobody(out: Path, taken: Path) -> Iterator[None]:
    """No importer here: an importer on Linux would not do, as terminate.py says."""
    out.mkdir(exist_ok=True)
    taken.mkdir(exist_ok=True)
    yield
