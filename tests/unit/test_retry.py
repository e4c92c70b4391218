"""RetryPolicy: as often and as late as the settings say."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from pipeline.errors import RetryableError
from pipeline.retry import RetryPolicy

pytestmark = pytest.mark.anyio


def test_waits_are_settable_and_bounded() -> None:
    retries = RetryPolicy(attempts=2, first_wait=0.01)
    tried = []

    async def work() -> None:
        tried.append(1)
        raise RetryableError("it", retry_after=0.01)

    async def hopeless() -> None:
        tried.append(1)
        raise RetryableError("it", retry_after=retries.longest_asked + 1)

    for job, times in ((work, 2), (hopeless, 1)):
        tried.clear()
        with pytest.raises(RetryableError):
            anyio.run(retries.run, job)
        assert len(tried) == times
