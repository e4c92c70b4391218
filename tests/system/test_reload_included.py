"""An edit of an included file is applied as one of the configuration itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import structlog.testing
from anyio.streams.memory import MemoryObjectReceiveStream

from pipeline.config import watcher
from pipeline.config.include import read_config
from pipeline.config.watcher import watch_config

pytestmark = pytest.mark.anyio

TIMEOUT = 100


def load(path: Path) -> list[int]:
    found: list[int] = read_config(path).raw.get("a", [])
    return found


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[MemoryObjectReceiveStream[list[int]]]:
    send, receive = anyio.create_memory_object_stream[list[int]](100)

    async def watch() -> None:
        async for edit in watch_config(path, load, load(path)):
            await send.send(edit)

    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.sleep(0.5)  # the watch of the folders has to stand before the first edit
            with anyio.fail_after(TIMEOUT):
                yield receive
            group.cancel_scope.cancel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.toml").write_text("a = [1]")
    (tmp_path / "b.toml").write_text("a = [10]")
    path = tmp_path / "synqup.toml"
    path.write_text('include = "lists/a.toml"')
    return path


async def test_an_included_file_is_watched_in_its_own_folder(path: Path) -> None:
    async with watching(path) as edited:
        (path.parent / "lists" / "a.toml").write_text("a = [2]")
        assert await edited.receive() == [2]
        (path.parent / "new").write_text("a = [3]")
        (path.parent / "new").replace(path.parent / "lists" / "a.toml")
        assert await edited.receive() == [3]


async def test_a_file_that_is_included_later_is_watched_from_then_on(path: Path) -> None:
    async with watching(path) as edited:
        path.write_text('include = ["lists/a.toml", "b.toml"]')
        assert await edited.receive() == [1, 10]
        (path.parent / "b.toml").write_text("a = [11]")
        assert await edited.receive() == [1, 11]


async def test_a_file_that_is_broken_or_missing_is_taken_when_it_is_whole_again(
    path: Path,
) -> None:
    included = path.parent / "lists" / "a.toml"
    with structlog.testing.capture_logs() as logged:
        async with watching(path) as edited:
            included.write_text("a = [")
            while len(logged) < 1:
                await anyio.sleep(0.02)
            included.write_text("a = [2]")
            assert await edited.receive() == [2]
            included.unlink()
            while len(logged) < 2:
                await anyio.sleep(0.02)
            included.write_text("a = [3]")
            assert await edited.receive() == [3]
    assert all("a.toml" in one["problems"] for one in logged)


async def test_a_folder_of_an_included_file_may_go_and_come(path: Path) -> None:
    folder = path.parent / "lists"
    async with watching(path) as edited:
        folder.rename(path.parent / "old")
        await anyio.sleep(0.3)
        folder.mkdir()
        (folder / "a.toml").write_text("a = [2]")
        assert await edited.receive() == [2]
        (folder / "a.toml").write_text("a = [3]")
        assert await edited.receive() == [3]


async def test_where_nothing_is_reported_included_files_are_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*_: object, **__: object) -> AsyncIterator[set[object]]:
        while True:
            await anyio.sleep(0.05)
            yield set()

    monkeypatch.setattr(watcher, "awatch", silent)
    monkeypatch.setattr(watcher, "CHECK_INTERVAL", 50)
    async with watching(path) as edited:
        (path.parent / "lists" / "a.toml").write_text("a = [23]")
        assert await edited.receive() == [23]
