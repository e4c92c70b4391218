"""A part of the proof of a cluster; the whole of it with `python -m tests.crash cluster`."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.helpers.postgres import missing

if sys.platform != "linux":
    pytest.skip("the importer watches by inotify", allow_module_level=True)
if why := missing():
    pytest.skip(why, allow_module_level=True)

from stages.sandbox.state_index import State

from .cluster.inside import OPEN, Fate
from .cluster.link import Link, link
from .cluster.rig import rigged
from .cluster.torture import MODES, Order, torture

slow = pytest.mark.slow

#: More companies than one part of a source has, so that several nodes share them.
COMPANIES = 60
#: One node hangs when its documents are visible and the ledger does not know it yet.
HANGS = Fate("visible", 1, signal.SIGSTOP)


@slow
def test_what_a_node_that_hangs_has_staged_is_taken_over_and_it_wakes_up_harmless() -> None:
    result = torture(Order("none", 60, 2, COMPANIES, fates=(HANGS,)))
    assert not result.is_wrong, str(result)
    assert result.arrived == 60
    assert result.takeovers.by_others
    assert result.faults == {"hung: visible": 1, "woken after a takeover": 1}


@slow
def test_a_design_that_fetches_anew_what_a_dead_node_has_staged_is_found_out() -> None:
    """A check that can't fail is none."""
    fates = (HANGS._replace(naive="replace"), Fate(naive="replace"))
    result = torture(Order("none", 60, 2, COMPANIES, naive="replace", fates=fates))
    assert result.twice, str(result)


@slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root hides a folder from one process")
def test_a_node_that_does_not_see_the_volume_decides_nothing_and_it_is_told() -> None:
    result = torture(Order("volume", 300, 3, COMPANIES, seconds=30.0))
    assert not result.is_wrong, str(result)
    assert result.arrived == 300


def test_an_acknowledgement_before_the_file_is_there_is_found_out() -> None:
    with rigged(2, companies=1, seed=1) as rig:
        first, second = rig.world.mailbox
        folder = rig.world.folder_of(0, str(second.kind))
        (folder / "whole").write_bytes(second.read())
        rig.world.mailbox.set_state(second, State.ACKED)
        rig.world.mailbox.set_state(first, State.ACKED)
        assert rig.acks == 2
        assert rig.wrong_acks == [first.id]
        (folder / "torn").write_bytes(first.read()[:-1])
        deadline = time.monotonic() + 30
        while rig.arrived() < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        said = "\n".join(rig.problems())
    assert f"acknowledged before it was there: {first.id}" in said
    assert "partial or unknown: torn" in said
    assert f"lost: {first.number}" in said
    assert f"lost: {second.number}" not in said


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that answers with what it was sent."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        near, _ = server.accept()
        with near, suppress(OSError):
            while data := near.recv(100):
                near.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    thread.join(30)
    server.close()


def dialled(way: Link) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", way.port))
    one.settimeout(0.3)
    one.sendall(b"a")
    assert one.recv(1) == b"a"
    return one


@pytest.mark.parametrize("requests", [True, False])
def test_what_was_sent_while_a_link_is_cut_arrives_late(echo: int, requests: bool) -> None:
    with link(echo) as way, dialled(way) as one:
        way.cut(requests=requests)
        one.sendall(b"b")
        with pytest.raises(TimeoutError):
            one.recv(1)
        way.heal()
        one.settimeout(30)
        assert one.recv(1) == b"b"


def test_a_link_may_end_its_connections(echo: int) -> None:
    with link(echo) as way, dialled(way) as one:
        way.cut()
        way.heal(reset=True)
        one.settimeout(30)
        assert one.recv(1) == b""


def test_every_mode_has_faults_that_are_known() -> None:
    assert {*OPEN} <= {"staged", "renamed", "visible", "flushed"}
    assert {kind for kinds in MODES.values() for kind in kinds} == {*MODES["all"]}
