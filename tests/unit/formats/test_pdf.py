"""PDFs: the invoice inside decides; what is broken or made to do harm comes to a plain end."""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from pypdf import PdfWriter

from pipeline.payload import Payload
from stages.formats import pdf
from stages.formats.content import Bundle, Hostile, Invoice, Other, Unreadable
from stages.formats.embedded import SECONDS, XML_SIZE, XmlFile, xml_files
from stages.formats.registry import format_of
from stages.kind import Kind
from tests.helpers.pdf import built, payload, ubl, with_object_stream, with_stream, written


def manifest(corpus: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((corpus / "manifest.json").read_text())
    return [one for one in found if one["kind"] == "facturx-pdf"]


def numbers(data: bytes) -> list[str]:
    """The numbers of several invoices in one PDF."""
    content = pdf.read(payload(data)).content
    assert isinstance(content, Bundle)
    assert (content.format, content.extension) == ("pdf", "pdf")
    return [part.number for part in content.parts]


class TestInvoiceInside:
    def test_the_real_ones_are_what_the_manifest_says(self, corpus: Path) -> None:
        found = manifest(corpus)
        assert found
        for one in found:
            content = pdf.read(payload((corpus / one["path"]).read_bytes())).content
            assert isinstance(content, Invoice), one["path"]
            assert content.format == "facturx-pdf"
            assert content.extension == "pdf"
            if one["number"]:
                assert content.number == one["number"]
            for party, key in (
                (content.supplier, "supplier_ids"),
                (content.customer, "customer_ids"),
            ):
                values = {identifier.value for identifier in party.identifiers}
                assert {value for _, value in one[key]} <= values

    def test_the_real_ones_are_read_from_a_temporary_file_too(
        self, corpus: Path, tmp_path: Path
    ) -> None:
        for one in manifest(corpus):
            path = corpus / one["path"]
            spooled = Payload(path.stat().st_size, sha256="", spool=path)
            assert pdf.read(spooled).content == pdf.read(payload(path.read_bytes())).content

    @pytest.mark.parametrize(
        "name",
        ["factur-x.xml", "zugferd-invoice.xml", "ZUGFeRD-invoice.xml", "xrechnung.xml", "our.XML"],
    )
    @pytest.mark.parametrize("associated", [True, False])
    def test_whatever_its_name(self, name: str, associated: bool) -> None:
        data = written((name, ubl("A1"), "/Data" if associated else ""), associated=associated)
        content = pdf.read(payload(data)).content
        assert isinstance(content, Invoice)
        assert (content.format, content.extension, content.number) == ("ubl-pdf", "pdf", "A1")
        assert content.supplier_element == f"AccountingSupplierParty of {name} in the PDF"
        assert content.supplier.identifiers[0].value == "BE0403170701"

    def test_where_only_the_association_leads_to_it(self) -> None:
        data = written(("factur-x.xml", ubl("A1"), "/Alternative"), named=False)
        assert isinstance(pdf.read(payload(data)).content, Invoice)

    def test_a_name_of_the_standard_goes_before_another(self) -> None:
        files = [("a.xml", ubl("other"), "/Data"), ("xrechnung.xml", ubl("it"), "")]
        assert numbers(written(*files)) == ["it", "other"]

    def test_a_relation_of_the_standard_goes_before_another(self) -> None:
        files = [("a.xml", ubl("other"), "/Supplement"), ("b.xml", ubl("it"), "/Source")]
        assert numbers(written(*files)) == ["it", "other"]

    def test_blank_lines_in_front_of_the_xml_do_no_harm(self) -> None:
        data = written(("factur-x.xml", b"\r\n " + ubl("A1"), "/Data"))
        assert isinstance(pdf.read(payload(data)).content, Invoice)

    @pytest.mark.parametrize(
        ("before", "start", "after"),
        [
            (b"", b"startxref\n17\n", b""),
            (b"", b"startxref\n0\n", b""),
            (b"x" * 200, None, b""),
            (b"\r\n", None, b"\r\n" + b"\0" * 3000),
        ],
    )
    def test_the_real_ones_are_found_with_a_broken_index_too(
        self, before: bytes, start: bytes | None, after: bytes, corpus: Path
    ) -> None:
        for one in manifest(corpus):
            whole = (corpus / one["path"]).read_bytes()
            if start is not None:
                whole = re.sub(rb"startxref\s+[0-9]+\s", start, whole)
            content = pdf.read(payload(before + whole + after)).content
            assert content == pdf.read(payload((corpus / one["path"]).read_bytes())).content

    def test_what_is_no_invoice_is_passed_over(self) -> None:
        files = [("factur-x.xml", b"<order/>", "/Data"), ("b.xml", ubl("it"), "")]
        content = pdf.read(payload(written(*files))).content
        assert isinstance(content, Invoice)
        assert content.number == "it"

    def test_protected_against_change_alone_it_is_read(self) -> None:
        writer = PdfWriter()
        writer.add_blank_page(200, 200)
        writer.add_attachment("factur-x.xml", ubl("A1"))
        writer.encrypt(user_password="", owner_password="owner", algorithm="RC4-128")
        stream = BytesIO()
        writer.write(stream)
        assert isinstance(pdf.read(payload(stream.getvalue())).content, Invoice)

    def test_in_a_tree_of_names_with_branches(self) -> None:
        data = built(
            b"<</Type/Catalog/Names<</EmbeddedFiles<</Kids[2 0 R]>>>>>>",
            b"<</Kids[3 0 R]>>",
            b"<</Names[(a)4 0 R]>>",
            b"<</F(a.xml)/EF<</F 5 0 R>>>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(ubl("A1")), ubl("A1")),
        )
        assert isinstance(pdf.read(payload(data)).content, Invoice)

    def test_through_an_object_stream(self) -> None:
        raw = b"10 0 <</UF(factur-x.xml)/EF<</F 6 0 R>>>>"
        data = with_object_stream(raw, 5, b"<</Type/Catalog/AF[10 0 R]>>", range(10, 11), ubl("A1"))
        assert xml_files(payload(data)) == [XmlFile("factur-x.xml", ubl("A1"))]


class TestPrint:
    def test_without_a_file_inside_it_is_what_the_list_calls_it(self) -> None:
        content = pdf.read(payload(written())).content
        assert isinstance(content, Other)
        assert content.description == "a PDF without an invoice inside"
        assert set(content.possible_kinds) == {Kind.PURCHASE, Kind.SALES, Kind.STATEMENT}

    def test_the_reason_names_what_is_inside_instead(self) -> None:
        content = pdf.read(payload(written(("factur-x.xml", b"<order/>", "/Data")))).content
        assert isinstance(content, Other)
        assert (
            "factur-x.xml in it is an XML document of another kind (order)" in content.description
        )

    def test_broken_xml_inside_makes_it_a_print(self) -> None:
        content = pdf.read(payload(written(("factur-x.xml", b"<a><b></a>", "/Data")))).content
        assert isinstance(content, Other)
        assert "not well-formed" in content.description
        assert content.possible_kinds

    def test_a_password_is_named(self) -> None:
        data = written(("factur-x.xml", ubl("A1"), "/Data"), password="secret")
        content = pdf.read(payload(data)).content
        assert isinstance(content, Other)
        assert content.description == "a PDF that can't be read (it is protected by a password)"

    @pytest.mark.parametrize(
        "data",
        [
            b"%PDF-1.4\n/EF",
            b"%PDF-1.4\n/EF\nstartxref\n99999\n%%EOF",
            b"%PDF-1.4\n/EF startxref" + b"1" * 10_000,
            b"%PDF-1.4\n" + b"1 0 obj <<>> endobj /EF\n" * 1000 + b"%%EOF",
            built(b"<</Type/Catalog/AF" + b"[" * 100_000 + b"]" * 100_000 + b">>%/EF"),
            built(b"<</Type/Catalog/AF 2 0 R>>", b"3 0 R", b"2 0 R %/EF"),
            built(b"<</Type/Catalog/AF[2 0 R]/Names 7>>", b"<</EF<</F 1 0 R>>>>"),
            written(("factur-x.xml", ubl("A1"), "/Data"))[:-900],
        ],
    )
    def test_what_is_broken_is_a_print(self, data: bytes) -> None:
        content = pdf.read(payload(data)).content
        assert isinstance(content, Other)
        assert content.format == "pdf"
        assert content.possible_kinds


def _reparsed(kids: bool) -> bytes:
    raw = b"900 0 <</A[" + b"0 " * 99_000 + b"]>>"
    references = b" ".join(b"%d 0 R" % number for number in range(10, 400))
    where = b"/Names<</EmbeddedFiles<</Kids[%s]>>>>" if kids else b"/AF[%s]"
    catalog = b"<</Type/Catalog%s>>" % (where % references)
    return with_object_stream(raw, 6, catalog, range(10, 400))


class TestHostile:
    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(with_stream(zlib.compress(b"<" + b" " * 50_000_000)), id="flate bomb"),
            pytest.param(
                with_stream(
                    zlib.compress(zlib.compress(b" " * 50_000_000)),
                    b"/Filter[/FlateDecode/FlateDecode]",
                ),
                id="two filters",
            ),
            pytest.param(
                with_stream(b"\x81a" * 1_000_000, b"/Filter/RunLengthDecode"), id="run length"
            ),
            pytest.param(
                with_stream(
                    zlib.compress(b"\4" + b"a\4" * 1_000_000),
                    b"/Filter/FlateDecode/DecodeParms<</Predictor 15/Columns 1>>",
                ),
                id="predictor",
            ),
            pytest.param(
                with_object_stream(
                    b" " * 50_000_000, 4, b"<</Type/Catalog/AF[10 0 R]>>", range(10, 11)
                ),
                id="object stream",
            ),
            pytest.param(_reparsed(kids=False), id="files read again and again"),
            pytest.param(_reparsed(kids=True), id="branches read again and again"),
            pytest.param(
                built(
                    b"<</Type/Catalog/AF[2 0 R]>>",
                    b"<</UF(a.xml)/EF<</F 3 0 R>>>>",
                    b"<</Length 3 0 R>>stream\nxx\nendstream",
                ),
                id="length that needs itself",
            ),
            pytest.param(
                b"%PDF-1.4\n/EF\nxref\n0 99999999\n"
                + b"0000000000 65535 f \n" * 1000
                + b"trailer <</Root 1 0 R/Size 99999999>>\nstartxref\n13\n%%EOF",
                id="index of a hundred million",
            ),
        ],
    )
    def test_it_ends_with_a_reason(self, data: bytes) -> None:
        with pytest.raises(Hostile, match=r"costs more to read than its size warrants: [a-zA-Z]"):
            pdf.read(payload(data))

    def test_nothing_but_blanks_is_not_read_to_its_end(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Which takes ten times as long on a quick machine, and more on any other.
        monkeypatch.setattr("stages.formats.embedded.SECONDS", 0.05)
        with pytest.raises(Hostile, match="it takes too long"):
            pdf.read(payload(b"%PDF-1.4\n/EF" + b" " * 20_000_000))

    def test_a_document_type_inside_is_hostile(self) -> None:
        data = written(("factur-x.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "/Data"))
        with pytest.raises(Hostile, match=r"factur-x\.xml in the PDF: "):
            pdf.read(payload(data))

    def test_a_loop_of_names_comes_to_an_end(self) -> None:
        data = built(
            b"<</Type/Catalog/Names<</EmbeddedFiles 2 0 R>>>>%/EF", b"<</Kids[2 0 R 2 0 R]>>"
        )
        assert isinstance(pdf.read(payload(data)).content, Other)

    def test_a_large_invoice_is_still_read(self) -> None:
        padded = ubl("A1").replace(b"<cbc:ID>", b"<!--" + b"x" * (XML_SIZE // 2) + b"--><cbc:ID>")
        data = with_stream(zlib.compress(padded))
        assert isinstance(pdf.read(payload(data)).content, Invoice)

    def test_the_time_is_bounded(self) -> None:
        assert SECONDS < 1


class TestRecognition:
    @pytest.mark.parametrize("before", [b"", b"\0" * 500, b"junk\r\n"])
    def test_the_header_may_stand_a_little_behind(self, before: bytes) -> None:
        assert format_of(payload(before + written())) is pdf

    @pytest.mark.parametrize("text", [b"<a>%PDF-1.4</a>", b'{"message": "%PDF-1.4"}'])
    def test_text_that_speaks_of_pdf_is_none(self, text: bytes) -> None:
        assert format_of(payload(text)) is not pdf

    def test_a_missing_end_is_odd(self) -> None:
        whole = written()
        assert pdf.problems(payload(whole)) == []
        assert pdf.problems(payload(whole[:-20])) == ["the PDF has no end (%%EOF)"]

    def test_the_mark_of_a_file_is_found_across_chunks(self, tmp_path: Path) -> None:
        data = with_stream(zlib.compress(ubl("A1")))
        at = data.index(b"/EF")
        filler = 1_048_576 - at - 1
        moved = b"%PDF-1.7\n%" + b"x" * (filler - 10) + data
        path = tmp_path / "spooled"
        path.write_bytes(moved)
        assert moved[1_048_575:1_048_578] == b"/EF"
        # Its index is wrong now; that it is looked at all the same shows that the mark was found.
        content = pdf.read(Payload(len(moved), sha256="", spool=path)).content
        assert content != pdf.read(payload(written())).content


@settings(max_examples=200)
@given(st.binary(max_size=400), st.integers(0, 2000), st.integers(0, 40))
def test_nothing_but_a_reason_escapes(noise: bytes, at: int, cut: int) -> None:
    whole = with_stream(zlib.compress(ubl("A1")))
    damaged = payload(whole[:at] + noise + whole[at + cut :])
    for read in (pdf.read, pdf.problems):
        with suppress(Unreadable):
            read(damaged)


def test_catalog_of_any_shape_is_read_or_refused() -> None:
    for shape in (b"[]", b"1", b"/A", b"(a)", b"null", b"<<>>", b"<</Kids 1/Names 2>>", b"true"):
        for key in (b"/AF", b"/Names", b"/Names<</EmbeddedFiles"):
            end = b">>" if b"<<" in key else b""
            data = built(b"<</Type/Catalog%s %s%s>>%%/EF" % (key, shape, end))
            assert isinstance(pdf.read(payload(data)).content, Other)
