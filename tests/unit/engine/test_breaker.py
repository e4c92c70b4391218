"""Circuit breaker: opens for what concerns the source alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from pipeline.engine.breaker import GIVE_UP_AFTER, GIVE_UP_SECONDS, SUSPECT_AFTER, Breaker
from pipeline.engine.breaker_retry import BreakerRetry
from pipeline.errors import (
    InternalError,
    RetryableError,
    SignInRefused,
    SourceError,
    SourceUnavailable,
    SourceUnreachable,
)
from pipeline.retry import RetryPolicy
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


def test_the_breaker_opens_for_what_concerns_the_source_alone() -> None:
    now = 0.0
    one = Breaker(lambda: now)

    def fail(times: int, error: Any = None) -> None:
        for _ in range(times):
            one.record_failure("a", error or SourceUnavailable("a"))

    for harmless in (SourceError("d"), RetryableError("d"), RetryableError("d", "broken off")):
        fail(1000, harmless)
        assert not one.is_suspect("a")
    fail(SUSPECT_AFTER - 1)
    assert not one.is_suspect("a")
    fail(1)
    assert one.is_suspect("a")
    assert not one.is_suspect("b")
    assert one.open_reason("a", idle=False) is None
    assert isinstance(one.open_reason("a", idle=True), SourceUnavailable)
    one.record_success("a")
    assert not one.is_suspect("a")
    fail(GIVE_UP_AFTER - 2, SignInRefused("a"))
    fail(1, SourceUnreachable("a"))
    # It has served something, so the others may be at fault.
    assert one.open_reason("a", idle=True) is None
    fail(1, RetryableError("a", retry_after=3600))
    assert isinstance(one.open_reason("a", idle=False), RetryableError)
    assert one.open_reason("b", idle=True) is None
    one.reset("a")
    assert one.open_reason("a", idle=True) is None
    fail(SUSPECT_AFTER - 1)
    now = GIVE_UP_SECONDS
    assert one.open_reason("a", idle=False) is None
    fail(1)
    assert one.open_reason("a", idle=False) is not None
    one.stop("b", InternalError("b"))
    assert isinstance(one.open_reason("b", idle=False), InternalError)
    one.reset("b")
    assert one.open_reason("b", idle=False) is None
    assert isinstance(one.fault, InternalError)


async def test_a_source_that_is_given_up_keeps_nobody_waiting_for_another_try() -> None:
    now = 0.0
    one = Breaker(lambda: now)
    retry = BreakerRetry(one)
    farm = Farm()
    farm.retries = RetryPolicy(attempts=5, first_wait=1000, longest_wait=1000)
    failures: list[RetryableError] = []

    async def fail() -> None:
        raise SourceUnavailable("document", "503")

    async def fetch() -> None:
        try:
            await retry(farm, fail)
        except RetryableError as error:
            failures.append(error)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for _ in range(SUSPECT_AFTER):
                group.start_soon(fetch)
            await anyio.wait_all_tasks_blocked()
            assert not failures
            now = GIVE_UP_SECONDS
            group.start_soon(fetch)
    subjects = Counter(error.subject for error in failures)
    assert subjects == {"document": SUSPECT_AFTER, "source farm": 1}
    assert one.open_reason("farm", idle=False) is not None
