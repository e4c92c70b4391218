"""A catch-up by a configuration, and what it has delivered."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from pathlib import Path

import anyio

from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.lock import single_instance
from pipeline.app.wiring import Config


async def bring(config: Config) -> CatchUpResult:
    async def show(*_: object) -> None:
        await anyio.sleep_forever()

    with single_instance(config.service.state_dir), anyio.fail_after(250):
        return await CatchUp(config).run(show)


def delivered(folder: Path) -> Counter[str]:
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    return Counter(sha256(path.read_bytes()).hexdigest() for path in files)
