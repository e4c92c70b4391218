"""Documents that are a text of a JSON answer, however it is cut and escaped."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from pipeline.errors import RetryableError
from stages.sources.http.json_text import JsonText, NoText

pytestmark = pytest.mark.anyio

PATH = ("document", "xml")


async def read(body: bytes, size: int = 7) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    return b"".join([piece async for piece in JsonText(chunks(), PATH, "DOC").pieces()])


@given(
    text=st.text(max_size=60), size=st.integers(1, 40), ascii_only=st.booleans(), around=st.text()
)
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_however_it_is_cut(
    text: str, size: int, ascii_only: bool, around: str
) -> None:
    said = {
        "xml": around,
        around: [{"xml": "not this"}, 1.5, None],
        "document": {"parsed": {"xml": around}, "a": [["xml"]], "xml": text, "z": [around]},
        "after": around,
    }
    said.pop("document") if around == "document" else None
    if "document" not in said:
        return
    body = json.dumps(said, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert anyio.run(read, body, size) == text.encode()


async def test_all_escapes_and_halves_of_surrogates_are_read() -> None:
    body = rb'{"document":{"xml":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00 \u20ac"}}'
    for size in range(1, 20):
        assert (await read(body, size)).decode() == '"\\/\b\f\n\r\té😀 €'


async def test_xml_is_written_in_the_encoding_that_it_states() -> None:
    xml = '<?xml version="1.0" encoding="ISO-8859-1"?><a>é € ' + "x" * 300 + "é</a>"
    body = json.dumps({"document": {"xml": xml}}).encode()
    found = await read(body)
    assert found.decode("latin-1") == xml.replace("€", "&#8364;")
    unknown = xml.replace("ISO-8859-1", "klingon")
    assert await read(json.dumps({"document": {"xml": unknown}}).encode()) == unknown.encode()
    utf16 = xml.replace("ISO-8859-1", "UTF-16")
    assert (await read(json.dumps({"document": {"xml": utf16}}).encode())).decode("utf-16") == utf16


@pytest.mark.parametrize(
    "body",
    [
        '{"document": {"xml": null}}',
        '{"document": {"xml": {"a": "b"}}}',
        '{"document": {"xml":7}}',
        '{"document": {}}',
        '{"document": null, "xml": "x"}',
        "{}",
        "[]",
        '[{"document": {"xml": "x"}}]',
    ],
)
async def test_an_answer_without_it_says_so(body: str) -> None:
    with pytest.raises(NoText):
        await read(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b'{"document": {"xml": "abc',
        b'{"document": {"xml": "abc\\',
        b'{"document": {"xml": "\\ud800abcdefghijklm"}}',
        b'{"document": {"xml": "\\x00abcdefghijklm"}}',
        b'{"document": {"xml": "\xff\xfe"}}',
        b'{"document": ' + b"[" * 100_000,
    ],
)
async def test_an_answer_that_is_cut_off_or_broken_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(RetryableError, match=re.escape("broke off, or is no JSON")):
        await read(body, 1000)


async def test_what_is_around_it_takes_no_memory() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"document": {"parsed": {"attachment": "'
        for _ in range(400):
            yield b"A" * 50_000
        yield b'"}, "xml": "'
        for _ in range(400):
            yield b"<x>\\n" * 10_000
        yield b'"}, "more": "' + b"B" * 50_000 + b'"}'

    tracemalloc.start()
    size = 0
    async for piece in JsonText(chunks(), PATH, "DOC").pieces():
        size += len(piece)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 400 * 10_000 * 4
    assert most < 4_000_000
