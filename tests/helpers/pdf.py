"""PDF files made byte by byte for tests."""

from __future__ import annotations

import zlib
from io import BytesIO

from pypdf import PdfWriter
from pypdf.generic import ArrayObject, NameObject

from pipeline.payload import Payload

UBL = """<?xml version="1.0" encoding="UTF-8"?>
<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
 xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
 xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">
<cbc:ID>%s</cbc:ID><cbc:IssueDate>2026-02-03</cbc:IssueDate>
<cac:AccountingSupplierParty><cac:Party>
<cac:PartyTaxScheme><cbc:CompanyID>BE0403170701</cbc:CompanyID></cac:PartyTaxScheme>
</cac:Party></cac:AccountingSupplierParty>
<cac:AccountingCustomerParty><cac:Party>
<cac:PartyTaxScheme><cbc:CompanyID>BE0202239951</cbc:CompanyID></cac:PartyTaxScheme>
</cac:Party></cac:AccountingCustomerParty></Invoice>"""


def ubl(number: str) -> bytes:
    return (UBL % number).encode()


def payload(data: bytes) -> Payload:
    return Payload(len(data), sha256="", data=data)


def written(
    *files: tuple[str, bytes, str], associated: bool = True, named: bool = True, password: str = ""
) -> bytes:
    """A PDF with files in it: their names, what is in them, their relations to the PDF."""
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    references = ArrayObject()
    for name, data, relation in files:
        attached = writer.add_attachment(name, data)
        specification = attached.pdf_object
        if relation:
            specification[NameObject("/AFRelationship")] = NameObject(relation)
        references.append(specification.indirect_reference or writer._add_object(specification))
    if associated:
        writer.root_object[NameObject("/AF")] = references
    if not named and "/Names" in writer.root_object:
        del writer.root_object["/Names"]
    if password:
        writer.encrypt(user_password=password, algorithm="RC4-128")
    stream = BytesIO()
    writer.write(stream)
    return stream.getvalue()


def built(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF by hand; the first object is its catalog."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<</Root 1 0 R/Size %d%s>>\n" % (len(objects) + 1, trailer)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def with_stream(raw: bytes, more: bytes = b"/Filter/FlateDecode") -> bytes:
    """A PDF whose factur-x.xml is stored in these bytes."""
    return built(
        b"<</Type/Catalog/AF[2 0 R]>>",
        b"<</Type/Filespec/UF(factur-x.xml)/AFRelationship/Data/EF<</F 3 0 R>>>>",
        b"<</Type/EmbeddedFile%s/Length %d>>stream\n%s\nendstream" % (more, len(raw), raw),
    )


def with_object_stream(
    raw: bytes, first: int, catalog: bytes, inside: range, attached: bytes = b""
) -> bytes:
    """A PDF with an index in a stream, objects in one, and attached as its object 6."""
    squeezed = zlib.compress(raw)
    bodies = {
        1: catalog,
        5: b"<</Type/ObjStm/N 1/First %d/Filter/FlateDecode/Length %d>>stream\n%s\nendstream"
        % (first, len(squeezed), squeezed),
        6: b"<</Length %d>>stream\n%s\nendstream" % (len(attached), attached),
    }
    out = bytearray(b"%PDF-1.7\n")
    rows = {0: b"\0" * 7}
    for number, body in bodies.items():
        rows[number] = b"\1" + len(out).to_bytes(4) + b"\0\0"
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    rows |= dict.fromkeys(inside, b"\2\0\0\0\5\0\0")
    table = b"".join(rows.get(number, b"\0" * 7) for number in range(inside.stop))
    start = len(out)
    out += b"%d 0 obj\n<</Type/XRef/W[1 4 2]/Size %d/Root 1 0 R" % (inside.stop, inside.stop)
    out += b"/Length %d>>stream\n%s\nendstream\nendobj\n" % (len(table), table)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)
