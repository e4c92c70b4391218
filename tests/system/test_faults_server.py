"""Whatever the server does wrong: what the user reads, what becomes of the documents it meets,
and that all the others arrive. Afterwards, with the fault repaired, everything has arrived once.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from aiohttp import web
from msgspec import Struct
from yarl import URL

from pipeline.app.catch_up import CatchUpResult
from pipeline.ledger.models import State
from stages.sandbox import FaultSpec
from stages.sandbox.faults import FAULTS
from tests.helpers.trial import PATIENCE, Trial, all_arrived_once, trial

pytestmark = pytest.mark.anyio


class Case(Struct, frozen=True):
    """A fault, and its outcome.

    end: "delivered" for all; "waiting" or "quarantined" for those it meets, and what is read of
    each of them; "source" when the poll is given up, and what is read of the source.
    silence: seconds for which the server may say nothing.
    """

    end: str
    planned: tuple[FaultSpec, ...]
    said: str = ""
    source: str = ""
    service: str = ""
    silence: float = 30

    def __str__(self) -> str:
        faults = "+".join(one.name for one in self.planned)
        often = "once" if self.planned[0].each else "in part" if self.planned[0].share < 1 else ""
        return f"{faults} {self.planned[0].on or ''} {often} {self.end}".replace("  ", " ")


def once(name: str, silence: float = 30, **more: object) -> Case:
    """Each request is met once: everything arrives."""
    planned = FaultSpec(name, each=1, **more)  # type: ignore[arg-type]
    return Case("delivered", (planned,), silence=silence)


def some(
    name: str, end: str, said: str, service: str = "", silence: float = 30, **more: object
) -> Case:
    """A part of the documents is met always."""
    planned = FaultSpec(name, share=0.2, on="document", **more)  # type: ignore[arg-type]
    return Case(end, (planned,), said, service=service, silence=silence)


def source(name: str, said: str, **more: object) -> Case:
    """The source is of no use."""
    return Case("source", (FaultSpec(name, **more),), said)  # type: ignore[arg-type]


CASES = (
    Case("delivered", (FaultSpec("expired-token", times=3),)),
    Case("delivered", (FaultSpec("expired-token", on="document", rate=0.2, times=2),)),
    source("unauthorized", "source billtobox: the platform refuses a new token. Check the client"),
    source("sign-in-refused", 'the sign-in was refused: the source answered 401: "A fault of the'),
    source("forbidden", "answered 403", on="list"),
    some("forbidden", "waiting", "approve this application at the platform"),
    some("not-found", "quarantined", "no longer has it (404"),
    once("too-many", on="document"),
    once("too-many", on="list"),
    Case("delivered", (FaultSpec("too-many-seconds", times=2),)),
    Case("delivered", (FaultSpec("too-many-date", times=1),)),
    source("too-many-seconds", "the source answered 429", seconds=3600),
    once("error", on="document"),
    once("error", on="list"),
    once("bad-gateway", on="document"),
    once("unavailable", on="document"),
    Case("delivered", (FaultSpec("error", on="acknowledgement", each=1, share=0.2),)),
    some("error", "waiting", "the source answered 500"),
    source("unavailable", "the source answered 503"),
    source("unavailable", "the source answered 503", on="token"),
    once("reset"),
    some("reset", "waiting", "the answer broke off after "),
    once("truncated"),
    some("truncated", "waiting", "the answer broke off after "),
    once("length-too-long"),
    some("length-too-long", "waiting", "the answer broke off after "),
    once("length-too-short"),
    some("length-too-short", "waiting", "the answer breaks the rules of HTTP (Bad status line"),
    once("wrong-checksum"),
    some("wrong-checksum", "quarantined", "content-digest sha-256 says 000"),
    some("slow-body", "waiting", "the answer comes too slowly (in ", silence=0.6, seconds=0.02),
    once("no-answer", on="document", silence=0.6),
    once("no-answer", on="list", silence=0.6),
    some(
        "no-answer",
        "waiting",
        "the source does not answer in time. Check the address",
        silence=0.6,
    ),
    source("redirect", "redirects (302, to 127.0.0.2), and credentials must not be sent there"),
    some(
        "explosion",
        "quarantined",
        "max_document_size is 1,000,000. Raise max_document_size in [service]",
        service='max_document_size = "1 MB"\nspool_threshold = "100 kB"\n',
        size=20_000_000,
    ),
    once("packed-short"),
    some(
        "packed-short", "waiting", "bytes: the compressed data ends too early. It will be retried"
    ),
    once("part"),
    some("part", "waiting", "answered 206, but not with the whole document."),
    once("slow-headers", on="document", silence=0.6, seconds=0.1),
    some(
        "slow-headers",
        "waiting",
        "the source does not answer in time. Check the address",
        silence=0.6,
        seconds=0.1,
    ),
    Case("delivered", (FaultSpec("odd-item"),)),
    once("web-page", on="document"),
    once("web-page", on="list"),
    some(
        "web-page",
        "waiting",
        "the source answered with a web page. Check the address",
    ),
    source("web-page", ": the source answered with a web page", on="list"),
    Case("delivered", (FaultSpec("web-page", on="acknowledgement", each=1, share=0.2),)),
    source("web-page", "the token address did not answer with a token", on="token"),
    once("invalid-json"),
    source("invalid-json", "the answer is no list of documents but begins with"),
    Case(
        "delivered",
        (FaultSpec("repeated-page", each=1),),
        source="page_size = 3\n",
    ),
    Case("delivered", (FaultSpec("clock"), FaultSpec("too-many-seconds", times=1))),
    Case("delivered", (FaultSpec("lost-acknowledgement", each=1, share=0.3),)),
    Case("delivered", (FaultSpec("ignored-acknowledgement"),)),
    Case("delivered", (FaultSpec("forbidden", on="acknowledgement"),)),
)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_fault_of_the_server(tmp_path: Path, case: Case) -> None:
    async with trial(tmp_path, *case.planned) as it:
        outcome = await it.bring(it.config(case.source, case.service, case.silence))
        assert it.faults.hits[case.planned[0].name]
        check(case, it, outcome)
        it.faults.specs = ()
        await it.bring(it.config(case.source, case.service))
        assert all_arrived_once(it, spared=quarantined(it))
        if case.end != "quarantined":
            assert not quarantined(it)
        secret = it.sandbox.client_secret.encode()
        for path in (tmp_path / "state").rglob("*"):
            assert not path.is_file() or secret not in path.read_bytes()


def check(case: Case, it: Trial, outcome: CatchUpResult) -> None:
    counters, summary = outcome.counters, it.summary()
    reasons = [kept.reason for kept in (*summary.waiting, *summary.quarantine)]
    for words in (it.sandbox.client_secret, "Traceback", "Bearer"):
        assert not any(words in said for said in (*reasons, *outcome.failures.values()))
    match case.end:
        case "delivered":
            assert not outcome.failures
            assert not reasons
            assert it.delivered() == it.held()
        case "source":
            assert case.said in outcome.failures["billtobox"]
            assert outcome.failures["billtobox"].startswith("source billtobox")
            assert not counters.delivered
        case _:
            assert not outcome.failures
            ended = counters.waiting if case.end == "waiting" else counters.quarantined
            assert 0 < ended < len(it.mailbox)
            assert len(reasons) == ended
            assert counters.delivered == len(it.mailbox) - ended
            for kept in (*summary.waiting, *summary.quarantine):
                assert case.said in kept.reason
                assert f"(id {kept.id.partition('/')[2]})" in kept.reason


def quarantined(it: Trial) -> int:
    return sum(one.documents for one in it.summary().counts if one.state is State.QUARANTINED)


def test_every_fault_of_the_table_is_tried() -> None:
    tried = {one.name for case in CASES for one in case.planned}
    signing_in = {"revoked-sign-in", "lost-token", "no-refresh-token", "expired-code"}
    #: Tried where their platforms are: a file that grows, and a header in milliseconds.
    of_others = {"growing", "too-many-ms"}
    left = set(FAULTS) - tried - signing_in - of_others
    assert left == {"damaged", "slow", "new-content", "refused"}


async def test_a_list_that_breaks_stops_no_other(tmp_path: Path) -> None:
    """Three companies with three lists each, one of which can't be read."""
    async with trial(tmp_path, FaultSpec("invalid-json", share=0.2)) as it:
        outcome = await it.bring(it.config())
        assert 0 < outcome.counters.delivered < len(it.mailbox)
        assert "no list of documents" in outcome.failures["billtobox"]
        it.faults.specs = ()
        await it.bring(it.config())
        assert all_arrived_once(it)


