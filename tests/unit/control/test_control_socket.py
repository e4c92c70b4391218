"""The control socket: answers its own account, on any system, and outlives any client."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pipeline.control import server as module
from pipeline.control.actions import ActionResult
from pipeline.control.client import NoService, ask
from pipeline.control.protocol import DOOR, MAX_PATH, SOCKET
from pipeline.control.server import ControlServer
from pipeline.errors import ControlError, InternalError, NotKnown
from tests.helpers.systems import posix_only

pytestmark = pytest.mark.anyio

KINDS = [pytest.param(False, marks=posix_only("Windows has no such socket")), True]


async def poll(arguments: Mapping[str, Any], who: str) -> ActionResult:
    if arguments["source"] == "bug":
        raise ZeroDivisionError
    if arguments["source"] == "none":
        raise NotKnown("source none", "it is not configured", "Name another")
    return ActionResult(1, f"{who} polls {arguments['source']}")


@asynccontextmanager
async def serving(folder: Path, loopback: bool) -> AsyncIterator[Any]:
    async with anyio.create_task_group() as group:
        server = ControlServer(folder, {"poll": poll}, loopback=loopback)
        group.start_soon(server.run)

        async def asked(source: str, action: str = "poll") -> Any:
            call = partial(ask, folder, action, {"source": source}, loopback=loopback)
            return await anyio.to_thread.run_sync(call)

        await until_served(partial(asked, "box"))
        yield asked
        group.cancel_scope.cancel()


async def until_served(asked: Callable[[], Awaitable[Any]]) -> None:
    with anyio.fail_after(60):
        while True:
            try:
                assert (await asked())["done"] == 1
            except NoService:
                await anyio.sleep(0.01)
            else:
                return


@pytest.mark.parametrize("loopback", KINDS)
async def test_it_answers_and_says_who_asks(tmp_path: Path, loopback: bool) -> None:
    async with serving(tmp_path, loopback) as asked:
        assert "polls box" in (await asked("box"))["sentence"]
        with pytest.raises(NotKnown, match=r"source none: it is not configured\. Name another"):
            await asked("none")
        with pytest.raises(InternalError, match="ZeroDivisionError"):
            await asked("bug")
        with pytest.raises(ControlError, match="of another version"):
            await asked("box", "dance")
    with pytest.raises(NoService, match="no service works"):
        await anyio.to_thread.run_sync(partial(ask, tmp_path, "poll", {}, loopback=loopback))


@pytest.mark.parametrize("loopback", KINDS)
async def test_what_an_earlier_process_left_is_replaced(tmp_path: Path, loopback: bool) -> None:
    if loopback:
        (tmp_path / DOOR).write_text("{}")
    else:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / SOCKET))
        (tmp_path / SOCKET).rename(tmp_path / "left")
        with pytest.raises(NoService):
            ask(tmp_path, "poll", {}, loopback=False)
        (tmp_path / "left").rename(tmp_path / SOCKET)
    async with anyio.create_task_group() as group:
        group.start_soon(ControlServer(tmp_path, {"poll": poll}, loopback=loopback).run)
        call = partial(ask, tmp_path, "poll", {"source": "box"}, loopback=loopback)
        await until_served(lambda: anyio.to_thread.run_sync(call))
        group.cancel_scope.cancel()


@posix_only("Windows has no such socket")
async def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * MAX_PATH) / "state"
    folder.mkdir(parents=True)
    async with serving(folder, loopback=False) as asked:
        assert (await asked("box"))["done"] == 1


async def test_a_token_that_is_wrong_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, loopback=True) as asked:
        door = json.loads((tmp_path / DOOR).read_text())
        assert (tmp_path / DOOR).stat().st_mode & 0o077 in (0, 0o066)
        (tmp_path / DOOR).write_text(json.dumps({**door, "token": "another"}))
        with pytest.raises(ControlError, match="only the account that runs it"):
            await asked("box")


@posix_only("Windows has no such socket")
@pytest.mark.parametrize(
    "sent",
    [b"", b"\n", b"{}\n", b"[]\n", b"\x00" * 100_000, b'{"action": 1}\n', b'{"action":"poll"}\n'],
)
async def test_a_client_that_misbehaves_harms_nobody(
    tmp_path: Path, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASKING", 0.2)
    async with serving(tmp_path, loopback=False) as asked:
        async with await anyio.connect_unix(str(tmp_path / SOCKET)) as client:
            await client.send(sent) if sent else None
            # Another one need not wait for it.
            assert (await asked("box"))["done"] == 1
            with anyio.fail_after(60):
                answer = b""
                while not answer.endswith(b"\n"):
                    answer += await client.receive()
            assert json.loads(answer)["ok"] is False
        assert (await asked("box"))["done"] == 1


@posix_only("Windows has no such socket")
async def test_it_says_once_why_it_can_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from structlog.testing import capture_logs  # noqa: PLC0415

    monkeypatch.setattr(module, "RETRY", 0.01)
    (tmp_path / SOCKET).write_text("mine")
    with capture_logs() as logs:
        async with anyio.create_task_group() as group:
            group.start_soon(ControlServer(tmp_path, {"poll": poll}, loopback=False).run)
            await anyio.sleep(0.1)
            (tmp_path / SOCKET).unlink()
            call = partial(ask, tmp_path, "poll", {"source": "box"}, loopback=False)
            await until_served(lambda: anyio.to_thread.run_sync(call))
            group.cancel_scope.cancel()
    assert [log["event"] for log in logs] == ["commands can't reach this service"]
