"""A group of documents of several sources, while polls let their sources go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.document import Document
from pipeline.engine.breaker import Breaker
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.engine.runner import StageRunner
from pipeline.errors import InternalError
from pipeline.stage import Bound, Result, Stage
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("meanwhile", ["goes on", "stops too"])
async def test_a_source_that_a_poll_lets_go_on_meanwhile_takes_no_other_down(
    meanwhile: str,
) -> None:
    breaker = Breaker()
    worked: list[str] = []

    async def work(documents: Sequence[Document[Any]]) -> list[Result]:
        worked.extend(one.key.source for one in documents)
        if meanwhile == "goes on":
            breaker.reset("ill")
        else:
            breaker.stop("well", InternalError("source well", "a later fault"))
        return list(documents)

    runner = StageRunner(Stage("any", work, 1, Bound(10, 1000), 10), breaker, ErrorReporter())
    breaker.stop("ill", InternalError("source ill", "a fault"))
    ill, well = (Farm(name=name).document("1") for name in ("ill", "well"))
    with runner.queue:
        waits, passes = await runner.work([ill, well])
    assert worked == ["well"]
    assert isinstance(waits, InternalError)
    assert waits.reason == "a fault"
    assert passes is well
