"""Worker processes share the documents: real processes, one ledger, one sign-in."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import anyio
import pytest
from invoices import ubl
from msgspec import structs
from structlog.testing import capture_logs
from test_service import often, serving, until
from trial import PATIENCE, Trial, trial

from pipeline import crew, member
from pipeline.assembly import Config, assembled
from pipeline.catch_up import CatchUp
from pipeline.config import Secret
from pipeline.errors import SynqupError, WorkerLost
from pipeline.lock import only_process
from pipeline.records import State
from stages.sandbox import Mailbox, Planned
from stages.sources import open_source

pytestmark = pytest.mark.anyio

TWO = "workers = 2\n"


def starting(monkeypatch: pytest.MonkeyPatch, before: str, number: int | None = None) -> None:
    """Have the workers run some lines first; a number: only the worker of that number."""
    condition = "True" if number is None else f"begin.number == {number}"
    lines = f"""
        import os, signal, sys
        from pipeline import worker
        engine = worker.Worker._engine
        def begins(self, begin):
            if {condition}:
                before()
            return engine(self, begin)
        worker.Worker._engine = begins
        def before():
            {before}
        worker.main()
    """
    monkeypatch.setattr(member, "COMMAND", [sys.executable, "-P", "-c", dedent(lines)])


def counted(it: Trial) -> dict[State, int]:
    counts: Counter[State] = Counter()
    for one in it.summary().counts:
        counts[one.state] += one.documents
    return dict(counts)


async def test_workers_bring_every_document_once(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=200) as it:
        outcome = await it.bring(it.config(service=TWO))
        assert it.delivered() == it.held()
        assert outcome.tally.delivered == outcome.tally.listed == 200
        assert outcome.tally.bytes == sum(len(one.read()) for one in it.mailbox)
        assert set(map(tuple, it.journal().values())) == {("FORWARDED",)}
        assert it.summary().unacknowledged == 0


async def test_the_work_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: Counter[int] = Counter()
    take = member.Member.take

    def counting(self: member.Member, *arguments: object) -> None:
        given[self.number] += 1
        take(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(member.Member, "take", counting)
    async with trial(tmp_path, documents=300, latency=0.01) as it:
        await it.bring(it.config(service="workers = 3\n"))
        assert it.delivered() == it.held()
    assert sum(given.values()) == 300
    assert min(given[number] for number in (1, 2, 3)) > 50


async def test_no_more_is_given_than_a_worker_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most: Counter[int] = Counter()
    take = member.Member.take

    def watching(self: member.Member, *arguments: object) -> None:
        take(self, *arguments)  # type: ignore[arg-type]
        most[self.number] = max(most[self.number], len(self.flights))

    monkeypatch.setattr(member.Member, "take", watching)
    monkeypatch.setattr(crew, "WINDOW", 5)
    async with trial(tmp_path, documents=100) as it:
        await it.bring(it.config(service=TWO))
        assert it.delivered() == it.held()
    assert dict(most) == {1: 5, 2: 5}


async def test_only_the_first_process_signs_in(tmp_path: Path) -> None:
    """A refresh token can be used once: one that signed in by itself would lock the others out."""
    expired = Planned("expired-token", on="document", times=2)
    async with trial(tmp_path, expired, latency=0.02) as it:
        refresh = tmp_path / "refresh"
        refresh.write_text(it.sandbox.refresh_token)
        config = it.config(service=TWO)
        source = structs.replace(config.sources[0], refresh_token=Secret(file=str(refresh)))
        outcome = await it.bring(structs.replace(config, sources=(source,)))
        assert it.faults.struck["expired-token"] == 2
        assert outcome.failures == {}
        assert it.delivered() == it.held()


async def test_a_sign_in_that_is_refused_is_told_as_ever(tmp_path: Path) -> None:
    async with trial(tmp_path, Planned("sign-in-refused")) as it:
        outcome = await it.bring(it.config(service=TWO))
        assert "the sign-in was refused" in outcome.failures["billtobox"]


async def test_what_fails_in_a_worker_ends_as_ever(tmp_path: Path) -> None:
    planned = (Planned("not-found", share=0.2), Planned("damaged", share=0.2))
    async with trial(tmp_path, *planned, documents=60) as it:
        outcome = await it.bring(it.config(service=TWO))
        assert outcome.tally.quarantined > 5
        assert counted(it) == {
            State.DELIVERED: outcome.tally.delivered,
            State.QUARANTINED: outcome.tally.quarantined,
        }
        told = Counter(one for (one,) in it.journal().values())
        assert told == {
            "FORWARDED": outcome.tally.delivered,
            "ERROR": outcome.tally.quarantined,
        }


async def test_a_source_that_fails_in_every_worker_is_given_up_and_served_again(
    tmp_path: Path,
) -> None:
    async with trial(tmp_path, Planned("unavailable", on="document"), documents=60) as it:
        with capture_logs() as logs:
            async with serving(often_two(it)):
                await until(lambda: "poll failed" in [line["event"] for line in logs])
                it.faults.planned = ()
                await until(lambda: it.delivered() == it.held())
                await until(lambda: "source serves again" in [line["event"] for line in logs])


def often_two(it: Trial) -> Config:
    config = often(it)
    return structs.replace(config, service=structs.replace(config.service, workers=2))


async def test_twins_that_two_workers_have_in_hand_are_one(tmp_path: Path) -> None:
    """Each number ten times: whichever process has it, one is delivered and nine wait for it."""
    held = tmp_path / "held"
    held.mkdir()
    for number in range(20):
        for copy in range(10):
            text = ubl().replace(">F-1<", f">F-{number}<")
            (held / f"{copy}-{number}.xml").write_text(text)
    mailbox = Mailbox.of_files(held, "BE0403170701")
    async with trial(tmp_path, mailbox=mailbox) as it:
        outcome = await it.bring(it.config(service=TWO))
        assert counted(it) == {State.DELIVERED: 20, State.DUPLICATE: 180}
        assert outcome.tally.waiting == 0
        assert len(it.delivered()) == 20


async def test_a_worker_that_dies_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trial(tmp_path, documents=300, latency=0.005) as it:
        with capture_logs() as logs:
            async with running(it, TWO) as crew_:
                await until(lambda: len(it.delivered()) > 50)
                for one in list(crew_._members.values()):
                    os.kill(one.process.pid, signal.SIGKILL)
        assert it.delivered() == it.held()
        assert crew_.tally.delivered == 300
        died = [line for line in logs if line["event"] == "a worker process died"]
        assert [line["status"] for line in died] == [-signal.SIGKILL] * 2
        assert it.summary().unacknowledged == 0


async def test_a_stop_does_not_wait_for_a_worker_that_is_to_follow_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "REST", 600.0)
    async with trial(tmp_path, documents=5) as it:
        (source,) = it.config().sources
        with capture_logs() as logs:
            async with running(it, TWO) as crew_:
                await until(lambda: it.delivered() == it.held() and not crew_.flying(source.name))
                os.kill(next(iter(crew_._members.values())).process.pid, signal.SIGKILL)
                await until(lambda: any("died" in line["event"] for line in logs))
        assert it.summary().unacknowledged == 0


@asynccontextmanager
async def running(it: Trial, service: str) -> AsyncIterator[crew.Crew]:
    """A catch-up of which the crew is given while it is under way; it ends with the block."""
    config = it.config(service=service)
    with only_process(config.service.state_dir), anyio.fail_after(PATIENCE):
        async with assembled(config) as assembly:
            assert isinstance(assembly.intake, crew.Crew)
            source = assembly.open(config.sources[0])
            async with assembly.intake.running(), anyio.create_task_group() as group:
                group.start_soon(assembly.poll, source, config)
                yield assembly.intake
            await source.close()


DYING = """
            from stages import verify
            process = verify.process
            async def dies(document):
                if {condition}:
                    os.kill(os.getpid(), signal.SIGKILL)
                return await process(document)
            verify.process = dies"""


async def test_what_workers_die_of_is_quarantined_and_the_others_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trial(tmp_path, documents=100) as it:
        poison = next(iter(it.mailbox)).id
        starting(monkeypatch, DYING.format(condition=f"document.key.id.endswith({poison!r})"))
        outcome = await it.bring(it.config(service=TWO))
        assert counted(it) == {State.DELIVERED: 99, State.QUARANTINED: 1}
        assert outcome.tally.quarantined == 1
        (kept,) = it.summary().quarantine
        assert kept.id.endswith(poison)
        assert "the process that worked on it died, 2 times" in kept.reason
        assert it.journal()[poison] == ["ERROR"]


async def test_where_workers_die_of_everything_nothing_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting(monkeypatch, DYING.format(condition="True"))
    async with trial(tmp_path, documents=3) as it:
        outcome = await it.bring(it.config(service=TWO))
        assert outcome.tally.waiting == 3
        assert counted(it) == {State.WAITING: 3}
        assert not (tmp_path / "journal.jsonl").exists() or it.journal() == {}


async def test_workers_that_never_get_ready_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "COMMAND", [sys.executable, "-c", "raise SystemExit(3)"])
    async with trial(tmp_path) as it:
        with pytest.raises(ExceptionGroup) as lost:
            await it.bring(it.config(service=TWO))
    assert lost.group_contains(WorkerLost, match="ended 3 times before it was ready")


async def test_a_bug_in_a_worker_ends_the_run_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting(monkeypatch, "from stages import verify; verify.process = None", number=1)
    async with trial(tmp_path, documents=60) as it:
        with pytest.raises(ExceptionGroup) as died:
            await it.bring(it.config(service=TWO))
        assert died.group_contains(crew.Fault, match="worker 1:\nTraceback")
        states = counted(it)
        assert State.SEEN not in states
        assert states[State.DELIVERED] > 0


async def test_a_ledger_that_fails_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trial(tmp_path, documents=60) as it:
        config = it.config(service=TWO)
        with only_process(config.service.state_dir), pytest.raises(ExceptionGroup) as failed:
            await bring_without_a_ledger(config)
        assert failed.group_contains(SynqupError, match="the ledger")


async def bring_without_a_ledger(config: Config) -> None:
    async with assembled(config, patience=0) as assembly:
        connection = assembly.ledger.writer._connection  # type: ignore[attr-defined]
        connection.execute("PRAGMA query_only = ON")
        source = assembly.open(config.sources[0])
        async with assembly.intake.running():
            await assembly.poll(source, config)


async def test_what_a_worker_logs_stands_in_the_one_log(tmp_path: Path) -> None:
    async with trial(tmp_path, Planned("not-found", share=0.5), documents=20) as it:
        with capture_logs() as logs:
            await it.bring(it.config(service=TWO))
        lines = [line for line in logs if line["event"] == "document quarantined"]
        assert {line["worker"] for line in lines} <= {1, 2}
        assert len(lines) > 3
        assert all(line["log_level"] == "error" and line["document"] for line in lines)


async def test_an_edit_holds_for_what_the_workers_are_given_next(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=30) as it, serving(often_two(it)) as service:
        await until(lambda: it.delivered() == it.held())
        before = service.config
        delivery = structs.replace(before.delivery, purchases=str(tmp_path / "out" / "new"))
        quicker = structs.replace(before.sources[0], stall_timeout=5)
        service.apply(structs.replace(before, delivery=delivery, sources=(quicker,)))
        it.mailbox.grow(30)
        await until(lambda: it.delivered() == it.held())
        assert list((tmp_path / "out" / "new").iterdir())
        # What the first settings of the source were is known to no worker any more.
        await until(lambda: all(sources(one) == 1 for one in members(service._intake)))


def members(intake: object) -> list[member.Member]:
    assert isinstance(intake, crew.Crew)
    return list(intake._members.values())


def sources(one: member.Member) -> int:
    return sum(hasattr(thing, "fetch") for _, thing in one._shared.values())


async def test_the_number_of_workers_changes_at_the_next_start(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=3) as it, serving(often_two(it)) as service:
        with capture_logs() as logs:
            more = structs.replace(service.config.service, workers=3)
            service.apply(structs.replace(service.config, service=more))
        assert {"event": "workers changes at the next start", "in_use": 2} in [
            {"event": line["event"], "in_use": line.get("in_use")} for line in logs
        ]
        await until(lambda: it.delivered() == it.held())


async def test_a_stop_at_once_ends_the_workers_and_loses_nothing(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=300, latency=0.4) as it:
        config = it.config(service=TWO)
        with only_process(config.service.state_dir), anyio.CancelScope() as scope:

            async def stop_when_under_way(*_: object) -> None:
                await until(lambda: len(it.delivered()) > 20)
                scope.cancel()

            await CatchUp(config).run(stop_when_under_way)
        assert 0 < len(it.delivered()) < 300
        outcome = await it.bring(config)
        assert it.delivered() == it.held()
        assert outcome.tally.waiting == 0


@pytest.mark.parametrize(("connections", "workers"), [(48, 2), (48, 3), (16, 4), (5, 4)])
async def test_the_connections_are_shared_out(
    tmp_path: Path, connections: int, workers: int
) -> None:
    async def lend(_: str) -> object:
        raise AssertionError

    async with trial(tmp_path) as it:
        settings = structs.replace(it.config().sources[0], connections=connections)
        first = open_source(settings, tmp_path, workers)
        each = open_source(settings, tmp_path, workers, lend)  # type: ignore[arg-type]
        shares = [one._pace.most for one in (first, *[each] * workers)]  # type: ignore[attr-defined]
        assert sum(shares) == connections
        assert min(shares) >= 1
