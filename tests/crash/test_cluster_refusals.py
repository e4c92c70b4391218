"""A node that can't deliver into a folder leaves the companies of it to a node that can."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.helpers.postgres import missing

if sys.platform != "linux":
    pytest.skip("folders are hidden by namespaces, and the importer watches by inotify",
                allow_module_level=True)  # fmt: skip
if os.getuid() != 0:
    pytest.skip("only root may hide folders from a process", allow_module_level=True)
if why := missing():
    pytest.skip(why, allow_module_level=True)

from tests.crash.world import wait_until
from tests.helpers.processes import synqup

from .cluster.inside import Fate
from .cluster.nodes import Node, nodes
from .cluster.rig import Rig, rigged

pytestmark = pytest.mark.slow

#: Documents that are there when the folders become known, and those that come later.
FIRST, LATER = 12, 12
#: A kind whose folder lies in that of its company, beside those of others.
KIND = "statement"


@contextmanager
def known_folders(
    companies: int, count: int, interval: str = "2s"
) -> Iterator[tuple[Rig, list[Node]]]:
    """Nodes, of which none runs, and a mailbox whose first documents have been delivered."""
    with ExitStack() as stack:
        rig = stack.enter_context(rigged(FIRST, companies=companies, seed=3))
        its = stack.enter_context(nodes(rig, count, interval))
        its[0].start()
        wait_until(lambda: rig.told() == rig.arrived() == FIRST)
        stop(its[0])
        yield rig, its


def stop(node: Node) -> None:
    node.send(signal.SIGTERM)
    wait_until(lambda: not node.is_alive)


def refusing(config: Path, node: str) -> str:
    """What a node says of the folders that it can't deliver to, by the status on any machine."""
    status = json.loads(synqup("status", "--json", "--config", config))
    reports = [one["report"] for one in status["cluster"]["nodes"] if one["node"] == node]
    return " ".join(str(one["folders"]) for one in reports if one and one["folders"])


def all_arrives(rig: Rig, its: Sequence[Node]) -> None:
    """Wait until everything has been delivered and told, and see that nothing came twice."""
    try:
        wait_until(lambda: rig.told() == rig.arrived() == FIRST + LATER)
    except AssertionError:
        said = "\n".join(text[-2000:] for node in its for _, text in node.said())
        pytest.fail(f"{rig.arrived()} arrived, {rig.told()} told\n{said}")
    assert rig.problems() == []


def test_a_source_stays_with_no_node_that_does_not_see_the_volume() -> None:
    with known_folders(companies=3, count=2) as (rig, (blind, seeing)):
        blind.fate = Fate(hidden=rig.out)
        blind.start()
        # The source is of one part, which stays with the node that polls it.
        wait_until(
            lambda: rig.rows("SELECT 1 FROM cluster_units WHERE node = 'n1' AND ended > began")
        )
        seeing.start()
        wait_until(lambda: len(rig.rows("SELECT 1 FROM cluster_sources")) == 2)
        rig.grow(LATER)
        all_arrives(rig, (blind, seeing))
        # It is said which node can't.
        wait_until(lambda: "its volume is not there" in refusing(seeing.config, "n1"))


def test_nodes_that_see_different_folders_deliver_together() -> None:
    with known_folders(companies=2, count=2) as (rig, its):
        for number, node in enumerate(its):
            node.fate = Fate(hidden=rig.world.folder_of(number, KIND).parent)
            node.start()
        wait_until(lambda: len(rig.rows("SELECT 1 FROM cluster_sources")) == 2)
        rig.grow(LATER)
        all_arrives(rig, its)


def test_a_node_that_was_first_and_did_not_see_the_volume_is_found_out_by_the_others() -> None:
    with rigged(FIRST, companies=3, seed=3) as rig, nodes(rig, 2) as (blind, seeing):
        blind.fate = Fate(hidden=rig.out)
        blind.start()
        wait_until(lambda: rig.told() == FIRST)
        # A check on the second machine says it, before anything runs there.
        said = " ".join(synqup("check", "--config", seeing.config, expect=1).split())
        assert "its volume is not there (no file .synqup-volume in" in said
        assert "Mount the volume" in said
        # And so does its node, whichever of them has the documents.
        seeing.start()
        wait_until(lambda: "its volume is not there" in refusing(seeing.config, "n2"))
        assert not refusing(seeing.config, "n1")
