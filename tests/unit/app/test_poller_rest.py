"""A poller at rest after a refusal: a new sign-in wakes it, a fault meanwhile does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from pipeline.app.poller import Poller
from pipeline.engine.error_reporter import ErrorReporter
from pipeline.errors import SignInRefused, SourceError, SynqupError
from stages.sources.billtobox.source import BilltoboxSource
from tests.helpers.documents import configured

pytestmark = pytest.mark.anyio

REFUSED = SignInRefused("source box", "the sign-in was refused")


class Watched(BilltoboxSource):
    """A source whose look-out for a new sign-in is a test's own."""

    fails = False

    async def signed_in_anew(self) -> None:
        if self.fails:
            raise ZeroDivisionError


def poller(folder: Path, *, fails: bool = False) -> Poller:
    config = configured(folder)
    source = Watched(config.sources[0], folder / "state")
    source.fails = fails
    application: Any = SimpleNamespace(error_reporter=ErrorReporter())
    return Poller(config.sources[0], source, application, config)


async def rests(one: Poller, error: SynqupError | None) -> bool:
    with anyio.move_on_after(0.2) as waited:
        await one._rest(anyio.Event(), error)
    return waited.cancelled_caught


async def test_a_new_sign_in_ends_the_rest_after_a_refusal(tmp_path: Path) -> None:
    assert not await rests(poller(tmp_path), REFUSED)


@pytest.mark.parametrize("error", [None, SourceError("source box")])
async def test_nothing_else_is_looked_out_for(tmp_path: Path, error: SynqupError | None) -> None:
    assert await rests(poller(tmp_path), error)


async def test_a_fault_in_the_look_out_ends_nothing(tmp_path: Path) -> None:
    assert await rests(poller(tmp_path, fails=True), REFUSED)


async def test_another_configuration_ends_it_as_well(tmp_path: Path) -> None:
    applied = anyio.Event()
    applied.set()
    with anyio.fail_after(60):
        await poller(tmp_path, fails=True)._rest(applied, REFUSED)
