"""Everything that is none of the three is recognised as what it is, and costs next to nothing."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from pipeline.payload import Payload
from stages.formats import binary, error_page, text, xml
from stages.formats.content import Other, Unreadable
from stages.formats.registry import FORMATS, HEAD, format_of
from stages.kind import Kind
from stages.matching.classification import ListHint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import apply_rules
from stages.settings import Company

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\1" * 40 + b"\0\0\0\0IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\1" * 60 + b"\xff\xd9"
MAIL = b"Received: from a by b\r\n\tid c\r\nFrom: a@b.be\r\nSubject: Invoice\r\n\r\nHello\r\n"


def payload(data: bytes) -> Payload:
    return Payload(len(data), sha256="", data=data)


def zipped(*names: str, stored: bytes = b"x") -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            # A time of its own would give each process of the tests other data, and other names.
            archive.writestr(zipfile.ZipInfo(name), stored)
    return stream.getvalue()


def read(data: bytes) -> Other:
    one = payload(data)
    content = format_of(one).read(one).content
    assert isinstance(content, Other), content
    return content


KINDS = [
    ("png", PNG),
    ("jpeg", JPEG),
    ("tiff", b"II*\0\x08\0\0\0" + b"\0" * 50),
    ("tiff", b"MM\0*\0\0\0\x08" + b"\0" * 50),
    ("gif", b"GIF89a\1\0\1\0\0\0\0;"),
    ("zip", zipped("invoice.xml")),
    ("zip", zipped()),
    ("docx", zipped("[Content_Types].xml", "word/document.xml")),
    ("xlsx", zipped("[Content_Types].xml", "xl/workbook.xml")),
    ("ods", zipped("mimetype", stored=b"application/vnd.oasis.opendocument.spreadsheet")),
    ("odt", zipped("mimetype", stored=b"application/vnd.oasis.opendocument.text")),
    ("gzip", gzip.compress(b"<Invoice/>", mtime=0)),
    ("7z", b"7z\xbc\xaf\x27\x1c\0\4"),
    ("rar", b"Rar!\x1a\x07\x01\0"),
    ("ole", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100),
    ("rtf", rb"{\rtf1\ansi Invoice}"),
    ("html", b"<!DOCTYPE html><html><body>Sign in</body></html>"),
    ("html", b"\xef\xbb\xbf\n<!-- a --> <!-- b -->\n<HTML>"),
    ("html", b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>"),
    ("json", b'{"error": "x", "message": "not found"}'),
    ("json", b'[{"id": 1}]'),
    ("json", b"{}"),
    ("eml", MAIL),
    ("eml", b"MIME-Version: 1.0\nContent-Type: text/plain\n\nHello"),
    *(
        ("eml", first + MAIL)
        for first in (
            *(b"DKIM-Signature: v=1;\r\n b=x\r\n", b"ARC-Seal: i=1\r\n"),
            *(b"From a@b.be Mon Mar  2 10:00:00 2026\n", b"Authentication-Results: b; spf=pass\n"),
        )
    ),
    ("csv", b"date;amount;name\n2026-02-03;12,50;A\n2026-02-04;1,00;B\n"),
    ("csv", b"a,b,c\r\n1,2,3\r\n"),
    ("text", b"Dear customer,\nplease find our invoice enclosed.\n"),
    ("text", "Geachte klant, één factuur".encode()),
    ("text", "Geachte klant, één factuur".encode("cp1252")),
    ("text", b"Subject: to change, always\nand so on\n"),
    ("text", b"0000 bottles of beer\n"),
    ("empty", b""),
    ("empty", b" \r\n\t "),
    ("empty", b"\0\0\0"),
    ("unknown", b"\x01\x02\x03\x04 binary"),
]


@pytest.mark.parametrize(("format_", "data"), KINDS)
def test_it_is_recognised_as_what_it_is(format_: str, data: bytes, tmp_path: Path) -> None:
    content = read(data)
    assert content.format == format_
    assert content.description
    (path := tmp_path / "spooled").write_bytes(data)
    spooled = Payload(len(data), sha256="", spool=path)
    assert format_of(spooled).read(spooled).content == content
    assert list(format_of(spooled).read(spooled).problems) == list(
        format_of(payload(data)).read(payload(data)).problems
    )


@pytest.mark.parametrize(("format_", "data"), KINDS)
def test_only_an_image_may_be_what_the_list_calls_it(format_: str, data: bytes) -> None:
    company = Company("Onze Firma", "BE0403170701", "box")
    classification = apply_rules(
        read(data), CompanyIndex([company]), ListHint(Kind.PURCHASE, company, "box")
    )
    is_image = format_ in ("png", "jpeg", "tiff", "gif")
    assert classification.kind is (Kind.PURCHASE if is_image else Kind.UNKNOWN)
    assert read(data).description in classification.reason
    assert apply_rules(read(data), CompanyIndex([company]), ListHint()).kind is Kind.UNKNOWN


@pytest.mark.parametrize("data", [PNG, JPEG, zipped("a.xml"), rb"{\rtf1 Invoice}"])
def test_an_end_that_is_missing_is_odd(data: bytes) -> None:
    assert list(binary.read(payload(data)).problems) == []
    (odd,) = list(binary.read(payload(data[: len(data) // 2])).problems)
    assert odd.startswith("the end of a")


@pytest.mark.parametrize("data", [b"", b"\r\n"])
def test_nothing_at_all_is_odd(data: bytes) -> None:
    assert list(text.read(payload(data)).problems) == ["it is empty"]
    assert list(text.read(payload(b"Hello")).problems) == []


@pytest.mark.parametrize(
    ("data", "odd"),
    [
        (
            b"<html><head><title> Sign\n in </title></head></html>",
            'a web page came in place of the document ("Sign in")',
        ),
        (
            b'{"status": 500, "message": "try again later"}',
            'a JSON message came in place of the document ("try again later")',
        ),
        (b"{}", "a JSON message came in place of the document"),
    ],
)
def test_an_error_page_in_place_of_a_document_is_a_problem(data: bytes, odd: str) -> None:
    assert list(error_page.read(payload(data)).problems) == [odd]


def test_a_zip_is_never_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    squeezed = BytesIO()
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"\0" * 10_000_000)

    def never(*arguments: object, **more: object) -> object:
        raise AssertionError("a ZIP has been opened")

    monkeypatch.setattr(zlib, "decompressobj", never)
    monkeypatch.setattr(zlib, "decompress", never)
    monkeypatch.setattr(zipfile, "ZipFile", never)
    assert read(squeezed.getvalue()).format == "zip"


class Sparse:
    """A file of three gigabytes which holds next to nothing."""

    def __init__(self, path: Path, head: bytes) -> None:
        with path.open("wb") as file:
            file.write(head)
            file.truncate(3_000_000_000)
        self.payload = Payload(3_000_000_000, sha256="", spool=path)


@pytest.mark.parametrize(
    "head",
    [
        b"x" * 5000,
        b":20:X\n:25:" + b"x" * 5000,
        b"00000" + b"x" * 5000,
        b"{" + b" " * 100 + b'"a": "' + b"x" * 5000,
        PNG,
        zipped("a.xml"),
        MAIL + b"x" * 5000,
    ],
)
def test_no_more_is_read_than_tells_what_it_is(head: bytes, tmp_path: Path) -> None:
    """Whoever read it whole would need minutes and gigabytes, and run into the test's limit."""
    huge = Sparse(tmp_path / "huge", head).payload
    assert isinstance(format_of(huge).read(huge).content, Other)
    with suppress(Unreadable):
        list(format_of(huge).read(huge).problems)


def test_every_xml_of_the_real_ones_stays_xml(corpus: Path) -> None:
    found = [
        one["path"]
        for one in json.loads((corpus / "manifest.json").read_text())
        if one["path"].endswith(".xml")
    ]
    assert found
    for path in found:
        assert format_of(payload((corpus / path).read_bytes())) is xml


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_xml_in_any_encoding_is_no_text(encoding: str) -> None:
    assert format_of(payload("<?xml version='1.0'?><a/>".encode(encoding))) is xml


@settings(max_examples=300)
@given(st.binary(max_size=300))
@example(b"<!---->" * 580 + b"<")
@example(b"<!-- " * 800)
@example(b"{1:" + b"}{4:" * 1000)
@example(b"<?xml" + b" >" * 2000)
@example(b"a:\n" * 1300)
def test_nothing_but_unreadable_escapes(data: bytes) -> None:
    one = payload(data)
    for format_ in FORMATS:
        if format_.recognises(data[:HEAD]):
            with suppress(Unreadable):
                format_.read(one)
