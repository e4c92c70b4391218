"""A node that can't bring a document says nothing against another one that has brought it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.document import Document
from pipeline.engine.engine import Engine
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import Rejected
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace
from pipeline.stage import Stage, one_by_one
from tests.helpers.farm import Farm
from tests.helpers.ledgers import row, staged

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("state", [State.DELIVERED, State.STAGED])
async def test_what_another_node_has_brought_meanwhile_is_no_failure(
    tmp_path: Path, place: LedgerPlace, state: State
) -> None:
    """As where this process stood still between the download and what came of it."""
    farm = Farm(1)
    async with open_ledger(place, node="n1") as ledger, open_ledger(place, node="n2") as other:

        async def process(document: Document[Any]) -> Document[Any]:
            # Until this is answered, nobody else sees that it was listed.
            await ledger.contents("farm", ["0"])
            await other.stage([staged(document.key)], 2.0)
            if state is State.DELIVERED:
                await other.delivered([(document.key, "t/1")], 3.0)
            raise Rejected(document.entry.label, "its bytes are damaged here")

        quarantine = Quarantine(tmp_path / "quarantine")
        engine = Engine([Stage("refuse", one_by_one(process))], ledger, quarantine)
        document = farm.document("0", b"bytes")
        async with engine.running():
            await ledger.seen([(document.key, "document 0")], time.time())
            await engine.dispatcher.submit(document)
        assert (await row(ledger, document.key)).state is state
        assert [one.accepted for one in farm.told] == [True] * (state is State.DELIVERED)
        assert not await quarantine.holds(document.key)
        assert engine.counters.ends[State.QUARANTINED] == 0
