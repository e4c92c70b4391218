"""A folder is in trouble from the first document that it refuses until one is published there."""

from __future__ import annotations

import errno
import shutil
import threading
from pathlib import Path

import anyio
import pytest

from pipeline.document import Document
from pipeline.errors import RetryableError
from pipeline.health.model import Trouble
from pipeline.ledger.models import State
from pipeline.long_paths import StrPath
from stages.delivery import destinations, lanes, publish, publish_group
from stages.delivery.rename import rename_exclusively
from stages.settings import folders_of
from tests.helpers.documents import SUPPLIER
from tests.helpers.invoices import ubl
from tests.helpers.writing import Bench, bench

pytestmark = pytest.mark.anyio


def invoice(number: int) -> str:
    return ubl().replace("F-1", f"F-{number}")


def folder(one: Bench) -> Path:
    return one.folder / "out" / SUPPLIER / "out"


async def test_a_folder_that_is_a_file_is_in_trouble_until_it_takes_a_document(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as one:
        known = one.write.destinations
        folder(one).parent.mkdir(parents=True)
        folder(one).write_text("no folder")
        with pytest.raises(FileExistsError) as refused:
            folder(one).mkdir()
        said = refused.value.strerror
        assert isinstance(await one.bring(invoice(1), "1"), RetryableError)
        first = known.troubles()[folder(one)]
        assert (first.reason, first.remedy) == (
            f"the system says: {said}",
            "Repair the disk or the folder; its documents wait and will be retried",
        )
        assert isinstance(await one.bring(invoice(2), "2"), RetryableError)
        assert known.troubles()[folder(one)].since == first.since
        # When it refused one last, other nodes are told.
        assert known.refused[folder(one)] >= first.since
        assert not known.taken
        assert not known.delivered
        folder(one).unlink()
        assert isinstance(await one.bring(invoice(1), "1"), Document)
        assert not known.troubles()
        assert not known.refused
        assert known.taken[folder(one)] >= first.since
        assert known.delivered == {("box", "sales"): 1}


@pytest.mark.parametrize(
    ("error", "is_trouble"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EACCES, "Permission denied"), True),
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.ENAMETOOLONG, "File name too long"), False),
        (publish.Vanished(errno.ENOENT, "No such file"), False),
    ],
    ids=lambda one: getattr(one, "strerror", None),
)
async def test_an_error_of_one_document_is_no_trouble_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, is_trouble: bool
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(publish, "rename_exclusively", refuse)
    async with bench(tmp_path) as one:
        assert isinstance(await one.bring(invoice(1), "1"), RetryableError)
        assert (folder(one) in one.write.destinations.troubles()) is is_trouble


async def test_where_one_document_of_a_group_arrives_the_folder_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(source: StrPath, target: StrPath) -> None:
        if Path(target).stem == "F-2":
            raise OSError(errno.EIO, "Input/output error", str(target))
        rename_exclusively(source, target)

    monkeypatch.setattr(publish, "rename_exclusively", rename)
    async with bench(tmp_path) as one:
        group = [await one.make(invoice(number), str(number)) for number in (1, 2)]
        taken, refused = await one.work(*group)
        assert isinstance(taken, Document)
        assert isinstance(refused, RetryableError)
        assert not one.write.destinations.troubles()


async def test_recovery_ends_a_trouble_and_begins_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(tmp_path) as one:
        with monkeypatch.context() as patch:
            failed = {folder(one): OSError(errno.EIO, "Input/output error")}
            patch.setattr(publish_group, "flush_names", lambda _: failed)
            document = await one.make(invoice(1), "1")
            (result,) = await one.work(document)
        assert isinstance(result, RetryableError)
        assert await one.state(document) is State.STAGED
        assert folder(one) in one.write.destinations.troubles()
        shutil.rmtree(folder(one))
        folder(one).write_text("no folder")
        await one.write.recovery.retry(lambda _: False)
        folder(one).unlink(missing_ok=True)
        await one.write.recovery.retry(lambda _: False)
        assert await one.state(document) is State.DELIVERED
        assert not one.write.destinations.troubles()


async def test_free_bytes_are_told_of_folders_that_are_not_made_yet(tmp_path: Path) -> None:
    async with bench(tmp_path) as one:
        wanted = folders_of(one.config)
        assert len(wanted) == 3
        assert not (tmp_path / "out").exists()
        found = await one.write.destinations.free_bytes((*wanted, tmp_path))
    assert found.keys() == {*wanted, tmp_path}
    assert all(isinstance(free, int) and free > 0 for free in found.values())


async def test_a_disk_that_hangs_is_in_trouble_and_asked_by_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "TIMEOUT", 0.2)
    free, asked = threading.Event(), []

    def hang(path: Path) -> None:
        asked.append(path)
        free.wait()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(destinations.shutil, "disk_usage", hang)
    async with bench(tmp_path) as one:
        known = one.write.destinations
        for _ in range(3):
            (found,) = (await known.free_bytes([tmp_path])).values()
            assert isinstance(found, Trouble)
            assert "has not answered" in found.reason
            assert str(tmp_path) not in found.reason
        assert len(asked) == 1
        # Documents go on meanwhile: it is the question that hangs, and not their folder.
        assert isinstance(await one.bring(invoice(1), "1"), Document)
        free.set()
        with anyio.fail_after(60):
            while isinstance(found, Trouble):
                await anyio.sleep(0.01)
                (found,) = (await known.free_bytes([tmp_path])).values()
        assert found is None
