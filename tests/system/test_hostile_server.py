"""What a server may do to a connection, byte by byte: no half document, no wait without end, and
never anything but words. Afterwards, with the server repaired, everything has arrived once.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import pytest

from pipeline.app.catch_up import CatchUpResult
from tests.helpers.hostile import (
    Act,
    Front,
    chunk,
    chunked,
    cut_gzip,
    dripping,
    half,
    head,
    hostile,
    says,
    turned,
)
from tests.helpers.trial import Trial

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

GZIP = b"Content-Encoding: gzip"
DEFLATE = b"Content-Encoding: deflate"
CHUNKED = b"Transfer-Encoding: chunked"
JSON = b"Content-Type: application/json"
MANY = b"Content-Length: 50000000"

#: Seconds of silence after which these servers are given up.
SILENCE = 0.3


def deflate(data: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(data) + packer.flush()


def parts(data: bytes) -> bytes:
    """A gzip of several parts, one of them empty, with zeros at its end."""
    return b"".join(
        [gzip.compress(half(data)), gzip.compress(b""), gzip.compress(data[len(data) // 2 :])]
    ) + bytes(9)


def bytes_less(data: bytes, count: int = 12) -> bytes:
    return gzip.compress(data)[:-count]


def spoiled(data: bytes) -> bytes:
    """A gzip whose own checksum is another one."""
    packed = bytearray(gzip.compress(data))
    packed[-6] ^= 1
    return bytes(packed)


#: Empty members of a gzip, and empty blocks of one.
EMPTY_MEMBER = gzip.compress(b"")
EMPTY_BLOCK = b"\0\0\0\xff\xff"
BEGUN_GZIP = gzip.compress(b"")[:10]

WHOLE: dict[str, Act] = {
    "gzip": turned(gzip.compress, GZIP),
    "gzip in chunks": chunked(gzip.compress, GZIP),
    "x-gzip": turned(gzip.compress, b"content-encoding: X-GZIP"),
    "gzip in parts": turned(parts, GZIP),
    "deflate": turned(lambda data: deflate(data, 15), DEFLATE),
    "deflate without header": turned(lambda data: deflate(data, -15), DEFLATE),
    "identity": says(b"Content-Encoding: Identity"),
    "a charset for a coding": says(b"Content-Encoding: UTF-8"),
    **{
        f"{name} for a coding": says(b"Content-Encoding: " + name.encode())
        for name in (
            *("ISO-8859-15", "cp1252", "latin1", "utf-16le", "base64", "quoted-printable", "raw"),
            *("application/xml; charset=utf-8", "aws-chunked, utf-8", "*"),
        )
    },
    "a coding with a parameter": turned(gzip.compress, b"Content-Encoding: gzip; q=1.0"),
    "the framing of an upload": says(b"Content-Encoding: aws-chunked"),
    "unpacked by the store": says(
        b"x-goog-hash: md5=vxX1AQgQe8ZLMH7ZFsN5lg==", b"x-goog-stored-content-encoding: gzip"
    ),
    "a whole range": turned(lambda data: data, b"Content-Range: bytes 0-0/1"),
    "odd headers": says(
        b"Content-Type: \xff\xfe; charset*=a'b'%ff; boundary=\"\x01",
        b'Set-Cookie: \xff="\\; expires=Thu, 99 Foo 99999999999999999999 99:99:99 GMT; =;',
        b"Date: Thu, 01 Jan 99999 00:00:00 +99999999999999999999",
        b"Retry-After: Thu, 01 Jan 0001 00:00:00 +2359",
        b"Link: <http://[x>; rel=\xff",
        b"X-\x7e: \xed\xa0\x80\x1b[31m\xe2\x80\xae",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
async def test_what_is_whole_arrives(tmp_path: Path, name: str) -> None:
    async with hostile(tmp_path, WHOLE[name]) as (it, front):
        outcome = await it.bring(it.config())
        assert front.struck
        assert not outcome.failures
        assert it.delivered() == it.held()


PARTLY: dict[str, tuple[Act, str]] = {
    "gzip without its end": (turned(cut_gzip, GZIP), "ends too early"),
    "gzip without its end, in chunks": (chunked(cut_gzip, GZIP), "ends too early"),
    "gzip that is cut short": (turned(bytes_less, GZIP), "ends too early"),
    "half a gzip": (turned(lambda data: half(gzip.compress(data)), GZIP), "ends too early"),
    "a gzip's first bytes": (turned(lambda data: gzip.compress(data)[:5], GZIP), "ends too early"),
    "gzip whose second part is cut short": (
        turned(lambda data: gzip.compress(half(data)) + gzip.compress(data)[:20], GZIP),
        "ends too early",
    ),
    "deflate without its end": (
        turned(lambda data: deflate(data, 15)[:-6], DEFLATE),
        "ends too early",
    ),
    "raw deflate without its end": (
        turned(lambda data: deflate(data, -15)[:-4], DEFLATE),
        "ends too early",
    ),
    "gzip with another checksum": (turned(spoiled, GZIP), "it can't be decompressed"),
    "gzip and garbage": (
        turned(lambda data: gzip.compress(data) + b"garbage", GZIP),
        "it can't be decompressed",
    ),
    "deflate and garbage": (
        turned(lambda data: deflate(data, 15) + b"garbage", DEFLATE),
        "something follows",
    ),
    "no gzip at all": (turned(half, GZIP), "it can't be decompressed"),
    "another coding": (
        turned(half, b"Content-Encoding: br"),
        'it has the content coding "br", which',
    ),
    **{
        f"the coding {name}": (
            turned(half, b"Content-Encoding: " + name),
            f'it has the content coding "{name.decode()}", which',
        )
        for name in (b"zstd", b"compress", b"bz2", b"hex", b"rot13")
    },
    "two codings": (
        turned(lambda data: gzip.compress(gzip.compress(data)), GZIP, GZIP),
        'it has the content coding "gzip, gzip"',
    ),
    "a transfer coding": (
        chunked(gzip.compress, b"Transfer-Encoding: gzip"),
        "the transfer coding",
    ),
    "206": (
        turned(half, b"Content-Range: bytes 0-99/200", status=b"206 Partial Content"),
        "answered 206, but not with the whole document",
    ),
    "206 without a range": (turned(half, status=b"206 Partial Content"), "answered 206"),
    "a part as 200": (
        turned(half, b"Content-Range: bytes 0-99/200"),
        "but not with the whole document",
    ),
    "a range without an end as 200": (
        turned(half, b"Content-Range: bytes */*"),
        "not with the whole",
    ),
    "parts as 200": (
        turned(half, b"Content-Type: multipart/byteranges; boundary=x"),
        "but not with the whole document",
    ),
    "203": (turned(half, status=b"203 Changed"), "answered 203"),
    "202": (turned(half, status=b"202 Later"), "answered 202"),
    "201": (turned(half, status=b"201 Made"), "answered 201"),
    "204": (says(status=b"204 Nothing", body=b""), "answered 204"),
    "299": (turned(half, status=b"299 Something"), "answered 299"),
    "a chunk without a size": (
        dripping(lambda data: head(CHUNKED) + chunk(half(data)) + b"no size\r\n", b"x", 0.01),
        "",
    ),
}


@pytest.mark.parametrize("name", PARTLY)
async def test_half_a_document_is_none(tmp_path: Path, name: str) -> None:
    act, said = PARTLY[name]
    async with hostile(tmp_path, act, documents=4) as (it, front):
        # Short only where the server drips: a busy machine is silent for a while as well.
        silence = SILENCE if name == "a chunk without a size" else 30
        outcome = await it.bring(it.config(silence=silence))
        assert front.struck
        assert not it.delivered()
        waiting = it.summary().waiting
        assert len(waiting) == 4
        assert all(said in one.reason for one in waiting)
        await repaired(it, front, outcome)


async def repaired(it: Trial, front: Front, outcome: CatchUpResult) -> None:
    """What was read is words, and once the server is well everything arrives once."""
    said = [*outcome.failures.values(), *(one.reason for one in it.summary().waiting)]
    assert all(one.isprintable() and len(one) < 1000 for one in said)
    front.act = None
    outcome = await it.bring(it.config())
    assert not outcome.failures
    assert it.delivered() == it.held()
    assert set(map(tuple, it.journal().values())) == {("FORWARDED",)}


def lines(*_: object) -> bytes:
    return b"HTTP/1.1 200 OK\r\n"


ENDLESS: dict[str, tuple[Act, str]] = {
    "headers": (dripping(lines, b"X: y\r\n"), "does not answer in time"),
    "one header": (dripping(lines, b"X", 0.005), "does not answer in time"),
    "103": (dripping(lambda _: b"", head(status=b"103 Early Hints")), "does not answer in time"),
    "100": (dripping(lambda _: b"", head(status=b"100 Continue")), "does not answer in time"),
    "empty lines": (dripping(lambda _: b"", b"\r\n"), "does not answer in time"),
    "the extension of a chunk": (
        dripping(lambda data: head(CHUNKED) + chunk(data) + b"5;x=", b"y"),
        "the answer stopped for 0.3 s after",
    ),
    "trailers": (
        dripping(lambda data: head(CHUNKED) + chunk(data) + b"0\r\n", b"X: y\r\n", 0.1),
        "the answer stopped for 0.3 s after",
    ),
    "one trailer": (
        dripping(lambda data: head(CHUNKED) + chunk(data) + b"0\r\nX: ", b"y"),
        "the answer stopped for 0.3 s after",
    ),
    "zeros of a chunk's size": (
        dripping(lambda data: head(CHUNKED) + chunk(data), b"0"),
        "the answer stopped for 0.3 s after",
    ),
    "bytes": (dripping(lambda _: head(MANY), b"x"), "the answer comes too slowly"),
    "chunks of one byte": (
        dripping(lambda _: head(CHUNKED), chunk(b"x")),
        "the answer comes too slowly",
    ),
    "empty parts of a gzip": (
        dripping(lambda _: head(GZIP, CHUNKED), chunk(EMPTY_MEMBER)),
        "the answer comes too slowly",
    ),
    "a flood of empty parts of a gzip": (
        dripping(lambda _: head(GZIP, CHUNKED), chunk(EMPTY_MEMBER * 3000), 0),
        "something follows the end",
    ),
    "empty blocks of a gzip": (
        dripping(lambda _: head(GZIP, CHUNKED) + chunk(BEGUN_GZIP), chunk(EMPTY_BLOCK)),
        "the answer comes too slowly",
    ),
    "a flood of empty blocks": (
        dripping(lambda _: head(GZIP, CHUNKED) + chunk(BEGUN_GZIP), chunk(EMPTY_BLOCK * 5000), 0),
        "the answer comes too slowly",
    ),
    "zeros after a gzip": (
        dripping(lambda data: head(GZIP, CHUNKED) + chunk(gzip.compress(data)), chunk(b"\0")),
        "the answer comes too slowly",
    ),
    "just enough not to stand still": (
        dripping(lambda _: head(MANY), b"x" * 500, 0.1),
        "the answer comes too slowly",
    ),
    "the words of a refusal": (
        dripping(lambda _: head(MANY, JSON, status=b"500 No") + b'{"message":"', b"x"),
        "the source answered 500",
    ),
}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of a refusal are waited for a shorter time, and steadiness is asked for sooner."""
    monkeypatch.setattr("stages.sources.http.client.ERROR_BODY_TIMEOUT", SILENCE)
    monkeypatch.setattr("stages.sources.http.client.MEAN_RATE_STALLS", 2)


