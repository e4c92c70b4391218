"""What fails of one document, one company or one source stops no other."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pipeline.app import wiring as application
from pipeline.app.wiring import Config
from pipeline.engine import breaker
from pipeline.engine.breaker import SUSPECT_AFTER
from pipeline.errors import (
    Rejected,
)
from pipeline.source import Entry, Outcome, Source
from stages.flow import Flow
from stages.sandbox import FaultSpec
from stages.settings import StageSettings
from stages.sources.billtobox.source import BilltoboxSource
from stages.sources.registry import open_source
from tests.helpers.services import often, running, until
from tests.helpers.trial import Trial, trial

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

SECOND = """
[[sources]]
name = "second"
kind = "billtobox"
"""


def two_sources(it: Trial) -> Config:
    """The last of the companies gets a source of its own, at the same platform."""
    text = it.path.read_text("utf-8")
    head, company, last = text.rpartition("[[companies]]")
    account = head.partition('kind = "billtobox"\n')[2].partition("[[companies]]")[0]
    last = last.replace('source = "billtobox"', 'source = "second"')
    it.path.write_text(head + SECOND + account + company + last, "utf-8")
    return it.config()


def of_second(it: Trial) -> set[str]:
    *_, company = it.mailbox.companies
    return {document.id for document in it.mailbox if document.company is company}


@pytest.mark.parametrize(
    "planned",
    [
        FaultSpec("forbidden", on="document", share=0.33),
        FaultSpec("redirect", on="document", share=0.33),
        FaultSpec("unauthorized", on="document", share=0.33),
        FaultSpec("error", on="document", share=0.33),
        FaultSpec("unavailable", on="document", share=0.1),
        FaultSpec("no-answer", on="document", share=0.1),
    ],
    ids=lambda planned: planned.name,
)
async def test_a_part_of_the_documents_waits_alone(tmp_path: Path, planned: FaultSpec) -> None:
    silence = 0.5 if planned.name == "no-answer" else 30
    async with trial(tmp_path, planned, documents=150) as it:
        outcome = await it.bring(it.config(silence=silence))
        assert not outcome.failures
        assert outcome.counters.waiting > 8
        assert outcome.counters.delivered == 150 - outcome.counters.waiting
        it.faults.specs = ()
        await it.bring(it.config())
        assert it.delivered() == it.held()


@pytest.mark.parametrize("name", ["error", "unavailable"])
async def test_a_source_that_serves_no_document_is_given_up(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "GIVE_UP_SECONDS", 1.0)
    async with trial(tmp_path, FaultSpec(name, on="document"), documents=600) as it:
        outcome = await it.bring(it.config())
        assert "the source answered 50" in outcome.failures["billtobox"]
        assert SUSPECT_AFTER <= outcome.counters.waiting < 600
        # Under suspicion one try is enough.
        assert it.faults.hits[name] < 600


# One net for each source


class Sick(BilltoboxSource):
    """A connector with a bug of ours in one place."""

    place = ""
    error: type[Exception] = KeyError

    def _hurt(self, place: str) -> None:
        if place == type(self).place:
            raise type(self).error("ours")

    async def list(self, config: Config) -> Any:
        self._hurt("list")
        async for page in super().list(config):
            yield page
            self._hurt("later page")

    def backlog(self) -> int | None:
        self._hurt("backlog")
        return super().backlog()

    def fetch(self, entry: Entry, form: str = "") -> Any:
        self._hurt("fetch")
        return super().fetch(entry, form)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        self._hurt("acknowledge")
        return await super().acknowledge(outcomes)

    async def close(self) -> None:
        await super().close()
        self._hurt("close")


@pytest.fixture
def sicken(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, type[Exception]], None]:
    def make(place: str, error: type[Exception]) -> None:
        def open_(settings: Any, state_dir: Path, turns: Any = None) -> Source:
            if settings.name == "second":
                return open_source(settings, state_dir, turns)
            if place == "open":
                raise error("ours")
            return Sick(settings, state_dir, turns)

        monkeypatch.setattr(Sick, "place", place)
        monkeypatch.setattr(Sick, "error", error)
        monkeypatch.setattr(application, "open_source", open_)

    return make


PLACES = ("open", "list", "later page", "backlog", "fetch", "acknowledge")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", [KeyError, RecursionError, OSError])
async def test_a_bug_in_one_connector_stops_that_source_alone(
    tmp_path: Path,
    place: str,
    error: type[Exception],
    sicken: Callable[[str, type[Exception]], None],
) -> None:
    sicken(place, error)
    async with trial(tmp_path, documents=60) as it:
        config = two_sources(it)
        with capture_logs() as logs:
            outcome = await it.bring(config)
        told = it.journal()
        assert of_second(it) <= set(told)
        assert {one for statuses in told.values() for one in statuses} <= {"FORWARDED"}
        assert not it.summary().quarantine
        if error is OSError and place in {"fetch", "acknowledge"}:
            # The system's refusals concern each document alone.
            assert not outcome.failures
            assert not outcome.fault
        else:
            assert set(outcome.failures) == {"billtobox"}
            said = outcome.failures["billtobox"]
            assert said.startswith("source billtobox: ")
            if error is OSError:
                assert "the system says: ours" in said
                assert not outcome.fault
            else:
                assert f"a fault of synqup's own ({error.__name__})" in said
                assert "Send the log to support" in said
                assert f"({error.__name__})" in outcome.fault
            (state,) = [one for one in it.summary().sources if one.name == "billtobox"]
            assert state.error == said
            traces = [line for line in logs if line.get("exc_info")]
            assert len(traces) == 1
        sicken("", error)
        await it.bring(config)
        assert it.delivered() == it.held()
        assert set(it.journal()) == {document.id for document in it.mailbox}


async def test_a_source_that_can_not_be_closed_ends_nothing(
    tmp_path: Path, sicken: Callable[[str, type[Exception]], None]
) -> None:
    sicken("close", KeyError)
    async with trial(tmp_path, documents=10) as it:
        outcome = await it.bring(it.config())
        assert not outcome.failures
        assert it.delivered() == it.held()


async def test_a_destination_that_can_not_be_settled_fails_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def finish(self: Flow, busy: object) -> None:
        raise OSError(30, "Read-only file system", "/mnt/books")

    monkeypatch.setattr(Flow, "finish", finish)
    async with trial(tmp_path, documents=10) as it:
        with capture_logs() as logs:
            outcome = await it.bring(it.config())
        assert not outcome.failures
        assert it.delivered() == it.held()
        (said,) = [one for one in logs if one["event"] == "what is staged can't be recovered"]
        assert "Read-only file system (/mnt/books)" in said["reason"]


# The service


@pytest.mark.parametrize("place", ["list", "fetch", "acknowledge"])
async def test_the_service_goes_on_with_the_others_and_serves_again(
    tmp_path: Path, place: str, sicken: Callable[[str, type[Exception]], None]
) -> None:
    sicken(place, KeyError)
    async with trial(tmp_path, documents=60) as it:
        with capture_logs() as logs:
            async with running(often(two_sources(it))):
                await until(lambda: of_second(it) <= set(it.journal()))
                it.mailbox.grow(60)
                await until(lambda: of_second(it) <= set(it.journal()))
                await until(lambda: "poll failed" in [line["event"] for line in logs])
                sicken("", KeyError)
                await until(lambda: it.delivered() == it.held())
                await until(lambda: "source serves again" in [line["event"] for line in logs])
                await until(lambda: set(it.journal()) == {one.id for one in it.mailbox})
        events = Counter(line["event"] for line in logs)
        assert events["poll failed"] == 1
        assert events["unexpected error"] == 1
    assert {status for statuses in it.journal().values() for status in statuses} == {"FORWARDED"}


async def test_a_hundred_edits_leave_one_source_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[weakref.ref[Source]] = []
    sessions = 0

    class Counted(BilltoboxSource):
        async def close(self) -> None:
            nonlocal sessions
            await super().close()
            sessions -= 1

    def open_(settings: Any, state_dir: Path, turns: Any = None) -> Source:
        nonlocal sessions
        source = Counted(settings, state_dir, turns)
        opened.append(weakref.ref(source))
        sessions += 1
        return source

    def alive() -> int:
        gc.collect()
        return sum(one() is not None for one in opened)

    monkeypatch.setattr(application, "open_source", open_)
    async with trial(tmp_path, documents=60, latency=0.005) as it:
        config = often(it.config(), 3600)
        async with running(config) as service:
            for number in range(100):
                (settings,) = config.sources
                edited = structs.replace(settings, page_size=10 + number)
                service.apply(structs.replace(config, sources=(edited,)))
                if number % 10 == 0:
                    await anyio.sleep(0.01)
            await until(lambda: it.delivered() == it.held())
            await until(lambda: sessions == 1)
            assert len(opened) == 101
            await until(lambda: alive() == 1)
        assert sessions == 0
        assert it.delivered() == it.held()


async def test_a_retired_source_whose_documents_never_end_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch: Callable[..., Any] = BilltoboxSource.fetch
    hung = 0
    over = anyio.Event()

    class Hanging:
        async def __aenter__(self) -> None:
            nonlocal hung
            hung += 1
            await over.wait()
            raise Rejected("it", "is gone")

        async def __aexit__(self, *_: object) -> None: ...

    def slow(self: BilltoboxSource, entry: Entry, form: str = "") -> Any:
        return Hanging() if self.settings.page_size == 11 else fetch(self, entry, form)

    monkeypatch.setattr(BilltoboxSource, "fetch", slow)
    async with trial(tmp_path, documents=40) as it:
        config = often(it.config("page_size = 11\n"))
        config = structs.replace(config, stages={"download": StageSettings(workers=60)})
        async with running(config) as service:
            await until(lambda: hung == 40)
            (settings,) = config.sources
            edited = structs.replace(settings, page_size=12)
            service.apply(structs.replace(config, sources=(edited,)))
            for _ in range(3):
                before = it.delivered().total()
                it.mailbox.grow(6)
                await until(lambda before=before: it.delivered().total() == before + 6)
            over.set()
