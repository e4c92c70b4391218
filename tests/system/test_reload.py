"""An edit of the configuration is applied when it is valid, and reported once when it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import structlog.testing
from anyio.streams.memory import MemoryObjectReceiveStream

from pipeline.config import watcher as reload
from pipeline.config.loader import read_toml
from pipeline.config.watcher import watch_config
from pipeline.errors import ConfigurationError
from tests.helpers.systems import posix_only

pytestmark = pytest.mark.anyio

#: Seconds after which an edit that ought to have been seen has not been.
TIMEOUT = 100


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
        async for edit in watch_config(path, load, path.read_text()):
            await send.send(edit)

    with send, receive:
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            await anyio.sleep(0.5)  # the watch of the folder has to stand before the first edit
            with anyio.fail_after(TIMEOUT):
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
    with anyio.fail_after(TIMEOUT):
        async for edit in watch_config(path, load, "first"):
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
    monkeypatch.setattr(reload, "CHECK_INTERVAL", 200_000)
    path = tmp_path / "synqup.toml"
    path.write_text("one")
    stop, seen = anyio.Event(), anyio.Event()

    async def watch() -> None:
        async for _ in watch_config(path, load, "another", stop):
            seen.set()

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            while not seen.is_set():
                await anyio.sleep(0.2)
                path.touch()
            await anyio.sleep(0.5)  # the folder is watched again
            stop.set()
            group.cancel_scope.cancel()


async def test_when_the_watch_dies_the_file_is_looked_at_by_and_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watches = 0

    async def dying(*_: object, **__: object) -> AsyncIterator[set[object]]:
        nonlocal watches
        watches += 1
        yield set()
        raise ExceptionGroup("", [RuntimeError("the watch has died")])

    monkeypatch.setattr(reload, "awatch", dying)
    monkeypatch.setattr(reload, "CHECK_INTERVAL", 50)
    path = tmp_path / "synqup.toml"
    path.write_text("first")
    with structlog.testing.capture_logs() as logged:
        async with watching(path) as edited:
            for text in ("second", "third"):
                path.write_text(text)
                assert await edited.receive() == text
            while watches < 4:
                await anyio.sleep(0.05)
    assert "can't be watched" in logged[0]["event"]


NOT_WATCHED = """
import anyio, sys
from pathlib import Path
from pipeline.config.watcher import watch_config

async def main():
    path = Path(sys.argv[1])
    async for edit in watch_config(path, Path.read_text, "first"):
        print(edit, flush=True)
        if edit == "third":
            return
        path.write_text("third")

anyio.run(main)
"""


@posix_only("the system always watches")
def test_without_a_watch_of_the_system_edits_are_found_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text("second")
    limit = "/proc/sys/user/max_inotify_instances"
    inside = ["unshare", "--user", "--map-root-user", "sh", "-c"]
    if subprocess.run([*inside, f"echo 0 > {limit}"], check=False, capture_output=True).returncode:
        pytest.skip("no limit of a user's own can be set here")
    done = subprocess.run(
        [*inside, f'echo 0 > {limit}; exec "$@"', "sh", sys.executable, "-c", NOT_WATCHED, path],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert [line for line in done.stdout.splitlines() if " " not in line] == ["second", "third"]
    assert done.stdout.count("can't be watched") == 1
    assert done.returncode == 0, done.stderr


@posix_only("devices and pipes have no names in folders")
async def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text("a = 1")

    def pipe() -> None:
        os.mkfifo(path)

    def huge() -> None:
        path.touch()
        os.truncate(path, 2_000_000_000)

    others = {
        "it is a pipe": pipe,
        "it is a device": lambda: path.symlink_to("/dev/zero"),
        "it is a folder": path.mkdir,
        "it has more than 5,000,000 bytes": huge,
        "one line has more than 5,000 dots": lambda: path.write_text("a." * 10_000),
    }
    with structlog.testing.capture_logs() as logged, anyio.fail_after(TIMEOUT):
        send, receive = anyio.create_memory_object_stream[dict[str, object]](10)

        async def watch() -> None:
            async for edit in watch_config(path, read_toml, {"a": 1}):
                await send.send(edit)

        async with send, receive, anyio.create_task_group() as group:
            group.start_soon(watch)
            for said, put in others.items():
                path.rmdir() if path.is_dir() else path.unlink()
                put()
                while not logged or said not in logged[-1]["problems"]:
                    await anyio.sleep(0.02)
            path.unlink()
            path.write_text("a = 2")
            assert await receive.receive() == {"a": 2}
            group.cancel_scope.cancel()
