"""Whoever asks the monitor, and however: documents go on, and it answers others."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from pipeline.monitor import connections
from tests.helpers.processes import PATIENCE, ROOT, mailbox, process, wait_until
from tests.helpers.services import Visitor, until, visiting, watched
from tests.helpers.trial import trial

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def visited(folder: Path, documents: int = 3) -> AsyncIterator[Visitor]:
    async with (
        trial(folder, documents=documents) as it,
        visiting(watched(it.config())) as visitor,
    ):
        await visitor.until_ready()
        yield visitor


@contextmanager
def connected(visitor: Visitor, sends: bytes = b"") -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", visitor.port), PATIENCE)) as one:
        one.sendall(sends)
        yield one


async def answer(one: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""

    def read() -> bytes:
        came = b""
        try:
            while piece := one.recv(65536):
                came += piece
        except ConnectionError:
            pass
        return came

    with anyio.fail_after(PATIENCE):
        return await anyio.to_thread.run_sync(read, abandon_on_cancel=True)


def request(path: str = "/ping", *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "sends",
    [
        request("/" + "a" * 5000),
        request("/ping", "X-Long: " + "a" * 5000),
        request("/ping", *(f"X-{number}: a" for number in range(100))),
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /ping\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /ping HTTP/1.0\r\n\r\n",
        request("/ping", "Host: evil.example"),
        request("http://evil.example/ping", "Origin: http://evil.example"),
        request("/ping", "Content-Length: 9999999999").replace(b"GET", b"POST"),
    ],
    ids=str,
)
async def test_what_is_too_large_or_no_request_is_refused_and_nothing_is_logged(
    tmp_path: Path, sends: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with visited(tmp_path) as visitor:
        with connected(visitor, sends) as one:
            said = await answer(one)
        assert not said or said.split()[1].startswith(b"4"), said[:200]
        assert b"ok\n" not in said
        assert await visitor.get("/ping") == (200, "ok\n")
    assert not caplog.records


async def test_who_sends_no_request_or_half_of_one_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.3)
    async with visited(tmp_path) as visitor:
        for sends in (b"", b"GET /ping HT", request()[:-2], b"\r\n" * 5):
            with connected(visitor, sends) as one:
                assert not (await answer(one)).startswith(b"HTTP/1.1 200")


async def test_who_does_not_read_the_answer_is_cut_off_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER_TIMEOUT", 1.0)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 8)
    many = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300
    async with trial(tmp_path, documents=6) as it, visiting(watched(it.config())) as visitor:
        await visitor.until_ready()
        with ExitStack() as stack:
            for _ in range(8):
                one = stack.enter_context(
                    closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                )
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.connect(("127.0.0.1", visitor.port))
                one.sendall(many)
            it.mailbox.grow(30)
            await until(lambda: it.delivered() == it.held())
            # There is room for another only once one of them has been cut off.
            with anyio.fail_after(PATIENCE):
                while (await visitor.get("/ping"))[0] != 200:
                    await anyio.sleep(0.01)


async def test_more_connections_than_allowed_are_told_so_and_others_are_answered_again(
    tmp_path: Path,
) -> None:
    async with visited(tmp_path) as visitor:
        with ExitStack() as stack:
            for _ in range(connections.MAX_CONNECTIONS):
                stack.enter_context(connected(visitor))
            with anyio.fail_after(PATIENCE):
                while True:
                    with connected(visitor) as one:
                        said = await answer(one)
                    if said.startswith(b"HTTP/1.1 503"):
                        break
        with anyio.fail_after(PATIENCE):
            while (await visitor.get("/ping"))[0] != 200:
                await anyio.sleep(0.01)


async def test_a_page_that_fails_by_a_bug_is_contained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with visited(tmp_path) as visitor:
        with monkeypatch.context() as patch:
            patch.setattr("pipeline.monitor.pages.readiness", lambda _: 1 / 0)
            # A page that took long to make is good for a while.
            with anyio.fail_after(60):
                while (await visitor.get("/ready"))[0] != 500:
                    await anyio.sleep(0.01)
            for _ in range(3):
                status, said = await visitor.get("/ready")
                assert (status, "ZeroDivision" in said) == (500, False)
        assert (await visitor.ready())[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_service_stops_although_somebody_is_being_answered(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", "6") as box:
        port = _free_port()
        with box.config.open("a") as file:
            file.write(f'\n[monitor]\nlisten = "127.0.0.1:{port}"\n')
        with process("run", "--config", box.config) as service, ExitStack() as stack:
            wait_until(lambda: box.journal() and "the monitor listens" in box.log())
            for sends in (b"", b"GET /ping", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"):
                one = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
                one.sendall(sends)
            service.send_signal(signal.SIGTERM)
            assert service.wait(PATIENCE) == 0
            assert "Traceback" not in box.log()
        box.assert_everything_stands_once()


def test_what_serves_is_imported_only_where_a_monitor_is_configured() -> None:
    code = (
        "import sys; import pipeline.app.cli, pipeline.app.command_run;"
        "heavy = ('prometheus', 'jinja2', 'babel', 'pipeline.monitor');"
        "print([one for one in sys.modules if one.startswith(heavy)])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    page = [f"pipeline.monitor.page{one}" for one in ("", ".parts", ".shared_tally", ".tally")]
    assert sorted(eval(said)) == ["pipeline.monitor", "pipeline.monitor.monitor", *page]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port
