"""What a server may say: JSON without a floor, numbers without an end, dates of no calendar. It is
read, or refused in words; an item that can't be read is left out, and no other.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from pipeline.errors import SynqupError
from pipeline.retry import MAX_RETRY_AFTER
from tests.helpers.hostile import (
    DEEP,
    TYPE,
    Act,
    Asked,
    Writer,
    head,
    hostile,
    says,
    turned,
)
from tests.helpers.platform import configure, entries, opened, platform

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

ROOT = Path(__file__).parents[2]


def refusing(*lines: bytes, status: bytes = b"429 Busy", body: bytes = b"") -> Act:
    return says(TYPE, *lines, status=status, body=body)


#: Answers that are none, to whatever is asked, and what is read of them.
REFUSALS: dict[str, tuple[Act, str]] = {
    "deep words": (refusing(status=b"400 No", body=b'{"message": %s}' % DEEP), "answered 400"),
    "shallow words": (
        refusing(status=b"400 No", body=b'{"message": %s}' % (b"[" * 900 + b"]" * 900)),
        "answered 400",
    ),
    "long numbers for words": (
        refusing(status=b"400 No", body=b'{"message": %s}' % (b"9" * 9000)),
        "answered 400",
    ),
    "half a surrogate for words": (
        refusing(status=b"400 No", body=b'{"message": "\\ud800"}'),
        "answered 400",
    ),
    "words that steer a terminal": (
        refusing(status=b"400 No", body='{"message": "\\u001b[31m\u202eno\x9b\u200b"}'.encode()),
        'answered 400: "[31m no"',
    ),
    "a bomb for words": (
        says(
            b"Content-Encoding: gzip",
            status=b"400 No",
            body=gzip.compress(b'{"message": "' + b"x" * 10_000_000),
        ),
        "answered 400",
    ),
    "a rest of ten years": (refusing(b"Retry-After: 315360000"), "answered 429"),
    "a rest without an end": (refusing(b"Retry-After: " + b"9" * 5000), "answered 429"),
    "a rest until the year 9999": (
        refusing(b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
        "answered 429",
    ),
    "a rest in no time zone": (
        refusing(b"Retry-After: Fri, 31 Dec 9999 23:59:59 -99999999999999999999"),
        "answered 429",
    ),
    "a rest until a year of many digits": (
        refusing(b"Retry-After: Fri, 31 Dec " + b"9" * 5000 + b" 23:59:59 GMT"),
        "answered 429",
    ),
    "a date in no time zone": (
        refusing(
            b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT",
            b"Date: Mon, 01 Jan 0001 00:00:00 +2359",
        ),
        "answered 429",
    ),
    "a date of the first hour": (
        refusing(
            b"Retry-After: Mon, 01 Jan 0001 00:00:00 +9959",
            b"Date: Fri, 31 Dec 9999 23:59:59 -9959",
        ),
        "answered 429",
    ),
    "elsewhere, which is nowhere": (
        refusing(b"Location: http://[\xff\xed\xa0\x80:99999999/", status=b"302 There"),
        "to nowhere",
    ),
    "elsewhere, by no number": (
        refusing(b"Location: http://a:" + b"9" * 5000 + b"/", status=b"307 There"),
        "to nowhere",
    ),
    "elsewhere, in signs": (
        refusing("Location: http://\u202e\u2066.example/".encode(), status=b"302 There"),
        "the source redirects",
    ),
    "101": (refusing(b"Upgrade: x", b"Connection: Upgrade", status=b"101 Switch"), "answered 101"),
    "999": (refusing(status=b"999 No"), "answered 999"),
    "a header without an end": (refusing(b"X: " + b"y" * 100_000), "breaks the rules of HTTP"),
    "headers without an end": (refusing(*[b"X: y"] * 1000), "breaks the rules of HTTP"),
    "a header of nothing": (refusing(b"X\0: y"), "breaks the rules of HTTP"),
    "two lengths": (refusing(b"Content-Length: 7"), "breaks the rules of HTTP"),
    "a length of many digits": (refusing(b"Content-Length: " + b"9" * 50), "breaks the rules of"),
}


@pytest.mark.parametrize("on", ["document", "list", "token"])
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_words_whatever_it_says(tmp_path: Path, name: str, on: str) -> None:
    act, said = REFUSALS[name]
    async with hostile(tmp_path, act, on, documents=2) as (it, front):
        outcome = await it.bring(it.config(attempts=1))
        assert front.struck
        words = [*outcome.failures.values(), *(one.reason for one in it.summary().waiting)]
        assert words
        assert all(one.isprintable() and len(one) < 1000 for one in words)
        assert any(said in one for one in words)
        front.act = None
        await it.bring(it.config())
        assert it.delivered() == it.held()


TOKENS: dict[str, tuple[bytes, str]] = {
    "deep": (
        b'{"access_token": %s}' % DEEP[80_000:-80_000],
        "did not answer with a token",
    ),
    "half a surrogate": (b'{"access_token": "\\ud800"}', "did not answer with a token"),
    "not UTF-8": (b'{"access_token": "\xff"}', "did not answer with a token"),
    "not ASCII": ('{"access_token": "\u202e"}'.encode(), "did not answer with a token"),
    "too long": (b'{"access_token": "%s"}' % (b"x" * 50_000), "did not answer with a token"),
    "a list": (b"[]", "did not answer with a token"),
}


@pytest.mark.parametrize("name", TOKENS)
async def test_a_token_that_is_none_is_said(tmp_path: Path, name: str) -> None:
    body, said = TOKENS[name]
    async with hostile(tmp_path, says(TYPE, body=body), "token", documents=2) as (it, _):
        assert said in (await it.bring(it.config())).failures["billtobox"]


@pytest.mark.parametrize(
    "life", [b"1e308", b"1e999", b'"nan"', b"-1e308", b"null", b'"inf"', b"9" * 5000, b"[]", b'""']
)
async def test_a_token_may_live_as_long_as_it_likes(tmp_path: Path, life: bytes) -> None:
    def turn(body: bytes) -> bytes:
        return re.sub(rb'"expires_in": ?[0-9]+', b'"expires_in":' + life, body)

    async with hostile(tmp_path, turned(turn, TYPE), "token", documents=4) as (it, front):
        outcome = await it.bring(it.config())
        assert not outcome.failures
        assert it.delivered() == it.held()
        assert front.struck


async def reset(reader: asyncio.StreamReader, writer: Writer) -> None:
    """End the connection as a crash does, in the middle of a handshake of TLS."""
    await reader.read(1)
    handle = writer.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close(reader: asyncio.StreamReader, writer: Writer) -> None:
    """End it as one does that has nothing to say."""
    await reader.read(1)
    writer.close()


async def speak_plainly(reader: asyncio.StreamReader, writer: Writer) -> None:
    """Answer without TLS."""
    writer.write(head())
    writer.close()


@pytest.mark.parametrize("shake", [reset, close, speak_plainly])
async def test_a_handshake_that_fails_has_a_reason(
    tmp_path: Path, shake: Callable[[asyncio.StreamReader, Writer], Awaitable[None]]
) -> None:
    server = await asyncio.start_server(shake, "127.0.0.1", 0)
    async with platform() as one:
        one.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = configure(tmp_path, one)
        async with opened(config) as source:
            with pytest.raises(SynqupError) as failed:
                await entries(source, config)
    server.close()
    said = str(failed.value)
    assert re.search(r"\((127.0.0.1:\d+: )?\w[^()]{10,}", said), said
    assert "will be retried" in said


#: What getrusage says of a child counts the memory of who started it, so it tells by itself.
COMMAND = """
import atexit, pathlib
def tell():
    status = pathlib.Path("/proc/self/status")
    print("peak", status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else 0)
