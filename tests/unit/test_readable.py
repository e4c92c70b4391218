"""Readable views: where their bytes come from, what becomes of them, and why there is none."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs

from pipeline.config.types import Duration
from pipeline.document import Key
from pipeline.engine.copies import Copies, Copy
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import ControlError, NotKnown, Rejected, SourceUnavailable, SynqupError
from pipeline.ledger.details import Details, encoded
from pipeline.ledger.ledger import open_ledger
from pipeline.payload import Payload
from pipeline.source import Announced, Entry, Incoming
from stages import readable
from stages.formats.content import Unreadable
from stages.readable import ReadableDocuments, shown
from stages.settings import Config
from stages.sources.billtobox.source import BilltoboxSource
from tests.helpers.camt import camt, one
from tests.helpers.documents import configured, fetched
from tests.helpers.invoices import ubl
from tests.helpers.mt940 import BODY
from tests.helpers.pdf import written
from tests.helpers.rendered import payload, text_of
from tests.helpers.wrapping import zipped

pytestmark = pytest.mark.anyio

KEY = Key("box", "sales/1", "")
XML = ubl().encode()


class Platform(BilltoboxSource):
    """A source that holds one document, has it no more, does not answer, or never ends."""

    content: bytes | SynqupError | None = None
    fetches = 0

    def fetch(self, entry: Entry, form: str = "") -> Any:
        return self._given(entry, form)

    @asynccontextmanager
    async def _given(self, entry: Entry, form: str) -> AsyncIterator[Incoming]:
        self.fetches += 1
        assert not form
        if isinstance(self.content, SynqupError):
            raise self.content
        if self.content is None:
            raise Rejected(entry.label, "the source has it no more")

        async def chunks() -> AsyncIterator[bytes]:
            assert isinstance(self.content, bytes)
            yield self.content
            if not self.content:
                await anyio.sleep_forever()

        yield Incoming(Announced("application/xml"), chunks())


class World:
    def __init__(self, folder: Path) -> None:
        self.config: Config = configured(folder)
        self.ledger = folder / "ledger.sqlite"
        self.copies = Copies(folder / "delivered.sqlite")
        self.quarantine = Quarantine(folder / "quarantine")
        self.platform = Platform(self.config.sources[0], folder / "state")
        self.file = folder / "F-1.xml"
        self.documents = ReadableDocuments(
            self.ledger, self.copies, self.quarantine, lambda: self.config, lambda _: self.platform
        )

    async def listed(self, state: str = "delivered", content: bytes = XML, **more: str) -> None:
        """Have the ledger know of one document."""
        async with open_ledger(self.ledger) as ledger:
            await ledger.seen([(KEY, "invoice 1 (id 1)")], 1.0)
        digest = sha256(content).hexdigest() if state == "delivered" else ""
        details = encoded(Details("F-1", "", "2026-02-01", "", "", "", "", ""))
        row = {"state": state, "sha256": digest, "kind": "sales", "details": details}
        row |= {"path": str(self.file) if state == "delivered" else "", **more}
        with closing(sqlite3.connect(self.ledger)) as connection, connection:
            columns = ", ".join(f"{name} = :{name}" for name in row)
            connection.execute(f"UPDATE documents SET {columns}", row)

    async def text(self, language: str = "en") -> str:
        return text_of((await self.documents.readable(KEY, language)).pdf)

    async def refusal(self) -> str:
        with pytest.raises(ControlError) as caught:
            await self.documents.readable(KEY, "en")
        return str(caught.value)


async def test_it_is_made_of_the_nearest_bytes_that_are_the_same(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.listed()
    world.platform.content = XML
    assert "F-1" in await world.text()
    assert world.platform.fetches == 1
    # The file in its folder, unless somebody has changed it.
    world.file.write_bytes(XML)
    assert "F-1" in await world.text()
    assert world.platform.fetches == 1
    world.file.write_bytes(XML + b"\n")
    assert "F-1" in await world.text()
    assert world.platform.fetches == 2
    # A copy, which may be another form than the source sent: it was delivered so.
    world.copies.put([Copy(KEY, "", ubl().replace("F-1<", "COPY-9<").encode())], 10**9)
    assert "COPY-9" in await world.text()
    assert world.platform.fetches == 2
    found = await world.documents.readable(KEY, "nl")
    assert found.name == "F-1.pdf"
    assert "Factuur" in text_of(found.pdf)


@pytest.mark.parametrize("state", ["quarantined", "waiting"])
async def test_a_document_that_failed_is_made_of_what_the_quarantine_keeps(
    tmp_path: Path, state: str
) -> None:
    world = World(tmp_path)
    await world.listed(state)
    await world.quarantine.keep(fetched(world.config, XML, "1"), "bad")
    assert "F-1" in await world.text()
    assert world.platform.fetches == 0
    (file,) = world.quarantine.folder.rglob("*.bin")
    file.write_bytes(b"tampered with")
    assert "Try it again" in await world.refusal()


async def test_what_the_quarantine_keeps_of_another_revision_is_not_shown(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.listed("quarantined")
    kept = fetched(world.config, XML, "1")
    await world.quarantine.keep(structs.replace(kept, key=structs.replace(KEY, revision="2")), "")
    assert "has it no more" in await world.refusal()


async def test_why_it_can_not_be_shown_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    with pytest.raises(NotKnown):
        await world.listed()
        await world.documents.readable(structs.replace(KEY, id="other"), "en")
    said = await world.refusal()
    assert "nothing of it is kept here, and the source has it no more" in said
    assert 'keep_delivered = "90d"' in said
    service = structs.replace(world.config.service, keep_delivered=Duration(86400))
    world.config = structs.replace(world.config, service=service)
    assert "Look for it in its folder" in await world.refusal()
    world.platform.content = b"another document"
    assert "another document in its place" in await world.refusal()
    monkeypatch.setattr(readable, "MAX_SIZE", 100)
    world.platform.content = XML
    assert "more than 100 bytes" in await world.refusal()
    monkeypatch.setattr(readable, "SOURCE_DEADLINE", 0.2)
    world.platform.content = b""
    assert "has not sent it within" in await world.refusal()
    # What a source itself says of its trouble is said.
    world.platform.content = SourceUnavailable("billtobox")
    with pytest.raises(SourceUnavailable, match="does not answer"):
        await world.documents.readable(KEY, "en")
    world.platform = None  # type: ignore[assignment] # as where it is configured no more
    assert "its source is not configured" in await world.refusal()


async def test_without_a_service_it_is_made_of_what_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.listed()
    world.documents = ReadableDocuments(
        world.ledger, world.copies, world.quarantine, lambda: world.config, None
    )
    assert "Start the service" in await world.refusal()
    world.file.write_bytes(XML)
    assert "F-1" in await world.text()


async def test_few_are_made_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    await world.listed()
    monkeypatch.setattr(readable, "SOURCE_DEADLINE", 0.3)
    world.platform.content = b""
    async with anyio.create_task_group() as group:
        for _ in range(readable.AT_ONCE + 3):
            group.start_soon(world.refusal)
        await anyio.sleep(0.1)
        assert world.platform.fetches == readable.AT_ONCE
        monkeypatch.setattr(readable, "SOURCE_DEADLINE", 0.05)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/out/a b/2026-02-01_F-1_Ünïcode.xml", "2026-02-01_F-1_Ünïcode.pdf"),
        ('/out/a";\r\nX: y.xml', "a_X_y.pdf"),
        ("/out/..xml", "document.pdf"),
        ("", "F-1.pdf"),
        (f"/out/{'x' * 300}.xml", f"{'x' * 100}.pdf"),
    ],
)
async def test_the_name_of_the_file_is_safe(tmp_path: Path, path: str, name: str) -> None:
    world = World(tmp_path)
    await world.listed(path=path)
    world.platform.content = XML
    assert (await world.documents.readable(KEY, "en")).name == name


def test_a_pdf_is_shown_as_it_is_even_where_it_was_wrapped() -> None:
    pdf = written()
    assert shown(payload(pdf), "en") == pdf
    assert shown(payload(b"%PDF-1.4 broken"), "en") == b"%PDF-1.4 broken"
    assert shown(payload(zipped(("a.pdf", pdf))), "en") == pdf


def test_what_is_wrapped_around_an_invoice_is_taken_off() -> None:
    assert "F-1" in text_of(shown(payload(zipped(("a.xml", XML))), "fr"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (BODY.encode(), "no readable view of a statement in mt940"),
        (camt(one()), "no readable view of a statement in camt"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "no readable view of"),
        (b"hello there", "no readable view of a plain text"),
        (XML[: len(XML) // 2], "not well-formed"),
        (b"<Order xmlns='urn:x'/>", "no readable view of"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', ""),
        (b"<a>" * 100_000, ""),
    ],
)
def test_what_can_not_be_shown_is_said(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        shown(Payload(len(content), "", content), "en")
    assert why in str(caught.value)
