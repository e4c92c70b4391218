"""A catch-up from a sandbox that may misbehave, within this process, with waits that are short."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import anyio
import msgspec

from pipeline.app.catch_up import CatchUp, CatchUpResult
from pipeline.app.lock import single_instance
from pipeline.app.wiring import Config, load_config
from pipeline.app.wiring_sandbox import serve_platform
from pipeline.ledger.summary import Summary, summarise
from stages.sandbox import (
    Faults,
    FaultSpec,
    Mailbox,
    Sandbox,
    write_config,
)

#: Seconds after which a catch-up that ought to have ended has failed to.
PATIENCE = 100

SHORT = """\
attempts = {attempts}
retry_wait = 0.01
longest_retry_wait = 0.05
connect_timeout = 30
first_byte_timeout = {silence}
stall_timeout = {silence}
"""


class Trial:
    """A sandbox that is being served, and what a catch-up from it came to."""

    def __init__(self, folder: Path, mailbox: Mailbox, sandbox: Sandbox, faults: Faults) -> None:
        self.folder = folder
        self.mailbox = mailbox
        self.sandbox = sandbox
        self.faults = faults
        self.path = folder / "synqup.toml"

    def config(
        self, source: str = "", service: str = "", silence: float = 30, attempts: int = 3
    ) -> Config:
        """silence: seconds after which a server that says nothing is given up.

        Short only where it is the fault: a busy machine is silent for a while as well.
        """
        short = SHORT.format(silence=silence, attempts=attempts)
        text = self.path.read_text("utf-8")
        kind = f'kind = "{self.sandbox.platform.kind}"\n'
        text = text.replace(kind, f"{kind}{short}{source}")
        text = text.replace("[service]\n", f"[service]\n{service}")
        path = self.folder / "tried.toml"
        path.write_text(text, "utf-8")
        return load_config(path)

    async def bring(self, config: Config) -> CatchUpResult:
        with single_instance(config.service.state_dir), anyio.fail_after(PATIENCE):
            return await CatchUp(config).run(_show)

    def summary(self) -> Summary:
        return summarise(self.folder / "state" / "ledger.sqlite")

    def delivered(self) -> Counter[str]:
        found = (self.folder / "out").rglob("*")
        files = [path for path in found if path.is_file() and ".synqup" not in path.parts]
        return Counter(sha256(path.read_bytes()).hexdigest() for path in files)

    def held(self) -> Counter[str]:
        return Counter(sha256(document.read()).hexdigest() for document in self.mailbox)

    def journal(self) -> dict[str, list[str]]:
        told: dict[str, list[str]] = {}
        path = self.folder / "journal.jsonl"
        for line in path.read_bytes().splitlines():
            one = msgspec.json.decode(line)
            told.setdefault(one["id"], []).append(one["status"])
        return told


@asynccontextmanager
async def trial(
    folder: Path,
    *planned: FaultSpec,
    documents: int = 30,
    companies: int = 3,
    tls: Path | None = None,
    latency: float = 0.0,
    mailbox: Mailbox | None = None,
    kind: str = "billtobox",
    chosen: Mapping[str, str] | None = None,
    by_person: bool = False,
) -> AsyncIterator[Trial]:
    folder.mkdir(exist_ok=True)
    mailbox = mailbox or Mailbox(documents, companies, seed=7)
    faults = Faults(planned, seed=7)
    async with serve_platform(
        kind,
        mailbox,
        chosen,
        journal=folder / "journal.jsonl",
        faults=faults,
        tls=tls,
        latency=latency,
    ) as sandbox:
        one = Trial(folder, mailbox, sandbox, faults)
        write_config(one.path, sandbox, mailbox, by_person=by_person)
        yield one


async def _show(*_: object) -> None:
    await anyio.sleep_forever()


def all_arrived_once(it: Trial, spared: int = 0) -> bool:
    found, held = it.delivered(), it.held()
    told = it.journal()
    ends = [statuses[-1] for statuses in told.values()]
    return (
        not found - held
        and (held - found).total() == spared
        and set(told) == {document.id for document in it.mailbox}
        and ends.count("ERROR") == spared
    )
