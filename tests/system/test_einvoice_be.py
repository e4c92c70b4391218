"""A catch-up from e-invoice.be's sandbox: each document once, and nothing for what is old."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.app.wiring import load_config
from stages.sandbox import FaultSpec, Mailbox
from stages.sources.einvoice_be.sandbox_boxes import box_of
from tests.helpers.bringing import bring, delivered
from tests.helpers.einvoice import CountedWire, sandbox

pytestmark = pytest.mark.anyio


def held(mailbox: Mailbox, wire: CountedWire) -> Counter[str]:
    return Counter(sha256(one.read()).hexdigest() for one in mailbox if wire.holds(one))


def rows(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "state" / "ledger.sqlite")) as ledger:
        return ledger.execute("SELECT * FROM documents ORDER BY id, revision").fetchall()


async def test_of_ten_thousand_old_and_one_new_one_is_fetched_and_then_none(
    tmp_path: Path,
) -> None:
    """The old ones are known to the ledger, as after some years."""
    mailbox = Mailbox(60, 1, seed=5)
    wire = CountedWire(ubl_after=0)
    async with sandbox(tmp_path, mailbox, wire) as (_, config):
        assert (await bring(config)).failures == {}
        mailbox.grow(14_000)
        _know(tmp_path, mailbox, wire)
        assert len(rows(tmp_path)) > 10_000
        mailbox.grow(1)
        while not wire.holds(mailbox[len(mailbox) - 1]):
            mailbox.grow(1)
        before = len(mailbox) - 1
        _know(tmp_path, mailbox, wire, but=before)
        wire.asked.clear()
        await bring(config)
        assert (wire.asked["ubl"], wire.asked["file"]) == (1, 1)
        assert rows(tmp_path)[-1] is not None
        known = rows(tmp_path)
        for _ in range(2):
            wire.asked.clear()
            await bring(config)
            assert (wire.asked["ubl"], wire.asked["file"]) == (0, 0)
            # From a little before the latest document on: not a hundred pages.
            assert wire.asked["list"] <= 20
            assert rows(tmp_path) == known
    assert delivered(tmp_path)[sha256(mailbox[before].read()).hexdigest()] == 1
    assert {query["sort_order"] for query in wire.queries} == {"asc"}


def _know(folder: Path, mailbox: Mailbox, wire: CountedWire, but: int = -1) -> None:
    """Have the ledger know all documents of the mailbox as delivered, but one."""
    with closing(sqlite3.connect(folder / "state" / "ledger.sqlite")) as ledger:
        ledger.executemany(
            "INSERT INTO documents (source, id, revision, label, state, reason, seen_at,"
            " changed_at, poll, acknowledged_at) VALUES ('einvoice_be', ?, '', '', 'delivered',"
            " '', 0, 0, 1, 0) ON CONFLICT DO NOTHING",
            [
                (f"{one.company.identifier}/{box_of(one)}/{one.id}",)
                for one in mailbox
                if wire.holds(one) and one.index != but
            ],
        )
        ledger.commit()


async def test_each_document_comes_once_and_the_key_goes_nowhere_else(tmp_path: Path) -> None:
    mailbox = Mailbox(120, 3, seed=5)
    wire = CountedWire(ubl_after=0.2)
    async with sandbox(tmp_path, mailbox, wire) as (_, config):
        assert (await bring(config)).failures == {}
        assert delivered(tmp_path) == held(mailbox, wire)
        mailbox.grow(60)
        # They have no UBL for a moment, and wait for a later poll.
        with anyio.fail_after(100):
            while delivered(tmp_path) != held(mailbox, wire):
                assert (await bring(config)).failures == {}
        assert wire.asked["file"] == sum(held(mailbox, wire).values())
        keys = [wire.key(mailbox, company) for company in mailbox.companies]
    for headers in wire.file_headers:
        assert "Authorization" not in headers
        assert not any(key in json.dumps(headers) for key in keys)
    log = "".join(path.read_text() for path in (tmp_path / "state").rglob("*.log"))
    assert not any(key in log for key in keys)


@pytest.mark.parametrize(
    "faults",
    [
        [FaultSpec("too-many-seconds", times=3, seconds=0)],
        [FaultSpec("too-many-date", times=3, seconds=0, on="any")],
        [FaultSpec("too-many-ms", times=3, seconds=0.02)],
        [FaultSpec("truncated", each=1, share=0.4)],
        [FaultSpec("damaged", each=1, share=0.4)],
        [FaultSpec("repeated-page", times=2)],
        [FaultSpec("invalid-json", times=2)],
        [FaultSpec("web-page", each=1, share=0.3, on="document")],
        [FaultSpec("bad-gateway", each=1, share=0.4)],
    ],
    ids=lambda faults: faults[0].name,
)
async def test_what_goes_wrong_for_a_while_costs_nothing_but_time(
    tmp_path: Path, faults: list[FaultSpec]
) -> None:
    mailbox = Mailbox(60, 2, seed=5)
    wire = CountedWire(ubl_after=0)
    # What nothing is said of may be damaged without a trace.
    wire.hashes = ("sha256", "md5")
    async with sandbox(tmp_path, mailbox, wire, faults, "page_size = 7\n") as (_, config):
        for _ in range(4):
            await bring(config)
            if delivered(tmp_path) == held(mailbox, wire):
                break
        assert delivered(tmp_path) == held(mailbox, wire)


async def test_a_revoked_key_stops_its_company_and_says_so(tmp_path: Path) -> None:
    mailbox = Mailbox(60, 3, seed=5)
    wire = CountedWire(ubl_after=0)
    bad = mailbox.companies[1]
    wire.revoked.add(bad.identifier)
    async with sandbox(tmp_path, mailbox, wire) as (_, config):
        result = await bring(config)
        (words,) = result.failures.values()
        assert f"{bad.name}: the platform does not take its key" in str(words)
        found = delivered(tmp_path)
        assert found == Counter(
            sha256(one.read()).hexdigest()
            for one in mailbox
            if wire.holds(one) and one.company is not bad
        )
        # The marks of the others have moved for all that.
        wire.asked.clear()
        wire.revoked.clear()
        assert (await bring(config)).failures == {}
        assert delivered(tmp_path) == held(mailbox, wire)


async def test_a_poison_document_is_quarantined_once_and_does_not_come_again(
    tmp_path: Path,
) -> None:
    work = tmp_path / "corpus"
    work.mkdir()
    (work / "a.xml").write_bytes(b"<Invoice")
    (work / "b.xml").write_bytes(b"\0\1\2")
    mailbox = Mailbox.of_files(work, "BE0403170701")
    wire = CountedWire(ubl_after=0)
    async with sandbox(tmp_path, mailbox, wire) as (_, config):
        result = await bring(config)
        assert result.failures == {}
        wire.asked.clear()
        await bring(config)
        assert wire.asked["ubl"] == 0
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite")) as ledger:
        states = ledger.execute("SELECT state FROM documents").fetchall()
    assert states == [("quarantined",), ("quarantined",)]


async def test_a_pdf_is_fetched_as_an_attachment(tmp_path: Path) -> None:
    mailbox = Mailbox(30, 1, seed=5)
    wire = CountedWire(ubl_after=0)
    async with sandbox(tmp_path, mailbox, wire) as _:
        path = tmp_path / "synqup.toml"
        path.write_text(
            path.read_text("utf-8").replace("[delivery]\n", '[delivery]\nformats = "ubl+pdf"\n'),
            "utf-8",
        )
        assert (await bring(load_config(path))).failures == {}
    names = [path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert names.count(".xml") == sum(held(mailbox, wire).values())
    assert names.count(".pdf") >= names.count(".xml") / 2
