"""Wrapped documents in the verify stage: checked as they came, handed on without wrapping."""

from __future__ import annotations

from hashlib import md5, sha256
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.document import Document
from pipeline.errors import Corrupt, Rejected
from pipeline.source import Announced, StatedChecksum
from stages.formats.content import Invoice
from stages.model import Fetched, Verified
from stages.verify import process
from tests.helpers.documents import configured, fetched
from tests.helpers.invoices import ubl
from tests.helpers.wrapping import BLEMISHES, TRANSPORTS, packed, zipped

pytestmark = pytest.mark.anyio

INVOICE = ubl().encode()
#: More than stays in memory.
LARGE = ubl(lines=1000).encode()


def came(folder: Path, data: bytes, *, spooled: bool = False, **hints: object) -> Document[Fetched]:
    spool = folder / "state" / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    path = spool / "came" if spooled else None
    document = fetched(configured(folder), data, spool=path, **hints)
    return structs.replace(document, fetched=sha256(data).hexdigest())


def left(folder: Path) -> set[Path]:
    return set((folder / "state" / "spool").iterdir())


def delivered(document: Document[Verified]) -> bytes:
    assert document.payload is not None
    return document.payload.read()


@pytest.mark.parametrize("wrapping", TRANSPORTS)
async def test_what_is_inside_is_handed_on(tmp_path: Path, wrapping: str) -> None:
    data = TRANSPORTS[wrapping](INVOICE)
    hints = {"size": len(data), "sha256": sha256(data).hexdigest()}
    found = await process(came(tmp_path, data, **hints))
    assert delivered(found) == INVOICE
    assert found.payload is not None
    assert found.payload.sha256 == sha256(INVOICE).hexdigest()
    assert found.fetched == sha256(data).hexdigest()
    assert isinstance(found.meta.content, Invoice)
    assert found.meta.content.extension == "xml"
    assert found.meta.checksum == "the list's sha-256"


@pytest.mark.parametrize("blemish", BLEMISHES)
async def test_what_stands_before_it_is_delivered(tmp_path: Path, blemish: str) -> None:
    data = BLEMISHES[blemish](INVOICE)
    document = came(tmp_path, data)
    found = await process(document)
    assert found.payload is document.payload
    assert isinstance(found.meta.content, Invoice)


@pytest.mark.parametrize("wrapping", TRANSPORTS)
async def test_the_list_may_state_what_is_inside(tmp_path: Path, wrapping: str) -> None:
    data = TRANSPORTS[wrapping](INVOICE)
    found = await process(came(tmp_path, data, sha256=sha256(INVOICE).hexdigest()))
    assert delivered(found) == INVOICE
    assert found.meta.checksum == "the list's sha-256"
    found = await process(came(tmp_path, data, spooled=True, size=len(INVOICE)))
    assert delivered(found) == INVOICE
    assert not left(tmp_path)


async def test_what_is_neither_the_whole_nor_inside_is_damage(tmp_path: Path) -> None:
    data = packed(INVOICE)
    for wrong, said in (
        ({"sha256": sha256(b"x").hexdigest()}, "sha-256 says"),
        ({"size": len(INVOICE) - 1}, f"and {len(data)} have arrived"),
    ):
        document = came(tmp_path, data, spooled=True, **wrong)
        with pytest.raises(Corrupt, match=said):
            await process(document)
        assert document.payload is not None
        assert left(tmp_path) == {document.payload.spool}


async def test_a_checksum_of_the_source_is_of_what_came(tmp_path: Path) -> None:
    stated = StatedChecksum("content-md5", "md5", md5(INVOICE).digest())
    document = came(tmp_path, packed(INVOICE), sha256=sha256(INVOICE).hexdigest())
    announced = Announced("application/xml", checksums=(stated,))
    with pytest.raises(Corrupt, match="content-md5"):
        await process(document.with_meta(structs.replace(document.meta, announced=announced)))


async def test_a_large_one_lies_in_another_file_and_the_first_is_gone(tmp_path: Path) -> None:
    document = came(tmp_path, packed(LARGE), spooled=True)
    found = await process(document)
    assert delivered(found) == LARGE
    assert found.payload is not None
    assert found.payload.held == 0
    assert left(tmp_path) == {found.payload.spool}
    await found.release()
    assert not left(tmp_path)


async def test_a_small_one_that_becomes_large_goes_to_a_file(tmp_path: Path) -> None:
    found = await process(came(tmp_path, packed(LARGE)))
    assert found.payload is not None
    assert found.payload.held == 0
    assert left(tmp_path) == {found.payload.spool}
    assert delivered(found) == LARGE


@pytest.mark.parametrize(
    ("data", "error", "why"),
    [
        (packed(b"<Invoice>" + b"<a/>" * 10_000), Corrupt, "not well-formed"),
        (packed(b"<Invoice/>" * 3000)[:-9], Corrupt, "gzip is damaged"),
        (packed(b"<a>" + b"x" * 200_000 + b"</a>"), Rejected, "more than 100,000 bytes"),
        (zipped(("a.html", b"<html>" + b"<p>" * 9999)), Corrupt, "in place of the document"),
    ],
)
async def test_what_is_refused_leaves_nothing_behind(
    tmp_path: Path, data: bytes, error: type[Exception], why: str
) -> None:
    document = came(tmp_path, data, spooled=True)
    with pytest.raises(error, match=why):
        await process(document)
    assert document.payload is not None
    assert left(tmp_path) == {document.payload.spool}
