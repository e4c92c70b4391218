"""UBL ApplicationResponse: what is answered, what is said of it, why, and by whom."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from stages.formats.application_response import CODES, NOTHING
from stages.formats.content import MAX_REASON, MAX_VERDICTS, Answer, Hostile, Unreadable, Verdict
from stages.formats.xml import content_of, read
from tests.helpers.answers import answer, answer_xml, line, mls_xml, named, response, status
from tests.helpers.invoices import SUPPLIER, UBL, payload

SAID = [
    ("AB", "received", None),
    ("AP", "accepted", True),
    ("RE", "rejected", False),
    ("IP", "being processed", None),
    ("UQ", "in query", None),
    ("CA", "conditionally accepted", True),
    ("PD", "paid", True),
    ("re", "rejected", False),
    (" RE\n", "rejected", False),
    ("BusinessReject", "rejected", False),
    ("033", "accepted", True),
    ("VRBL:FR:207", "code VRBL:FR:207", None),
    ("", NOTHING, None),
]


def test_an_invoice_response_says_what_it_answers() -> None:
    found = answer(answer_xml())
    assert (found.format, found.extension) == ("ubl-application-response", "xml")
    assert (found.number, found.issue_date) == ("IR-1", "2026-02-03")
    assert (found.sender.name, found.sender.identifiers[0].value) == ("Customer", "0417497106")
    assert found.receiver.identifiers[0].value == "0403170701"
    assert found.verdicts == (Verdict("F-1", "2026-02-01", "accepted", True, ""),)


@pytest.mark.parametrize(("code", "says", "accepted"), SAID)
def test_a_code_becomes_words(code: str, says: str, accepted: bool | None) -> None:
    (verdict,) = answer(answer_xml(response(code))).verdicts
    assert (verdict.says, verdict.accepted) == (says, accepted)


REASONS = {
    "a code": (status("PRI"), "prices are incorrect"),
    "words before a code": (status("REF", "Order 7 is unknown"), "Order 7 is unknown"),
    "words without a code": (status("", "VAT reference not found"), "VAT reference not found"),
    "a code that is not known": (status("XYZ"), "XYZ"),
    "a condition": (
        status("", "VAT reference not found", condition="BT-48=EU123456789"),
        "VAT reference not found; BT-48: EU123456789",
    ),
    "what to do": (
        status("REF", action="NIN"),
        "references are incorrect; issue a new invoice",
    ),
    "nothing to do": (status("QTY", action="NOA"), "quantities are incorrect"),
    "a description": ("<cbc:Description> Not \n ours </cbc:Description>", "Not ours"),
    "said twice": (status("", "No") * 2, "No"),
    "control characters": (status("", "\x85No\u202e!"), "No !"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("what", REASONS)
def test_the_reason_is_told_in_words(what: str) -> None:
    why, told = REASONS[what]
    (verdict,) = answer(answer_xml(response("RE", why=why))).verdicts
    assert verdict.reason == told


def test_the_lines_have_their_reasons() -> None:
    lines = line("/Invoice/cbc:ID", "[BR-02] An invoice has a number", "BV") + line("NA", "", "FD")
    (verdict,) = answer(mls_xml("RE", lines=lines)).verdicts
    assert verdict.answered == "90f14eff-3705-4869"
    assert (verdict.says, verdict.accepted) == ("rejected", False)
    assert verdict.reason == (
        "/Invoice/cbc:ID: [BR-02] An invoice has a number, a rule of business is broken;"
        " it could not be delivered"
    )


def test_a_reason_of_any_length_is_bounded_and_no_fault() -> None:
    long = status("", "word " * 100_000) + "".join(status("", f"no {n}") for n in range(500))
    lines = "".join(line(f"/{n}", "x" * 3000, "BV") for n in range(300))
    (verdict,) = answer(answer_xml(response("RE", why=long, lines=lines))).verdicts
    assert verdict.reason.startswith("word word")
    assert len(verdict.reason) < MAX_REASON + 100


def test_who_issued_the_invoice_comes_before_who_gets_the_answer() -> None:
    issuer = f"<cac:IssuerParty>{named(SUPPLIER, 'Seller')}</cac:IssuerParty>"
    buyer = (
        '<cac:RecipientParty><cac:PartyIdentification><cbc:ID schemeID="0088">9876549873211'
        "</cbc:ID></cac:PartyIdentification><cac:PartyName><cbc:Name>Buyer A</cbc:Name>"
        "</cac:PartyName></cac:RecipientParty>"
    )
    service = '<cbc:EndpointID schemeID="0088">7330001000001</cbc:EndpointID>'
    found = answer(answer_xml(response(more=issuer + buyer), sender=service, receiver=service))
    assert found.receiver.name == "Seller"
    assert [one.value for one in found.receiver.identifiers] == ["0403170701", "7330001000001"]
    assert found.sender.name == "Buyer A"


def test_several_documents_are_answered_by_one() -> None:
    found = answer(answer_xml(response("AP", "F-1"), response("RE", "F-2")))
    assert [(one.answered, one.says) for one in found.verdicts] == [
        *(("F-1", "accepted"), ("F-2", "rejected"))
    ]
    assert found.answered == "F-1"
    with pytest.raises(Hostile, match="answers more than"):
        content_of(answer_xml(*[response()] * (MAX_VERDICTS + 1)).encode())


def test_the_document_may_be_named_in_the_response_alone() -> None:
    text = answer_xml(response("02", "", why="<cbc:ReferenceID>B1-42</cbc:ReferenceID>"))
    assert answer(text).answered == "B1-42"


@pytest.mark.parametrize("inside", ["", "<cbc:ID/>", "<cac:DocumentResponse/>", "text"])
def test_an_answer_that_says_nothing_is_an_answer(inside: str) -> None:
    text = (
        f'<a:ApplicationResponse xmlns:a="{UBL}ApplicationResponse-2" '
        f'xmlns:cac="{UBL}CommonAggregateComponents-2" '
        f'xmlns:cbc="{UBL}CommonBasicComponents-2">{inside}</a:ApplicationResponse>'
    )
    assert answer(text).verdicts == (Verdict("", "", NOTHING, None, ""),)


def test_it_is_read_inside_an_envelope() -> None:
    body = answer_xml().partition("?>")[2]
    text = (
        '<StandardBusinessDocument xmlns="http://www.unece.org/cefact/namespaces/StandardBusiness'
        f'DocumentHeader"><StandardBusinessDocumentHeader/>{body}</StandardBusinessDocument>'
    )
    assert answer(text) == answer(answer_xml())


@pytest.mark.parametrize("name", ["OrderResponse", "ApplicationRequest"])
def test_other_documents_are_no_answers(name: str) -> None:
    text = answer_xml().replace("ApplicationResponse", name)
    assert not isinstance(content_of(text.encode()), Answer)


def test_each_code_says_something() -> None:
    assert all(says and code == code.upper() for code, (says, _) in CODES.items())


PARTS = """cac:DocumentResponse cac:Response cbc:ResponseCode cac:Status cbc:StatusReason
cac:Condition cbc:StatusReasonCode cbc:Description cac:DocumentReference cbc:ID cbc:IssueDate
cac:LineResponse cac:LineReference cbc:LineID cac:SenderParty cac:ReceiverParty cac:IssuerParty
cbc:EndpointID cac:PartyLegalEntity cbc:CompanyID x"""
NAMES = st.sampled_from(PARTS.split())
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&]"))
TREES = st.recursive(
    TEXTS,
    lambda inner: st.tuples(NAMES, st.lists(inner, max_size=4)).map(
        lambda made: f"<{made[0]}>{''.join(made[1])}</{made[0]}>"
    ),
    max_leaves=30,
)


@given(st.lists(TREES, max_size=5))
def test_whatever_stands_in_it_is_an_answer_or_says_why_not(trees: list[str]) -> None:
    text = answer_xml("".join(trees), sender="", receiver="", profile="", number="")
    try:
        content = read(payload(text)).content
    except Unreadable:
        return
    assert isinstance(content, Answer)
    for verdict in content.verdicts:
        assert verdict.says
        told = (verdict.says, verdict.reason, verdict.answered)
        assert all(one.isprintable() and len(one) < MAX_REASON + 100 for one in told)
