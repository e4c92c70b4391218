"""Every interleaving of attempts at one document: the design holds, naive variants don't."""

from __future__ import annotations

import pytest

from tests.model.search import search
from tests.model.world import Rules

#: What may happen, under which the design has to keep every promise.
DESIGN = {
    "a document alone": Rules(sidecar=False),
    "with a sidecar": Rules(),
    "a folder that refuses": Rules(sidecar=False, refuses=True),
    "a folder that refuses, with a sidecar": Rules(refuses=True),
    "a name that is taken": Rules(sidecar=False, occupied=True),
    "a name that is taken, with a sidecar": Rules(occupied=True),
    "an antivirus": Rules(sidecar=False, vanishes=True),
    "an antivirus, with a sidecar": Rules(vanishes=True),
    "an antivirus and a folder that refuses": Rules(refuses=True, vanishes=True),
    "a sweeper": Rules(sweeps="fenced"),
    "a sweeper and a folder that refuses": Rules(sweeps="fenced", refuses=True),
}

#: What is done otherwise, and the promise that it breaks. Those of the design document first.
NAIVE = {
    "row first, then the file": (
        Rules(sidecar=False, aside=False, refuses=True),
        "twice",
    ),
    "a temporary name that all share": (Rules(sidecar=False, own_names=False), "lost"),
    "a staged row is replaced": (Rules(sidecar=False, replaces=True), "twice"),
    "missing, so written again": (Rules(sidecar=False, writes_again=True), "twice"),
    "no answer, so cleaned up": (Rules(sidecar=False, cleans_in_doubt=True), "lost"),
    "a sweeper without a fence": (Rules(sidecar=False, sweeps="naive"), "lost"),
    "an old answer, or another volume": (Rules(sidecar=False, stale=True), "lost"),
    "link and unlink": (Rules(sidecar=False, links=True), "twice"),
    "missing, and not looked for aside": (
        Rules(sidecar=False, looks_aside=False, refuses=True),
        "lost",
    ),
    "aside, and back again": (Rules(sidecar=False, undoes=True, refuses=True), "twice"),
    "anybody takes back": (Rules(sidecar=False, only_who_staged=False, refuses=True), "lost"),
    "a statement that is overtaken": (Rules(sidecar=False, overtakes=True, refuses=True), "lost"),
    "vanished, without asking the row": (Rules(sidecar=False, claims=False), "twice"),
    "sidecars are renamed back": (
        Rules(restores=True, occupied=True),
        "document before its sidecar",
    ),
    "taken back although a sidecar is visible": (
        Rules(first_of_all=False, refuses=True),
        "sidecar twice",
    ),
}


@pytest.mark.parametrize("happens", DESIGN)
def test_two_attempts_keep_every_promise(happens: str) -> None:
    found = search(DESIGN[happens], 2)
    assert not found.violation, found
    assert found.states > 250


@pytest.mark.slow
@pytest.mark.parametrize("happens", DESIGN)
def test_three_attempts_keep_every_promise(happens: str) -> None:
    found = search(DESIGN[happens], 3)
    assert not found.violation, found
    assert found.states > 1000


@pytest.mark.parametrize("variant", NAIVE)
def test_each_naive_variant_breaks_a_promise(variant: str) -> None:
    """A check that can't fail is none."""
    rules, promise = NAIVE[variant]
    assert search(rules, 2).violation == promise
