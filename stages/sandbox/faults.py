"""How a sandbox misbehaves: a table of faults, each of them a function, and when they strike.

A fault strikes by the seed, the request and how often that request has been made, so the same
faults meet the same documents in every run. A new fault is a function and a line in FAULTS.
"""

from __future__ import annotations

import json
import math
import time
import tomllib
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal

import anyio
import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Meta, Struct

from pipeline.errors import ConfigurationError
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.tokens import Tokens

#: What a request is about; "any" is every one but those for a token.
Target = Literal["list", "document", "acknowledgement", "token", "any"]

#: Bytes of a body between which a slow one pauses, and zeros that are packed at a time.
BYTE = 1
ZEROS = bytes(1 << 20)


class Planned(Struct, frozen=True, forbid_unknown_fields=True):
    """One fault of a script: what, of which requests, and when.

    name: one of FAULTS. on: which requests it meets; by default those it is about. rate: the
    share of them. after, until: seconds since the sandbox began. times, each: how often it
    strikes at most, in all and for each document or page. seconds: of waiting, or between two
    bytes. hours: that the clock is off. size: bytes that a small answer unpacks to. to: where
    a redirect leads. mute: whether the list says nothing of a new content.
    """

    name: str
    on: Target | None = None
    rate: Annotated[float, Meta(ge=0, le=1)] = 1.0
    after: float = 0.0
    until: float = math.inf
    times: int | None = None
    each: int | None = None
    seconds: float = 1.0
    hours: float = 7.0
    size: int = 200_000_000
    to: str = "http://127.0.0.2:9/"
    mute: bool = False


class Strike(Struct, frozen=True):
    """One request that a fault meets, and what would answer it."""

    planned: Planned
    request: web.Request
    handler: Handler
    tokens: Tokens
    mailbox: Mailbox

    async def answer(self) -> web.Response:
        """What the answer would have been."""
        response = await self.handler(self.request)
        assert isinstance(response, web.Response)
        return response

    def cut(self) -> None:
        """End the connection as a crash does."""
        if self.request.transport is not None:
            self.request.transport.abort()


Act = Callable[[Strike], Awaitable[web.StreamResponse]]


class Fault(Struct, frozen=True):
    """What a fault does, and which requests it is about."""

    says: str
    act: Act
    on: Target = "document"


