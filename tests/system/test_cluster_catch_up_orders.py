"""What is asked for while a catch-up is a node of the cluster is done at once, and once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.helpers.clustered import Node, World, worlds
from tests.helpers.processes import synqup

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="processes are stopped by POSIX signals"),
]

DOCUMENTS = 3
#: The source asks to be left alone: so a catch-up waits for it.
REST = "INSERT INTO cluster_pauses (source, until) VALUES ('billtobox', now() + interval '1 h')"


@contextmanager
def waiting_catch_up(world: World) -> Iterator[Node]:
    """A catch-up that has brought everything, with copies, and waits for more."""
    node = world.node("b")
    text = node.config.read_text()
    node.config.write_text(text.replace("[service]", '[service]\nkeep_delivered = "90d"'))
    node.start("catch-up")
    assert node.wait() == 0
    world.rows(REST)
    node.start("catch-up")
    world.until(lambda: world.rows("SELECT 1 FROM cluster_sources WHERE node = 'b'"))
    yield node
    assert node.process is not None
    assert node.process.poll() is None
    node.send("SIGTERM")
    node.wait()


def redeliver(world: World, node: Node) -> Any:
    """Ask for a document once more by the command of a node."""
    id_ = world.box.manifest()[0]["id"]
    return json.loads(synqup("redeliver", id_, "--json", "--config", node.config))


@pytest.mark.parametrize("beside", ["nothing", "a node"])
def test_a_catch_up_does_what_is_asked_for_meanwhile(postgres: str, beside: str) -> None:
    with worlds(postgres, "--documents", DOCUMENTS) as world, waiting_catch_up(world):
        asked = world.node("a")
        if beside == "a node":
            asked.start()
            world.until(lambda: world.rows("SELECT 1 FROM cluster_sources WHERE node = 'a'"))
        told = redeliver(world, asked)
        # By the one that has the copy.
        assert (told["done"], told["open"], told["failed"]) == (1, 0, 0)
        assert world.rows("SELECT node FROM documents WHERE source = '(again)'") == [("b",)]
        assert len(world.box.delivered()) == DOCUMENTS + 1


def test_what_is_asked_for_as_the_last_node_leaves_is_done_by_the_command(postgres: str) -> None:
    with worlds(postgres, "--documents", DOCUMENTS) as world:
        node = world.node("a")
        node.start("catch-up")
        assert node.wait() == 0
        # A node that dies as the command begins.
        world.rows(
            "INSERT INTO cluster_nodes (node, instance, backend, host, version, heartbeat)"
            " VALUES ('b', 'x', 0, 'h', '1', now() + interval '10 s')"
        )
        told = redeliver(world, node)
        assert (told["done"], told["open"], told["failed"]) == (1, 0, 0)
        assert len(world.box.delivered()) == DOCUMENTS + 1
