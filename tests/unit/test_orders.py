"""Documents of orders: where their bytes come from, and what a person has decided of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from pipeline.document import Document, Key
from pipeline.engine.copies import Copies, Copy
from pipeline.engine.quarantine import Quarantine
from pipeline.errors import ControlError, Corrupt, Rejected, Skipped
from pipeline.ledger.details import Details, encoded
from pipeline.ledger.models import State
from pipeline.ledger.orders import AGAIN, ASSIGN, REDELIVER, RETRY, Order
from pipeline.ledger.selection import Selected
from pipeline.source import Announced, Entry, Incoming, StatedChecksum
from pipeline.traits import Acknowledging
from stages import verify
from stages.classify import Classify
from stages.delivery.plan import plan_of, staged_row
from stages.download import Download
from stages.kind import Kind
from stages.model import Classified, Fetched, Listed
from stages.orders import OrderDocuments, company_named
from stages.settings import Config
from stages.sources.billtobox.source import BilltoboxSource
from tests.helpers.documents import configured, fetched

pytestmark = pytest.mark.anyio

COMPANY = "BE0403170701"
KEY = Key("box", "sales/1", "")
DETAILS = Details("F-7", "Customer", "2026-01-31", "12", "EUR", "", "", "by its VAT")


class Platform(BilltoboxSource):
    """A source that holds one document, or has it no more."""

    content: bytes | None = None
    fetches = 0

    def fetch(self, entry: Entry, form: str = "") -> Any:
        return self._given(entry, form)

    @asynccontextmanager
    async def _given(self, entry: Entry, form: str) -> AsyncIterator[Incoming]:
        self.fetches += 1
        if self.content is None or form:
            raise Rejected(entry.label, "the source has it no more")

        async def chunks() -> AsyncIterator[bytes]:
            assert self.content is not None
            yield self.content

        yield Incoming(Announced("application/xml", len(self.content)), chunks())


class World:
    def __init__(self, folder: Path) -> None:
        self.config: Config = configured(folder)
        self.copies = Copies(folder / "delivered.sqlite")
        self.quarantine = Quarantine(folder / "quarantine")
        self.platform: Platform | None = Platform(self.config.sources[0], folder / "state")
        self.documents = OrderDocuments(
            self.copies, self.quarantine, lambda: self.config, lambda _: self.platform
        )
        self.download = Download(folder / "spool")

    async def make(self, order: Order, **row: Any) -> Document[Listed]:
        selected = Selected(
            *(KEY, "invoice 1", State.DELIVERED, True, COMPANY, "sales", "", SHA, "/o/7.xml"),
            encoded(DETAILS),
        )
        return await self.documents.make(order, structs.replace(selected, **row))

    async def classified(self, document: Document[Listed]) -> Document[Classified]:
        arrived: Document[Fetched] = await self.download.process(document)
        return await Classify().process(await verify.process(arrived))


BYTES = b"%PDF-1.4 nothing else of a PDF"
SHA = sha256(BYTES).hexdigest()


def order(verb: str, **more: Any) -> Order:
    return structs.replace(Order(17, verb, KEY, "", "", ""), **more)


async def test_what_was_delivered_comes_again_from_its_copy(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.copies.put([Copy(KEY, "", BYTES), Copy(KEY, "pdf", b"%PDF-1.7 beside")], 10**9)
    document = await world.make(order(REDELIVER, folder="/else/where"))
    assert document.key == Key(AGAIN, "17", "")
    assert document.ack.source.traits.acknowledges is Acknowledging.NONE
    found = await world.classified(document)
    assert found.payload is not None
    assert found.payload.read() == BYTES
    assert (found.meta.kind, found.meta.company.identifier) == (Kind.SALES, COMPANY)
    assert (found.meta.number, found.meta.issue_date, found.meta.reason) == (
        *("F-7", "2026-01-31", "by its VAT"),
    )
    assert found.meta.warnings, "a PDF that is not whole: it is delivered as it was"
    plan = plan_of(found)
    assert (plan.folder, plan.name) == (Path("/else/where"), "F-7.pdf")
    row = staged_row(plan, "t", 1)
    assert row.may_repeat
    form, _ = await world.download.fetch_form(found, "pdf")
    assert form.read() == b"%PDF-1.7 beside"
    assert world.platform is not None
    assert world.platform.fetches == 0


async def test_without_a_copy_it_has_to_be_the_same_at_the_platform(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.platform is not None
    world.platform.content = BYTES
    found = await world.classified(await world.make(order(REDELIVER)))
    assert (found.meta.checksum, found.meta.company.identifier) == ("the list's sha-256", COMPANY)
    assert plan_of(found).folder == Path(tmp_path) / "out" / COMPANY / "out"
    world.platform.content = b"another one"
    with pytest.raises(Corrupt, match="sha-256"):
        await world.classified(await world.make(order(REDELIVER)))


@pytest.mark.parametrize("configured_source", [True, False])
async def test_what_is_nowhere_any_more_is_said(tmp_path: Path, configured_source: bool) -> None:
    world = World(tmp_path)
    if not configured_source:
        world.platform = None
    why = "has it no more" if configured_source else "its source is not configured"
    # What was delivered once does not go to the quarantine for that.
    with pytest.raises(Skipped, match=why):
        await world.download.process(await world.make(order(REDELIVER)))
    with pytest.raises(Rejected, match=why):
        await world.download.process(await world.make(order(RETRY)))
    with pytest.raises(ControlError, match="which is not configured"):
        await world.make(order(REDELIVER), company="BE0417497106")
    with pytest.raises(ControlError, match="keeps no bytes"):
        await world.make(order(ASSIGN, company=COMPANY, kind="sales"))


async def test_what_the_quarantine_keeps_is_tried_again_with_what_its_list_said(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    hints = {"company": COMPANY, "number": "9", "kind": Kind.PURCHASE, "sha256": SHA}
    kept = fetched(world.config, BYTES, "1", **hints)
    kept = structs.replace(kept, fetched=SHA)
    await world.quarantine.keep(kept, "bad")
    document = await world.make(order(RETRY), company="", kind="")
    assert document.key == KEY
    assert document.ack.source.traits.acknowledges is Acknowledging.EACH
    listed = document.meta
    assert (listed.company, listed.number, listed.kind, listed.sha256) == (
        *(COMPANY, "9", Kind.PURCHASE, SHA),
    )
    assert listed.by_hand is None
    arrived = await world.download.process(document)
    assert arrived.payload is not None
    assert arrived.payload.read() == BYTES
    (file,) = world.quarantine.folder.rglob("*.bin")
    file.write_bytes(b"tampered with")
    with pytest.raises(Rejected, match="not what was kept"):
        await world.download.process(document)


@pytest.mark.parametrize("content", [BYTES, b"\x00\x01 nothing known", b"<Invoice><broken>"])
async def test_what_is_put_by_hand_is_delivered_whatever_it_is(
    tmp_path: Path, content: bytes
) -> None:
    world = World(tmp_path)
    await world.quarantine.keep(fetched(world.config, content, "1"), "bad")
    wanted = order(ASSIGN, company=COMPANY, kind="purchase", reason="they have moved")
    found = await world.classified(await world.make(wanted, company="", kind="", details=""))
    assert found.payload is not None
    assert found.payload.read() == content
    assert (found.meta.kind, found.meta.company.identifier) == (Kind.PURCHASE, COMPANY)
    assert found.meta.reason == "by hand: they have moved"
    assert staged_row(plan_of(found), "t", 1).may_repeat


async def test_a_copy_that_is_not_what_it_says_is_not_delivered(tmp_path: Path) -> None:
    config = configured(tmp_path)
    by_hand = fetched(config, BYTES, "1").meta.listed
    world = World(tmp_path)
    world.copies.put([Copy(KEY, "", BYTES)], 10**9)
    document = await world.make(order(REDELIVER))
    arrived = await world.download.process(document)
    stated = StatedChecksum("the copy", "sha-256", sha256(b"another").digest())
    announced = structs.replace(arrived.meta.announced, checksums=(stated,))
    with pytest.raises(Corrupt):
        await verify.process(arrived.with_meta(structs.replace(arrived.meta, announced=announced)))
    assert by_hand.by_hand is None


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("BE0403170701", True),
        ("0403.170.701", True),
        ("be 0403 170 701", True),
        ("supplier", True),
        ("SUPPLIER", True),
        ("Supp", False),
        ("0403170702", False),
        ("", False),
        (" ", False),
        ("BE", False),
    ],
)
def test_a_company_is_named_by_number_or_name(tmp_path: Path, named: str, found: bool) -> None:
    assert company_named(configured(tmp_path), named) == (COMPANY if found else None)
