"""The service polls again and again: less often while a source fails, which is said once."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pipeline.app.poller import LONGEST_PAUSE, pause
from pipeline.errors import PartFailed, RetryableError, SourceUnavailable
from pipeline.retry import MAX_RETRY_AFTER
from stages.sandbox import FaultSpec
from tests.helpers.services import often, running, until
from tests.helpers.trial import trial

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "planned",
    [FaultSpec("unavailable"), FaultSpec("invalid-json"), FaultSpec("error", on="token")],
    ids=lambda planned: planned.name,
)
async def test_a_source_that_fails_is_reported_once_and_serves_again(
    tmp_path: Path, planned: FaultSpec
) -> None:
    strikes = 10 if planned.on == "token" else 60
    async with trial(tmp_path, planned, documents=12) as it:
        with capture_logs() as logs:
            async with running(often(it.config())):
                # Several polls: each tries a list, or a token, three times.
                await until(lambda: it.faults.hits[planned.name] > strikes)
                it.faults.specs = ()
                await until(lambda: it.delivered() == it.held())
                await until(lambda: "source serves again" in [line["event"] for line in logs])
        events = [line["event"] for line in logs if line["event"] in EVENTS]
        assert events == ["poll failed", "source serves again"]
        failed = [line for line in logs if line["event"] == "poll failed"]
        assert all(line["source"] == "billtobox" for line in failed)


EVENTS = ("poll failed", "source serves again")


async def test_another_trouble_is_reported_as_well(tmp_path: Path) -> None:
    async with trial(tmp_path, FaultSpec("unavailable"), documents=3) as it:
        with capture_logs() as logs:
            async with running(often(it.config())):
                await until(lambda: "poll failed" in [line["event"] for line in logs])
                it.faults.specs = (FaultSpec("unauthorized"),)
                await until(lambda: [line["event"] for line in logs].count("poll failed") == 2)
        reasons = [line["reason"] for line in logs if line["event"] == "poll failed"]
        assert len(reasons) == 2
        assert "503" in reasons[0]
        assert "refuses a new token" in reasons[1]


async def test_new_documents_are_brought_by_the_next_poll(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=6) as it, running(often(it.config())):
        await until(lambda: it.delivered() == it.held())
        it.mailbox.grow(6)
        await until(lambda: it.delivered() == it.held())
        assert len(it.mailbox) == 12


def test_polls_grow_rarer_up_to_a_bound() -> None:
    down = SourceUnavailable("source")
    assert [pause(300, down, failures) for failures in (1, 2, 3, 99)] == [
        *(600, 1200, LONGEST_PAUSE, LONGEST_PAUSE)
    ]
    assert pause(300, None, 0) == 300
    assert pause(300, RetryableError("source", retry_after=7000), 1) == 7000
    assert pause(300, RetryableError("source", retry_after=10**9), 1) == MAX_RETRY_AFTER
    assert pause(86400, down, 5) == 86400
    # One company's refused key makes the others wait no longer.
    assert pause(300, PartFailed("source, one company"), 99) == 300
