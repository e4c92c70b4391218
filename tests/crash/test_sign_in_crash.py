"""A kill at each call around an exchange of tokens: the next run goes on, or says "sign in again".

A sign-in cures it then, and never is a document lost or doubled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stages.sandbox import IssuerRules
from tests.helpers.sampling import IN_CI, every

from .kill import load
from .plan import Plan
from .processes import KILLED
from .world import Host, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the hook reads /proc"),
]

DOCUMENTS = 2
AGAIN = "Sign in again: synqup sign-in billtobox"
#: Calls that are tried beyond the first and the last one of an exchange.
AROUND = 3


def exchange(host: Host, folder: Path, command: str) -> Iterator[int]:
    """The numbers of the calls of an exchange, from the connection to what follows the storing."""
    with host.world(folder, DOCUMENTS, by_person=True) as world:
        assert world.sign_in() == 0
        plan = Plan(world.folder, record=folder / "calls")
        status = world.sign_in(plan) if command == "sign-in" else world.synqup(command, plan=plan)
        assert status == 0, world.said()
    calls = list(load(folder / "calls"))
    network = [one.number for one in calls if one.name in ("connect", "send", "sendall", "sendmsg")]
    storing = [one.number for one in calls if any("/tokens" in path for path in one.paths)]
    assert any(one.name in ("rename", "replace") and one.number in storing for one in calls)
    yield from range(max(min(network) - AROUND, 1), max(storing) + AROUND + 1, every(3))


def deliver(world: World) -> bool:
    """Bring all; returns whether somebody had to sign in again for it."""
    had_to = world.synqup("catch-up") != 0
    if had_to:
        assert AGAIN in world.said()
        assert world.sign_in() == 0, world.said()
        assert world.synqup("catch-up") == 0, world.said()
    world.take()
    assert not world.problems()
    return had_to


@pytest.mark.parametrize("grace", [0.0, 600.0], ids=["no grace", "a grace"])
def test_a_kill_in_a_renewal_is_survived_or_said(host: Host, tmp_path: Path, grace: float) -> None:
    rules = IssuerRules(grace=grace, revokes_reused=True)
    died = told = 0
    for after in (False, True):
        for number in exchange(host, tmp_path / f"record-{after}", "catch-up"):
            place = tmp_path / f"{number}-{after}"
            with host.world(place, DOCUMENTS, by_person=True, rules=rules) as world:
                assert world.sign_in() == 0
                status = world.synqup("catch-up", plan=Plan(world.folder, kill=number, after=after))
                assert status in (0, KILLED), world.said()
                died += status == KILLED
                told += deliver(world)
    assert died > (3 if IN_CI else 10)
    # Nobody can help it where the issuer has replaced the token and its answer is not stored yet.
    if grace or not IN_CI:
        assert bool(told) is not bool(grace)


def test_a_kill_in_a_sign_in_leaves_the_one_before_or_the_new_one(
    host: Host, tmp_path: Path
) -> None:
    died = 0
    for after in (False, True):
        for number in exchange(host, tmp_path / f"record-{after}", "sign-in"):
            place = tmp_path / f"{number}-{after}"
            with host.world(place, DOCUMENTS, by_person=True) as world:
                assert world.sign_in() == 0
                status = world.sign_in(Plan(world.folder, kill=number, after=after))
                assert status in (0, KILLED), world.said()
                died += status == KILLED
                assert not deliver(world)
    assert died > (3 if IN_CI else 10)
