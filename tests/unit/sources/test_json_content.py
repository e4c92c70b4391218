"""A document within JSON is read piece by piece, wherever the pieces begin and end."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.errors import RetryableError, SourceError
from stages.sources.http.json_content import MAX_AROUND, JsonContent

pytestmark = pytest.mark.anyio


Members = dict[str, bytes]


async def in_chunks(body: bytes, *cuts: int) -> AsyncIterator[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        yield body[start:end]


async def read(body: bytes, *cuts: int, name: str = "FileContent") -> tuple[bytes, Members]:
    content = JsonContent(in_chunks(body, *cuts), name, "it")
    data = b"".join([piece async for piece in content.pieces()])
    return data, content.around


@settings(deadline=None)
@given(
    st.binary(max_size=300),
    st.lists(st.integers(0, 5000), max_size=6),
    st.sampled_from(["plain", "url-safe", "unpadded", "lines", "slashes", "unicode"]),
    st.dictionaries(
        st.text(max_size=5), st.one_of(st.text(), st.integers(), st.none()), max_size=4
    ),
    st.booleans(),
)
async def test_whatever_is_around_it_and_however_it_is_cut(
    data: bytes, cuts: list[int], spelling: str, around: dict[str, object], last: bool
) -> None:
    around.pop("FileContent", None)
    around = {key: value for key, value in around.items() if key.lower() != "filecontent"}
    around["nested"] = {"FileContent": "not this", "list": ["FileContent", {}]}
    text = b64encode(data).decode()
    if spelling == "url-safe":
        text = urlsafe_b64encode(data).decode()
    elif spelling == "unpadded":
        text = text.rstrip("=")
    elif spelling == "lines":
        text = "\r\n".join(text[at : at + 7] for at in range(0, len(text), 7))
    members = {**around, "FileContent": text} if last else {"FileContent": text, **around}
    body = json.dumps(members)
    if spelling == "slashes":
        body = body.replace("/", "\\/")
    elif spelling == "unicode":
        body = body.replace("+", "\\u002b").replace("=", "\\u003D")
    found, others = await read(body.encode(), *cuts)
    assert found == data
    assert set(others) == set(members)


@pytest.mark.parametrize("cut", range(1, 45))
async def test_an_answer_that_breaks_off_is_tried_again(cut: int) -> None:
    body = json.dumps({"a": 1, "FileContent": b64encode(b"document").decode(), "b": 2}).encode()
    assert len(body) > 45
    with pytest.raises(RetryableError):
        await read(body[: len(body) - cut], 3, 9)


@pytest.mark.parametrize(
    "body",
    [
        b'{"FileContent": null}',
        b'{"FileContent": {"a": "QQ=="}}',
        b'{"FileContent": "Q!=="}',
        b'{"FileContent": "QQ==QQ=="}',
        b'{"FileContent": "QQ\\b=="}',
        b'{"FileContent": "Q"}',
    ],
)
async def test_what_is_no_base64_is_told(body: bytes) -> None:
    with pytest.raises(SourceError):
        await read(body)


async def test_what_is_around_it_is_bounded() -> None:
    large = b'{"FileContent": "QQ==", "more": "' + b"x" * MAX_AROUND + b'"}'
    for body in (large, b'{"more": "' + b"x" * MAX_AROUND + b'", "FileContent": "QQ=="}'):
        with pytest.raises(SourceError, match="1,000,000 bytes"):
            await read(body, *range(0, len(body), 65_536))


async def test_the_name_is_known_in_any_case() -> None:
    assert (await read(b'{"filecontent": "QQ=="}'))[0] == b"A"