#: What is tried with lists and tokens too.
SOME = ("headers", "trailers", "bytes", "empty parts of a gzip", "the words of a refusal")


@pytest.mark.parametrize(
    ("on", "name"),
    [
        *(("document", name) for name in ENDLESS),
        *((on, name) for on in ("list", "token") for name in SOME),
    ],
)
@pytest.mark.usefixtures("hasty")
async def test_an_answer_without_an_end_is_left(tmp_path: Path, on: str, name: str) -> None:
    act, said = ENDLESS[name]
    async with hostile(tmp_path, act, on, documents=2) as (it, front):
        config = it.config(silence=SILENCE, attempts=1)
        outcome = await it.bring(config)
        for _ in range(10):
            # On a busy machine what comes before may take longer than so short a time as well.
            if front.struck:
                break
            outcome = await it.bring(config)
        assert front.struck
        assert not it.delivered()
        if on == "document":
            assert len(it.summary().waiting) == 2
            words = [one.reason for one in it.summary().waiting]
        else:
            words = [outcome.failures["billtobox"]]
        # So short a time may be over on a busy machine before the headers have come; and Windows
        # may say of what was left that the other side has closed it.
        late = ["does not answer in time", *(["closed the connection"] if os.name == "nt" else [])]
        assert all(any(why in one for why in (said, *late)) for one in words)
        await repaired(it, front, outcome)
