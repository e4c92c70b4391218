"""A catch-up from a sandbox that is CodaBox, within this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import anyio
import msgspec

from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.lock import single_instance
from pipeline.app.wiring import Config, load_config
from pipeline.ledger.summary import Summary, summarise
from stages.sandbox import Faults, FaultSpec, Mailbox, Sandbox, serve_sandbox, write_config
from stages.sandbox.corpus import Document
from stages.sources.codabox.memory import FeedState
from stages.sources.codabox.sandbox import FIRST_FEED, CodaBoxWire

PATIENCE = 100
#: A delay that no test waits for.
HOURS = 7200.0

SHORT = """\
kind = "codabox"
attempts = 2
retry_wait = 0.01
longest_retry_wait = 0.05
"""


class CodaBoxWorld:
    """A sandbox that is being served, and what a catch-up from it came to."""

    def __init__(
        self, folder: Path, mailbox: Mailbox, wire: CodaBoxWire, faults: Faults, served: Sandbox
    ) -> None:
        self.folder = folder
        self.mailbox = mailbox
        self.wire = wire
        self.faults = faults
        self.sandbox = served
        self.path = folder / "synqup.toml"

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text("utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new), "utf-8")

    def config(self) -> Config:
        return load_config(self.path)

    async def bring(self) -> CatchUpResult:
        config = self.config()
        with single_instance(config.service.state_dir), anyio.fail_after(PATIENCE):
            return await CatchUp(config).run(_show)

    def serve_well(self) -> None:
        """End all faults."""
        self.faults.specs = ()

    def pass_time(self) -> None:
        """Have the delay pass, for the platform and for us."""
        self.wire.forget_lists()
        for file in (self.folder / "state" / "feeds").rglob("feed-*.json"):
            state = msgspec.json.decode(file.read_bytes(), type=FeedState)
            file.write_bytes(
                msgspec.json.encode(msgspec.structs.replace(state, asked_at=0.0, rest=0.0))
            )

    def of(self, company: int) -> list[Document]:
        """The documents of a company, in the order of its feed."""
        return self.mailbox.oldest(None, platform_ids=[self.mailbox.companies[company].platform_id])

    def folder_of(self, company: int) -> Path:
        one = self.mailbox.companies[company]
        return self.folder / "out" / f"{one.name}_{one.identifier}"

    def delivered(self) -> Counter[str]:
        files = [path for path in (self.folder / "out").rglob("*") if path.is_file()]
        return Counter(sha256(path.read_bytes()).hexdigest() for path in files)

    def summary(self) -> Summary:
        return summarise(self.folder / "state" / "ledger.sqlite")


@asynccontextmanager
async def codabox(
    folder: Path,
    *planned: FaultSpec,
    documents: int = 30,
    companies: int = 3,
    wire: CodaBoxWire | None = None,
    by_person: bool = False,
    mailbox: Mailbox | None = None,
) -> AsyncIterator[CodaBoxWorld]:
    folder.mkdir(exist_ok=True)
    mailbox = mailbox or Mailbox(documents, companies, seed=7)
    wire = wire or CodaBoxWire(HOURS)
    faults = Faults(planned, seed=7)
    async with serve_sandbox(
        mailbox, platform=wire, journal=folder / "journal.jsonl", faults=faults
    ) as served:
        one = CodaBoxWorld(folder, mailbox, wire, faults, served)
        write_config(one.path, served, mailbox, by_person=by_person)
        one.edit('kind = "codabox"\n', SHORT)
        yield one


def feed_of(company: int) -> str:
    return str(FIRST_FEED + company)


def hashes(documents: Sequence[Document]) -> Counter[str]:
    return Counter(sha256(document.read()).hexdigest() for document in documents)


async def _show(*_: object) -> None:
    await anyio.sleep_forever()
