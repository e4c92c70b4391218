"""Whatever a real document says is found in the text of its PDF."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages.formats.coda_movements import Balance, Movement, entries
from tests.helpers.corpus import CORPUS
from tests.helpers.leaves import missing, normalised
from tests.helpers.rendered import payload, rendered, shown, statement

INVOICES = sorted(CORPUS.glob("*-invoice/*.xml")) + sorted(CORPUS.glob("*-credit-note/*.xml"))
STATEMENTS = sorted(CORPUS.glob("coda/*.cod"))

pytestmark = pytest.mark.skipif(not INVOICES, reason="the corpus of real documents is not here")


@pytest.mark.parametrize("path", INVOICES, ids=lambda path: path.name)
def test_every_value_of_an_invoice_is_shown(path: Path) -> None:
    data = path.read_bytes()
    assert not missing(data, shown(data, "nl"))


@pytest.mark.parametrize("language", ["nl", "fr", "en"])
def test_in_every_language(language: str) -> None:
    data = INVOICES[0].read_bytes()
    assert not missing(data, shown(data, language))
    assert rendered(data, language) == rendered(data, language)


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.name)
def test_every_movement_of_a_statement_is_shown(path: Path) -> None:
    data = path.read_bytes()
    text = normalised(statement(data))
    found = list(entries(payload(data)))
    movements = [one for one in found if isinstance(one, Movement)]
    assert movements
    for one in movements:
        said = (one.counterparty, one.counterparty_account, one.communication, one.reference)
        for value in (*said, one.client_reference, *one.information, one.value_day):
            assert normalised(value) in text
    for one in (*movements, *(one for one in found if isinstance(one, Balance))):
        assert one.amount is not None
        assert f"{abs(one.amount) // 1000}.{abs(one.amount) % 1000 // 10:02d}" in text
