"""A catch-up from Recommand: what is no invoice and has no XML leaves the inbox, no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.kind import Kind
from stages.sandbox import Mailbox
from stages.sources.http.inbox import sandbox as peppol
from tests.helpers.bringing import bring, delivered
from tests.helpers.inboxes import inbox

pytestmark = pytest.mark.anyio


async def test_answers_without_xml_leave_and_an_invoice_without_stays(tmp_path: Path) -> None:
    mailbox = Mailbox(30, 2, seed=5)
    first = next(one.index for one in mailbox if one.kind is Kind.PURCHASE)
    options = {"empty": 5, "without_xml": first, "foreign": True}
    async with inbox(tmp_path, "recommand", mailbox, **options) as it:
        config = it.config()
        await bring(config)
        marked = {one.split("/")[2] for one in it.said("/mark-as-read")}
        assert {f"doc_empty_{number}" for number in range(5)} <= marked
        assert [one.index for one in peppol.waiting(mailbox)] == [first]
        assert "doc_foreign" not in marked
        assert sum(delivered(tmp_path).values()) == sum(it.held().values()) - 1
        # They are not asked for again.
        it.asked.clear()
        await bring(config)
        assert not [one for one in it.asked if not it.is_list(one)]
