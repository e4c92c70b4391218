"""Groups of three nodes at once, with the same names and the same invoices: none waits in a circle.

Each group meets another one, of another node, that has its documents by another route, in another
order. Of the same document one is delivered; documents of one name get two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import anyio
import pytest

from pipeline.document import Key
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import AllocatedName, Allocation, Duplicate, Staged
from pipeline.ledger.place import PostgresPlace
from tests.helpers.ledgers import psycopg_of, query

pytestmark = pytest.mark.anyio

NODES = ("n1", "n2", "n3")
#: Groups of one node that are under way at once.
LANES = 3
#: Identities of the second document of a pair, apart from those of the first.
SECOND = 1_000_000


def group_of(node: str, pair: int) -> list[Staged]:
    """The documents of a node that meet those of another one: two that both have, one of its own.

    The second of those has the name of the first, and the own one as well.
    """

    def one(which: str, identity: int | None) -> Staged:
        return Staged(
            Key("box", f"{pair}-{which}-{node}", ""), f"t/{pair}-{which}-{node}", (),
            f"out/{pair}.xml", "BE1", "sales", "ab", 9, "", "", 3.0, identity=identity,
        )  # fmt: skip

    found = [one("first", pair), one("second", SECOND + pair), one("own", None)]
    return found if node != NODES[(pair + 1) % 3] else found[::-1]


async def deliver(ledger: Ledger, group: list[Staged], ends: dict[str, Allocation]) -> None:
    await ledger.seen([(one.key, "") for one in group], 1.0)
    found = await ledger.stage(group, 2.0)
    ends |= {one.key.id: end for one, end in zip(group, found, strict=True)}
    named = [one for one, end in zip(group, found, strict=True) if isinstance(end, AllocatedName)]
    await ledger.delivered([(one.key, one.staged) for one in named], 3.0)


@pytest.mark.parametrize(
    "pairs",
    [100, pytest.param(5_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
async def test_names_and_documents_that_meet(postgres: str, pairs: int) -> None:
    place = PostgresPlace(postgres)
    ends: dict[str, Allocation] = {}
    begun: Counter[str] = Counter()

    async def lane(ledger: Ledger, node: str, its: Iterator[int]) -> None:
        for pair in its:
            begun[node] += 1
            await deliver(ledger, group_of(node, pair), ends)

    async def work(node: str) -> None:
        # Each pair is of two nodes, by turns.
        its = iter([pair for pair in range(pairs) if node != NODES[pair % 3]])
        async with open_ledger(place, 60.0, node) as ledger, anyio.create_task_group() as group:
            for _ in range(LANES):
                group.start_soon(lane, ledger, node, its)

    async with anyio.create_task_group() as nodes:
        for node in NODES:
            nodes.start_soon(work, node)
    assert begun.total() == 2 * pairs
    rows = query(place, "SELECT id, state, path, identity FROM documents WHERE path <> ''")
    assert {state for _, state, _, _ in rows} == {"delivered"}
    # Two that are the same are delivered once, the two others both.
    assert len(rows) == 4 * pairs
    assert len({path for _, _, path, _ in rows}) == 4 * pairs
    assert Counter(identity for *_, identity in rows if identity is not None).total() == 2 * pairs
    assert len({identity for *_, identity in rows}) == 2 * pairs + 1
    assert {id_ for id_, *_ in rows} == {i for i, e in ends.items() if isinstance(e, AllocatedName)}
    assert sum(isinstance(end, Duplicate) for end in ends.values()) == 2 * pairs
    with closing(psycopg_of(place)) as connection:
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert connection.execute(deadlocks).fetchone() == (0,)
