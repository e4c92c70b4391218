"""All sources share the stages: one whose downloads all hang keeps those of no other waiting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from msgspec import structs

from pipeline.app.service import Service
from pipeline.app.wiring import load_config
from pipeline.app.wiring_sandbox import serve_platform
from pipeline.config.types import StageSettings
from stages.sandbox import Faults, FaultSpec, Mailbox, Served
from stages.sandbox.configuration import write_config_of_all
from tests.helpers.services import often, running, until

pytestmark = pytest.mark.anyio


def files(folder: Path) -> int:
    return sum(path.is_file() for path in (folder / "out").rglob("*"))


async def others_come(service: Service, well: Mailbox, folder: Path, most: int) -> None:
    observer = service._application.engine.observer

    def is_full() -> bool:
        """Whether the one that hangs has taken what it can get."""
        known = observer.snapshot().sources.get("billtobox")
        return known is not None and known.in_flight >= most

    await until(is_full)
    for brought in (10, 20, 30):
        well.grow(10)
        await until(lambda brought=brought: files(folder) == brought)
    counters = observer.snapshot().sources["billtobox"].counters
    assert not counters.delivered
    assert not counters.waiting


@pytest.mark.parametrize("workers", [None, 3])
async def test_one_that_accepts_and_never_answers_leaves_the_others_theirs(
    tmp_path: Path, workers: int | None
) -> None:
    hanging, well = Mailbox(300, 2, seed=1), Mailbox(0, 2, seed=2)
    hangs: Sequence[FaultSpec] = [FaultSpec("no-answer", on="document")]
    chosen = {"door": "feeds", "pause": "0"}
    async with (
        serve_platform("billtobox", hanging, faults=Faults(hangs)) as first,
        serve_platform("billit", well, chosen) as second,
    ):
        path = tmp_path / "synqup.toml"
        write_config_of_all(path, [Served(first, hanging), Served(second, well)])
        text = path.read_text("utf-8")
        for kind in ("billtobox", "billit"):
            text = text.replace(f'kind = "{kind}"\n', f'kind = "{kind}"\nconnections = 4\n')
        path.write_text(text, "utf-8")
        config = often(load_config(path))
        if workers is not None:
            config = structs.replace(config, stages={"download": StageSettings(workers=workers)})
        is_brought = False
        with anyio.CancelScope() as scope:
            async with running(config) as service:
                await others_come(service, well, tmp_path, 1 if workers else 4)
                is_brought = True
                # Nobody waits for what hangs.
                scope.cancel()
        assert is_brought
