"""Envelopes: the documents inside are read, as elements, text or base64, however many there are."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable
from html import escape

import pytest

from stages.formats import xml
from stages.formats.content import Bundle, Hostile, Invoice, Other
from tests.helpers.attachments import coded
from tests.helpers.camt import camt, one
from tests.helpers.invoices import ubl
from tests.helpers.pdf import payload
from tests.helpers.wrapping import zipped

PLAIN = ubl(declaration="")
OTHER = PLAIN.replace("F-1<", "F-2<")
DECLARED = '<?xml version="1.0" encoding="UTF-16"?>\n' + PLAIN
RESPONSE = ubl(root="ApplicationResponse", declaration="")
SBDH = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
UBL = "urn:oasis:names:specification:ubl:schema:xsd:"


def cdata(text: str) -> str:
    return f"<![CDATA[{text}]]>"


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def attached(*descriptions: str, binary: str = "", more: str = "") -> str:
    """A UBL AttachedDocument with these texts, and with these bytes in base64."""
    external = "<cac:ExternalReference><cbc:Description>{}</cbc:Description>"
    parts = [external.format(one) + "</cac:ExternalReference>" for one in descriptions]
    if binary:
        element = "cbc:EmbeddedDocumentBinaryObject"
        parts.append(f'<{element} mimeCode="application/xml">{binary}</{element}>')
    found = "".join(f"<cac:Attachment>{one}</cac:Attachment>" for one in parts)
    return (
        f'<AttachedDocument xmlns="{UBL}AttachedDocument-2" xmlns:cac="{UBL}CommonAggregate'
        f'Components-2" xmlns:cbc="{UBL}CommonBasicComponents-2"><cbc:ID>1</cbc:ID>'
        f"{found}{more}</AttachedDocument>"
    )


def sbdh(*inside: str) -> str:
    header = "<StandardBusinessDocumentHeader><a/></StandardBusinessDocumentHeader>"
    root = "StandardBusinessDocument"
    return f'<{root} xmlns="{SBDH}">{header}{"".join(inside)}</{root}>'


def binary(text: str, name: str = "BinaryContent") -> str:
    return (
        f'<{name} xmlns="http://peppol.eu/xsd/ticc/envelope/1.0" encoding="Base64">{text}</{name}>'
    )


def soap(inside: str) -> str:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/>'
        f"<s:Body>{inside}</s:Body></s:Envelope>"
    )


def xhe(inside: str) -> str:
    return (
        '<XHE xmlns="http://docs.oasis-open.org/bdxr/ns/XHE/1/ExchangeHeaderEnvelope"><Header/>'
        f"<Payloads><Payload><PayloadContent>{inside}</PayloadContent></Payload></Payloads></XHE>"
    )


def read(text: str) -> object:
    return xml.read(payload(text.encode())).content


LONG = PLAIN + "<!-- -->" * 50_000

SINGLE = {
    "CDATA": attached(cdata(DECLARED)),
    "blank lines in it": attached(cdata(f"\n\ufeff {DECLARED}\n")),
    "escaped": attached(escape(PLAIN)),
    "base64 as a description": attached(base64(PLAIN)),
    "an embedded file": attached(binary=base64(DECLARED.replace("UTF-16", "UTF-8"))),
    "in lines": attached(binary="\n".join(base64(PLAIN)[i : i + 76] for i in range(0, 9999, 76))),
    "beside the answer of an office": attached(
        cdata(PLAIN),
        more="<cac:ParentDocumentLineReference><cac:DocumentReference><cac:Attachment>"
        f"<cac:ExternalReference><cbc:Description>{cdata(RESPONSE)}</cbc:Description>"
        "</cac:ExternalReference></cac:Attachment></cac:DocumentReference>"
        "</cac:ParentDocumentLineReference>",
    ),
    "after that answer": attached(cdata(RESPONSE), cdata(PLAIN)),
    "beside a text": attached("See the attachment", binary=base64(PLAIN)),
    "twice": attached(cdata(PLAIN), binary=base64(PLAIN)),
    "beside a long PDF": attached(cdata(PLAIN), binary=base64("%PDF-1.7" + "x" * 400_000)),
    "long base64": attached(binary=base64(PLAIN + "<!-- -->" * 50_000)),
    "SBDH": sbdh(PLAIN),
    "SBDH with base64": sbdh(binary(base64(PLAIN))),
    "SBDH with base64url": sbdh(binary(base64(PLAIN).replace("+", "-").replace("/", "_"))),
    "SBDH with text": sbdh(binary(escape(PLAIN), "TextContent")),
    "XHE": xhe(PLAIN),
    "XHE with base64": xhe(base64(PLAIN)),
    "SOAP": soap(PLAIN),
    "SBDH in SOAP": soap(sbdh(PLAIN)),
    "SBDH with gzip": sbdh(binary(coded(gzip.compress(PLAIN.encode())))),
    "an embedded ZIP": attached(binary=coded(zipped(("invoice.xml", PLAIN.encode())))),
    "long gzip": attached(binary=coded(gzip.compress(LONG.encode(), 0))),
    "three": sbdh(binary(base64(attached(cdata(sbdh(PLAIN)))))),
}


@pytest.mark.parametrize("how", SINGLE)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_one_invoice_inside_is_read(how: str, encoding: str) -> None:
    alone = xml.read(payload(PLAIN.encode()))
    data = SINGLE[how].encode(encoding)
    assert xml.read(payload(data)) == alone
    # What programs leave behind the document counts no more there.
    assert xml.read(payload(data + b"\0" * 512)) == alone


@pytest.mark.parametrize(
    "text",
    [
        attached(cdata(PLAIN), cdata(OTHER)),
        attached(cdata(PLAIN), binary=base64(OTHER)),
        attached(cdata(sbdh(PLAIN)), cdata(attached(escape(OTHER)))),
        sbdh(PLAIN, OTHER),
        sbdh(binary(base64(PLAIN)), binary(base64(OTHER))),
        soap(PLAIN + OTHER),
        sbdh(PLAIN, OTHER, f"<a>{'x' * 300_000}</a>"),
    ],
)
def test_several_are_a_bundle_with_all_of_them(text: str) -> None:
    found = read(text)
    assert isinstance(found, Bundle)
    assert sorted(part.number for part in found.parts) == ["F-1", "F-2"]
    assert found.extension == "xml"
    assert "with several documents" in found.description


@pytest.mark.parametrize(
    ("text", "format_", "said"),
    [
        (attached(), "xml", "a UBL AttachedDocument, and nothing in it is an invoice"),
        (attached("See the attachment"), "xml", "nothing in it is an invoice"),
        (attached(cdata(PLAIN[:-9])), "xml", "whose document can't be read (the XML is not"),
        (attached(cdata("<a/>"), cdata("<b/>")), "xml", "none of its documents is an invoice"),
        (sbdh("<a/>"), "xml", "an XML document of another kind (a)"),
        (soap("<Fault/>"), "soap", "a SOAP message"),
        (soap(""), "soap", "a SOAP message"),
        (sbdh(ubl(root="Order", declaration="")), "ubl-order", "a UBL order"),
    ],
)
def test_what_holds_no_invoice_says_so(text: str, format_: str, said: str) -> None:
    found = read(text)
    assert isinstance(found, Other)
    assert found.format == format_
    assert said in found.description
    if format_ == "xml":
        assert found.possible_kinds, "nobody knows that it is no invoice"


STATEMENT = camt(one()).decode().removeprefix('<?xml version="1.0"?>')
REPORT = STATEMENT.replace("BkToCstmrStmt", "BkToCstmrAcctRpt")


@pytest.mark.parametrize(
    "around",
    [
        "<BizMsgEnvlp><Hdr/>{}</BizMsgEnvlp>",
        "<BizMsgEnvlp><AppHdr/><Pyld>{}</Pyld></BizMsgEnvlp>",
        "<x:RequestPayload xmlns:x='urn:x'><x:AppHdr/><x:Pyld>{}</x:Pyld></x:RequestPayload>",
        "<DataPDU><Revision>2</Revision><Header/><Body><AppHdr/>{}</Body></DataPDU>",
        "<a xmlns='urn:a-bank'><Pyld>{}</Pyld></a>",
        "<a><Document/><b><c>{}</c></b></a>",
        "<x:Envelope xmlns:x='urn:a-bank'><x:Message>{}</x:Message></x:Envelope>",
        "<a><b><DataPDU><Body>{}</Body></DataPDU></b></a>",
        sbdh("<Pyld>{}</Pyld>"),
    ],
)
def test_a_statement_in_any_envelope_of_a_bank(around: str) -> None:
    assert read(around.format(STATEMENT)) == read(STATEMENT)
    inner = STATEMENT[STATEMENT.index("<BkTo") : STATEMENT.index("</Document>")]
    assert read(around.format(inner)) == read(STATEMENT)
    found = read(around.format(REPORT))
    assert isinstance(found, Other)
    assert (found.format, found.is_known) == ("camt.052", True)


def test_a_statement_in_the_answer_of_a_service() -> None:
    text = soap(f"<GetStatementResponse><return>{STATEMENT}</return></GetStatementResponse>")
    assert read(text) == read(STATEMENT)


@pytest.mark.parametrize("name", ["Pyld", "Body", "Payload"])
@pytest.mark.parametrize("how", [cdata, escape, base64])
def test_a_statement_as_text_in_an_envelope_of_a_bank(name: str, how: Callable[[str], str]) -> None:
    around = f"<DataPDU><Header/><{name}>{{}}</{name}></DataPDU>"
    assert read(around.format(how(STATEMENT))) == read(STATEMENT)
    long = STATEMENT.replace("</Stmt>", "<Ntry/>" * 50_000 + "</Stmt>")
    assert read(around.format(how(long))) == read(STATEMENT)


def test_several_statements_in_an_unknown_envelope() -> None:
    found = read(f"<a><b>{STATEMENT}</b><b>{STATEMENT.replace('7034', '7035')}</b></a>")
    assert isinstance(found, Bundle)
    assert len(found.parts) == 2
    with pytest.raises(Hostile, match="more than 64 documents"):
        read(f"<a>{STATEMENT * 65}</a>")


def test_a_statement_deep_inside_is_not_what_a_document_is() -> None:
    text = f"<a><b><c><d><e>{STATEMENT}</e></d></c></b></a>"
    found = read(text)
    assert isinstance(found, Other)
    assert found.possible_kinds


def test_envelopes_in_one_another_are_counted() -> None:
    text = PLAIN
    for _ in range(xml.MAX_DEPTH):
        text = attached(base64(text))
    assert isinstance(read(text), Invoice)
    with pytest.raises(Hostile, match="in more than 4 envelopes"):
        read(sbdh(text))


def test_what_is_packed_inside_is_bounded() -> None:
    bomb = gzip.compress(b" " * 3_000_000)
    with pytest.raises(Hostile, match="what is packed in it"):
        read(attached(binary=coded(bomb)))
    broken = read(attached(binary=coded(bomb[:100])))
    assert isinstance(broken, Other)
    assert "nothing in it is an invoice" in broken.description


def test_what_is_inside_is_held_to_the_same_rules() -> None:
    with pytest.raises(Hostile, match="document type"):
        read(attached(cdata("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")))
    with pytest.raises(Hostile, match="more than 64 documents"):
        read(attached(*["x"] * 65))
