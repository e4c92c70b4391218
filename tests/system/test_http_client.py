"""The session of a source: its timeouts and limits, its limiter, and what its failures say."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import web
from hypothesis import given, strategies as st
from yarl import URL

from pipeline.errors import (
    Rejected,
    RetryableError,
    SourceError,
    SourceUnavailable,
    SynqupError,
)
from pipeline.retry import RetryPolicy
from stages.sources.http.client import HttpClient, IncompleteBody, Throughput, status_error
from stages.sources.http.headers import QUOTED, announced, quoted
from stages.sources.http.limiter import ConcurrencyLimiter
from stages.sources.http.settings import Timeouts
from tests.helpers.serving import Answer, serving

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def session(
    connect: float = 5, first_byte: float = 5, stall: float = 5
) -> AsyncIterator[HttpClient]:
    http = HttpClient("box", connections=4, timeouts=Timeouts(connect, first_byte, stall))
    try:
        yield http
    finally:
        await http.close()


async def get(http: HttpClient, url: URL, limit: int = 10**6) -> bytes:
    async with await http.send("GET", url, subject="it") as response:
        return await http.read(response, limit, "it")


def streaming(*chunks: bytes, pause: float = 0, before: float = 0) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        await anyio.sleep(before)
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await anyio.sleep(pause)
        return response

    return answer


async def test_the_first_byte_may_take_longer_than_the_pauses_after_it() -> None:
    async with serving(streaming(b"ab", before=0.8)) as url, session(stall=0.5) as http:
        assert await get(http, url) == b"ab"


async def test_no_first_byte_in_time_is_said() -> None:
    async with serving(streaming(b"ab", before=9)) as url, session(first_byte=0.1) as http:
        with pytest.raises(SourceUnavailable, match="it: the source does not answer in time"):
            await get(http, url)


async def test_a_pause_that_is_too_long_is_said() -> None:
    answer = streaming(b"ab", b"cd", pause=9)
    async with serving(answer) as url, session(stall=0.1) as http:
        with pytest.raises(
            RetryableError, match=r"it: the answer stopped for 0.1 s after 2 bytes. It will be"
        ):
            await get(http, url)


async def test_a_trickle_is_as_good_as_a_stall() -> None:
    answer = streaming(*[b"x"] * 100, pause=0.02)
    async with serving(answer) as url, session(stall=0.5) as http:
        with pytest.raises(
            IncompleteBody, match=r"it: the answer comes too slowly \(in \d+\.\d s \d+ bytes"
        ):
            await get(http, url)


async def test_an_answer_may_take_as_long_as_it_flows() -> None:
    answer = streaming(*[b"x" * 2000] * 5, pause=0.25)
    async with serving(answer) as url, session(stall=1, first_byte=1) as http:
        assert len(await get(http, url)) == 10_000


async def test_a_limit_holds_whatever_the_length_says() -> None:
    async with serving(streaming(*[b"x" * 1000] * 20)) as url, session() as http:
        with pytest.raises(SourceError, match="longer than 10,000 bytes"):
            await get(http, url, limit=10_000)


async def test_an_answer_that_is_no_http_is_said() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    url = URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    async with session() as http:
        with pytest.raises(SourceUnavailable, match="breaks the rules of HTTP"):
            await get(http, url)
    server.close()


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_server_that_reads_nothing_is_left_and_its_connection_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stages.sources.http.client.CLOSE_TIMEOUT", 0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener, anyio.fail_after(60):
        url = URL(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        async with session(first_byte=0.2) as http:
            with pytest.raises(SourceUnavailable, match="does not answer in time"):
                await http.send("PUT", url, subject="it", data=bytes(50_000_000))
    # What was left open closes once its other side is gone.
    await anyio.sleep(0.1)


@pytest.mark.parametrize(
    ("steps", "slow"),
    [
        # Seconds of waiting and bytes that came with each read; the stall is one second.
        ([(0.5, 1)] * 2, ""),
        ([(0.5, 1)] * 3, "in 1.5 s 3 bytes"),
        ([(0.0, 0)] * 99, ""),
        ([(0.4, 2000)] * 20, ""),
        ([(0.4, 2000)] * 40, "in 10.8 s 54,000 bytes"),
        ([(0.4, 10_000)] * 99, ""),
        ([(0.4, 10_000)] * 99 + [(0.9, 0)] * 2, "in 1.8 s 0 bytes"),
    ],
)
def test_how_slow_is_too_slow(steps: list[tuple[float, int]], slow: str) -> None:
    flow = Throughput(1)
    said = ""
    for waited, size in steps:
        flow.size += size
        said = said or flow.too_slow(waited)
    assert said == slow


async def test_a_name_that_is_none_is_said() -> None:
    async with session(connect=2) as http:
        with pytest.raises(SourceUnavailable, match=r"does not answer \(no.such.host.invalid:80"):
            await get(http, URL("http://no.such.host.invalid/"))


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, b'{"message": "no\\nlist"}', SourceError, 'answered 400: "no list". Check the'),
        (403, b"", SourceError, "answered 403. Ask the company's representative to approve"),
        (404, b"", Rejected, "no longer has it (404). Look for it at the platform"),
        (410, b"[1]", Rejected, "no longer has it (410)"),
        (429, b"", SourceUnavailable, "answered 429. It will be retried"),
        (500, b"\xff", SourceUnavailable, "answered 500. It will be retried"),
        (503, b'{"error": 7}', SourceUnavailable, 'answered 503: "7"'),
        (
            302,
            b"",
            SourceError,
            "redirects (302, to nowhere), and credentials must not be sent there",
        ),
    ],
)
async def test_a_status_is_put_into_words(
    status: int, body: bytes, error: type[SynqupError], said: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Location": "http://[x"})

    async with (
        serving(answer) as url,
        session() as http,
        await http.send("GET", url, subject="it") as response,
    ):
        refused = await status_error(response, "it")
    assert type(refused) is error
    assert said in str(refused)
    assert str(refused).startswith("it: ")


@pytest.mark.parametrize(
    ("headers", "media_type", "length"),
    [
        ({"Content-Type": "Application/XML; charset=x"}, "application/xml", 29),
        ({"Content-Type": ""}, "", 29),
        ({"Content-Encoding": "GZIP"}, "application/octet-stream", None),
        ({"Content-Encoding": "Identity"}, "application/octet-stream", 29),
    ],
)
async def test_the_media_type_and_the_length_are_of_the_bytes_themselves(
    headers: dict[str, str], media_type: str, length: int | None
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 29, headers=headers)

    async with (
        serving(answer) as url,
        session() as http,
        await http.send("GET", url, subject="it") as response,
    ):
        said = announced(response)
    assert (said.media_type, said.length) == (media_type, length)


@given(st.text())
def test_a_server_s_words_fit_into_one_line(text: str) -> None:
    assert quoted(text).isprintable()
    assert len(quoted(text)) <= QUOTED


# The limiter.

RETRIES = RetryPolicy(first_wait=0.01, longest_wait=0.05, longest_asked=5)


async def test_no_more_are_under_way_than_the_limit() -> None:
    limiter = ConcurrencyLimiter(3, RETRIES)
    flying = most = 0

    async def work() -> None:
        nonlocal flying, most
        await limiter.acquire("it")
        flying += 1
        most = max(most, flying)
        await anyio.sleep(0.001)
        flying -= 1
        limiter.release()

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(work)
    assert most == 3


async def test_a_refusal_halves_the_limit_once_for_all_that_were_under_way() -> None:
    limiter = ConcurrencyLimiter(16, RETRIES)
    began = time.monotonic()
    for _ in range(16):
        limiter.record_refusal(began, None)
    assert limiter.limit == 8
    limiter.record_refusal(began, None)
    assert limiter.limit == 8, "nor do those that began at the same time"
    limiter.record_refusal(time.monotonic() + 1, None)
    assert limiter.limit == 4
    for _ in range(100):
        limiter.record_refusal(time.monotonic() + 1, 0)
    assert limiter.limit == 1


async def test_it_recovers_by_one_for_each_round_of_answers() -> None:
    limiter = ConcurrencyLimiter(16, RETRIES)
    limiter.record_refusal(time.monotonic(), 0)
    for _ in range(9):
        limiter.record_answer(time.monotonic())
    assert 8.9 < limiter.limit < 9.2
    for _ in range(200):
        limiter.record_answer(time.monotonic())
    assert limiter.limit == 16


async def test_a_source_that_becomes_slow_gets_fewer() -> None:
    limiter = ConcurrencyLimiter(16, RETRIES)
    for _ in range(50):
        limiter.record_answer(time.monotonic() - 0.05)
    limiter._cut_at = 0.0
    limiter.record_answer(time.monotonic() - 2)
    assert limiter.limit == 12
    for _ in range(100):
        limiter.record_answer(time.monotonic() - 0.05)
    assert limiter.limit == 16


async def test_a_source_that_always_is_slow_gets_as_many_as_any() -> None:
    limiter = ConcurrencyLimiter(16, RETRIES)
    for _ in range(50):
        limiter.record_answer(time.monotonic() - 3)
    assert limiter.limit == 16


async def test_all_rest_as_long_as_the_source_has_asked_one_of_them_to() -> None:
    limiter = ConcurrencyLimiter(4, RETRIES)
    since = time.monotonic()
    limiter.record_refusal(since, 0.2)
    entered: list[float] = []

    async def work() -> None:
        await limiter.acquire("it")
        entered.append(time.monotonic() - since)
        limiter.release()

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    assert len(entered) == 20
    assert min(entered) >= 0.2


async def test_a_rest_that_is_too_long_is_a_failure_at_once() -> None:
    limiter = ConcurrencyLimiter(4, RETRIES)
    limiter.record_refusal(time.monotonic(), 3600)
    with pytest.raises(RetryableError, match=r"asks for a pause of 3,[56]\d\d s") as failed:
        await limiter.acquire("it")
    assert failed.value.retry_after is not None
    assert failed.value.retry_after > 3000


async def test_one_who_is_cancelled_while_waiting_leaves_the_turn_to_the_next() -> None:
    limiter = ConcurrencyLimiter(1, RETRIES)
    await limiter.acquire("first")
    entered = []

    async def work(name: str) -> None:
        await limiter.acquire(name)
        entered.append(name)
        limiter.release()

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as leaving:
            async with anyio.create_task_group() as others:
                others.start_soon(work, "cancelled")
                await anyio.sleep(0.01)
                group.start_soon(work, "next")
                await anyio.sleep(0.01)
                limiter.release()  # wakes the one that is being cancelled
                leaving.cancel()
    assert entered[-1] == "next"
    assert limiter._in_flight == 0
