"""A document is brought whole and within its limits, or leaves nothing behind."""

from __future__ import annotations

import gzip
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import md5, sha256
from pathlib import Path
from random import Random

import anyio
import google_crc32c
import pytest
from aiohttp import web
from multidict import CIMultiDict

from pipeline.app.wiring import load_config
from pipeline.document import Ack, Document, Key
from pipeline.errors import Corrupt, Rejected, RetryableError, SourceUnavailable
from pipeline.source import Entry
from stages.download import Download
from stages.model import Fetched, Listed
from stages.sources.billtobox.source import BilltoboxSource
from stages.verify import process as verify
from tests.helpers.invoices import ubl
from tests.helpers.serving import serving
from tests.helpers.systems import is_private

pytestmark = pytest.mark.anyio

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONFIG = """
[service]
state_dir = "state"
max_document_size = 100000
spool_threshold = 20000
[delivery]
purchases = "out"
sales = "out"
statements = "out"
[[sources]]
name = "box"
kind = "billtobox"
url = "URL/v4"
token_url = "URL/token"
client_id = "us"
client_secret = { file = "secret" }
attempts = 3
retry_wait = 0.01
longest_retry_wait = 0.02
longest_asked_wait = 5
stall_timeout = STALL
[[companies]]
name = "One"
identifier = "BE0403170701"
source = "box"
"""

SMALL = Random(1).randbytes(15_000)
LARGE = Random(2).randbytes(60_000)


class Bench:
    def __init__(self, folder: Path, answers: list[Answer]) -> None:
        self.spool = folder / "spool"
        self.answers = answers
        self.asked = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.json_response({"access_token": "t"})
        assert request.headers["Accept-Encoding"] == "identity"
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return await answer(request)

    async def fetch(self) -> Document[Fetched]:
        return await self.download.process(self.document)

    def left(self) -> list[Path]:
        return list(self.spool.iterdir())

    download: Download
    document: Document[Listed]


@asynccontextmanager
async def bench(folder: Path, *answers: Answer, stall: float = 30) -> AsyncIterator[Bench]:
    one = Bench(folder, list(answers))
    async with serving(one.handle) as url:
        (folder / "secret").write_text("s3cret")
        text = CONFIG.replace("URL", str(url.origin())).replace("STALL", str(stall))
        (folder / "synqup.toml").write_text(text)
        config = load_config(folder / "synqup.toml")
        source = BilltoboxSource(config.sources[0], config.service.state_dir)
        entry = Entry("purchase/7", "", "invoice 7", Listed(config))
        one.document = Document(
            Key("box", entry.id, ""), entry, Ack(source, entry.id), 0.0, entry.meta
        )
        one.download = Download(one.spool)
        try:
            yield one
        finally:
            await source.close()


def whole(data: bytes, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=data, headers=named)

    return answer


