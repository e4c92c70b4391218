"""Messages between two processes: in order, whole, and by name where both sides have the thing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from hypothesis import given, strategies as st

from pipeline.link import Link

pytestmark = pytest.mark.anyio


class Thing:
    """What can't be sent, only named."""

    def __reduce__(self) -> str:
        raise TypeError("not to be sent")


def plain(_: object) -> None:
    return None


@asynccontextmanager
async def pair(
    name: Any = plain, find: Any = plain
) -> AsyncIterator[tuple[Link, Link, SocketStream]]:
    one, other = [await SocketStream.from_socket(end) for end in socket.socketpair()]
    async with one, other, anyio.create_task_group() as group:
        sender = Link(one, name, find)
        group.start_soon(sender.run)
        yield sender, Link(other, name, find), one
        group.cancel_scope.cancel()


@given(st.lists(st.lists(st.binary(max_size=200_000), max_size=4), max_size=4))
def test_what_is_sent_comes_in_order(turns: list[list[bytes]]) -> None:
    async def talk() -> list[bytes]:
        async with pair() as (sender, receiver, stream), anyio.create_task_group() as group:

            async def send() -> None:
                for turn in turns:
                    for message in turn:
                        sender.send(message)
                    await sender.flush()
                await stream.send_eof()

            group.start_soon(send)
            return [message async for message in receiver]

    assert anyio.run(talk) == [message for turn in turns for message in turn]


async def test_what_has_a_name_goes_by_it_from_then_on() -> None:
    thing, names = Thing(), dict[int, int]()
    with anyio.fail_after(5):
        async with pair(lambda one: names.get(id(one)), {1: "stand-in"}.get) as (
            sender,
            receiver,
            _,
        ):
            sender.send("before")
            sender.seal()
            names[id(thing)] = 1
            sender.send(["after", thing])
            sender.seal()
            names.clear()
            messages = aiter(receiver)
            assert await anext(messages) == "before"
            assert await anext(messages) == ["after", "stand-in"]


async def test_the_end_of_the_other_side_ends_the_messages() -> None:
    with anyio.fail_after(5):
        async with pair() as (sender, receiver, stream):
            sender.send("last")
            await sender.flush()
            await stream.send(b"\0\0")
            await stream.aclose()
            assert [message async for message in receiver] == ["last"]