async def test_a_listener_that_is_closed_for_a_while_costs_a_poll(tmp_path: Path) -> None:
    async with trial(tmp_path, FaultSpec("refused", after=0.0, until=3)) as it:
        config = it.config()
        await listening(it, False)
        outcome = await it.bring(config)
        assert "does not answer (127.0.0.1:" in outcome.failures["billtobox"]
        assert "Check the address, the network and the firewall" in outcome.failures["billtobox"]
        await listening(it, True)
        await it.bring(config)
        assert all_arrived_once(it)


async def listening(it: Trial, wanted: bool) -> None:
    """Wait until somebody listens, or nobody."""
    url = URL(it.sandbox.url)
    assert url.host
    assert url.port
    found = not wanted
    with anyio.fail_after(PATIENCE):
        while found is not wanted:
            await anyio.sleep(0.01)
            try:
                async with await anyio.connect_tcp(url.host, url.port):
                    found = True
            except OSError:
                found = False


async def test_no_damaged_document_passes_where_a_checksum_is_required(tmp_path: Path) -> None:
    async with trial(tmp_path, FaultSpec("damaged", rate=0.5)) as it:
        outcome = await it.bring(it.config(service="require_checksum = true\n"))
        assert not it.delivered() - it.held()
        assert outcome.counters.delivered + outcome.counters.quarantined == len(it.mailbox)


