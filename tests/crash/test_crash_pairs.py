"""A crash while PDFs go beside their XML: each comes once, under one base name with its own."""

from __future__ import annotations

import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from stages.sandbox.invoices import Invoice
from stages.sandbox.pdf import to_pdf

from . import kill
from .plan import Plan
from .processes import KILLED
from .world import Host, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]

DOCUMENTS = 8
#: Crash points that a run of pytest tries, about.
POINTS = 16


def want_both(world: World) -> None:
    world.edit("[delivery]\n", '[delivery]\nformats = "ubl+pdf"\n')


def problems(world: World) -> list[str]:
    """As the world's own, and what is wrong with the PDFs and their names."""
    pdfs = {
        sha256(to_pdf(document.content)).hexdigest(): document.content.number
        for document in world.mailbox
        if isinstance(document.content, Invoice)
    }
    beside = [one for one in world.taken if one.sha256 in pdfs]
    world.taken = [one for one in world.taken if one.sha256 not in pdfs]
    found = world.problems()
    got = Counter(pdfs[one.sha256] for one in beside)
    found += [f"{got[number]} PDFs of {number}" for number in pdfs.values() if got[number] != 1]
    bases = Counter(one.path.with_suffix("") for one in beside)
    documents = Counter(
        one.path.with_suffix("") for one in world.taken if one.path.suffix == ".xml"
    )
    return found + [f"not a pair: {path}" for path in (bases - documents) + (documents - bases)]


def run(world: World, kill_at: int, importer: bool, after: bool) -> int:
    plan = Plan(world.folder, kill=kill_at, after=after, importer=world.out if importer else None)
    if not importer:
        return world.synqup("catch-up", plan=plan)
    with world.importer():
        return world.synqup("catch-up", plan=plan)


def test_a_crash_at_any_rename_loses_no_pair_and_doubles_none(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with host.world(tmp_path / "record", DOCUMENTS) as world:
        want_both(world)
        plan = Plan(world.folder, record=tmp_path / "calls")
        assert world.synqup("catch-up", plan=plan) == 0, world.said()
        world.take()
        assert problems(world) == []
    showing = [
        call.number
        for call in kill.load(tmp_path / "calls")
        if call.name.startswith("rename") and "/out/" in call.paths[-1]
    ]
    # An XML and a PDF of each invoice, and the statements.
    assert len(showing) > DOCUMENTS
    chosen = showing[:: -(-len(showing) // POINTS)]
    reached = 0
    for index, number in enumerate(chosen):
        with host.world(tmp_path / str(index), DOCUMENTS) as world:
            want_both(world)
            importer, after = index % 4 < 2, index % 2 == 0
            reached += run(world, number, importer, after) == KILLED
            assert run(world, 0, importer, after) == 0, world.said()
            world.take()
            assert problems(world) == [], (number, importer, after)
    with capsys.disabled():
        print(f" [{len(chosen)} of {len(showing)} renames]", end="")
    assert reached > len(chosen) // 2
