"""The PDF of an invoice says what the XML says, in the reader's language, at bounded cost."""

from __future__ import annotations

from hashlib import sha256

import pytest

from stages.formats.content import Unreadable
from stages.kind import Kind
from tests.helpers.invoices import ubl
from tests.helpers.leaves import normalised
from tests.helpers.rendered import pages_of, rendered, shown

ADDRESS = (
    "<cac:PostalAddress><cbc:PostalZone>{}</cbc:PostalZone><cac:Country>"
    "<cbc:IdentificationCode>{}</cbc:IdentificationCode></cac:Country></cac:PostalAddress>"
)


def note(text: str) -> str:
    return ubl(before=f"<cbc:Note>{text}</cbc:Note>")


def located(post_code: str, country: str) -> str:
    party = "<cac:AccountingCustomerParty><cac:Party>"
    return ubl().replace(party, party + ADDRESS.format(post_code, country))


def test_it_names_the_file_that_it_shows() -> None:
    text = shown(ubl())
    assert "Readable rendering" in text
    assert sha256(ubl().encode()).hexdigest() in text


@pytest.mark.parametrize(
    ("post_code", "country", "said"),
    [
        ("9000", "BE", "Factuur"),
        ("B-3500", "BE", "Factuur"),
        ("4000", "BE", "Facture"),
        ("1000", "BE", "Facture"),
        ("1234 AB", "NL", "Factuur"),
        ("75001", "FR", "Facture"),
        ("10115", "DE", "Invoice"),
        ("", "BE", "Invoice"),
    ],
)
def test_the_language_is_that_of_the_company_s_address(
    post_code: str, country: str, said: str
) -> None:
    document = located(post_code, country)
    assert shown(document, "auto").startswith(said)
    # The supplier, whose address it is not, has none.
    assert shown(document, "auto", Kind.SALES).startswith("Invoice")


@pytest.mark.parametrize(
    ("language", "said"), [("nl", "1234567,80"), ("fr", "1234567,80"), ("en", "1234567.80")]
)
def test_amounts_are_spelt_as_in_the_language(language: str, said: str) -> None:
    assert said in shown(ubl().replace("12.10", "1234567.8"), language)


@pytest.mark.parametrize(
    "said",
    ["12,5", "1E5", "-", "9" * 80, "NaN", "1.2.3", "\uff11\uff12"],
)
def test_what_is_no_number_is_shown_as_it_stands(said: str) -> None:
    assert said in normalised(shown(ubl().replace("12.10", said)))


@pytest.mark.parametrize(
    "name",
    [
        "Ελλάδα Ώρα",
        "Москва Їжак",
        "Gödör Őrség Łódź ħ",
        "株式会社",
        "😀 Emoji",
        "soft\u00adhyphen zero\u200bwidth",
        "e\u0301te\u0301",
        "שלום עולם בע״מ",
        "مؤسسة الأمل للتجارة",
    ],
)
def test_names_of_all_scripts_can_be_found(name: str) -> None:
    assert normalised(name) in normalised(shown(note(name)))


def test_elements_that_no_table_knows_are_shown() -> None:
    more = (
        "<cac:Unheard><cbc:OfThis kind='odd'>certainly</cbc:OfThis>behind</cac:Unheard>"
        "<x:Own xmlns:x='urn:x'>private</x:Own>"
    )
    text = normalised(shown(ubl(before=more)))
    for said in ("certainly", "odd", "behind", "private", "Unheard/OfThis"):
        assert said in text


def test_a_file_inside_is_named_and_its_bytes_are_not_shown() -> None:
    reference = (
        "<cac:AdditionalDocumentReference><cbc:ID>A1</cbc:ID><cac:Attachment>"
        '<cbc:EmbeddedDocumentBinaryObject mimeCode="text/csv" filename="hours.csv">QUJDREVG'
        "</cbc:EmbeddedDocumentBinaryObject></cac:Attachment></cac:AdditionalDocumentReference>"
    )
    text = shown(ubl(before=reference))
    assert "hours.csv" in text
    assert "text/csv" in text
    assert "QUJDREVG" not in text


def test_one_in_an_envelope_is_shown() -> None:
    _, _, invoice = ubl().partition("?>")
    sbdh = (
        '<StandardBusinessDocument xmlns="http://www.unece.org/cefact/namespaces/'
        f'StandardBusinessDocumentHeader">{invoice}{invoice}</StandardBusinessDocument>'
    )
    assert shown(sbdh).count("Invoice F-1") == 2


@pytest.mark.parametrize(
    "data",
    [
        "",
        "hello",
        "<Order/>",
        "<Invoice>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]>" + ubl().partition("?>")[2],
        ubl(before="<cbc:X>" * 3000 + "</cbc:X>" * 3000),
        ubl(before="<cbc:Note>" + "word. " * 4_000_000 + "</cbc:Note>"),
        ubl(before="<cbc:A/>" * 2_000_000),
    ],
    ids=["empty", "text", "order", "broken", "document type", "deep", "long", "many"],
)
def test_what_can_t_be_shown_is_refused(data: str) -> None:
    with pytest.raises(Unreadable):
        rendered(data)


def test_a_document_with_nothing_in_it_is_shown() -> None:
    name = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
    assert pages_of(rendered(f'<Invoice xmlns="{name}"/>')) == 1


def test_a_thousand_lines_are_all_shown() -> None:
    line = "<cac:InvoiceLine><cbc:ID>L{}</cbc:ID></cac:InvoiceLine>"
    lines = "".join(line.format(number) for number in range(1000))
    document = ubl().replace("</Invoice>", f"{lines}</Invoice>")
    words = set(shown(document).split())
    assert {f"L{number}" for number in range(1000)} <= words


def test_more_than_anyone_reads_is_cut_and_said_so() -> None:
    pdf = rendered(ubl(before="<cbc:Note>n</cbc:Note>" * 60_000))
    assert pages_of(pdf) == 501
    text = shown(note("word " * 30_000))
    assert "the file itself has all of it" in " ".join(text.split())


def test_marks_on_a_letter_without_end_are_bounded() -> None:
    assert pages_of(rendered(note("ب" + "\u064b" * 50_000))) < 10
