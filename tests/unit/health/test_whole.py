"""Whole health: what one node says of all is what all of them and the database say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import structs

from pipeline.health.model import DestinationHealth, Health, SourceHealth, Trouble
from pipeline.health.whole import NAMED, STILL, report_of, whole
from pipeline.nodes import ClusterView, DatabaseView, NodeReport, NodeView, PolledSource, Reason

NOW = 1_000_000.0
OWN = Health(
    at=NOW,
    started_at=1.0,
    progress_at=NOW,
    sources=(SourceHealth("box", 5.0, sign_in_ends_at=50.0), SourceHealth("sftp")),
    destinations=(DestinationHealth("/a", free_bytes=7), DestinationHealth("/b")),
    quarantined=1,
    waiting=2,
    unacknowledged=3,
    ledger_bytes=4,
)


def node(name: str, report: NodeReport | None = None) -> NodeView:
    return NodeView(name, "h", "1", 1.0, True, 1.0, report=report)


def view(*nodes: NodeView, sources: Sequence[PolledSource] = ()) -> ClusterView:
    return ClusterView(NOW, DatabaseView(0.001, "on"), nodes, tuple(sources))


def troubles(health: Health) -> dict[str, str | None]:
    return {one.folder: one.trouble.reason if one.trouble else None for one in health.destinations}


def test_sources_are_as_the_database_has_them_whoever_polls_them() -> None:
    failed = Reason(9.0, "it is ill", "Wait")
    seen = view(
        node("n1", NodeReport(sign_ins={"box": 40.0})),
        node("n2", NodeReport(sign_ins={"box": 90.0})),
        sources=[
            PolledSource("box", 4, 1, 800.0, failed, 3.0, "jan"),
            PolledSource("gone", 1),
        ],
    )
    box, sftp = whole(OWN, seen, "n1").sources
    assert box == SourceHealth("box", 800.0, Trouble(9.0, "it is ill", "Wait"), 90.0, 3.0, "jan")
    # Nobody who is alive polls it: what this node knows is all that is known.
    assert sftp == OWN.sources[1]


def test_a_folder_that_another_node_can_not_deliver_into_is_in_trouble() -> None:
    full = NodeReport(
        folders={"/a": Reason(NOW - 90, "it is full", "Do", NOW - 9), "/z": Reason(1, "x")}
    )
    found = whole(OWN, view(node("n1"), node("n2", full)), "n1")
    assert troubles(found) == {"/a": "it is full (node n2)", "/b": None}
    assert found.destinations[0].free_bytes == 7
    assert (found.node, found.cluster is not None) == ("n1", True)
    # The node that has found it is stopped.
    left = structs.replace(view(node("n1")), left={"n2": full})
    assert troubles(whole(OWN, left, "n1"))["/a"] == "it is full (node n2)"
    # Its own trouble comes first.
    own = structs.replace(
        OWN, destinations=(DestinationHealth("/a", Trouble(NOW, "own")), OWN.destinations[1])
    )
    assert troubles(whole(own, view(node("n2", full)), "n1"))["/a"] == "own"


@pytest.mark.parametrize("name", ["n1", "n2"])
@pytest.mark.parametrize(
    ("latest", "taken", "is_over"),
    [
        (NOW - STILL - 9, NOW - 5, True),
        (NOW - STILL - 9, NOW - STILL - 10, False),
        (NOW - 9, NOW - 5, False),
    ],
)
def test_it_is_over_when_others_deliver_there_and_it_was_not_refused_for_long(
    name: str, latest: float, taken: float, is_over: bool
) -> None:
    own = OWN
    if name == "n1":
        trouble = Trouble(5.0, "no such volume")
        own = structs.replace(OWN, destinations=(DestinationHealth("/a", trouble),))
    refused = NodeReport(folders={"/a": Reason(5.0, "no such volume", latest=latest)})
    seen = view(node(name, refused), node("n3", NodeReport(taken={"/a": taken})))
    assert (troubles(whole(own, seen, "n1"))["/a"] is None) is is_over


def test_what_a_node_reports_is_bounded_and_names_what_only_it_knows() -> None:
    folders = tuple(
        DestinationHealth(f"/{number}", Trouble(1.0, "full", "Do")) for number in range(NAMED + 5)
    )
    health = structs.replace(
        OWN,
        destinations=folders,
        progress_at=NOW - 30,
        disk_free=8,
        sources=(*OWN.sources, SourceHealth("shut", trouble=Trouble(2.0, "no secret"))),
    )

    class Seen:
        sources: ClassVar[dict[str, Any]] = {}
        stages: ClassVar[dict[str, Any]] = {}

    found = report_of(health, Seen(), {Path("/0"): 77.0}, {"/q": 5.0}, frozenset({"shut"}))  # type: ignore[arg-type]
    assert (found.silence, found.disk_free, found.more) == (30.0, 8, 5)
    assert found.folders["/0"] == Reason(1.0, "full", "Do", 77.0)
    assert found.folders["/1"].latest == NOW
    assert found.sources == {"shut": Reason(2.0, "no secret", "")}
    assert found.sign_ins == {"box": 50.0}
    assert found.taken == {"/q": 5.0}
