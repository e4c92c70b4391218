"""XML in a PDF is found wherever it is attached and whatever it is called."""

from __future__ import annotations

import zlib

import pytest

from stages.formats import embedded, pdf
from stages.formats.content import Bundle, Invoice, Other
from tests.helpers.cii import d16b
from tests.helpers.invoices import ubl as invoice
from tests.helpers.pdf import built, payload, ubl, written


def attached(
    page: bytes, *, name: str = "factur-x.xml", catalog: bytes = b"", more: bytes = b""
) -> bytes:
    """A PDF with one page; its object 5 is the specification of an invoice, 7 and 8 are free."""
    return built(
        b"<</Type/Catalog/Pages 2 0 R%b>>" % catalog,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Pages/Kids[4 0 R]/Count 1/Parent 2 0 R>>",
        b"<</Type/Page/Parent 3 0 R/MediaBox[0 0 9 9]%b>>" % page,
        b"<</Type/Filespec/F(%b)/EF<</F 6 0 R>>>>" % name.encode(),
        stream(ubl("A1")),
        more or b"<</Type/Annot/Subtype/FileAttachment/FS 5 0 R/Rect[0 0 1 1]>>",
        stream(b"<order/>"),
        b"<</Type/Filespec/F(order.xml)/EF<</F 8 0 R>>>>",
    )


def stream(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(packed), packed)


def number(data: bytes) -> str:
    found = pdf.read(payload(data)).content
    assert isinstance(found, Invoice), found
    return found.number


@pytest.mark.parametrize(
    "data",
    [
        attached(b"/Annots[7 0 R]"),
        attached(b"/AF[5 0 R]"),
        attached(b"/AF 5 0 R"),
        attached(b"/Annots[7 0 R]", more=b"<</Type/Annot/Subtype/Link/AF[5 0 R]>>"),
        attached(b"/Annots[7 0 R]", catalog=b"/AF[]/Names<</EmbeddedFiles<</Names[]>>>>"),
        attached(b"/Annots[7 0 R]", catalog=b"/AF[9 0 R]"),
        attached(
            b"", catalog=b"/Collection<</View/D>>/Names<</EmbeddedFiles<</Names[(a)5 0 R]>>>>"
        ),
        attached(b"", catalog=b"/AF 5 0 R"),
    ],
)
def test_it_is_found_at_any_place(data: bytes) -> None:
    assert number(data) == "A1"


@pytest.mark.parametrize("name", ["invoice.dat", "invoice", "factur-x.xml.txt", ""])
def test_it_is_known_by_what_it_begins_with(name: str) -> None:
    assert number(attached(b"/AF[5 0 R]", name=name)) == "A1"
    assert number(written((name or "x", b"\xef\xbb\xbf\r\n" + ubl("A1"), ""))) == "A1"


def test_what_the_document_lists_goes_before_what_is_on_a_page() -> None:
    other = attached(b"/AF[9 0 R]", catalog=b"/AF[5 0 R]")
    assert [one.name for one in embedded.xml_files(payload(other))] == ["factur-x.xml"]


def test_the_search_of_pages_ends() -> None:
    circle = built(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Kids[2 0 R 2 0 R 2 0 R]/EF 1 0 R>>")
    found = pdf.read(payload(circle)).content
    assert isinstance(found, Other)
    assert found.description == "a PDF without an invoice inside"


def test_several_invoices_are_all_read() -> None:
    data = written(*((f"{one}.xml", ubl(str(one)), "/Data") for one in range(6)))
    found = pdf.read(payload(data)).content
    assert isinstance(found, Bundle)
    assert [part.number for part in found.parts] == list("012345")
    assert {part.extension for part in found.parts} == {"pdf"}
    assert found.description == "a PDF with several invoices inside"


def test_one_invoice_attached_twice_is_one() -> None:
    assert number(written(("a.xml", ubl("A1"), "/Data"), ("b.xml", b"\n" + ubl("A1"), ""))) == "A1"


def in_two_syntaxes(number: str = "F-1", supplier: str = "FR11999999998") -> bytes:
    party = f"<cac:PartyIdentification><cbc:ID>{supplier}</cbc:ID></cac:PartyIdentification>"
    customer = '<cbc:EndpointID schemeID="9925">BE0403170701</cbc:EndpointID>'
    other = invoice(party, customer).replace("F-1<", f"{number}<").encode()
    return written(("a.xml", other, "/Data"), ("factur-x.xml", d16b().encode(), "/Data"))


def test_one_invoice_in_two_syntaxes_is_the_one_that_ranks_first() -> None:
    found = pdf.read(payload(in_two_syntaxes())).content
    assert isinstance(found, Invoice)
    assert found.format == "facturx-pdf"


@pytest.mark.parametrize("data", [in_two_syntaxes(number="F-2"), in_two_syntaxes(supplier="X9")])
def test_two_invoices_in_two_syntaxes_are_two(data: bytes) -> None:
    assert isinstance(pdf.read(payload(data)).content, Bundle)
