"""Whatever the ledger has forgotten by keep_ledger, nothing that it proved is delivered again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.ledger.models import State
from stages.sandbox.state_index import State as MailboxState
from tests.helpers.trial import trial

pytestmark = pytest.mark.anyio

DAY = 86_400.0


@pytest.mark.parametrize("clock", [40 * DAY, 44 * DAY])
async def test_what_is_listed_again_after_its_record_was_shrunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: float
) -> None:
    async with trial(tmp_path, documents=24) as it:
        await it.bring(it.config())
        before = it.delivered()
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + clock)
        config = it.config(service='keep_ledger = "30d"\n')
        await it.bring(config)
        ledger = (tmp_path / "state" / "ledger.sqlite").read_bytes()
        assert b"a document of " in ledger
        for document in it.mailbox:
            it.mailbox.set_state(document, MailboxState.PENDING)
        outcome = await it.bring(config)
        assert not outcome.counters.delivered
        assert it.delivered() == before
        assert all(set(told) == {"FORWARDED"} for told in it.journal().values())
        counts = it.summary().counts
        assert sum(one.documents for one in counts if one.state is State.DELIVERED) == 24
        assert all(one.company and one.kind for one in counts if one.state is State.DELIVERED)
