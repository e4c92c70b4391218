"""Of the attachments of an invoice the PDF that shows it is taken, at a cost that has a bound."""

from __future__ import annotations

import codecs
import tracemalloc
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.payload import Payload
from stages.formats.attachments import chosen_pdf
from tests.helpers.attachments import ONE, coded, described, element, reference
from tests.helpers.cii import d16b
from tests.helpers.invoices import payload, ubl

NUMBER = "F-1"
TWO = b"%PDF-1.7\ntwo, which is longest\n%%EOF\n"


def chosen(*references: str, number: str = NUMBER) -> bytes | None:
    found = chosen_pdf(payload(ubl(before="".join(references))), number)
    return found.pdf.read() if found is not None else None


PLAIN = reference()


@pytest.mark.parametrize(
    "better",
    [
        reference(TWO, says=element("DocumentType", "CommercialInvoice")),
        reference(TWO, says=described("CommercialInvoice")),
        reference(TWO, says=described("Commercial invoice")),
        reference(TWO, says=described("FACTUUR")),
        reference(TWO, says=described("Note de crédit n° 12")),
        reference(TWO, says=element("DocumentTypeCode", "380")),
        reference(TWO, says=element("DocumentTypeCode", "381") + described("Annex")),
        reference(TWO, id_="F-1"),
        reference(TWO, id_="F-1.pdf"),
        reference(TWO, file="F-1.pdf"),
        reference(TWO, file="f_1.PDF"),
        reference(TWO, file="Facture.pdf"),
    ],
)
def test_what_shows_the_invoice_goes_before_what_stands_before_it(better: str) -> None:
    assert chosen(PLAIN, better) == TWO
    assert chosen(better, PLAIN) == TWO


def test_the_surer_sign_wins_in_any_order() -> None:
    beside = reference(b"%PDF-5", says=described("Annex to the invoice"), id_="F-1")
    signs = [
        reference(b"%PDF-1", says=described("Invoice")),
        reference(b"%PDF-2", id_="F-1"),
        reference(b"%PDF-3", file="F-1.pdf"),
        reference(b"%PDF-4"),
        beside,
    ]
    for rank in range(1, 6):
        for order in (signs, signs[::-1]):
            assert chosen(*order) == b"%%PDF-%d" % rank
        signs = signs[1:]


def test_of_equals_the_first_is_taken() -> None:
    assert chosen(reference(ONE), reference(TWO)) == ONE
    invoice = described("Invoice")
    assert chosen(reference(TWO, says=invoice), reference(ONE, says=invoice)) == TWO


@pytest.mark.parametrize(
    "text",
    ["Bijlage bij factuur F-1", "Pièce jointe", "Timesheet of invoice F-1", "Algemene voorwaarden"],
)
def test_what_says_that_it_goes_with_an_invoice_is_told(text: str) -> None:
    found = chosen_pdf(payload(ubl(before=reference(says=described(text)))), NUMBER)
    assert found is not None
    assert found.is_supplement
    assert chosen(reference(TWO, says=described(text)), PLAIN) == ONE


@pytest.mark.parametrize("code", ["130", "50"])
def test_an_object_that_is_invoiced_is_never_the_invoice(code: str) -> None:
    says = element("DocumentTypeCode", code) + described("Invoice")
    assert chosen(reference(says=says, id_="F-1")) is None


def test_a_short_number_is_not_found_inside_other_names() -> None:
    other = reference(ONE, file="annual-2021.pdf")
    assert chosen(other, reference(TWO, file="21.pdf"), number="21") == TWO
    assert chosen(other, reference(TWO, file="x-20210042.pdf"), number="2021/0042") == TWO


@pytest.mark.parametrize(
    "mime", [None, "", "application/octet-stream", "image/png", "APPLICATION/PDF"]
)
def test_the_bytes_say_that_it_is_a_pdf(mime: str | None) -> None:
    assert chosen(reference(b"\x89PNG\r\n", mime=mime), reference(mime=mime)) == ONE


@pytest.mark.parametrize(
    "text",
    [
        f"\n   {coded(TWO)[:20]}\r\n  {coded(TWO)[20:]}\n",
        f"<![CDATA[{coded(TWO)}]]>",
        f"{coded(TWO)[:9]}<![CDATA[{coded(TWO)[9:]}]]>",
        f"{coded(TWO)[:9]}<!-- a comment -->{coded(TWO)[9:]}",
        coded(TWO).rstrip("="),
        coded(TWO).replace("0", "0&#13;&#10;"),
        coded(TWO) + "====",
    ],
)
def test_base64_is_read_however_it_is_written(text: str) -> None:
    assert coded(TWO).endswith("=")
    assert chosen(reference(text)) == TWO


@pytest.mark.parametrize(
    "text", ["", "   ", "no base64 at all!", "A", "====", coded(b"PK\3\4"), "é"]
)
def test_what_holds_no_pdf_is_passed_over(text: str) -> None:
    assert chosen(reference(text)) is None
    assert chosen(reference(text, says=described("Invoice")), PLAIN) == ONE


def test_an_address_holds_nothing() -> None:
    address = (
        "<cac:AdditionalDocumentReference><cbc:ID>F-1</cbc:ID><cac:Attachment>"
        "<cac:ExternalReference><cbc:URI>https://example.test/F-1.pdf</cbc:URI>"
        "</cac:ExternalReference></cac:Attachment></cac:AdditionalDocumentReference>"
    )
    assert chosen(address) is None
    assert chosen(address, PLAIN) == ONE


