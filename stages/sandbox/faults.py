"""Faults: what each fault of the sandbox does. A new one is a function and a line in FAULTS."""

from __future__ import annotations

import json
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import anyio
from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from stages.sandbox.fault_spec import FaultSpec, Target
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.tokens import Tokens
from stages.sandbox.wire import Wire

#: Bytes of a slow body between two pauses, and zeros that are packed at a time.
BYTE = 1
ZEROS = bytes(1 << 20)


class Hit(Struct, frozen=True):
    """One request that a fault hits, and the handler that would answer it."""

    spec: FaultSpec
    request: web.Request
    handler: Handler
    tokens: Tokens
    mailbox: Mailbox
    wire: Wire

    async def answer(self) -> web.Response:
        """The answer without the fault."""
        response = await self.handler(self.request)
        assert isinstance(response, web.Response)
        return response

    def cut(self) -> None:
        """Abort the connection, as a crash does."""
        if self.request.transport is not None:
            self.request.transport.abort()


Act = Callable[[Hit], Awaitable[web.StreamResponse]]


class Fault(Struct, frozen=True):
    """One fault. says: what it does, in words. on: the requests that it is about by default."""

    says: str
    act: Act
    on: Target = "document"


def _status(status: int, **headers: str) -> Act:
    async def act(_: Hit) -> web.Response:
        body = {"error": "fault", "message": "A fault of the sandbox", "status": status}
        return web.json_response(body, status=status, headers=headers)

    return act


async def _expire(hit: Hit) -> web.StreamResponse:
    hit.tokens.revoke()
    return await hit.handler(hit.request)


async def _wait_seconds(hit: Hit) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": str(round(hit.spec.seconds))})


async def _wait_milliseconds(hit: Hit) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After-Ms": str(round(hit.spec.seconds * 1000))})


async def _wait_until(hit: Hit) -> web.StreamResponse:
    now = datetime.now(UTC) + timedelta(hours=hit.spec.hours)
    until = now + timedelta(seconds=hit.spec.seconds)
    return web.Response(
        status=429,
        headers={
            "Date": format_datetime(now, usegmt=True),
            "Retry-After": format_datetime(until, usegmt=True),
        },
    )


async def cut_off(hit: Hit) -> web.StreamResponse:
    """End the connection without an answer; the server stops listening as well."""
    hit.cut()
    return web.Response()


async def _reset(hit: Hit) -> web.StreamResponse:
    partly = await _half(hit)
    hit.cut()
    return partly


async def _truncate(hit: Hit) -> web.StreamResponse:
    partly = await _half(hit)
    if hit.request.transport is not None:
        hit.request.transport.close()
    return partly


