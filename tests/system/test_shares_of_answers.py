"""A source that accepts and never answers, at whichever request, keeps no other one's waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import structs

from pipeline.app.service import Service
from pipeline.app.wiring import Config, load_config
from pipeline.app.wiring_sandbox import serve_platform
from pipeline.config.types import StageSettings
from stages.sandbox import Faults, FaultSpec, Mailbox, Served
from stages.sandbox.configuration import write_config_of_all
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Wire
from tests.helpers.services import often, running, until

pytestmark = pytest.mark.anyio

#: Longer than any test: nobody waits for what hangs.
TIMEOUTS = 'connections = 4\nfirst_byte_timeout = "1h"\nstall_timeout = "1h"\n'


class HangingPdfs(Faults):
    """Never answers a request for a PDF; documents come."""

    def __init__(self) -> None:
        super().__init__()
        self.hanging = 0

    def middleware(self, tokens: Tokens, mailbox: Mailbox, wire: Wire) -> Middleware:
        @web.middleware
        async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.headers.get("Accept") == "application/pdf":
                self.hanging += 1
                await anyio.sleep_forever()
            return await handler(request)

        return inject


class Pair:
    """A service with two sources, one of which hangs."""

    def __init__(self, service: Service, well: Mailbox) -> None:
        self.service = service
        self.well = well

    def known(self, source: str, of: str) -> int:
        known = self.service._application.engine.observer.snapshot().sources.get(source)
        if known is None:
            return 0
        return known.in_flight if of == "in_flight" else known.counters.delivered

    async def others_come(self, documents: int = 30) -> None:
        """The other source's documents come, and it is told of each."""
        before = self.known("billit", "delivered")
        for brought in range(10, documents + 1, 10):
            self.well.grow(10)
            await until(
                lambda brought=brought: self.known("billit", "delivered") == before + brought
            )
            await until(lambda: not self.known("billit", "in_flight"))


def without(config: Config, source: str) -> Config:
    """A configuration without one of its sources."""
    companies = []
    for one in config.companies:
        kept = tuple(member for member in one.memberships if member.source != source)
        if kept:
            companies.append(structs.replace(one, source=None, sources=kept))
    sources = tuple(one for one in config.sources if one.name != source)
    return structs.replace(config, sources=sources, companies=tuple(companies))


@asynccontextmanager
async def pair(
    folder: Path,
    faults: Faults,
    documents: int = 300,
    delivery: str = "",
    change: Callable[[Config], Config] = lambda config: config,
) -> AsyncIterator[Pair]:
    hanging, well = Mailbox(documents, 2, seed=1), Mailbox(0, 2, seed=2)
    async with (
        serve_platform("billtobox", hanging, faults=faults) as first,
        serve_platform("billit", well, {"door": "feeds", "pause": "0"}) as second,
    ):
        path = folder / "synqup.toml"
        write_config_of_all(path, [Served(first, hanging), Served(second, well)])
        text = path.read_text("utf-8").replace("[delivery]\n", f"[delivery]\n{delivery}")
        for kind in ("billtobox", "billit"):
            text = text.replace(f'kind = "{kind}"\n', f'kind = "{kind}"\n{TIMEOUTS}')
        path.write_text(text, "utf-8")
        both = change(often(load_config(path)))
        is_done = False
        with anyio.CancelScope() as scope:
            async with running(both) as service:
                yield Pair(service, well)
                is_done = True
                scope.cancel()
        assert is_done


@pytest.mark.parametrize("documents", [3, 300])
async def test_acknowledgements_that_hang_keep_no_other_source_waiting(
    tmp_path: Path, documents: int
) -> None:
    faults = Faults([FaultSpec("no-answer", on="acknowledgement")])
    async with pair(tmp_path, faults, documents) as it:
        # More than there are connections, so that all that would take them have come.
        await until(lambda: it.known("billtobox", "delivered") >= min(documents, 20))
        await it.others_come()
        assert it.known("billtobox", "in_flight")


def two_workers(config: Config) -> Config:
    return structs.replace(config, stages={"render": StageSettings(workers=2, queue=3)})


@pytest.mark.parametrize("change", [lambda config: config, two_workers])
async def test_pdfs_that_hang_keep_no_other_source_waiting(
    tmp_path: Path, change: Callable[[Config], Config]
) -> None:
    faults = HangingPdfs()
    async with pair(tmp_path, faults, delivery='formats = "ubl+pdf"\n', change=change) as it:
        await until(lambda: faults.hanging >= 2)
        await it.others_come()
        assert it.known("billtobox", "in_flight")


FORMS = 'formats = "ubl+pdf"\n'


def hanging_at(what: str) -> Faults:
    return HangingPdfs() if what == "pdf" else Faults([FaultSpec("no-answer", on=what)])  # type: ignore[arg-type]


def hits(faults: Faults) -> int:
    return faults.hanging if isinstance(faults, HangingPdfs) else faults.hits["no-answer"]


@pytest.mark.parametrize("what", ["document", "acknowledgement", "pdf"])
async def test_a_source_that_hangs_and_is_removed_keeps_no_other_waiting(
    tmp_path: Path, what: str
) -> None:
    faults = hanging_at(what)
    async with pair(tmp_path, faults, delivery=FORMS) as it:
        await until(lambda: hits(faults) >= 4)
        it.service.apply(without(it.service.config, "billtobox"))
        await it.others_come(60)


@pytest.mark.parametrize("what", ["document", "acknowledgement", "pdf"])
async def test_a_source_that_hangs_alone_keeps_none_waiting_that_is_added_or_takes_its_place(
    tmp_path: Path, what: str
) -> None:
    faults = hanging_at(what)
    async with pair(tmp_path, faults, delivery=FORMS) as it:
        both = it.service.config
        it.service.apply(without(both, "billit"))
        await until(lambda: hits(faults) >= 4)
        it.service.apply(both)
        await it.others_come()
        it.service.apply(without(both, "billit"))
        it.service.apply(without(both, "billtobox"))
        await it.others_come()


@pytest.mark.parametrize("what", ["document", "acknowledgement", "pdf"])
async def test_a_source_that_hangs_and_is_changed_again_and_again_keeps_no_other_waiting(
    tmp_path: Path, what: str
) -> None:
    faults = hanging_at(what)
    async with pair(tmp_path, faults, delivery=FORMS) as it:
        for connections in (3, 5, 4):
            await until(lambda: hits(faults))
            faults.hits.clear()
            config = it.service.config
            changed = tuple(
                structs.replace(one, connections=connections) if one.name == "billtobox" else one
                for one in config.sources
            )
            it.service.apply(structs.replace(config, sources=changed))
            await it.others_come(20)
