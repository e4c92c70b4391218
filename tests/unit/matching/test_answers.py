"""An answer is for the company whose invoice it answers, however it is named or not named."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pipeline.errors import Noted, Rejected
from stages.classify import classify_file
from stages.kind import Kind
from stages.model import Classified
from tests.helpers.answers import answer_xml, mls_xml, named, response, status
from tests.helpers.documents import SUPPLIER, classified, configured
from tests.helpers.invoices import CUSTOMER as BUYER, SUPPLIER as SELLER

pytestmark = pytest.mark.anyio

SECOND = "BE0428759497"
COMPANIES = f"""
[[companies]]
name = "Second"
identifier = "{SECOND}"
identifiers = ["0088:5790000435975", "0403170701"]
source = "box"
"""
SHARED = '<cbc:EndpointID schemeID="0088">5790000435975</cbc:EndpointID>'
DELIVER = 'answers = "deliver"\nothers_path = "answers/[enterprise_identifier]"'


async def noted(folder: Path, text: str, more: str = "", **hints: object) -> Noted:
    with pytest.raises(Noted) as ended:
        await classified(configured(folder, more=more), text, **hints)
    return ended.value


async def delivered(folder: Path, text: str, **hints: object) -> Classified:
    return (await classified(configured(folder, DELIVER), text, **hints)).meta


async def test_it_is_noted_at_the_invoice_of_the_receiver(tmp_path: Path) -> None:
    why = status("PRI", "Too dear")
    found = await noted(tmp_path, answer_xml(response("RE", why=why)))
    (note,) = found.notes
    assert (note.company, note.reference, note.party) == (SUPPLIER, "F-1", "Customer")
    assert (note.says, note.accepted, note.reason) == ("rejected", False, "Too dear")
    assert found.reason == (
        f"it is an answer to Supplier ({SUPPLIER}) by Customer: F-1 rejected (Too dear),"
        ' and answers = "record"'
    )


@pytest.mark.parametrize("kind", [*Kind, None])
@pytest.mark.parametrize("others", ["skip", "quarantine", "deliver"])
async def test_whatever_the_list_calls_it(tmp_path: Path, kind: Kind | None, others: str) -> None:
    rules = f'others = "{others}"\nothers_path = "others/[enterprise_identifier]"'
    with pytest.raises(Noted):
        await classified(configured(tmp_path, rules), answer_xml(), kind=kind, company=SUPPLIER)


async def test_a_status_between_providers_is_for_the_mailbox(tmp_path: Path) -> None:
    (note,) = (await noted(tmp_path, mls_xml(), company=SUPPLIER)).notes
    assert (note.company, note.party, note.says) == (SUPPLIER, "123456", "rejected")


async def test_the_mailbox_singles_out_one_of_those_that_share_a_number(tmp_path: Path) -> None:
    both = answer_xml(receiver=SELLER)
    for owner in (SUPPLIER, SECOND):
        (note,) = (await noted(tmp_path, both, COMPANIES, company=owner)).notes
        assert note.company == owner
    # What is not the mailbox's own goes to whom it names.
    (note,) = (
        await noted(tmp_path, answer_xml(receiver=SHARED), COMPANIES, company=SUPPLIER)
    ).notes
    assert note.company == SECOND


async def test_an_answer_to_nobody_that_is_known_is_noted_all_the_same(tmp_path: Path) -> None:
    found = await noted(tmp_path, mls_xml())
    assert found.notes[0].company == ""
    assert "to no configured company by 123456" in found.reason


async def test_what_a_company_answers_itself_is_no_note_on_its_invoices(tmp_path: Path) -> None:
    text = answer_xml(sender=named(SELLER, "Us"), receiver=named(BUYER, "Them"))
    found = await noted(tmp_path, text, company=SUPPLIER)
    assert not found.notes
    assert f"that Supplier ({SUPPLIER}) itself gives to Them: F-1 accepted" in found.reason


async def test_the_same_answer_is_one_note_and_another_is_another(tmp_path: Path) -> None:
    texts = [
        answer_xml(),
        answer_xml(number="IR-2"),
        answer_xml(response("RE")),
        answer_xml(response(answered="F-2")),
        answer_xml(sender=named(BUYER, "Another")),
    ]
    made = [(await noted(tmp_path, text, id_=str(n))).notes for n, text in enumerate(texts)]
    again = [(await noted(tmp_path, text, id_=f"x{n}")).notes for n, text in enumerate(texts)]
    assert made == again
    assert len({notes[0].identity for notes in made}) == len(texts)


async def test_each_document_that_it_answers_gets_a_note(tmp_path: Path) -> None:
    found = await noted(tmp_path, answer_xml(response("AP", "F-1"), response("RE", "F-2")))
    assert [(one.reference, one.says) for one in found.notes] == [
        *(("F-1", "accepted"), ("F-2", "rejected"))
    ]


async def test_a_refusal_is_a_warning_and_an_acceptance_is_none(tmp_path: Path) -> None:
    with capture_logs() as logs:
        await noted(tmp_path, answer_xml(response("AP", "F-1"), response("RE", "F-2")))
    assert [(line["log_level"], line["event"], line["invoice"]) for line in logs] == [
        *(("info", "invoice accepted", "F-1"), ("warning", "invoice rejected", "F-2"))
    ]


async def test_it_is_delivered_among_the_others_with_its_notes(tmp_path: Path) -> None:
    meta = await delivered(tmp_path, answer_xml(response("RE", "F-7")))
    assert (meta.kind, meta.company.identifier) == (Kind.UNKNOWN, SUPPLIER)
    assert (meta.number, meta.counterparty, meta.extension) == ("F-7", "Customer", "xml")
    assert meta.issue_date == "2026-02-03"
    assert [one.says for one in meta.notes] == ["rejected"]
    with pytest.raises(Rejected, match="nothing says into which folder"):
        await delivered(tmp_path, mls_xml())


async def test_it_is_quarantined_in_words(tmp_path: Path) -> None:
    config = configured(tmp_path, 'answers = "quarantine"')
    with pytest.raises(Rejected, match=r'by Customer: F-1 accepted\. With answers = "record"'):
        await classified(config, answer_xml())


def test_a_file_is_named_as_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(answer_xml())
    found = classify_file(path, SUPPLIER)
    assert (found.kind, found.format) == (Kind.UNKNOWN, "ubl-application-response")
    assert "by Customer: F-1 accepted" in found.reason
    assert "to no configured company" in classify_file(path, "BE0202239951").reason
