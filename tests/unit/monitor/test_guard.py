"""A request is answered only under a name of this machine, from no other site, with the token."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from pipeline.config.monitor import MonitorSettings
from pipeline.config.types import Secret
from pipeline.monitor.guard import Guard, host_of, same_origin

pytestmark = pytest.mark.anyio

HERE = "127.0.0.1:8470"


def headers(*lines: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(lines))


async def status(guard: Guard, *lines: tuple[str, str]) -> int:
    refusal = await guard.refusal(headers(*lines))
    return refusal[0] if refusal else 200


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:8470", "localhost"),
        ("127.0.0.1:8470", "127.0.0.1"),
        ("[::1]:8470", "::1"),
        ("[0:0::1]", "::1"),
        *((odd, None) for odd in ("", ":8470", "a:b", "a:1:2", "::1", "[::1", "a@b", "a/b", "a b")),
        *((odd, None) for odd in ("localhost:99999", "localhost#", "localhost?", "local\thost")),
    ],
)
def test_the_host_of_a_header(header: str, host: str | None) -> None:
    assert host_of(header) == host


@given(st.text(max_size=30))
def test_any_host_header_is_read_or_not(header: str) -> None:
    host = host_of(header)
    assert host is None or (host == host.lower() and host)


@pytest.mark.parametrize(
    ("listen", "host", "allowed"),
    [
        *((HERE, host, True) for host in ("localhost", "127.0.0.1:1", "[::1]", "127.9.9.9")),
        *((HERE, host, False) for host in ("10.0.0.1", "evil.example", "localhost.evil")),
        (HERE, socket.gethostname(), True),
        (HERE, f"{socket.gethostname()}.evil.example", False),
        ("0.0.0.0:8470", "10.0.0.1:8470", True),
        ("0.0.0.0:8470", "evil.example", False),
        ("books.example:8470", "books.example", True),
        ("0.0.0.0:8470", "other.example:8470", True),
    ],
)
async def test_a_name_that_could_be_anybodys_is_refused(
    listen: str, host: str, allowed: bool
) -> None:
    guard = Guard(MonitorSettings(listen, allowed_hosts=("other.example",)))
    assert await status(guard, ("Host", host)) == (200 if allowed else 421)


async def test_no_host_or_two_are_refused() -> None:
    guard = Guard(MonitorSettings("127.0.0.1:8470"))
    assert await status(guard) == 421
    assert await status(guard, ("Host", "localhost"), ("host", "localhost")) == 421


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        ("http://localhost:8470", True),
        ("https://LOCALHOST:8470", True),
        *(
            (other, False)
            for other in ("http://localhost", "null", "", "localhost:8470", "file://")
        ),
        ("http://localhost:8470.evil.example", False),
        ("http://evil.example/http://localhost:8470", False),
        ("chrome-extension://localhost:8470", False),
    ],
)
async def test_a_page_of_another_site_may_not_ask(origin: str, same: bool) -> None:
    guard = Guard(MonitorSettings("127.0.0.1:8470"))
    lines = (("Host", "localhost:8470"), ("Origin", origin))
    assert await status(guard, *lines) == (200 if same else 403)
    assert same_origin(origin, "localhost:8470") is same


async def test_a_token_of_any_signs_is_compared_as_a_whole(tmp_path: Path) -> None:
    place = tmp_path / "token"
    place.write_text("géheim-✓\n", "utf-8")
    guard = Guard(MonitorSettings("127.0.0.1:8470", Secret(file=str(place))))
    await guard.open()
    host = ("Host", "localhost")
    # As aiohttp hands over what is not ASCII.
    for given_, expected in (
        ("Bearer géheim-✓", 200),
        ("BEARER   géheim-✓ ", 200),
        ("Bearer géheim-", 401),
        ("Bearer géheim-✓ x", 401),
        ("Bearer \udcff", 401),
        ("Bearer", 401),
        ("géheim-✓", 401),
        ("", 401),
    ):
        assert await status(guard, host, ("Authorization", given_)) == expected, given_
    twice = (("Authorization", "Bearer géheim-✓"),) * 2
    assert await status(guard, host, *twice) == 401
