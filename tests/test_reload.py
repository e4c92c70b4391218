"""An edit of the configuration is applied when it is valid, and reported once when it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import structlog.testing
from anyio.streams.memory import MemoryObjectReceiveStream

from pipeline import reload
from pipeline.errors import ConfigurationError
from pipeline.reload import edits

pytestmark = pytest.mark.anyio

#: Seconds after which an edit that ought to have been seen has not been.
PATIENCE = 100


#: What was read of the file, each time that it was looked into.
looks: list[str] = []


def load(path: Path) -> str:
    text = path.read_text()
    looks.append(text)
    if "wrong" in text:
        raise ConfigurationError(str(path), [f"key: {text}"])
    return text


async def save(path: Path, text: str) -> None:
    """Save the file and wait until it was looked into."""
    before = len(looks)
    path.write_text(text)
    while text not in looks[before:]:
        await anyio.sleep(0.01)


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[MemoryObjectReceiveStream[str]]:
    send, receive = anyio.create_memory_object_stream[str](100)

    async def watch() -> None:
        async for edit in edits(path, load, path.read_text()):
            await send.send(edit)

    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.sleep(0.5)  # the watch of the folder has to stand before the first edit
            with anyio.fail_after(PATIENCE):
                yield receive
            group.cancel_scope.cancel()


async def test_a_saved_edit_is_yielded(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text("first")
    async with watching(path) as edited:
        path.write_text("second")
        assert await edited.receive() == "second"


async def test_an_editor_that_replaces_the_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text("first")
    async with watching(path) as edited:
        for text in ("second", "third"):
            (tmp_path / "new").write_text(text)
            (tmp_path / "new").replace(path)
            assert await edited.receive() == text


async def test_an_invalid_file_changes_nothing_and_is_reported_once(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text("first")
    with structlog.testing.capture_logs() as logged:
        async with watching(path) as edited:
            for text in ("wrong one", "wrong one", "wrong two"):
                await save(path, text)
            path.write_text("second")
            assert await edited.receive() == "second"
    problems = [entry["problems"] for entry in logged]
    assert len(problems) == 2
    assert "wrong one" in problems[0]
    assert "wrong two" in problems[1]


async def test_a_file_saved_unchanged_is_no_edit(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text("first")
    async with watching(path) as edited:
        await save(path, "first")
        path.write_text("second")
        assert await edited.receive() == "second"


async def test_an_edit_before_the_first_look_is_found(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text("second")
    with anyio.fail_after(PATIENCE):
        async for edit in edits(path, load, "first"):
            assert edit == "second"
            break


async def test_a_folder_that_another_one_replaces_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "synqup.toml"
    path.parent.mkdir()
    path.write_text("first")
    async with watching(path) as edited:
        path.parent.rename(tmp_path / "old")
        await anyio.sleep(0.3)
        path.parent.mkdir()
        path.write_text("second")
        assert await edited.receive() == "second"
        path.write_text("third")
        assert await edited.receive() == "third"


async def test_a_stop_does_not_wait_for_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "LOOK", 200_000)
    path = tmp_path / "synqup.toml"
    path.write_text("one")
    stop, seen = anyio.Event(), anyio.Event()

    async def watch() -> None:
        async for _ in edits(path, load, "another", stop):
            seen.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            while not seen.is_set():
                await anyio.sleep(0.2)
                path.touch()
            await anyio.sleep(0.5)  # the folder is watched again
            stop.set()
            group.cancel_scope.cancel()