def pieces(data: bytes, *, announced: int | None = None, stops: int | None = None) -> Answer:
    """stops: after so many bytes nothing more comes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = announced
        await response.prepare(request)
        for start in range(0, len(data), 5_000):
            await response.write(data[start : start + 5_000])
            if start + 5_000 == stops:
                await anyio.sleep_forever()
        if announced is not None and announced > len(data) and request.transport is not None:
            request.transport.close()
        return response

    return answer


def refusing(status: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named)

    return answer


@pytest.mark.parametrize("answer", [whole(SMALL), pieces(SMALL)])
async def test_a_small_document_is_held_in_memory(tmp_path: Path, answer: Answer) -> None:
    async with bench(tmp_path, answer) as it:
        payload = (await it.fetch()).payload
        assert payload is not None
        assert payload.data == SMALL
        assert payload.sha256 == sha256(SMALL).hexdigest()
        assert payload.size == len(SMALL)
        assert not it.left()


@pytest.mark.parametrize("answer", [whole(LARGE), pieces(LARGE)])
async def test_a_large_one_is_held_in_a_private_file(tmp_path: Path, answer: Answer) -> None:
    async with bench(tmp_path, answer) as it:
        payload = (await it.fetch()).payload
        assert payload is not None
        assert payload.data is None
        assert payload.read() == LARGE
        assert it.download.chunks > 0
        assert payload.sha256 == sha256(LARGE).hexdigest()
        assert payload.held == 0
        assert it.left() == [payload.spool]
        assert is_private(it.left()[0])
        payload.discard()
        assert not it.left()


async def test_what_an_earlier_process_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "leftover").write_bytes(b"x")
    Download(tmp_path / "spool")
    assert not list((tmp_path / "spool").iterdir())


async def test_one_that_is_announced_too_large_is_not_read(tmp_path: Path) -> None:
    async with bench(tmp_path, whole(bytes(100_001))) as it:
        with pytest.raises(Rejected, match="invoice 7: it has 100,001 bytes or more, and"):
            await it.fetch()
        assert it.asked == 1
        assert not it.left()


@pytest.mark.parametrize(
    "answer",
    [
        pieces(bytes(300_000)),
        whole(gzip.compress(bytes(300_000)), Content_Encoding="gzip"),
    ],
)
async def test_one_that_turns_out_too_large_is_left_there(tmp_path: Path, answer: Answer) -> None:
    async with bench(tmp_path, answer) as it:
        with pytest.raises(Rejected, match="max_document_size is 100,000"):
            await it.fetch()
        assert it.asked == 1
        assert not it.left()


async def test_gzip_that_explodes_is_never_held_in_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(30_000_000))
    async with bench(tmp_path, whole(bomb, Content_Encoding="gzip")) as it:
        tracemalloc.start()
        try:
            with pytest.raises(Rejected, match="max_document_size"):
                await it.fetch()
            assert tracemalloc.get_traced_memory()[1] < 6_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("size", [15_000, 60_000])
async def test_a_body_that_breaks_off_is_fetched_again(tmp_path: Path, size: int) -> None:
    data = LARGE[:size]
    broken = pieces(data[: size // 2], announced=size)
    async with bench(tmp_path, broken, broken, whole(data)) as it:
        payload = (await it.fetch()).payload
        assert payload is not None
        assert payload.read() == data
        assert it.asked == 3
        assert it.left() == ([payload.spool] if payload.spool else [])


async def test_one_that_always_breaks_off_waits_and_leaves_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path, pieces(LARGE[:30_000], announced=60_000)) as it:
        with pytest.raises(RetryableError, match="invoice 7: the answer broke off"):
            await it.fetch()
        assert it.asked == 3
        assert not it.left()


async def test_one_that_stalls_is_fetched_again_and_leaves_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path, pieces(LARGE, stops=30_000), whole(LARGE), stall=0.5) as it:
        payload = (await it.fetch()).payload
        assert payload is not None
        assert it.left() == [payload.spool]


async def test_one_who_is_cancelled_in_mid_body_leaves_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path, pieces(LARGE, stops=30_000)) as it:
        async with anyio.create_task_group() as group:
            group.start_soon(it.fetch)
            with anyio.fail_after(60):
                while not it.left():
                    await anyio.sleep(0.005)
            group.cancel_scope.cancel()
        assert not it.left()


async def test_nothing_is_no_document(tmp_path: Path) -> None:
    async with bench(tmp_path, whole(b"")) as it:
        with pytest.raises(Corrupt, match="invoice 7: the source sent nothing"):
            await it.fetch()


async def test_a_refusal_is_tried_again_after_as_long_as_the_source_asks(tmp_path: Path) -> None:
    async with bench(tmp_path, refusing(429, Retry_After="1"), whole(SMALL)) as it:
        since = anyio.current_time()
        await it.fetch()
        assert it.asked == 2
        # Not a measure of speed: to ask again any sooner would break what was asked of us.
        assert anyio.current_time() - since > 0.9


async def test_a_rest_that_is_too_long_is_not_waited_for(tmp_path: Path) -> None:
    async with bench(tmp_path, refusing(503, Retry_After="3600")) as it:
        with pytest.raises(SourceUnavailable, match="503") as refused:
            await it.fetch()
        assert refused.value.retry_after == 3600
        assert it.asked == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410, 302])
async def test_what_does_not_pass_is_not_tried_again(tmp_path: Path, status: int) -> None:
    async with bench(tmp_path, refusing(status)) as it:
        with pytest.raises(Exception, match=r"^(invoice 7|source box): "):
            await it.fetch()
        assert it.asked == (2 if status == 401 else 1)


async def test_a_web_page_is_no_document(tmp_path: Path) -> None:
    page = whole(b"<html>", Content_Type="text/html; charset=utf-8")
    async with bench(tmp_path, page, whole(SMALL)) as it:
        await it.fetch()
        assert it.asked == 2


@pytest.mark.parametrize(
    "page",
    [
        b"Sorry, we are working on it.",
        b'<?xml version="1.0"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">' * 20,
        b"<h1>503</h1>" + b" " * 2000,
        b"",
    ],
)
async def test_nor_is_another_page(tmp_path: Path, page: bytes) -> None:
    odd = whole(page, Content_Type="text/html")
    async with bench(tmp_path, odd, whole(SMALL)) as it:
        await it.fetch()
        assert it.asked == 2


@pytest.mark.parametrize(
    "data",
    [
        ubl().encode(),
        b"\xef\xbb\xbf\r\n" + ubl().partition("?>")[2].encode(),
        b"%PDF-1.7\n" + b"x" * 2000,
        b"0000001022672505        00099449",
    ],
)
async def test_a_document_that_is_called_a_web_page_is_fetched(tmp_path: Path, data: bytes) -> None:
    async with bench(tmp_path, whole(data, Content_Type="text/HTML; charset=utf-8")) as it:
        document = await it.fetch()
        assert document.payload is not None
        assert document.payload.read() == data
        assert it.asked == 1


def hashes(crc32c_of: bytes, md5_of: bytes) -> Sequence[str]:
    """The checksums of two contents, as Google Cloud Storage says them."""
    crc32c = google_crc32c.value(crc32c_of).to_bytes(4, "big")
    digests = {"crc32c": crc32c, "md5": md5(md5_of).digest()}
    return [f"{name}={b64encode(digest).decode()}" for name, digest in digests.items()]


@pytest.mark.parametrize("turn", [1, -1])
async def test_a_header_that_comes_twice_says_all_of_it(tmp_path: Path, turn: int) -> None:
    """As Google Cloud Storage may send its two checksums (RFC 9110, 5.3): each is checked."""

    def answer(crc32c_of: bytes, md5_of: bytes) -> Answer:
        async def answer(_: web.Request) -> web.Response:
            said = hashes(crc32c_of, md5_of)[::turn]
            headers = CIMultiDict(zip(("X-Goog-Hash", "x-goog-hash"), said, strict=True))
            return web.Response(body=SMALL, headers=headers)

        return answer

    async with bench(
        tmp_path, answer(SMALL, SMALL), answer(LARGE, SMALL), answer(SMALL, LARGE)
    ) as it:
        well = (await verify(await it.fetch())).meta
        assert well.checksum == "x-goog-hash md5"
        assert not well.warnings
        odd = (await verify(await it.fetch())).meta
        assert odd.checksum == "x-goog-hash md5"
        assert "x-goog-hash crc32c says" in odd.warnings[0]
        with pytest.raises(Corrupt, match="x-goog-hash md5 says"):
            await verify(await it.fetch())
