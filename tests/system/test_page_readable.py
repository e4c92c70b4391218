"""A document is read on the page, as a PDF in the reader's language, or it is said why not."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from msgspec import structs

from pipeline.document import Key
from pipeline.ledger.search import find
from tests.helpers.person import READER, guarded, person
from tests.helpers.rendered import text_of
from tests.helpers.services import until, visiting, watched
from tests.helpers.trial import trial

pytestmark = pytest.mark.anyio


def address(key: Key, part: str = "/readable") -> str:
    fields = {"source": key.source, "id": key.id, "revision": key.revision}
    return f"/document{part}?{urlencode(fields)}"


async def test_one_who_may_look_reads_what_was_delivered(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=12) as it:
        config = watched(it.config(), guarded(tmp_path), interval=600)
        async with visiting(config) as visitor, person(visitor) as one:
            await until(lambda: it.delivered() == it.held())
            ledger = config.service.state_dir / "ledger.sqlite"
            found = next(row for row in find(ledger, "invoice") if row.path.endswith(".xml"))
            # Whoever has not signed in is sent to do so.
            status, _, body = await one.file(address(found.key))
            assert status == 200
            assert b'name="token"' in body
            await one.post("/sign-in", token=READER)
            page = unescape((await one.get(address(found.key, "")))[1])
            assert f'href="{address(found.key)}"' in page
            for language, words in (("en", "Invoice"), ("nl", "Factuur"), ("fr", "Facture")):
                status, headers, body = await one.file(address(found.key), language)
                assert status == 200
                assert headers["Content-Type"] == "application/pdf"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Cache-Control"] == "private, no-store"
                assert "default-src 'none'" in headers["Content-Security-Policy"]
                assert headers["Content-Disposition"].startswith('inline; filename="')
                assert found.number.replace("/", "_") in headers["Content-Disposition"]
                text = text_of(body)
                assert found.number in text
                assert words.casefold() in text.casefold()
                assert found.sha256 in text.replace("\n", "")
            status, said = await one.get(address(structs.replace(found.key, id="none")), "nl")
            assert status == 404
            assert "register kent dit document niet" in said


async def test_a_document_of_the_quarantine_is_read(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=6, companies=2) as it:
        config = watched(it.config(), interval=600)
        stranger, *others = config.companies
        changed = structs.replace(stranger, identifier="BE0403170701", accounts=())
        config = structs.replace(config, companies=(changed, *others))
        async with visiting(config) as visitor, person(visitor) as one:
            await until(lambda: len(it.journal()) == len(it.mailbox))
            ledger = config.service.state_dir / "ledger.sqlite"
            row = next(one for one in find(ledger, "invoice") if one.state == "quarantined")
            status, _, body = await one.file(address(row.key), "fr")
            assert status == 200
            assert "facture" in text_of(body).casefold()
