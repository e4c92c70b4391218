"""The write stage with a real ledger and real folders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pipeline.document import Document
from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.models import State
from pipeline.stage import Result
from stages.delivery.lanes import Lanes
from stages.delivery.peers import Peers
from stages.delivery.staging import NAME, Staging
from stages.delivery.staging_shared import SharedStaging
from stages.delivery.volumes import Volumes
from stages.model import Classified
from stages.settings import Config
from stages.write import Write
from tests.helpers.documents import classified, configured

# As they are written into their folders.


class Bench:
    def __init__(
        self, folder: Path, ledger: Ledger, config: Config, peers: Peers | None = None
    ) -> None:
        self.folder = folder
        self.ledger = ledger
        self.config = config
        self.lanes = Lanes()
        volumes = Volumes(folder / "volumes")
        staging: Staging | SharedStaging
        if peers is None:
            staging = Staging(folder / "staging", self.lanes.mount_of)
        else:
            staging = SharedStaging(ledger, peers, self.lanes.mount_of)
        self.write = Write(ledger, staging, volumes, self.lanes)
        self.at = 1.0

    async def make(self, data: str, id_: str, **more: Any) -> Document[Classified]:
        return await classified(self.config, data, id_, **more)

    async def work(self, *documents: Document[Classified]) -> list[Result]:
        self.at += 1
        await self.ledger.seen([(one.key, one.entry.label) for one in documents], self.at)
        return await self.write.work(documents)

    async def bring(self, data: str, id_: str, **more: Any) -> Result:
        (result,) = await self.work(await self.make(data, id_, **more))
        return result

    def files(self) -> list[str]:
        return sorted(path.name for path in visible(self.folder / "out"))

    async def state(self, document: Document[Classified]) -> State:
        key = document.key
        return (await self.ledger.contents(key.source, [key.id]))[key.id][key.revision].state


def visible(folder: Path) -> list[Path]:
    """The files below a folder that an importer sees."""
    return [path for path in folder.rglob("*.*") if path.is_file() and path.parent.name != NAME]


@asynccontextmanager
async def bench(folder: Path, delivery: str = "", more: str = "") -> AsyncIterator[Bench]:
    config = configured(folder, delivery, more)
    async with open_ledger(folder / "ledger") as ledger:
        one = Bench(folder, ledger, config)
        yield one
        one.lanes.close()
