"""Pushes to a running service: what a platform tells of comes at once, and forgers cost nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pipeline.app.service import Service
from pipeline.app.wiring import Config
from pipeline.config.push import PushSettings
from pipeline.config.types import Duration
from pipeline.engine.breaker import BreakerState
from pipeline.engine.counters import Counters
from pipeline.engine.observer import PollSnapshot, SourceSnapshot
from pipeline.hints import HintOutcome
from pipeline.network import kept_server
from pipeline.push.server import MAX_BODY
from stages.sandbox import FaultSpec
from tests.helpers.pushes import BILLIT, HERE, push, pushed, signed_by_billit
from tests.helpers.services import Visitor, running, until, visiting, watched
from tests.helpers.trial import Trial, trial

pytestmark = pytest.mark.anyio

NOTHING = SourceSnapshot(0, BreakerState.CLOSED, "", PollSnapshot(), Counters())


def seen(service: Service) -> SourceSnapshot:
    snapshot = service._application.engine.observer.snapshot()
    return snapshot.sources.get("billit") or NOTHING


async def polls_ended(service: Service, after: float = 0.0) -> float:
    """Wait for the end of a poll after a moment; when it was."""
    await until(
        lambda: not seen(service).poll.polling and (seen(service).poll.ended_at or 0) > after
    )
    return seen(service).poll.ended_at or 0.0


@asynccontextmanager
async def world(
    folder: Path, settings: PushSettings = HERE, *planned: FaultSpec
) -> AsyncIterator[tuple[Trial, Config, Service]]:
    """A Billit, and a service that has polled it once, and polls it again in an hour."""
    async with trial(folder, *planned, documents=6, kind="billit", chosen={"door": "inbox"}) as it:
        config = pushed(it.config(silence=1, attempts=9), folder, settings)
        async with running(config) as service:
            await polls_ended(service)
            yield it, config, service


async def test_a_document_that_is_told_of_comes_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as (it, _, service):
        before = it.delivered().total()
        assert before
        it.mailbox.grow(6)
        await anyio.sleep(0.3)
        assert it.delivered().total() == before
        assert await push(service, signed_by_billit()) == 204
        await until(lambda: it.delivered().total() > before)
        await until(lambda: not seen(service).in_flight)
        assert seen(service).hints == {HintOutcome.POLL: 1}


async def test_a_forged_push_has_nothing_polled_and_is_counted_and_logged_once(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as (_, _, service):
        began = seen(service).poll.began_at
        old = time.time() - 3600
        with capture_logs() as logs:
            forged = [
                ({}, 401),
                ({"Billit-Signature": "t=1,s=x"}, 401),
                ({"X-Signature": "sha256=" + "0" * 64}, 401),
                (signed_by_billit(secret="other"), 403),
                (signed_by_billit(b"another body"), 403),
                (signed_by_billit(at=old), 403),
                (signed_by_billit(at=time.time() + 3600), 403),
            ]
            for headers, status in forged:
                assert await push(service, headers) == status
            # A header that is there twice is none.
            twice = [*signed_by_billit().items()] * 2
            assert await push(service, twice) == 401
        assert len([one for one in logs if one["event"] == "a push was refused"]) == 1
        assert seen(service).hints == {HintOutcome.REFUSED: len(forged) + 1}
        assert seen(service).poll.began_at == began


async def test_a_replay_within_the_minutes_is_a_hint_and_no_more(tmp_path: Path) -> None:
    patient = PushSettings("127.0.0.1:0", Duration(3000))
    async with world(tmp_path, patient) as (_, _, service):
        began, headers = seen(service).poll.began_at, signed_by_billit()
        for _ in range(20):
            assert await push(service, headers) == 204
        assert seen(service).poll.began_at == began
        await until(lambda: sum(seen(service).hints.values()) == 20)
        assert seen(service).hints[HintOutcome.POLL] == 1


async def test_a_flood_costs_no_polls_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    patient = PushSettings("127.0.0.1:0", Duration(3000))
    async with world(tmp_path, patient) as (_, _, service):
        began = seen(service).poll.began_at
        statuses: list[int] = []
        good, bad = signed_by_billit(), signed_by_billit(secret="other")

        async def flood() -> None:
            port = service.push_receiver.addresses[0].port
            async with aiohttp.ClientSession() as session:
                for number in range(50):
                    headers = good if number % 2 else bad
                    url = f"http://127.0.0.1:{port}/push/billit"
                    async with session.post(url, data=BILLIT, headers=headers) as answer:
                        statuses.append(answer.status)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(flood)
        assert statuses.count(204) == statuses.count(403) == 500
        await until(lambda: sum(seen(service).hints.values()) == 1000)
        assert seen(service).poll.began_at == began
        assert seen(service).hints[HintOutcome.POLL] == 1
        assert seen(service).hints[HintOutcome.JOINED] == 499
        assert seen(service).hints[HintOutcome.REFUSED] == 500


async def test_pushes_in_the_middle_of_a_poll_make_one_more_poll(tmp_path: Path) -> None:
    async with world(tmp_path) as (it, _, service):
        it.faults.specs = (FaultSpec("no-answer", on="list"),)
        assert await push(service, signed_by_billit()) == 204
        await until(lambda: seen(service).poll.polling)
        for _ in range(5):
            assert await push(service, signed_by_billit()) == 204
        released = time.time()
        it.faults.specs = ()
        await until(lambda: (seen(service).poll.began_at or 0) > released)
        last = await polls_ended(service, released)
        await anyio.sleep(0.3)
        assert await polls_ended(service) == last
        assert seen(service).hints == {HintOutcome.POLL: 2, HintOutcome.JOINED: 4}


async def test_whatever_else_is_asked_has_an_answer_and_no_effect(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, _, service):
        good = signed_by_billit()
        assert await push(service, good, source="other") == 404
        assert await push(service, good, source="billit/other") == 404
        assert await push(service, good, source="..%2fbillit") == 404
        assert await push(service, good, method="GET") == 405
        large = b"x" * (MAX_BODY + 1)
        assert await push(service, signed_by_billit(large), large) == 413
        assert not seen(service).hints


async def test_an_edit_moves_the_receiver_and_turns_it_off_and_on(tmp_path: Path) -> None:
    async with world(tmp_path) as (it, config, service):
        before = service.push_receiver.addresses[0].port
        (source,) = config.sources
        other = structs.replace(config, push=PushSettings("127.0.0.1:0", Duration(0.01)))
        service.apply(other)
        await until(lambda: {one.port for one in service.push_receiver.addresses} - {before})
        with pytest.raises(OSError, match="failed"):
            await anyio.connect_tcp("127.0.0.1", before)
        # The source is another object after an edit of its section; it listens too.
        other = structs.replace(
            other, sources=(structs.replace(source, push_max_age=Duration(60)),)
        )
        service.apply(other)
        await until(lambda: service.pushed("billit") is not None)
        held = it.delivered().total()
        it.mailbox.grow(6)
        assert await push(service, signed_by_billit(at=time.time() - 120)) == 403
        assert await push(service, signed_by_billit()) == 204
        await until(lambda: it.delivered().total() > held)
        without = structs.replace(source, push_secret=None)
        service.apply(structs.replace(other, sources=(without,)))
        assert await push(service, signed_by_billit()) == 404
        service.apply(structs.replace(other, push=PushSettings()))
        await until(lambda: not service.push_receiver.addresses)


async def test_a_port_that_is_taken_is_told_once_and_documents_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_server, "RETRY", 0.02)
    with capture_logs() as logs, socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with world(tmp_path, PushSettings(address)) as (it, _, service):
            assert it.delivered()
            await anyio.sleep(0.2)
            assert not service.push_receiver.addresses
            taken.close()
            assert await push(service, signed_by_billit()) == 204
    told = [one for one in logs if one["event"] == "the receiver of pushes can't listen"]
    assert len(told) == 1
    assert told[0]["address"] == address
    assert "in use" in told[0]["reason"]
    assert "another port into [push]" in told[0]["remedy"]


async def test_a_secret_that_is_not_there_yet_is_a_reason_to_try_later(tmp_path: Path) -> None:
    async with world(tmp_path) as (_, _, service):
        (tmp_path / "push-secret").unlink()
        assert await push(service, signed_by_billit()) == 503


async def test_a_fault_of_our_own_is_contained_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as (_, _, service):
        monkeypatch.setattr(service.pushed("billit"), "_verify", lambda *_: 1 / 0)
        with capture_logs() as logs:
            for _ in range(3):
                assert await push(service, signed_by_billit()) == 500
        events = [one["event"] for one in logs]
        assert events.count("the receiver of pushes can't answer") == 1


async def test_the_metrics_count_hints_by_what_became_of_them(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=3, kind="billit", chosen={"door": "inbox"}) as it:
        config = watched(pushed(it.config(), tmp_path), interval=3600)
        async with visiting(config) as visitor:
            await visitor.until_ready()
            assert await push(visitor.service, signed_by_billit()) == 204
            assert await push(visitor.service, {}) == 401
            await _until_counted(visitor, 'outcome="poll"')
            metrics = await visitor.metrics()
    assert metrics['synqup_hints_total{outcome="poll",source="billit"}'] == 1
    assert metrics['synqup_hints_total{outcome="refused",source="billit"}'] == 1


async def _until_counted(visitor: Visitor, label: str) -> None:
    with anyio.fail_after(60):
        while not any(label in name for name in await visitor.metrics()):
            await anyio.sleep(0.05)
