"""What Windows does to files: others hold them, an attribute hides folders, paths are long."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from msgspec import structs

from pipeline.document import Sidecar
from pipeline.errors import RetryableError
from pipeline.files import read_file
from pipeline.held import is_held
from pipeline.ledger.models import State
from pipeline.long_paths import MAX_PATH, StrPath, local_path
from pipeline.payload import Payload
from stages.delivery import publish as publishing, rename as renaming
from stages.delivery.forward import go_forward, put_aside
from stages.delivery.rename import rename_exclusively, rename_in_one_step, renames_in_one_step
from stages.delivery.staging import NAME
from tests.helpers.holding import RENAMING, hold
from tests.helpers.invoices import ubl
from tests.helpers.systems import windows_only
from tests.helpers.writing import bench

pytestmark = [windows_only("files can be renamed while others read them"), pytest.mark.anyio]

PDF = Sidecar("pdf", Payload(5, "", b"%PDF-"))


def test_a_file_that_another_holds_cannot_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    let_go = hold(tmp_path / "a")
    with pytest.raises(PermissionError) as refused:
        rename_exclusively(tmp_path / "a", tmp_path / "b")
    assert refused.value.winerror == 32
    assert refused.value.filename == str(tmp_path / "a")
    let_go()
    rename_exclusively(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"new"


def test_a_name_that_is_taken_in_other_letters_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "F-1.XML").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        rename_exclusively(tmp_path / "a", tmp_path / "f-1.xml")
    assert (tmp_path / "F-1.XML").read_bytes() == b"old"


def test_a_rename_that_another_node_has_begun_keeps_others_from_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    # It would take the file from wherever it is by then.
    let_go = hold(tmp_path / "a", **RENAMING)
    with pytest.raises(PermissionError) as refused:
        rename_in_one_step(tmp_path / "a", tmp_path / "b")
    assert is_held(refused.value)
    let_go()
    rename_in_one_step(tmp_path / "a", tmp_path / "b")
    assert [one.name for one in tmp_path.iterdir()] == ["b"]
    with pytest.raises(FileNotFoundError):
        rename_in_one_step(tmp_path / "a", tmp_path / "c")
    (tmp_path / "a").write_bytes(b"another")
    with pytest.raises(FileExistsError):
        rename_in_one_step(tmp_path / "a", tmp_path / "B")
    assert (tmp_path / "b").read_bytes() == b"new"


def test_a_file_that_another_holds_for_a_moment_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"secret")
    waiting = threading.Timer(0.3, hold(tmp_path / "token"))
    waiting.start()
    assert read_file(tmp_path / "token", 100) == b"secret"
    waiting.join()


@pytest.mark.parametrize("code", [53, 67])
def test_a_share_that_is_away_is_no_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    from stages.delivery.rename_windows import error_of  # noqa: PLC0415 - of Windows alone

    assert not isinstance(error_of(code, "a", "b"), FileNotFoundError)
    assert isinstance(error_of(2, "a", "b"), FileNotFoundError)

    def away(path: StrPath) -> None:
        raise OSError(None, "the share is away", str(path), code)

    monkeypatch.setattr(os, "scandir", away)
    for rename in (go_forward, lambda staged, *_: put_aside(staged, ("pdf",))):
        with pytest.raises(OSError, match="the share is away"):
            rename(tmp_path / "a", (), tmp_path / "b")


@pytest.mark.parametrize("code", [59, 64, 121])
def test_a_connection_that_is_lost_is_no_lack_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def lose(source: str, target: str) -> None:
        raise OSError(None, "the connection is lost", source, code, target)

    monkeypatch.setattr(renaming, "_rename", lose)
    (tmp_path / "a").write_bytes(b"new")
    with pytest.raises(OSError, match="the connection is lost"):
        rename_exclusively(tmp_path / "a", tmp_path / "b")
    assert [one.name for one in tmp_path.iterdir()] == ["a"]
    with pytest.raises(OSError, match="the connection is lost"):
        renames_in_one_step(tmp_path)


class Antivirus:
    """Opens each temporary file of a kind just before its rename; lets go after some seconds."""

    def __init__(self, extension: str, seconds: float) -> None:
        self.extension = extension
        self.seconds = seconds
        self.held: set[Path] = set()

    def __call__(self, source: StrPath, target: StrPath) -> None:
        file = Path(source)
        if Path(target).suffix == self.extension and file not in self.held:
            self.held.add(file)
            threading.Timer(self.seconds, hold(file)).start()
        rename_exclusively(source, target)


@pytest.mark.parametrize("extension", [".xml", ".pdf"])
async def test_a_document_that_is_let_go_in_time_is_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: str
) -> None:
    monkeypatch.setattr(publishing, "rename_exclusively", Antivirus(extension, 0.3))
    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), sidecars=(PDF,))
        (result,) = await one.work(document)
        assert not isinstance(result, Exception)
        assert await one.state(document) is State.DELIVERED
        assert one.files() == ["F-1.pdf", "F-1.xml"]


async def test_a_document_that_is_held_for_longer_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = Antivirus(".xml", 30)
    timers: list[threading.Timer] = []
    real = threading.Timer

    def timer(seconds: float, let_go: object) -> threading.Timer:
        timers.append(real(seconds, let_go))  # type: ignore[arg-type]
        return timers[-1]

    monkeypatch.setattr(threading, "Timer", timer)
    monkeypatch.setattr(publishing, "rename_exclusively", scanner)
    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), sidecars=(PDF,))
        (result,) = await one.work(document)
        assert isinstance(result, RetryableError)
        assert one.files() == []
        for waiting in timers:
            waiting.cancel()
            waiting.function()
        scanner.extension = ""
        (result,) = await one.work(document)
        assert not isinstance(result, Exception)
        assert one.files() == ["F-1.pdf", "F-1.xml"]


async def test_the_temporary_folder_is_hidden(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        await one.bring(ubl(), "1")
        (place,) = (tmp_path / "out").rglob(NAME)
        assert place.stat().st_file_attributes & stat.FILE_ATTRIBUTE_HIDDEN
        assert not place.parent.stat().st_file_attributes & stat.FILE_ATTRIBUTE_HIDDEN
        assert list(place.iterdir()) == []


async def test_a_folder_whose_paths_are_long_gets_its_documents(tmp_path: Path) -> None:
    deep = "/".join(["a" * 60] * 5)
    paths = f'purchases = "out/{deep}/in"\nsales = "out/{deep}/out"\n'
    for _ in range(2):
        async with bench(tmp_path, more=paths) as one:
            document = structs.replace(await one.make(ubl(), "1"), sidecars=(PDF,))
            (result,) = await one.work(document)
            if not isinstance(result, Exception):
                path = local_path(result.meta.path)  # type: ignore[union-attr]
                assert len(str(path)) > MAX_PATH
                assert not str(path).startswith("\\\\?\\")
                assert path.read_bytes().startswith(b"<?xml")
                assert path.with_suffix(".pdf").read_bytes() == b"%PDF-"
                assert {one.name for one in path.parent.iterdir()} == {NAME, "F-1.xml", "F-1.pdf"}
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("name", ["CON", "nul.xml", "COM1", "a. ", "LPT9.pdf"])
async def test_a_number_that_is_a_device_is_a_file(tmp_path: Path, name: str) -> None:
    async with bench(tmp_path) as one:
        document = await one.make(ubl().replace("F-1", name), "1")
        (result,) = await one.work(document)
        assert not isinstance(result, Exception)
        (file,) = one.files()
        assert os.path.isfile(next((tmp_path / "out").rglob(file)))  # noqa: PTH113
