"""`synqup status` of a cluster: what is overdue first, and all of it in words."""

from __future__ import annotations

import io
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console

from pipeline.app.cluster_status import ClusterStatus, in_builtins, print_cluster
from pipeline.nodes import (
    ClusterView,
    DatabaseView,
    InHand,
    JobCounts,
    NodeReport,
    NodeView,
    Overdue,
    OverduePart,
    Reason,
    StagedLeft,
)

COMPANIES = {"box": {"01": ["BE1", "BE2", "BE3", "BE4"], "10": ["BE5"]}}
NAMES = {"BE1": "Bakkerij \x1b[31mPeeters", "BE2": "Garage Dupont", "BE5": "Slagerij"}
VIEW = ClusterView(
    1000.0,
    DatabaseView(0.0004, "on", 900.0),
    (
        NodeView(
            "n1",
            "srv1",
            "1.4",
            2.0,
            True,
            1.0,
            in_hand=(InHand("box", "10", 5.0, "n2"), InHand("sftp", "all", 5.0)),
            differs=("company A is not the same on node n3 and node n1",),
            report=NodeReport(
                folders={f"/out/{number}": Reason(1.0, "it is full", "Do") for number in range(5)},
                more=2,
                sources={"shut": Reason(1.0, "no secret")},
            ),
        ),
        NodeView("n2", "srv2", "1.4", 40.0, False, 1.0),
    ),
    overdue=(Overdue("box", 2, 200, 500.0),),
    late=(OverduePart("box", "01", "n2", 1020.0), OverduePart("box", "10", "", 30.0)),
    staged=(
        StagedLeft("box", "invoice 1", "n2", 70.0, 40.0, False),
        StagedLeft("box", "invoice 2", "n1", 65.0, 2.0, True),
        StagedLeft("box", "invoice 3", "n7", 64.0, None, False),
    ),
    staged_count=3,
    jobs=JobCounts(3, 4, 1),
    pauses={"peppyrus": 35.2},
)


NEXT = "taken over at the next poll"


def printed(view: ClusterView, **changes: Any) -> list[str]:
    out = io.StringIO()
    status = ClusterStatus(structs.replace(view, **changes), COMPANIES)
    print_cluster(Console(file=out, width=60), status, NAMES)
    return out.getvalue().splitlines()


def test_all_is_told_and_what_is_overdue_comes_first() -> None:
    lines = printed(VIEW)
    assert lines[0].startswith("source box: overdue since ")
    assert lines[0].endswith(", 2 of 200 parts")
    assert lines[1:] == [
        (
            "  box, part 01 (4 companies: Bakkerij  [31mPeeters; Garage Dupont; BE3; and 1 more):"
            " overdue for 17 min, last polled by node n2"
        ),
        "  box, part 10 (1 company: Slagerij): overdue for 30 s, polled by no node so far",
        "node n1 (srv1, 1.4): alive, heartbeat 2 s ago",
        "  polls box, part 10 (1 company: Slagerij), taken over from node n2",
        "  polls sftp",
        "  its configuration differs: company A is not the same on node n3 and node n1",
        "  can't open source shut: no secret",
        "  can't deliver into /out/0: it is full. Do",
        "  can't deliver into /out/1: it is full. Do",
        "  can't deliver into /out/2: it is full. Do",
        "  nor into 4 folders more",
        "node n2 (srv2, 1.4): silent for 40 s; the others take over its work",
        "Staged for more than a minute: 3",
        f"  invoice 1 of source box, 70 s ago, written by node n2, silent for 40 s; {NEXT}",
        "  invoice 2 of source box, 65 s ago, in hand of node n1, which is alive",
        f"  invoice 3 of source box, 64 s ago, written by node n7, not there any more; {NEXT}",
        "jobs: 3 waiting, 4 in hand, 1 stalled",
        "source peppyrus has asked all nodes to leave it alone for 35 s",
        lines[-1],
    ]
    assert lines[-1].startswith(
        "ledger: reached in 0.4 ms, synchronous_commit = on, table of jobs analyzed: "
    )


def test_where_no_node_has_joined_it_is_said_so() -> None:
    lines = printed(ClusterView(1.0, DatabaseView(0.001, "on")))
    assert lines[0] == "cluster: no node has joined it"
    assert lines[-1].endswith("table of jobs analyzed: never")


@pytest.mark.parametrize("sources", [1, 300])
def test_it_is_bounded_whatever_is_overdue(sources: int) -> None:
    overdue = tuple(Overdue(f"s{number}", 1, 1, 1.0) for number in range(sources))
    lines = printed(VIEW, overdue=overdue)
    assert sum(": overdue since " in line for line in lines) == min(sources, 20)
    assert ("and 280 sources more" in lines) is (sources > 20)


def test_for_programs_what_is_overdue_comes_first() -> None:
    told = in_builtins(ClusterStatus(VIEW, COMPANIES))
    assert list(told)[:2] == ["overdue", "late"]
    assert told["companies"] == COMPANIES
    assert {"nodes", "staged", "jobs", "pauses", "database", "differs_since"} <= told.keys()