def test_attachments_of_lines_and_of_other_references_are_not_the_invoice() -> None:
    line = f"<cac:InvoiceLine><cbc:ID>1</cbc:ID>{reference(id_='F-1')}</cac:InvoiceLine>"
    assert chosen_pdf(payload(ubl(after=line)), NUMBER) is None
    for name in ("BillingReference", "ContractDocumentReference", "OriginatorDocumentReference"):
        other = reference(id_="F-1").replace("AdditionalDocumentReference", name)
        assert chosen(other) is None


def test_what_a_reference_says_of_somebody_else_is_not_its_own() -> None:
    issuer = (
        f"<cac:IssuerParty>{element('ID', 'F-1')}{element('Name', 'Invoices')}</cac:IssuerParty>"
    )
    assert chosen(PLAIN, reference(TWO, says=issuer)) == ONE


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "iso-8859-15", "utf-8-sig", "ibm850"])
def test_in_any_encoding_that_an_invoice_may_have(encoding: str) -> None:
    declared = {"utf-16-le": "utf-16", "utf-8-sig": "utf-8"}.get(encoding, encoding)
    text = ubl(
        before=PLAIN + reference(TWO, says=described("Crédit note")),
        declaration=f'<?xml version="1.0" encoding="{declared}"?>',
    )
    data = (codecs.BOM_UTF16_LE if encoding == "utf-16-le" else b"") + text.encode(encoding)
    found = chosen_pdf(payload(data), NUMBER)
    assert found is not None
    assert found.pdf.read() == TWO


def test_cii_holds_them_in_elements_of_its_own() -> None:
    def attached(data: bytes, name: str) -> str:
        return (
            "<ram:AdditionalReferencedDocument><ram:IssuerAssignedID>a</ram:IssuerAssignedID>"
            f"<ram:TypeCode>916</ram:TypeCode><ram:Name>{name}</ram:Name>"
            f'<ram:AttachmentBinaryObject mimeCode="application/pdf" filename="a.pdf">{coded(data)}'
            "</ram:AttachmentBinaryObject></ram:AdditionalReferencedDocument>"
        )

    data = d16b(others=attached(ONE, "Specification") + attached(TWO, "Rechnung"))
    found = chosen_pdf(payload(data), NUMBER)
    assert found is not None
    assert found.pdf.read() == TWO


def test_what_comes_before_a_fault_of_the_xml_counts() -> None:
    text = ubl(before=PLAIN)
    assert chosen_pdf(payload(text + "<more/>"), NUMBER) is not None
    at = text.index("JVBER") + 9
    assert chosen_pdf(payload(text[:at]), NUMBER) is None


def test_the_digest_and_the_size_are_those_of_the_pdf() -> None:
    found = chosen_pdf(payload(ubl(before=PLAIN)), NUMBER)
    assert found is not None
    assert (found.pdf.size, found.pdf.held) == (len(ONE), len(ONE))
    assert found.pdf.sha256 == sha256(ONE).hexdigest()


def spooled(folder: Path, text: str) -> Payload:
    path = folder / "spool"
    path.write_text(text)
    return Payload(path.stat().st_size, sha256="", spool=path)


def test_a_large_one_goes_from_file_to_file_in_flat_memory(tmp_path: Path) -> None:
    large = TWO + bytes(8_000_000)
    text = ubl(before=reference(large) + reference(b"PK" + large) + reference(large, id_="F-1"))
    document = spooled(tmp_path, text)
    del text
    tracemalloc.start()
    try:
        found = chosen_pdf(document, NUMBER)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_500_000
    assert found is not None
    assert (found.rank, found.pdf.held, found.pdf.size) == (2, 0, len(large))
    assert found.pdf.read() == large
    assert set(tmp_path.iterdir()) == {document.spool, found.pdf.spool}
    found.pdf.discard()
    assert list(tmp_path.iterdir()) == [document.spool]


@pytest.mark.parametrize(
    "text", [ubl(), ubl(before=reference(coded(b"PK"))), ubl(before=PLAIN)[:-90]]
)
def test_no_file_is_left_of_what_is_not_taken(tmp_path: Path, text: str) -> None:
    document = spooled(tmp_path, text)
    if (found := chosen_pdf(document, NUMBER)) is not None:
        found.pdf.discard()
    assert list(tmp_path.iterdir()) == [document.spool]


def test_a_file_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    document = spooled(tmp_path, ubl(before=PLAIN + reference(TWO)))
    (tmp_path / "spool.2").mkdir()
    with pytest.raises(OSError, match=r"spool\.2"):
        chosen_pdf(document, NUMBER)
    assert not (tmp_path / "spool.1").exists()


def test_many_attachments_cost_what_their_size_does(tmp_path: Path) -> None:
    many = ubl(before=reference(says=described("Annex")) * 255 + reference(TWO) + PLAIN * 50_000)
    found = chosen_pdf(spooled(tmp_path, many), NUMBER)
    assert found is not None
    assert found.pdf.read() == TWO
    assert len(list(tmp_path.iterdir())) == 2


def test_of_real_documents_only_whole_pdfs_are_taken(corpus: Path) -> None:
    found = {
        path.name: chosen_pdf(Payload(path.stat().st_size, sha256="", data=path.read_bytes()), "")
        for path in corpus.rglob("*.xml")
    }
    taken = {name for name, one in found.items() if one is not None}
    assert len(found) > 20
    assert "huf_example_cii.xml" in {name.removeprefix("x-") for name in taken}
    # Their bytes are texts that say they are for trials.
    assert not {"ubl-tc434-example2.xml", "CII_example5.xml"} & taken