class Faults:
    """The faults of one sandbox, and how often they have struck."""

    def __init__(self, planned: Iterable[Planned] = (), seed: int = 1) -> None:
        self.planned = tuple(planned)
        self.struck: Counter[str] = Counter()
        self._seed = seed
        self._began = time.monotonic()
        self._asked: Counter[tuple[int, str]] = Counter()
        self._each: Counter[tuple[int, str]] = Counter()
        self._times: Counter[int] = Counter()

    def middleware(self, tokens: Tokens, mailbox: Mailbox) -> Middleware:
        """Strikes, or lets a request pass to what answers it."""

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            for number, planned in enumerate(self.planned):
                if self._strikes(number, planned, request):
                    self.struck[planned.name] += 1
                    act = FAULTS[planned.name].act
                    return await act(Strike(planned, request, handler, tokens, mailbox))
            return await handler(request)

        return strike

    def closed(self) -> Sequence[Planned]:
        """The times in which nobody listens."""
        return [one for one in self.planned if FAULTS[one.name].act is _cut_off]

    def _strikes(self, number: int, planned: Planned, request: web.Request) -> bool:
        if not _meets(planned.on or FAULTS[planned.name].on, _target(request)):
            return False
        now = time.monotonic() - self._began
        if not planned.after <= now < planned.until:
            return False
        place = (number, f"{request.method} {request.path_qs}")
        if planned.times is not None and self._times[number] >= planned.times:
            return False
        if planned.each is not None and self._each[place] >= planned.each:
            return False
        if planned.rate < 1:
            # Which of several attempts it is, is a matter of the request and not of the hour.
            self._asked[place] += 1
            if self._drawn(planned.name, place[1], self._asked[place]) >= planned.rate:
                return False
        self._times[number] += 1
        if planned.each is not None:
            self._each[place] += 1
        return True

    def _drawn(self, *what: object) -> float:
        digest = blake2b(repr((self._seed, *what)).encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def read_faults(path: Path) -> list[Planned]:
    """Read a script of faults: [[faults]] in TOML, or {"faults": […]} in JSON.

    Raises ConfigurationError.
    """
    try:
        text = path.read_text("utf-8")
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        planned = msgspec.convert(raw.get("faults", []), list[Planned])
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigurationError(str(path), [f"--faults: {error}"]) from None
    return [_known(one, "--faults") for one in planned]


def parse_fault(text: str) -> Planned:
    """Read NAME or NAME=RATE. Raises ConfigurationError."""
    name, _, rate = text.partition("=")
    try:
        share = float(rate or 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(text, ["--fault: write NAME, or NAME=RATE with a rate of 0 to 1"])
    return _known(Planned(name, rate=share), "--fault")


def _known(planned: Planned, option: str) -> Planned:
    if planned.name not in FAULTS:
        names = "\n".join(f"    {name}: {fault.says}" for name, fault in FAULTS.items())
        raise ConfigurationError(
            planned.name, [f'{option}: there is no fault "{planned.name}"; they are\n{names}']
        )
    return planned


def _target(request: web.Request) -> Target:
    match request.method, len(request.path.strip("/").split("/")):
        case "POST", _:
            return "token"
        case "PUT", _:
            return "acknowledgement"
        case _, 2:
            return "list"
        case _:
            return "document"


def _meets(wanted: Target, target: Target) -> bool:
    return wanted == target or (wanted == "any" and target != "token")


def _status(status: int, **headers: str) -> Act:
    async def act(_: Strike) -> web.Response:
        body = {"error": "fault", "message": "A fault of the sandbox", "status": status}
        return web.json_response(body, status=status, headers=headers)

    return act


async def _expire(strike: Strike) -> web.StreamResponse:
    strike.tokens.revoke()
    return await strike.handler(strike.request)


async def _wait_seconds(strike: Strike) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": str(round(strike.planned.seconds))})


async def _wait_until(strike: Strike) -> web.StreamResponse:
    now = datetime.now(UTC) + timedelta(hours=strike.planned.hours)
    until = now + timedelta(seconds=strike.planned.seconds)
    return web.Response(
        status=429,
        headers={
            "Date": format_datetime(now, usegmt=True),
            "Retry-After": format_datetime(until, usegmt=True),
        },
    )


async def _cut_off(strike: Strike) -> web.StreamResponse:
    strike.cut()
    return web.Response()


async def _reset(strike: Strike) -> web.StreamResponse:
    partly = await _half(strike)
    strike.cut()
    return partly


async def _truncate(strike: Strike) -> web.StreamResponse:
    partly = await _half(strike)
    if strike.request.transport is not None:
        strike.request.transport.close()
    return partly


async def _half(strike: Strike) -> web.StreamResponse:
    """Announce the whole body and send half of it."""
    whole = await strike.answer()
    data = _body(whole)
    partly = web.StreamResponse(headers=_headers(whole))
    partly.content_length = len(data)
    await partly.prepare(strike.request)
    await partly.write(data[: len(data) // 2])
    return partly


async def _announce_more(strike: Strike) -> web.StreamResponse:
    return await _announce(strike, 10)


async def _announce_less(strike: Strike) -> web.StreamResponse:
    return await _announce(strike, -10)


async def _announce(strike: Strike, difference: int) -> web.StreamResponse:
    """Send the whole body under another length, and end the connection after it."""
    whole = await strike.answer()
    data = _body(whole)
    transport = strike.request.transport
    assert transport is not None
    headers = "".join(f"{name}: {value}\r\n" for name, value in _headers(whole).items())
    head = f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(data) + difference}\r\n\r\n"
    transport.write(head.encode() + data)
    transport.close()
    return whole


async def _misstate(strike: Strike) -> web.StreamResponse:
    response = await strike.answer()
    response.headers["Content-Digest"] = "sha-256=:" + "A" * 43 + "=:"
    return response


async def _damage(strike: Strike) -> web.StreamResponse:
    response = await strike.answer()
    data = bytearray(_body(response))
    data[len(data) // 2] ^= 0x20
    response.body = bytes(data)
    return response


async def _trickle(strike: Strike) -> web.StreamResponse:
    whole = await strike.answer()
    slow = web.StreamResponse(headers=_headers(whole))
    slow.content_length = len(_body(whole))
    await slow.prepare(strike.request)
    data = _body(whole)
    for start in range(0, len(data), BYTE):
        await slow.write(data[start : start + BYTE])
        await anyio.sleep(strike.planned.seconds)
    return slow


async def _delay(strike: Strike) -> web.StreamResponse:
    await anyio.sleep(strike.planned.seconds)
    return await strike.handler(strike.request)


async def _say_nothing(strike: Strike) -> web.StreamResponse:
    await anyio.sleep_forever()
    return await strike.handler(strike.request)


async def _redirect(strike: Strike) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": strike.planned.to})


async def _explode(strike: Strike) -> web.StreamResponse:
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(ZEROS) for _ in range(-(-strike.planned.size // len(ZEROS)))]
    return web.Response(
        body=b"".join([*packed, packer.flush()]),
        headers={"Content-Encoding": "gzip"},
        content_type="application/xml",
    )


async def _web_page(_: Strike) -> web.StreamResponse:
    page = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon</body>"
    return web.Response(text=f"{page}</html>", content_type="text/html")


async def _garble(strike: Strike) -> web.StreamResponse:
    response = await strike.answer()
    response.body = _body(response)[:-20] or b"{"
    return response


async def _repeat(strike: Strike) -> web.StreamResponse:
    """Answer with the page before the one that was asked for."""
    url = strike.request.rel_url
    page = max(int(url.query.get("page", "0")) - 1, 0)
    before = strike.request.clone(rel_url=url.update_query(page=str(page)))
    return await strike.handler(before)


async def _replace(strike: Strike) -> web.StreamResponse:
    """Take the acknowledgement; then the document is there anew, with another content."""
    response = await strike.answer()
    strike.mailbox.revise(strike.request.path.split("/")[-2], mute=strike.planned.mute)
    return response


async def _turn_clock(strike: Strike) -> web.StreamResponse:
    response = await strike.handler(strike.request)
    now = datetime.now(UTC) + timedelta(hours=strike.planned.hours)
    response.headers["Date"] = format_datetime(now, usegmt=True)
    return response


async def _lose(strike: Strike) -> web.StreamResponse:
    response = await strike.answer()
    strike.cut()
    return response


def _body(response: web.Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def _headers(response: web.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name != "Content-Length"}


FAULTS: dict[str, Fault] = {
    "expired-token": Fault("every token has expired", _expire, "any"),
    "unauthorized": Fault("401, whatever the token", _status(401), "any"),
    "sign-in-refused": Fault("the token address answers 401", _status(401), "token"),
    "forbidden": Fault("403", _status(403), "any"),
    "not-found": Fault("404 for a listed document", _status(404)),
    "too-many": Fault("429", _status(429), "any"),
    "too-many-seconds": Fault("429, and Retry-After in seconds", _wait_seconds, "any"),
    "too-many-date": Fault("429, and Retry-After as a date by a clock that is off", _wait_until),
    "error": Fault("500", _status(500), "any"),
    "bad-gateway": Fault("502", _status(502), "any"),
    "unavailable": Fault("503", _status(503), "any"),
    "refused": Fault("nobody listens, from `after` until `until`", _cut_off, "any"),
    "reset": Fault("the connection is reset in mid-body", _reset),
    "truncated": Fault("the connection ends in mid-body", _truncate),
    "length-too-long": Fault("Content-Length is ten bytes too many", _announce_more),
    "length-too-short": Fault("Content-Length is ten bytes too few", _announce_less),
    "wrong-checksum": Fault("the checksum is another one", _misstate),
    "damaged": Fault("a byte is another one", _damage),
    "slow-body": Fault("one byte, a pause of `seconds`, one byte …", _trickle),
    "slow": Fault("the answer comes after `seconds`", _delay, "any"),
    "no-answer": Fault("there is no answer", _say_nothing, "any"),
    "redirect": Fault("302 to another host", _redirect, "any"),
    "explosion": Fault("a little gzip that unpacks to `size` bytes", _explode),
    "web-page": Fault("200 and an HTML page", _web_page, "any"),
    "invalid-json": Fault("a list breaks off", _garble, "list"),
    "repeated-page": Fault("a list shows the page before", _repeat, "list"),
    "new-content": Fault(
        "a forwarded id comes back with another content", _replace, "acknowledgement"
    ),
    "clock": Fault("the Date is hours off", _turn_clock, "any"),
    "lost-acknowledgement": Fault("taken, and the answer is reset", _lose, "acknowledgement"),
}