async def _half(hit: Hit) -> web.StreamResponse:
    """Announce the length of the whole body and send half of it."""
    whole = await hit.answer()
    data = _body(whole)
    partly = web.StreamResponse(headers=_headers(whole))
    partly.content_length = len(data)
    await partly.prepare(hit.request)
    await partly.write(data[: len(data) // 2])
    return partly


async def _announce_more(hit: Hit) -> web.StreamResponse:
    return await _announce(hit, 10)


async def _announce_less(hit: Hit) -> web.StreamResponse:
    return await _announce(hit, -10)


async def _announce(hit: Hit, difference: int) -> web.StreamResponse:
    """Send the whole body with another Content-Length, then close the connection."""
    whole = await hit.answer()
    data = _body(whole)
    transport = hit.request.transport
    assert transport is not None
    headers = "".join(f"{name}: {value}\r\n" for name, value in _headers(whole).items())
    head = f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(data) + difference}\r\n\r\n"
    transport.write(head.encode() + data)
    transport.close()
    return whole


async def _misstate(hit: Hit) -> web.StreamResponse:
    response = await hit.answer()
    response.headers["Content-Digest"] = "sha-256=:" + "A" * 43 + "=:"
    return response


async def _damage(hit: Hit) -> web.StreamResponse:
    response = await hit.answer()
    data = bytearray(_body(response))
    data[len(data) // 2] ^= 0x20
    response.body = bytes(data)
    return response


async def _trickle(hit: Hit) -> web.StreamResponse:
    whole = await hit.answer()
    slow = web.StreamResponse(headers=_headers(whole))
    slow.content_length = len(_body(whole))
    await slow.prepare(hit.request)
    data = _body(whole)
    for start in range(0, len(data), BYTE):
        await slow.write(data[start : start + BYTE])
        await anyio.sleep(hit.spec.seconds)
    return slow


async def _delay(hit: Hit) -> web.StreamResponse:
    await anyio.sleep(hit.spec.seconds)
    return await hit.handler(hit.request)


async def _say_nothing(hit: Hit) -> web.StreamResponse:
    await anyio.sleep_forever()
    return await hit.handler(hit.request)


async def _redirect(hit: Hit) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": hit.spec.to})


async def _explode(hit: Hit) -> web.StreamResponse:
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(ZEROS) for _ in range(-(-hit.spec.size // len(ZEROS)))]
    return web.Response(
        body=b"".join([*packed, packer.flush()]),
        headers={"Content-Encoding": "gzip"},
        content_type="application/xml",
    )


async def _pack_short(hit: Hit) -> web.StreamResponse:
    """Pack the body without the end of the gzip stream; Content-Length is right."""
    whole = await hit.answer()
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(_body(whole)) + packer.flush(zlib.Z_SYNC_FLUSH)
    headers = {**_headers(whole), "Content-Encoding": "gzip"}
    return web.Response(body=packed, headers=headers)


async def _part(hit: Hit) -> web.StreamResponse:
    whole = await hit.answer()
    data = _body(whole)
    half = data[: len(data) // 2]
    headers = {**_headers(whole), "Content-Range": f"bytes 0-{len(half) - 1}/{len(data)}"}
    return web.Response(status=206, body=half, headers=headers)


async def _drip(hit: Hit) -> web.StreamResponse:
    """Send headers without an end, one every `seconds`."""
    transport = hit.request.transport
    assert transport is not None
    transport.write(b"HTTP/1.1 200 OK\r\n")
    while not transport.is_closing():
        transport.write(b"X-More: to come\r\n")
        await anyio.sleep(hit.spec.seconds)
    return web.Response()


async def _spoil_item(hit: Hit) -> web.StreamResponse:
    """Put an item that can't be read before the others."""
    response = await hit.answer()
    response.body = hit.wire.with_odd_item(_body(response))
    return response


async def _web_page(_: Hit) -> web.StreamResponse:
    page = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon</body>"
    return web.Response(text=f"{page}</html>", content_type="text/html")


async def _garble(hit: Hit) -> web.StreamResponse:
    response = await hit.answer()
    response.body = _body(response)[:-20] or b"{"
    return response


async def _repeat(hit: Hit) -> web.StreamResponse:
    """Answer with the page before the one that is asked for."""
    return await hit.handler(hit.wire.previous_page(hit.request))


async def _replace(hit: Hit) -> web.StreamResponse:
    """Take the acknowledgement; then the id is pending again, with another content."""
    response = await hit.answer()
    hit.mailbox.revise(hit.wire.document_id(hit.request), mute=hit.spec.mute)
    return response


async def _turn_clock(hit: Hit) -> web.StreamResponse:
    response = await hit.handler(hit.request)
    now = datetime.now(UTC) + timedelta(hours=hit.spec.hours)
    response.headers["Date"] = format_datetime(now, usegmt=True)
    return response


async def _lose(hit: Hit) -> web.StreamResponse:
    response = await hit.answer()
    hit.cut()
    return response


async def _revoke_sign_ins(hit: Hit) -> web.StreamResponse:
    hit.tokens.revoke_sign_ins()
    return await hit.handler(hit.request)


async def _keep_refresh_token(hit: Hit) -> web.StreamResponse:
    """Answer with an access token alone."""
    response = await hit.answer()
    granted = json.loads(_body(response))
    granted.pop("refresh_token", None)
    return web.json_response(granted, status=response.status)


async def _expire_code(hit: Hit) -> web.StreamResponse:
    hit.tokens.codes.expire()
    return await hit.handler(hit.request)


async def _ignore(_: Hit) -> web.StreamResponse:
    return web.Response(status=204)


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
    "too-many-ms": Fault("429, and Retry-After-Ms in milliseconds", _wait_milliseconds, "any"),
    "too-many-date": Fault("429, and Retry-After as a date by a clock that is off", _wait_until),
    "error": Fault("500", _status(500), "any"),
    "bad-gateway": Fault("502", _status(502), "any"),
    "unavailable": Fault("503", _status(503), "any"),
    "refused": Fault("the server does not listen, from `after` until `until`", cut_off, "any"),
    "reset": Fault("the connection is reset in mid-body", _reset),
    "truncated": Fault("the connection ends in mid-body", _truncate),
    "length-too-long": Fault("Content-Length is ten bytes too many", _announce_more),
    "length-too-short": Fault("Content-Length is ten bytes too few", _announce_less),
    "wrong-checksum": Fault("the checksum header is wrong", _misstate),
    "damaged": Fault("one byte of the body is changed", _damage),
    "slow-body": Fault("one byte, a pause of `seconds`, one byte …", _trickle),
    "slow": Fault("the answer comes after `seconds`", _delay, "any"),
    "no-answer": Fault("there is no answer", _say_nothing, "any"),
    "redirect": Fault("302 to another host", _redirect, "any"),
    "explosion": Fault("a little gzip that unpacks to `size` bytes", _explode),
    "packed-short": Fault("gzip whose end is missing, though its length is right", _pack_short),
    "part": Fault("206 with half of the document, though all was requested", _part),
    "slow-headers": Fault("headers without an end, one every `seconds`", _drip, "any"),
    "odd-item": Fault("a list holds an item that can't be read", _spoil_item, "list"),
    "web-page": Fault("200 and an HTML page", _web_page, "any"),
    "invalid-json": Fault("the JSON of a list is cut short", _garble, "list"),
    "repeated-page": Fault("a list answers with the page before", _repeat, "list"),
    "new-content": Fault(
        "an acknowledged id is pending again, with another content", _replace, "acknowledgement"
    ),
    "clock": Fault("the Date is hours off", _turn_clock, "any"),
    "ignored-acknowledgement": Fault(
        "answered with 204, but not taken", _ignore, "acknowledgement"
    ),
    "revoked-sign-in": Fault("all sign-ins of people are ended", _revoke_sign_ins, "token"),
    "lost-token": Fault("a token is issued, and the answer is reset", _lose, "token"),
    "no-refresh-token": Fault(
        "an access token comes without a refresh token", _keep_refresh_token, "token"
    ),
    "expired-code": Fault("the code of a sign-in has expired", _expire_code, "token"),
    "growing": Fault("a file is half-written for `seconds` (sftp only)", _delay, "list"),
    "lost-acknowledgement": Fault("taken, and the answer is reset", _lose, "acknowledgement"),
}
