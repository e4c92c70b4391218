"""A change whose answer was lost is made again; what another one has brought further is left."""

from __future__ import annotations

import anyio
import pytest
from msgspec import structs

from pipeline.document import Key
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import AllocatedName, Duplicate, NameTaken, State, Unrecorded
from pipeline.ledger.place import LedgerPlace
from pipeline.ledger.writer import RowMissing
from tests.helpers.ledgers import KEY, query, row, staged

pytestmark = pytest.mark.anyio


async def test_a_change_that_is_made_again_changes_nothing_more(place: LedgerPlace) -> None:
    """As where the answer to a commit is lost."""
    other = Key("box", "2", "")
    group = [
        staged(identity=5, number_hash=6),
        staged(other, identity=7, number_hash=6),
        staged(Key("box", "3", ""), identity=5),
    ]
    async with open_ledger(place, node="n1") as ledger:
        await ledger.seen([(one.key, f"invoice {one.key.id}") for one in group], 1.0)
        before = await ledger.stage(group, 2.0)
        assert before[:2] == [
            AllocatedName("out/7.xml"),
            AllocatedName("out/7-2.xml", 2, corrects="invoice 1"),
        ]
        assert isinstance(before[2], Duplicate)
        again = await ledger.stage(group, 3.0)
        # Now the first one, too, finds another of its number.
        assert again == [AllocatedName("out/7.xml", corrects="invoice 2"), *before[1:]]
        assert [one.node for one in await ledger.unfinished()] == ["n1", "n1"]
        wanted = [NameTaken(other, "out/7.xml", 4, "t/1", "out/7-2.xml")]
        for _ in range(2):
            (allocated,) = await ledger.reallocate(wanted, 4.0)
            assert allocated is not None
            assert allocated.path == (await ledger.unfinished())[1].path
        for at in (5.0, 6.0):
            await ledger.delivered([(KEY, "t/1"), (other, "t/1")], at)
        assert await ledger.stage(group[:2], 7.0) == [Unrecorded(State.DELIVERED)] * 2
    times = "SELECT DISTINCT delivered_at, changed_at FROM documents WHERE state = 'delivered'"
    assert query(place, times) == [(5.0, 5.0)]


async def test_two_nodes_that_find_one_name_taken_go_on_with_one_other_name(
    place: LedgerPlace,
) -> None:
    """As where both bring the same document to its end."""
    first, second = "out/7.xml", "out/7-2.xml"
    async with open_ledger(place, node="n1") as one, open_ledger(place, node="n2") as two:
        await one.seen([(KEY, "")], 1.0)
        await one.stage([staged()], 2.0)
        found: dict[str, AllocatedName | None] = {}

        async def reallocate(name: str, ledger: Ledger) -> None:
            (found[name],) = await ledger.reallocate([NameTaken(KEY, first, 2, "t/1", first)], 3.0)

        async with anyio.create_task_group() as both:
            both.start_soon(reallocate, "n1", one)
            both.start_soon(reallocate, "n2", two)
        assert found == dict.fromkeys(("n1", "n2"), AllocatedName(second, 2))
        # A program takes that name as well, and one of them finds it out before the other.
        later = NameTaken(KEY, first, 3, "t/1", second)
        third = [AllocatedName("out/7-3.xml", 3)]
        assert await two.reallocate([later], 4.0) == third
        assert await one.reallocate([structs.replace(later, first=8)], 5.0) == third
        # One that is far behind learns the name as well, whatever it calls its preferred one.
        behind = NameTaken(KEY, second, 2, "t/1", second)
        assert await one.reallocate([behind], 6.0) == [AllocatedName("out/7-3.xml")]
        assert [row.path for row in await one.unfinished()] == ["out/7-3.xml"]
        await two.delivered([(KEY, "t/1")], 7.0)
        assert await one.reallocate([later], 8.0) == [None]


async def test_what_is_staged_by_another_temporary_file_is_left_alone(place: LedgerPlace) -> None:
    async with open_ledger(place) as ledger:
        await ledger.seen([(KEY, "")], 1.0)
        await ledger.stage([staged()], 2.0)
        other = structs.replace(staged(), staged="t/2")
        assert await ledger.stage([other], 3.0) == [Unrecorded(State.STAGED)]
        with pytest.raises(RowMissing):
            await ledger.delivered([(KEY, "t/2")], 3.0)
        await ledger.unstaged([(KEY, "t/2", "the folder was gone")], 3.0)
        assert await ledger.reallocate(
            [NameTaken(KEY, "out/7.xml", 2, "t/2", "out/7.xml")], 3.0
        ) == [None]
        assert [(one.staged, one.path) for one in await ledger.unfinished()] == [
            ("t/1", "out/7.xml")
        ]
        await ledger.delivered([(KEY, "t/1")], 4.0)
        await ledger.unstaged([(KEY, "t/1", "the folder was gone")], 5.0)
        assert (await row(ledger)).state is State.DELIVERED
        with pytest.raises(RowMissing):
            await ledger.delivered([(KEY, "t/1"), (Key("box", "2", ""), "t/3")], 6.0)
