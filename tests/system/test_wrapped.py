"""Wrapped invoices through the pipeline: they arrive as what an accounting package imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.app.wiring_sandbox import serve_sandbox
from stages.classify import classify_file
from stages.kind import Kind
from stages.sandbox import Mailbox, write_config
from tests.helpers.documents import CUSTOMER
from tests.helpers.invoices import ubl
from tests.helpers.trial import Trial
from tests.helpers.wrapping import BLEMISHES, TRANSPORTS, zipped

pytestmark = pytest.mark.anyio


def numbered(number: int) -> bytes:
    return ubl().replace("F-1<", f"F-{number}<").encode()


async def test_they_arrive_unwrapped_and_are_told(tmp_path: Path) -> None:
    (held := tmp_path / "held").mkdir()
    expected = []
    for number, name in enumerate(sorted({**TRANSPORTS, **BLEMISHES})):
        data = numbered(number)
        wrapped = {**TRANSPORTS, **BLEMISHES}[name](data)
        expected.append(data if name in TRANSPORTS else wrapped)
        (held / name.replace(" ", "-")).write_bytes(wrapped)
    two = zipped(("a.xml", numbered(100)), ("b.xml", numbered(101)))
    (held / "two").write_bytes(two)
    mailbox = Mailbox.of_files(held, CUSTOMER)
    async with serve_sandbox(mailbox, journal=tmp_path / "journal.jsonl") as sandbox:
        one = Trial(tmp_path, mailbox, sandbox, faults=None)  # type: ignore[arg-type] # none needed
        write_config(one.path, sandbox, mailbox)
        outcome = await one.bring(one.config())
        told = one.journal()
    assert outcome.counters.delivered == len(expected)
    assert outcome.counters.quarantined == 1, "two invoices in a ZIP are not taken apart"
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in files) == sorted(expected)
    assert {path.suffix for path in files} == {".xml"}
    assert sorted(ends[-1] for ends in told.values()) == ["ERROR", *["FORWARDED"] * len(expected)]
    assert not list((tmp_path / "state" / "spool").iterdir())


@pytest.mark.parametrize("wrapping", [*TRANSPORTS, *BLEMISHES])
def test_the_command_for_one_file_sees_through_them(tmp_path: Path, wrapping: str) -> None:
    path = tmp_path / "file"
    path.write_bytes({**TRANSPORTS, **BLEMISHES}[wrapping](numbered(1)))
    found = classify_file(path, CUSTOMER)
    assert (found.kind, found.format, found.number) == (Kind.PURCHASE, "ubl-invoice", "F-1")
    assert list(tmp_path.iterdir()) == [path]
