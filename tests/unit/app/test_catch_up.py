"""What a catch-up shows of how far it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.app.catch_up import CatchUp
from tests.helpers.farm import Farm
from tests.helpers.trial import trial

pytestmark = pytest.mark.anyio


class Telling(Farm):
    """A farm that says how much it holds once it has been asked."""

    says: int | None = None

    def backlog(self) -> int | None:
        return self.says


async def test_no_total_is_shown_before_every_source_has_told_its_own(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        one = CatchUp(it.config())
    assert one._total() is None
    first, second = Telling(name="first"), Telling(name="second")
    one._sources = [first, second]
    first.says = 100
    assert one._total() is None
    second.says = 7
    assert one._total() == 107
    # Another walk: it has not got round yet, then sees what is left.
    first.says = None
    assert one._total() == 107
    first.says = 20
    assert one._total() == 107


async def test_a_source_that_fails_before_it_tells_is_not_waited_for(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        one = CatchUp(it.config())
    first, second = Telling(name="first"), Telling(name="second")
    one._sources = [first, second]
    first.says = 100
    one._failures["second"] = "it does not answer"
    assert one._total() == 100
