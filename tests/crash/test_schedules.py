"""A part of the plays in any order; the others with `python -m tests.crash cluster schedules`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.postgres import missing

if sys.platform != "linux":
    pytest.skip("what it imports watches by inotify", allow_module_level=True)
if why := missing():
    pytest.skip(why, allow_module_level=True)

from .naive import NAIVE
from .schedules import Sum, plays, prepare

#: Plays within which each naive design has to be found out. Those of this seed are always the same.
SEED, ENOUGH = 2, 1000
#: Those that are found out by many plays, and so by the first ones.
EARLY = ("again", "replace", "names")


@pytest.fixture
def dsn(postgres: str) -> str:
    prepare(postgres)
    return postgres


def test_no_order_loses_or_doubles_anything(dsn: str, tmp_path: Path) -> None:
    total = Sum(SEED)
    for one in plays(dsn, tmp_path, SEED, range(12)):
        total.add(one)
    assert not total.wrong, "\n".join(map(str, total.wrong))
    assert total.takeovers
    assert {"answer lost", "request lost", "dies", "sleeps", "refused"} <= {
        step.partition(": ")[2] for step in total.steps
    }


def test_a_play_is_the_same_again(dsn: str, tmp_path: Path) -> None:
    (one,) = plays(dsn, tmp_path, SEED, [5])
    (again,) = plays(dsn, tmp_path, SEED, [5])
    assert one.trace == again.trace
    assert len(one.trace) > 20


@pytest.mark.parametrize("naive", EARLY)
def test_a_naive_design_is_found_out_at_once(dsn: str, tmp_path: Path, naive: str) -> None:
    """A check that can't fail is none."""
    assert any(one.problems for one in plays(dsn, tmp_path, SEED, range(60), naive))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_one_of_many_orders_loses_or_doubles_anything(dsn: str, tmp_path: Path) -> None:
    total = Sum(SEED)
    for one in plays(dsn, tmp_path, SEED, range(12, 312)):
        total.add(one)
    assert not total.wrong, "\n".join(map(str, total.wrong))
    assert total.with_takeover > 60


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("naive", NAIVE)
def test_each_naive_design_is_found_out(dsn: str, tmp_path: Path, naive: str) -> None:
    """A check that can't fail is none."""
    assert any(one.problems for one in plays(dsn, tmp_path, SEED, range(ENOUGH), naive))
