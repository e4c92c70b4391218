"""The verify stage hands on the document in an envelope where its source says so."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from stages.formats.content import Answer, Bundle, Invoice
from stages.sandbox.answers import draw_answer, to_application_response
from stages.sandbox.invoices import Invoice as Sale
from stages.sandbox.mailbox import Mailbox
from stages.verify import process
from tests.helpers.documents import configured, fetched
from tests.helpers.sbdh import DECLARED, INVOICE, envelope
from tests.helpers.wrapping import packed

pytestmark = pytest.mark.anyio


async def verified(
    folder: Path, data: bytes, *, unwraps: bool = True, spooled: bool = False
) -> Any:
    spool = folder / "state" / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    path = spool / "came" if spooled else None
    document = fetched(configured(folder), data, spool=path, unwraps_envelope=unwraps)
    return await process(structs.replace(document, fetched=sha256(data).hexdigest()))


@pytest.mark.parametrize("spooled", [False, True])
async def test_the_invoice_is_handed_on_and_the_hash_is_of_what_was_sent(
    tmp_path: Path, spooled: bool
) -> None:
    data = envelope(INVOICE).encode()
    found = await verified(tmp_path, data, spooled=spooled)
    assert found.payload.read() == (DECLARED + INVOICE + "\n").encode()
    assert found.payload.sha256 == sha256(found.payload.read()).hexdigest()
    assert found.fetched == sha256(data).hexdigest()
    assert isinstance(found.meta.content, Invoice)
    assert not list((tmp_path / "state" / "spool").iterdir())


async def test_an_envelope_stays_where_its_source_does_not_say_so(tmp_path: Path) -> None:
    data = envelope(INVOICE).encode()
    found = await verified(tmp_path, data, unwraps=False)
    assert found.payload.read() == data
    assert isinstance(found.meta.content, Invoice)


async def test_an_envelope_of_several_stays_whole(tmp_path: Path) -> None:
    data = envelope(INVOICE, INVOICE.replace("F-1<", "F-2<")).encode()
    found = await verified(tmp_path, data)
    assert found.payload.read() == data
    assert isinstance(found.meta.content, Bundle)


async def test_a_layer_around_the_envelope_is_taken_off_too(tmp_path: Path) -> None:
    found = await verified(tmp_path, packed(envelope(INVOICE).encode()))
    assert found.payload.read() == (DECLARED + INVOICE + "\n").encode()
    assert isinstance(found.meta.content, Invoice)


async def test_an_answer_is_an_answer(tmp_path: Path) -> None:
    sale = Mailbox(2, 1)[1]
    assert isinstance(sale.content, Sale)
    response = to_application_response(draw_answer(Random(1), "IR-1", sale.content))
    inside = response.decode().partition("?>")[2]
    found = await verified(tmp_path, envelope(inside).encode())
    assert isinstance(found.meta.content, Answer)
