"""The connector sftp against a real OpenSSH server, with OpenSSH's client as the sender."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from pipeline.errors import Rejected, RetryableError, SourceError
from pipeline.source import Outcome
from tests.helpers.invoices import CUSTOMER
from tests.helpers.sftp import (
    catch_up,
    configured,
    content,
    delivered,
    entries,
    invoice,
    listed,
    opened,
)
from tests.helpers.sshd import Sshd, running_sshd

pytestmark = pytest.mark.anyio

BY_COMPANY = [
    {"path": "[company]/[year]/Invoices-IN-*", "kind": "purchase"},
    {"path": "[company]/[year]/Invoices-OUT-*", "kind": "sales"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd") / "server") as one:
        yield one


@pytest.fixture
def sshd(server: Sshd) -> Sshd:
    """The server with an empty folder."""
    shutil.rmtree(server.files)
    server.files.mkdir()
    return server


async def test_uploaded_invoices_arrive_once_and_are_removed(sshd: Sshd, tmp_path: Path) -> None:
    for company, way in (("supp01", "OUT"), ("CUST01", "IN")):
        folder = f"{company}/2026/Invoices-{way}-01"
        sshd.sftp(f"mkdir {company}", f"mkdir {company}/2026", f"mkdir {folder}")
    sshd.upload("supp01/2026/Invoices-OUT-01/a.xml", invoice("S-1"))
    sshd.upload("CUST01/2026/Invoices-IN-01/b.xml", invoice("P-1", customer=CUSTOMER))
    config = configured(tmp_path, sshd.section(folders=BY_COMPANY))
    result = await catch_up(config)
    assert (result.counters.delivered, result.counters.quarantined) == (2, 0)
    assert delivered(tmp_path) == ["BE0403170701/out/S-1.xml", "BE0417497106/in/P-1.xml"]
    assert not [path for path in sshd.files.rglob("*") if path.is_file()]
    again = await catch_up(config)
    assert again.counters.delivered == 0


async def test_a_name_that_is_used_again_is_another_document(sshd: Sshd, tmp_path: Path) -> None:
    """Even with the same size and the same time."""
    config = configured(tmp_path, sshd.section())
    for number in ("P-1", "P-2"):
        sshd.upload("a.xml", invoice(number))
        os.utime(sshd.files / "a.xml", (1_700_000_000, 1_700_000_000))
        await catch_up(config)
    assert {path.rpartition("/")[2] for path in delivered(tmp_path)} == {"P-1.xml", "P-2.xml"}
    assert not list(sshd.files.iterdir())


async def test_a_file_that_took_the_place_of_a_delivered_one_is_not_removed(
    sshd: Sshd, tmp_path: Path
) -> None:
    config = configured(tmp_path, sshd.section())
    sshd.upload("a.xml", invoice("P-1"))
    async with opened(config) as source:
        (entry,) = await entries(source, config)
        sshd.upload("b.xml", invoice("P-22"))
        (sshd.files / "b.xml").rename(sshd.files / "a.xml")
        outcome = Outcome(entry.id, accepted=True, revision=entry.revision)
        assert await source.acknowledge([outcome]) == [entry.id]
    assert (sshd.files / "a.xml").read_bytes() == invoice("P-22")


async def test_acknowledging_twice_does_no_harm(sshd: Sshd, tmp_path: Path) -> None:
    for mode in ("remove", "move"):
        sshd.upload("a.xml", invoice("P-1"))
        config = configured(tmp_path, sshd.section(acknowledge=mode))
        async with opened(config) as source:
            (entry,) = await entries(source, config)
            outcome = Outcome(entry.id, accepted=True, revision=entry.revision)
            for _ in range(2):
                assert await source.acknowledge([outcome]) == [entry.id]
            assert await entries(source, config) == []


async def test_moved_files_never_replace_one_another(sshd: Sshd, tmp_path: Path) -> None:
    config = configured(tmp_path, sshd.section(acknowledge="move", archive="./Archive/"))
    sshd.sftp("mkdir x", "mkdir y")
    for number, name in enumerate(("x/a.xml", "y/a.xml", "a.xml")):
        sshd.upload(name, invoice(f"P-{number}"))
    (sshd.files / "a.bin").write_bytes(b"what nobody knows")
    result = await catch_up(config)
    assert (result.counters.delivered, result.counters.quarantined) == (3, 1)
    (day,) = (sshd.files / "Archive").iterdir()
    assert {path.read_bytes() for path in day.iterdir()} == {invoice(f"P-{n}") for n in range(3)}
    assert {path.name for path in day.iterdir()} == {"a.xml", "a (2).xml", "a (3).xml"}
    assert [path.name for path in (sshd.files / "error").iterdir()] == ["a.bin"]
    assert (await catch_up(config)).counters.delivered == 0


async def test_what_is_kept_costs_nothing_and_changes_nothing(sshd: Sshd, tmp_path: Path) -> None:
    config = configured(tmp_path, sshd.section(acknowledge="keep"))
    for number in range(50):
        (sshd.files / f"{number}.xml").write_bytes(invoice(f"P-{number}"))
    os.utime(sshd.files, (1, 1))
    assert (await catch_up(config)).counters.delivered == 50
    before = _rows(tmp_path)
    assert (await catch_up(config)).counters.delivered == 0
    assert _rows(tmp_path) == before
    sshd.upload("new.xml", invoice("P-new"))
    assert (await catch_up(config)).counters.delivered == 1
    assert len(list(sshd.files.iterdir())) == 51
    # The same bytes with a new time are no new document, other bytes are.
    os.utime(sshd.files / "new.xml", (1_700_000_000, 1_700_000_000))
    assert (await catch_up(config)).counters.delivered == 0
    (sshd.files / "new.xml").write_bytes(invoice("P-newer"))
    assert (await catch_up(config)).counters.delivered == 1


async def test_files_that_are_being_written_are_left_until_they_are_at_rest(
    sshd: Sshd, tmp_path: Path
) -> None:
    config = configured(tmp_path, sshd.section(settle=1, acknowledge="keep"))
    whole = invoice("P-1", 100_000)
    path = sshd.files / "slow.xml"
    path.write_bytes(whole[:1000])
    sshd.upload("at-rest.xml", invoice("P-2"))
    for name in ("a.xml.filepart", "b.part", "c.tmp", "~d.xml", ".e.xml", "F.PARTIAL"):
        (sshd.files / name).write_bytes(b"x")
    (sshd.files / "Processed").mkdir()
    (sshd.files / "Processed" / "old.xml").write_bytes(b"x")
    async with opened(config) as source, anyio.create_task_group() as sending:
        done = False

        async def send() -> None:
            written = 1000
            while not done:
                written += 500
                path.write_bytes(whole[:written])
                await anyio.sleep(0.05)

        sending.start_soon(send)
        assert listed(await entries(source, config)) == ["at-rest.xml"]
        done = True
        await anyio.sleep(0.2)
        path.write_bytes(whole)
        found = await entries(source, config)
        assert listed(found) == ["at-rest.xml", "slow.xml"]
        assert await content(source, next(e for e in found if e.id == "slow.xml")) == whole


async def test_a_file_that_changes_after_it_was_listed_is_not_delivered(
    sshd: Sshd, tmp_path: Path
) -> None:
    config = configured(tmp_path, sshd.section())
    (sshd.files / "a.xml").write_bytes(invoice("P-1")[:100])
    async with opened(config) as source:
        (entry,) = await entries(source, config)
        (sshd.files / "a.xml").write_bytes(invoice("P-1"))
        with pytest.raises(RetryableError, match="still being written"):
            await content(source, entry)
        (sshd.files / "a.xml").unlink()
        with pytest.raises(Rejected, match="taken away"):
            await content(source, entry)
        (sshd.files / "a.xml").symlink_to("/etc/hostname")
        with pytest.raises(RetryableError, match="something else"):
            await content(source, entry)


async def test_a_download_goes_on_where_the_connection_ended(sshd: Sshd, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (sshd.files / "large.bin").write_bytes(data)
    config = configured(tmp_path, sshd.section())
    async with opened(config) as source:
        (entry,) = await entries(source, config)
        received = b""
        dropped = 0
        async with source.fetch(entry) as incoming:
            async for chunk in incoming.chunks:
                received += chunk
                if dropped < 3:
                    dropped += 1
                    assert await anyio.to_thread.run_sync(sshd.drop)
        assert received == data
        assert dropped == 3


async def test_a_server_that_goes_away_and_comes_back_is_found_again(
    sshd: Sshd, tmp_path: Path
) -> None:
    config = configured(tmp_path, sshd.section())
    sshd.upload("a.xml", invoice("P-1"))
    async with opened(config) as source:
        assert listed(await entries(source, config)) == ["a.xml"]
        await anyio.to_thread.run_sync(sshd.restart)
        assert listed(await entries(source, config)) == ["a.xml"]
        sshd.stop()
        with pytest.raises(RetryableError, match="can't be reached"):
            await entries(source, config)
        sshd.start()
        assert listed(await entries(source, config)) == ["a.xml"]


async def test_links_lead_nowhere(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.xml").write_bytes(invoice("secret"))
    (sshd.files / "folder").symlink_to(tmp_path / "outside")
    (sshd.files / "file.xml").symlink_to(tmp_path / "outside" / "secret.xml")
    (sshd.files / "loop").symlink_to(".")
    os.mkfifo(sshd.files / "pipe.xml")
    sshd.upload("a.xml", invoice("P-1"))
    config = configured(tmp_path, sshd.section())
    async with opened(config) as source:
        assert listed(await entries(source, config)) == ["a.xml"]


async def test_odd_names_arrive_and_are_removed(sshd: Sshd, tmp_path: Path) -> None:
    names = [
        b"re\xe7u.xml",
        b"two\nlines.xml",
        "facture né 100%.xml".encode(),
        b"\xed\xa0\x80.xml",
        b"%41.xml",
        b"-rf *.xml",
        b"'\"$(x).xml",
        b" .xml",
        b"a" * 251 + b".xml",
        "\u202egnp.xml".encode(),
    ]
    for number, name in enumerate(names):
        (sshd.files / os.fsdecode(name)).write_bytes(invoice(f"P-{number}"))
    config = configured(tmp_path, sshd.section())
    result = await catch_up(config)
    assert (result.counters.delivered, result.counters.quarantined) == (len(names), 0)
    assert not list(sshd.files.iterdir())


async def test_a_root_that_is_not_there_is_said(sshd: Sshd, tmp_path: Path) -> None:
    sshd.upload("a.xml", invoice("P-1"))
    config = configured(tmp_path, sshd.section(root=str(sshd.files / "none")))
    async with opened(config) as source:
        with pytest.raises(SourceError, match="no such folder"):
            await entries(source, config)


async def test_the_tree_of_codabox(sshd: Sshd, tmp_path: Path) -> None:
    """Companies that are not configured are left alone, and told of; so are the reverse."""
    for folder in (
        "supp01/2026/Invoices-OUT-01",
        "supp01/2026/Invoices-IN-01/processed",
        "STRANGER/2026/Invoices-IN-01",
    ):
        (sshd.files / folder).mkdir(parents=True)
    (sshd.files / "supp01/2026/Invoices-OUT-01/a.xml").write_bytes(invoice("S-1"))
    (sshd.files / "supp01/2026/Invoices-OUT-01/a.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n")
    (sshd.files / "supp01/2026/Invoices-IN-01/empty.xml").write_bytes(b"")
    os.utime(sshd.files / "supp01/2026/Invoices-IN-01/empty.xml", (1_700_000_000, 1_700_000_000))
    (sshd.files / "supp01/2026/Invoices-IN-01/processed/old.xml").write_bytes(invoice("S-2"))
    (sshd.files / "STRANGER/2026/Invoices-IN-01/b.xml").write_bytes(invoice("S-3"))
    config = configured(tmp_path, sshd.section(preset="codabox", acknowledge=None))
    async with opened(config) as source:
        said = await source.check(config)
        assert "folders of 2 companies, 1 are configured" in said
        assert "left alone: STRANGER" in said
        assert "no folder is of Customer" in said
        assert "has been empty for a day" in said
        found = await source.companies()
        assert found is not None
        assert [one.id for one in found] == ["STRANGER", "supp01"]
        (entry,) = await entries(source, config)
        assert entry.id.endswith("a.xml")
        assert [form.name for form in entry.forms or ()] == ["pdf"]
        assert await content(source, entry, "pdf") == b"%PDF-1.4\n%%EOF\n"
        assert [one.list for one in source.unreadable] == ["empty files"]
    await catch_up(config)
    assert delivered(tmp_path) == ["BE0403170701/out/S-1.xml"]
    left = sorted(path.name for path in sshd.files.rglob("*") if path.is_file())
    assert left == ["b.xml", "empty.xml", "old.xml"]


async def test_markers_release_files_and_go_with_them(sshd: Sshd, tmp_path: Path) -> None:
    config = configured(tmp_path, sshd.section(marker="*.ok"))
    for name in ("a.xml", "b.xml", "c.xml"):
        (sshd.files / name).write_bytes(invoice(f"P-{name[0]}"))
    (sshd.files / "a.ok").write_bytes(b"")
    (sshd.files / "b.xml.OK").write_bytes(b"")
    await catch_up(config)
    assert len(delivered(tmp_path)) == 2
    assert [path.name for path in sshd.files.iterdir()] == ["c.xml"]


async def test_a_large_folder_is_read_page_by_page(sshd: Sshd, tmp_path: Path) -> None:
    for number in range(2500):
        (sshd.files / f"{number}.xml").write_bytes(b"x")
    config = configured(tmp_path, sshd.section())
    async with opened(config) as source:
        pages = [len(page) async for page in source.list(config)]
        assert sum(pages) == 2500
        assert max(pages) <= 500
    few = configured(tmp_path, sshd.section(max_files=100))
    async with opened(few) as source:
        found = 0
        with pytest.raises(SourceError, match="more than 100 files"):
            async for page in source.list(few):
                found += len(page)
        assert found == 100


def _rows(folder: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "state" / "ledger.sqlite")) as ledger:
        return ledger.execute("SELECT * FROM documents ORDER BY id, revision").fetchall()
