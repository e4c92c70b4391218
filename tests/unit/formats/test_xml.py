"""XML: whole or not, harmful or not, and read as every parser reads it."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from lxml import etree

from pipeline.payload import Payload
from stages.formats import xml
from stages.formats.content import Hostile, Invoice, Other, Unreadable
from stages.formats.invoice_lines import LineDigest
from stages.formats.registry import format_of
from stages.formats.xml_strip import BLOCK, strip_stream
from tests.helpers.invoices import attachment, invoice, payload, ubl, values

OURS = (["0403170701"], ["0417497106"])
LONG = "QUJD" * 200_000


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-8-sig", "ISO-8859-1"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16BE"),
        ("iso-8859-1", "ISO-8859-1"),
        ("iso-8859-15", "ISO-8859-15"),
        ("windows-1252", "Windows-1252"),
        ("cp1252", "cp1252"),
        ("cp850", "IBM850"),
        # .NET names what the text was in while it was in memory.
        ("utf-8", "utf-16"),
    ],
)
@pytest.mark.parametrize("size", [0, 1_000_000])
def test_is_read_in_the_encoding_that_it_names(encoding: str, named: str, size: int) -> None:
    name = "<cac:PartyName><cbc:Name>Frères Müller</cbc:Name></cac:PartyName>"
    declaration = f'<?xml version="1.0" encoding="{named}"?>'
    before = attachment("QUJD" * (size // 4)) if size else ""
    data = ubl(name, declaration=declaration, before=before).encode(encoding)
    assert format_of(payload(data)) is xml
    assert list(xml.read(payload(data)).problems) == []
    assert invoice(data).supplier.name == "Frères Müller"


@pytest.mark.parametrize("named", ["x-unknown", "zlib", "utf-7", "unicode_escape", "rot13"])
def test_an_encoding_that_no_invoice_is_in_is_unreadable(named: str) -> None:
    data = ubl(declaration=f'<?xml version="1.0" encoding="{named}"?>').encode()
    reading = xml.read(payload(data))
    assert reading.content is None
    assert named in reading.problems[0]


def test_bytes_of_another_encoding_than_named_are_unreadable() -> None:
    for data in (ubl("<cbc:X>é</cbc:X>").encode("latin-1"), codecs.BOM_UTF16_LE + b"<\0a\0>"):
        assert xml.read(payload(data)).problems


@pytest.mark.parametrize(
    "damaged",
    [ubl()[:-4], ubl() + "<more/>", ubl().replace("</cbc:ID>", "", 1), ubl(before="&nbsp;")],
)
def test_what_is_not_well_formed_is_unreadable(damaged: str) -> None:
    assert xml.read(payload(damaged)).problems


@pytest.mark.parametrize("cut", [-1, -20, 3_000, 400_000, -900_000])
def test_a_long_document_that_was_cut_short_is_unreadable(cut: int) -> None:
    data = ubl(before=attachment(LONG), after=attachment(LONG)).encode()
    assert list(xml.read(payload(data)).problems) == []
    assert "not well-formed" in xml.read(payload(data[:cut])).problems[0]


@pytest.mark.parametrize("at", [300_000, 500_000])
@pytest.mark.parametrize("bad", [b"\0", b"\x1b", b"\xff", b"&x;", b"& ", b"<"])
def test_one_bad_byte_in_the_midst_of_an_attachment_is_found(at: int, bad: bytes) -> None:
    data = ubl(before=attachment(LONG)).encode()
    assert xml.read(payload(data[:at] + bad + data[at + len(bad) :])).problems


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        f"<![CDATA[{LONG}]]>",
        "\r\n".join(["QUJD" * 19] * 9000),
        "&#13;\n".join(["QUJD" * 19] * 9000),
        "&#xD;&#xA;".join(["QUJD" * 19] * 9000),
        f"<!-- {LONG} -->",
    ],
    ids=["text", "cdata", "lines", "references", "hexadecimal", "comment"],
)
def test_an_attachment_is_passed_over_however_it_is_written(text: str) -> None:
    data = ubl(before=attachment(text)).encode()
    assert list(xml.read(payload(data)).problems) == []
    assert values(data) == OURS
    assert sum(map(len, strip_stream(io.BytesIO(data)))) < 4 * BLOCK


@pytest.mark.parametrize("kind", ["{}", "<![CDATA[{}]]>"])
def test_an_attachment_of_forty_megabytes_is_no_trouble(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "large.xml"
    path.write_text(ubl(before=attachment(kind.format("QUJD" * 10_000_000))))
    large = Payload(path.stat().st_size, sha256="", spool=path)
    assert list(xml.read(large).problems) == []
    content = xml.read(large).content
    assert isinstance(content, Invoice)
    assert content.supplier.identifiers[0].value == "0403170701"


FAKE = ubl("<cbc:EndpointID>BE0999999922</cbc:EndpointID>", declaration="")
FAKE_PARTY = FAKE[FAKE.index("<cac:AccountingSupplierParty>") : FAKE.index("<cac:Legal")]


@pytest.mark.parametrize(
    "before",
    [
        f"<!--{FAKE_PARTY}-->",
        f"<![CDATA[{FAKE_PARTY}]]>",
        f"<?trick {FAKE_PARTY}?>",
        f"<cbc:Note><![CDATA[{FAKE_PARTY}]]></cbc:Note>",
        "<!-- <cac:InvoiceLine> -->",
        "<!-- </Invoice> <cac:InvoiceLine></cac:InvoiceLine> -->",
        "<cbc:Note><![CDATA[<cac:InvoiceLine></Invoice>]]></cbc:Note>",
        f"<ext:X xmlns:ext='x'>{FAKE_PARTY}</ext:X>",
        f"<cac:X><cac:InvoiceLine>{FAKE_PARTY}</cac:InvoiceLine></cac:X>",
        f"<x:Y xmlns:x='y' xmlns:cac='z'>{FAKE_PARTY}</x:Y>",
        f"<!-- BinaryObject> -->{attachment('QUJD')}<!-- BinaryObject>{FAKE_PARTY} -->",
        attachment("<!--" + LONG + "-->" + LONG + f"<![CDATA[{LONG}{FAKE_PARTY}{LONG}]]>"),
        f"<!--{LONG}{FAKE_PARTY}{LONG}-->",
        f"<cbc:Note a='{LONG}>'>x</cbc:Note>",
    ],
)
def test_nothing_hides_the_real_parties_or_invents_others(before: str) -> None:
    data = ubl(before=before)
    root = etree.fromstring(data.encode())
    real = root.find("{*}AccountingSupplierParty/{*}Party/{*}EndpointID")
    assert real is not None
    assert real.text == "0403170701"
    assert values(data) == OURS


def test_parties_that_stand_behind_the_lines_are_found() -> None:
    data = ubl()
    start, end = data.index("<cac:AccountingSupplierParty>"), data.index("<cac:Legal")
    moved = data[:start] + data[end:].replace("</Invoice>", data[start:end] + "</Invoice>")
    assert values(moved) == OURS


def test_a_comment_in_the_midst_of_a_number_is_not_of_it() -> None:
    split = "<cbc:EndpointID schemeID='0208'>0403<!-- x -->170<![CDATA[701]]></cbc:EndpointID>"
    assert values(ubl(split))[0] == ["0403170701"]


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            [
                *("A" * BLOCK, "QUJD" * BLOCK, " " * BLOCK, "\n" * 3 * BLOCK),
                *("<a>", "</a>", "<b/>", "<!-- x", " -->", "<![CDATA[", "]]>", "<?p ", "?>"),
                *("&#13;", "&#xD;" * BLOCK, "&amp;", "<c d='", "'/>", '"', "'", "é" * 10, "&", ">"),
            ]
        ),
        max_size=8,
    )
)
def test_what_is_stripped_has_the_elements_of_the_whole(parts: list[str]) -> None:
    data = f"<r>{''.join(parts)}</r>".encode()
    stripped = b"".join(strip_stream(io.BytesIO(data)))
    assert _shape(stripped) == _shape(data)


def _shape(data: bytes) -> list[tuple[str, int]] | None:
    parser = etree.XMLParser(resolve_entities=False, huge_tree=True)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return None
    # lxml seeks attributes in a processing instruction as well, in time that is quadratic.
    return [
        (str(one.tag), len(one.attrib) if isinstance(one.tag, str) else 0) for one in root.iter()
    ]


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    "doctype",
    [
        f'<!DOCTYPE Invoice [<!ENTITY a0 "ha">{LAUGHS}]>',
        '<!DOCTYPE Invoice SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE Invoice [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        "<!DOCTYPE Invoice>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_hostile(doctype: str, encoding: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>{doctype}'
    data = ubl(declaration=declaration).encode(encoding)
    with pytest.raises(Hostile, match="document type"):
        xml.read(payload(data))


@pytest.mark.parametrize("lines", [2, 2000])
def test_a_document_type_behind_a_long_comment_is_hostile(lines: int) -> None:
    comment = f"<!-- {'so long ' * 20_000} -->"
    doctype = f'<!DOCTYPE Invoice [<!ENTITY a0 "ha">{LAUGHS}]>'
    declaration = f'<?xml version="1.0"?>{comment}{doctype}'
    with pytest.raises(Hostile, match="document type"):
        xml.read(payload(ubl(declaration=declaration, lines=lines)))


def test_the_words_of_a_document_type_in_a_comment_do_no_harm() -> None:
    data = ubl(before="<!-- <!DOCTYPE Invoice> -->")
    assert list(xml.read(payload(data)).problems) == []
    assert values(data) == OURS


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        ("<a>" * 5000 + "</a>" * 5000, "inside one another"),
        ("<a/>" * 500_000, "more elements"),
        ("<a " + " ".join(f'x{n}=""' for n in range(500_000)) + "/>", "attributes"),
        ("<a>" + "it's a line; " * 2_500_000 + "</a>", "beside its attachments|attributes"),
    ],
    ids=["deep", "elements", "attributes", "text"],
)
def test_what_costs_more_than_any_invoice_is_hostile(hostile: str, why: str) -> None:
    for text in (ubl(before=hostile, lines=0), f"<a>{hostile}</a>"):
        with pytest.raises(Hostile, match=why):
            xml.read(payload(text))


def test_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.xml"
    with path.open("wb") as file:
        file.write(b"<a>")
        file.truncate(1 << 30)
    huge = Payload(1 << 30, sha256="", spool=path)
    with pytest.raises(Hostile, match="no invoice needs"):
        xml.read(huge)


def test_an_identifier_of_a_megabyte_is_refused() -> None:
    for text in ("9" * 5000, "QUJD" * 250_000, " " * 200_000 + "1" + " " * 200_000 + "2" * 2000):
        with pytest.raises(Unreadable, match="EndpointID has"):
            xml.read(payload(ubl(f"<cbc:EndpointID>{text}</cbc:EndpointID>")))


def test_a_number_among_a_megabyte_of_blanks_is_not_taken_for_silence() -> None:
    blanks = " " * 500_000
    with pytest.raises(Unreadable, match="EndpointID has"):
        xml.read(payload(ubl(f"<cbc:EndpointID>{blanks}0403170701{blanks}</cbc:EndpointID>")))


def test_ten_thousand_lines_are_an_invoice() -> None:
    data = ubl(lines=10_000)
    assert list(xml.read(payload(data)).problems) == []
    assert values(data) == OURS
    # And where none of it can be told before the lines.
    start, end = data.index("<cac:AccountingSupplierParty>"), data.index("<cac:Legal")
    moved = data[:start] + data[end:].replace("</Invoice>", data[start:end] + "</Invoice>")
    assert values(moved) == OURS


CDAR = "CrossDomainAcknowledgementAndResponse"


@pytest.mark.parametrize(
    ("text", "format_", "what"),
    [
        ("<SocialDocument/>", "soda", "SODA"),
        (
            f'<{CDAR} xmlns="urn:un:unece:uncefact:data:standard:{CDAR}:100"/>',
            "cdar",
            "an answer to a document",
        ),
        ('<html xmlns="http://www.w3.org/1999/xhtml"/>', "html", "web page"),
        ('<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>', "soap", "SOAP"),
        ("<something/>", "xml", "something"),
    ],
)
def test_other_xml_is_what_it_is(text: str, format_: str, what: str) -> None:
    content = xml.read(payload(text)).content
    assert isinstance(content, Other)
    assert content.format == format_
    assert what in content.description


def test_an_invoice_in_its_peppol_envelope_is_an_invoice() -> None:
    space = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
    header = "<StandardBusinessDocumentHeader><HeaderVersion>1.0</HeaderVersion>"
    data = (
        f'<StandardBusinessDocument xmlns="{space}">{header}</StandardBusinessDocumentHeader>'
        f"{ubl(declaration='')}</StandardBusinessDocument>"
    )
    assert values(data) == OURS


def test_the_lines_of_a_long_document_are_not_kept() -> None:
    root = xml._tree_without_lines(ubl(lines=10_000).encode(), LineDigest())
    assert sum(1 for _ in root.iter()) < 100


@pytest.mark.parametrize("after", [b"\0", b"\0" * 3000, b"\x1a", b"\r\n\x1a\0\0", b"\n\0"])
def test_what_programs_leave_behind_a_document_does_no_harm(after: bytes) -> None:
    found = xml.read(payload(ubl().encode() + after))
    assert isinstance(found.content, Invoice)
    assert not found.problems
    wide = ubl().encode("utf-16") + b"\0\0" * 3
    assert not xml.read(payload(wide)).problems
