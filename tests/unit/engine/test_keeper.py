"""The keeper takes what was delivered, within bounds, and never holds a delivery up."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs
from structlog.testing import capture_logs

from pipeline.config.types import Duration, ServiceSettings
from pipeline.document import Document, Key, Sidecar
from pipeline.engine import keeper as module
from pipeline.engine.copies import Copies, Copy
from pipeline.engine.keeper import Keeper
from pipeline.ledger.orders import AGAIN
from pipeline.payload import Payload
from tests.helpers.documents import configured, fetched

pytestmark = pytest.mark.anyio


def settings(folder: Path) -> ServiceSettings:
    return ServiceSettings(folder, keep_delivered=Duration(90 * 86_400))


def document(folder: Path, id_: str, **more: Any) -> Document[Any]:
    return fetched(configured(folder), f"<Invoice>{id_}</Invoice>", id_, **more)


async def test_what_is_taken_is_kept_also_where_it_ends_at_once(tmp_path: Path) -> None:
    copies = Copies(tmp_path / "delivered.sqlite")
    keeper = Keeper(copies, settings(tmp_path))
    pdf = Payload(5, "", b"%PDF-")
    small = structs.replace(document(tmp_path, "1"), sidecars=(Sidecar("pdf", pdf),))
    large = document(tmp_path, "2", spool=tmp_path / "spooled")
    async with anyio.create_task_group() as group:
        group.start_soon(keeper.run)
        await keeper.keep(small)
        await keeper.keep(large)
        await large.release()
        group.cancel_scope.cancel()
    assert copies.get(small.key) == b"<Invoice>1</Invoice>"
    assert copies.get(small.key, "pdf") == b"%PDF-"
    assert copies.get(large.key) == b"<Invoice>2</Invoice>"


async def test_nothing_is_kept_unless_the_settings_say_so(tmp_path: Path) -> None:
    copies = Copies(tmp_path / "delivered.sqlite")
    keeper = Keeper(copies, ServiceSettings(tmp_path))
    async with anyio.create_task_group() as group:
        group.start_soon(keeper.run)
        await keeper.keep(document(tmp_path, "1"))
        keeper.apply(settings(tmp_path))
        again = structs.replace(document(tmp_path, "2"), key=Key(AGAIN, "2", ""))
        await keeper.keep(again)
        await keeper.keep(document(tmp_path, "3"))
        group.cancel_scope.cancel()
    kept = [copies.get(one) is not None for one in (Key("box", "sales/1", ""), again.key)]
    assert kept == [False, False]
    assert copies.get(document(tmp_path, "3").key) is not None


class Slow(Copies):
    """Copies on a disk that does not answer before it is told to."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.kept = 0

    def put(self, copies: Sequence[Copy], limit: int) -> None:
        assert self.may.wait(60)
        self.kept += len(copies)


async def test_a_disk_that_is_too_slow_gets_no_more_than_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 200)
    slow = Slow()
    keeper = Keeper(slow, settings(tmp_path))
    one = document(tmp_path, "1")
    with capture_logs() as logs:
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            with anyio.fail_after(60):
                for _ in range(100):
                    await keeper.keep(one)
            slow.may.set()
            group.cancel_scope.cancel()
    assert 0 < slow.kept < 20
    assert len([log for log in logs if "no copies are kept" in log["event"]]) == 1


async def test_a_disk_that_refuses_is_said_and_no_more(tmp_path: Path) -> None:
    keeper = Keeper(Copies(tmp_path / "missing" / "delivered.sqlite"), settings(tmp_path))
    with capture_logs() as logs:
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            await keeper.keep(document(tmp_path, "1"))
            group.cancel_scope.cancel()
    assert [log["documents"] for log in logs] == [1]
