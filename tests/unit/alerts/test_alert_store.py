"""What was told survives a restart, and a disk that refuses it harms nothing else."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import anyio
import pytest
from msgspec import structs

from pipeline.alerts.aside import Aside
from pipeline.alerts.marker import Marker
from pipeline.alerts.memory import Gathering, Incident
from pipeline.alerts.message import Message
from pipeline.alerts.outbox import Entry
from pipeline.alerts.store import State, Store

TELL = Message("id", "incident", "source", "problem", 1.0, "office", "subject", "text")
WRONG = Incident("incident", "source", ("box",), 1, 1.0, 2.0, 3.0)


def test_memory_and_outbox_come_back_together(tmp_path: Path) -> None:
    store = Store(tmp_path / "alerts", 1.0)
    memory = structs.replace(store.state.memory, incidents=(WRONG,))
    store.put(State(memory, (Entry(TELL, ("mail",)),)))
    assert store.is_due
    store.save()
    assert not store.is_due
    again = Store(tmp_path / "alerts", 9.0)
    again.load()
    assert again.state == store.state
    if sys.platform != "win32":
        mode = (tmp_path / "alerts" / "state.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def test_a_look_that_finds_nothing_new_writes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "alerts", 1.0)
    store.save()
    memory = structs.replace(store.state.memory, looked_at=9.0, quarantine=Gathering(9.0))
    store.put(State(memory))
    assert not store.is_due
    store.put(State(structs.replace(memory, incidents=(WRONG,))))
    assert store.is_due


@pytest.mark.parametrize("data", [b"", b"{", b'{"memory": 7}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_kept_aside(tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "alerts"
    folder.mkdir()
    (folder / "state.json").write_bytes(data)
    store = Store(folder, 5.0)
    store.load()
    assert store.state.memory.looked_at == 5.0
    assert (folder / "state.damaged").read_bytes() == data
    store.save()
    assert not store.is_due


def test_a_disk_that_refuses_the_file_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("in the way")
    store = Store(tmp_path / "alerts", 1.0)
    store.save()
    assert store.is_due
    (tmp_path / "alerts").unlink()
    store.save()
    assert not store.is_due


def test_a_marker_tells_of_an_end_without_a_stop(tmp_path: Path) -> None:
    marker = Marker(tmp_path / "alerts")
    assert marker.found() is None
    marker.touch()
    assert marker.found() is not None
    marker.end()
    marker.end()
    assert marker.found() is None


@pytest.mark.anyio
async def test_a_call_that_hangs_keeps_one_thread_and_no_caller() -> None:
    import threading  # noqa: PLC0415

    hangs = threading.Event()
    aside = Aside(0.05)
    begun: list[int] = []

    def call() -> None:
        begun.append(1)
        hangs.wait(60)

    for _ in range(3):
        with pytest.raises(TimeoutError):
            await aside.run(call)
    assert len(begun) == 1
    hangs.set()
    with anyio.fail_after(60):
        while True:
            try:
                assert await aside.run(lambda: 7) == 7
            except TimeoutError:
                continue
            break