atexit.register(tell)
from pipeline.app.cli import main
main()
"""


async def command(*arguments: str) -> tuple[int, str, int]:
    """Run synqup: its exit status, what it printed, and the most memory it took, in kB."""
    line = [sys.executable, "-c", COMMAND, *arguments]
    done = await anyio.run_process(line, cwd=ROOT, check=False)
    printed, _, peak = done.stdout.decode().rpartition("peak ")
    return done.returncode, printed, int(peak)


async def test_a_rest_of_an_hour_ends_a_catch_up_in_words(tmp_path: Path) -> None:
    """Also where few connections have many documents waiting for them."""
    calm: list[str] = []

    def meets(asked: Asked) -> bool:
        calm.append(asked.path)
        return len(calm) > 3

    act = refusing(b"Retry-After: 3600")
    async with hostile(tmp_path, act, meets=meets, documents=40) as (it, front):
        config = it.config("connections = 2\n")
        with anyio.fail_after(60):
            status, printed, _ = await command("catch-up", "--config", str(tmp_path / "tried.toml"))
        assert front.struck
        assert status == 3
        assert "asks for a pause of 3," in " ".join(printed.split())
        front.act = None
        await it.bring(config)
        assert it.delivered() == it.held()


@pytest.mark.slow
async def test_pages_of_a_million_items_take_no_memory_to_speak_of(tmp_path: Path) -> None:
    async def act(writer: Writer, asked: Asked) -> None:
        page = small if "page=0" in asked.path else large
        writer.write(head(TYPE, b"Content-Length: %d" % len(page)))
        for start in range(0, len(page), 2**17):
            writer.write(page[start : start + 2**17])
            await writer.drain()

    small = b'{"total": 100000, "results": [{"id": "none"}]}'
    large = b'{"total": 100000, "results": [%s]}' % b",".join([b'{"id":1}'] * 800_000)

    async with hostile(tmp_path, act, "list", documents=2) as (it, front):
        it.config('sales_path = ""\nstatements_path = ""\n', attempts=1)
        status, printed, most = await command("catch-up", "--config", str(tmp_path / "tried.toml"))
        assert front.struck > 16
        assert status == 3
        assert "a page has more than 10,000 documents" in " ".join(printed.split())
        assert most < 400_000


async def test_a_rest_of_ten_years_is_one_of_six_hours(tmp_path: Path) -> None:
    act = refusing(b"Retry-After: 315360000")
    async with hostile(tmp_path, act, "list", documents=2) as (it, _):
        config = it.config()
        async with opened(config) as source:
            for _ in range(2):
                with pytest.raises(SynqupError) as failed:
                    await entries(source, config)
                assert failed.value.retry_after <= MAX_RETRY_AFTER  # type: ignore[attr-defined]
