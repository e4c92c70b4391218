"""A list that holds whole documents, read without them."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from pipeline.errors import SourceError
from stages.sources.http.json_without import LONGEST, without_long_texts

pytestmark = pytest.mark.anyio

TEXTS = st.text(max_size=30) | st.text(min_size=1, max_size=5).map(lambda text: text * LONGEST)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


async def read(body: bytes, size: int, limit: int = 10**9) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    return await without_long_texts(chunks(), limit, "LIST")


def shortened(value: object) -> object:
    match value:
        case str():
            written = json.dumps(value).encode()[1:-1]
            return value if len(written) < LONGEST else ""
        case list():
            return [shortened(one) for one in value]
        case dict():
            return {name: shortened(one) for name, one in value.items()}
        case _:
            return value


@given(value=VALUES, size=st.sampled_from([1000, 65_536]) | st.integers(50, 5000))
@settings(max_examples=100, deadline=None)
def test_all_but_long_texts_is_the_same(value: object, size: int) -> None:
    found = json.loads(anyio.run(read, json.dumps(value).encode(), size))
    assert found == shortened(value)


@given(value=st.lists(st.text(max_size=30)), size=st.integers(1, 7))
@settings(deadline=None)
def test_nothing_is_changed_however_it_is_cut(value: list[str], size: int) -> None:
    body = json.dumps(value).encode()
    assert anyio.run(read, body, size) == body


async def test_a_page_of_hundreds_of_megabytes_takes_no_memory() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"items": ['
        for number in range(4):
            yield b'{"id": "%d", "fileContent": "' % number
            for _ in range(400):
                yield b"A" * 100_000
            yield b'"},'
        yield b"{}]}"

    tracemalloc.start()
    found = await without_long_texts(chunks(), 1_000_000, "LIST")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [one.get("id") for one in json.loads(found)["items"]] == ["0", "1", "2", "3", None]
    assert most < 2_000_000


async def test_what_is_left_is_bounded() -> None:
    with pytest.raises(SourceError, match="longer than 1,000 bytes"):
        await read(b"[" + b'"x",' * 1000, 100, limit=1000)