async def test_an_id_with_a_new_content_is_another_document(tmp_path: Path) -> None:
    async with trial(tmp_path, FaultSpec("new-content", each=1), documents=20) as it:
        before = it.held()
        outcome = await it.bring(it.config())
        assert not outcome.failures
        assert outcome.counters.delivered == 40
        assert it.held() != before
        assert it.delivered() == before + it.held()
        await it.bring(it.config())
        assert it.delivered().total() == 40


async def test_a_new_content_that_is_not_announced_is_found(tmp_path: Path) -> None:
    async with trial(tmp_path, FaultSpec("new-content", each=1, mute=True), documents=20) as it:
        before = it.held()
        for _ in range(3):
            outcome = await it.bring(it.config())
            assert not outcome.failures
        assert it.held() != before
        assert it.delivered() == before + it.held()
        assert not outcome.counters.listed


async def test_credentials_do_not_follow_a_redirect(tmp_path: Path) -> None:
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    other = web.Application()
    other.router.add_route("*", "/{any:.*}", note)
    runner = web.AppRunner(other)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    to = f"http://127.0.0.1:{runner.addresses[0][1]}/v4/x"
    try:
        for on in ("token", "list", "document", "acknowledgement"):
            folder = tmp_path / on
            async with trial(folder, FaultSpec("redirect", on=on, to=to), documents=4) as it:  # type: ignore[arg-type]
                await it.bring(it.config())
                assert it.faults.hits["redirect"]
    finally:
        await runner.cleanup()
    assert not asked


async def test_the_same_seed_strikes_the_same_documents(tmp_path: Path) -> None:
    waiting = []
    for attempt in ("a", "b"):
        async with trial(tmp_path / attempt, FaultSpec("error", on="document", share=0.3)) as it:
            await it.bring(it.config())
            waiting.append({kept.id for kept in it.summary().waiting})
    assert waiting[0] == waiting[1]
    assert waiting[0]
