"""Nodes that share the quarantine neither lose nor mix what one of them keeps."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from pipeline.document import Ack, Document, Key
from pipeline.engine import quarantine as module
from pipeline.engine.quarantine import Quarantine
from pipeline.folder_lock import folder_lock
from pipeline.payload import Payload
from pipeline.shared_mount import MARKER
from pipeline.source import Entry
from tests.helpers.farm import Farm

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]

#: Keeps one document again and again, under labels of its own, and lets it go now and then.
WRITER = """
import sys
from pathlib import Path
import anyio
sys.path.insert(0, {root!r})
from tests.unit.engine.test_shared_quarantine import document
from pipeline.engine.quarantine import Quarantine

async def main(folder, name):
    one = Quarantine(Path(folder), shared=True)
    for number in range(60):
        await one.keep(document("1", f"{{name}} {{number % 3}}", name.encode() * 1000), name)
        assert await one.holds(document("1", "", b"").key), "what was kept is gone"

anyio.run(main, *sys.argv[1:])
"""


def document(id_: str, label: str, data: bytes, revision: str = "r") -> Document[None]:
    source = Farm(documents=0)
    payload = Payload(len(data), data[:1].hex(), data) if data else None
    return Document(
        Key("box", id_, revision), Entry(id_, "", label, None), Ack(source, id_), 0.0, None, payload
    )


def mounted(folder: Path) -> Path:
    """The quarantine in a folder that nodes share."""
    (folder / MARKER).touch()
    return folder / "quarantine"


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in module.ENDINGS)


async def test_two_that_keep_one_document_under_two_labels_keep_it_whole(tmp_path: Path) -> None:
    folder = mounted(tmp_path)
    script = WRITER.format(root=str(ROOT))

    async def write(name: str) -> None:
        await anyio.run_process([sys.executable, "-c", script, str(folder), name], cwd=ROOT)

    async with anyio.create_task_group() as group:
        for name in ("a", "b"):
            group.start_soon(write, name)
    data, note = files(folder)
    assert data.stem == note.stem
    told = msgspec.json.decode(note.read_bytes())
    assert data.read_bytes() == told["reason"].encode() * 1000
    assert told["sha256"] == data.read_bytes()[:1].hex()


async def test_what_another_node_kept_goes_when_this_one_has_delivered_it(tmp_path: Path) -> None:
    folder = mounted(tmp_path)
    one, other = Quarantine(folder, shared=True), Quarantine(folder, shared=True)
    await Quarantine(folder, shared=True).remove(Key("box", "1", "r"))  # there is no folder yet
    await other.keep(document("1", "x", b"1"), "why")
    await other.keep(document("2", "x", b"2"), "why")
    await one.remove(Key("box", "1", "r"))
    assert not await other.holds(Key("box", "1", "r"))
    assert await other.holds(Key("box", "2", "r"))
    # What is kept later is seen once somebody has looked at all that is kept.
    await other.keep(document("3", "x", b"3"), "why")
    await one.kept()
    await one.remove(Key("box", "3", "r"))
    assert not await other.holds(Key("box", "3", "r"))


async def test_what_is_kept_anew_is_not_discarded_with_what_was_before(tmp_path: Path) -> None:
    folder = mounted(tmp_path)
    one, other = Quarantine(folder, shared=True), Quarantine(folder, shared=True)
    await one.keep(document("1", "x", b"1"), "why")
    (before,) = await one.kept()
    await anyio.sleep(0.05)
    await other.keep(document("1", "x", b"2"), "why")
    assert not await one.discard(before)
    assert await one.holds(Key("box", "1", "r"))
    (now,) = await one.kept()
    assert await one.discard(now)
    assert not files(folder)
    assert await one.discard(now)


async def test_a_node_that_can_not_have_the_folder_says_so_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mounted(tmp_path)
    one = Quarantine(folder, shared=True)
    await one.keep(document("1", "x", b"1"), "why")
    before = {path: path.read_bytes() for path in files(folder)}
    monkeypatch.setattr(module, "folder_lock", lambda path: folder_lock(path, 0.1))
    with folder_lock(folder / "box"):
        with pytest.raises(OSError):
            await one.keep(document("1", "y", b"2"), "why")
        with pytest.raises(OSError):
            await one.remove(Key("box", "1", "r"))
    assert {path: path.read_bytes() for path in files(folder)} == before


async def test_alone_it_leaves_no_lock_there(tmp_path: Path) -> None:
    one = Quarantine(tmp_path / "quarantine")
    await one.keep(document("1", "x", b"1"), "why")
    assert {path.suffix for path in one.folder.rglob("*") if path.is_file()} == {".bin", ".json"}


async def test_nothing_is_kept_where_the_shared_folder_is_not_mounted(tmp_path: Path) -> None:
    one = Quarantine(tmp_path / "quarantine", shared=True)
    with pytest.raises(OSError, match="is not mounted there"):
        await one.keep(document("1", "x", b"1"), "why")
    with pytest.raises(OSError, match="is not mounted there"):
        await one.kept()
    assert not list(tmp_path.iterdir())
