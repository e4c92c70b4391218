"""The document in an envelope (SBDH) is taken out as it stands there, and nothing else is."""

from __future__ import annotations

from base64 import b64encode, encodebytes
from html import escape
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from lxml import etree

from pipeline.payload import Payload
from stages.formats.enclosed import enclosed
from stages.formats.scratch import Room
from tests.helpers.sbdh import DECLARED, INVOICE, SBDH, envelope


def taken(data: bytes) -> bytes | None:
    found = enclosed(Payload(len(data), "", data), Room())
    return None if found is None else found.read()


def test_it_is_as_its_sender_wrote_it() -> None:
    assert taken(envelope(INVOICE).encode()) == (DECLARED + INVOICE + "\n").encode()


def test_a_large_one_is_taken_out_of_a_file_into_a_file(tmp_path: Path) -> None:
    inside = INVOICE.replace("</cbc:ID>", "</cbc:ID><!--" + "x" * 3_000_000 + "-->", 1)
    path = tmp_path / "came"
    path.write_text(envelope(inside))
    room = Room(tmp_path, in_memory=1000)
    found = enclosed(Payload(path.stat().st_size, "", spool=path), room)
    assert found is not None
    assert found.spool is not None
    assert found.read() == (DECLARED + inside + "\n").encode()
    found.discard()
    assert list(tmp_path.iterdir()) == [path]


@given(st.integers(0, 70_000))
def test_wherever_the_blocks_end_nothing_is_lost(blanks: int) -> None:
    data = envelope(INVOICE, more=' xmlns:q="urn:q"').replace("  <", " " * blanks + "<", 1)
    assert taken(data.encode()) == (DECLARED + INVOICE + "\n").encode()


def test_it_brings_the_namespaces_that_it_uses_and_only_the_envelope_declares() -> None:
    more = ' xmlns:n="urn:n&amp;" xmlns:unused="urn:u" xmlns:t="urn:t" xmlns:r="urn:r"'
    inside = '<n:Invoice xmlns:r="urn:own"><n:a r:b="1" xsi:type="t:x" xmlns:xsi="i"/></n:Invoice >'
    found = taken(envelope(inside, more=more).encode())
    assert found is not None
    root = etree.fromstring(found)
    assert root.tag == "{urn:n&}Invoice"
    assert root.nsmap == {"n": "urn:n&", "r": "urn:own", "t": "urn:t"}
    default = taken(envelope("<Invoice><a/></Invoice>").encode())
    assert default is not None
    assert etree.fromstring(default).tag == f"{{{SBDH}}}Invoice"


@pytest.mark.parametrize("encoding", ["UTF-8", "ISO-8859-1", "UTF-16", "UTF-16LE", "windows-1252"])
def test_it_is_the_same_document_in_any_encoding(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    data = envelope('<Invoice xmlns="u"><a>Café é</a></Invoice>', declared=declared)
    found = taken(data.encode(encoding))
    assert found is not None
    assert etree.fromstring(found).findtext("{u}a") == "Café é"


def test_of_content_in_base64_or_as_text_that_is_taken() -> None:
    pdf = b"%PDF-1.7\n" + bytes(range(256)) * 3000
    for written in (b64encode(pdf).decode(), encodebytes(pdf).decode()):
        assert (
            taken(envelope(f'<BinaryContent xmlns="e">{written}</BinaryContent>').encode()) == pdf
        )
    text = escape('<?xml version="1.0" encoding="UTF-16"?><Invoice/>', quote=False)
    found = taken(envelope(f'<TextContent xmlns="e">{text}</TextContent>').encode())
    assert found == b"<Invoice/>"


@pytest.mark.parametrize(
    "data",
    [
        envelope(INVOICE, INVOICE),
        envelope(),
        envelope("<Invoice/>"),
        envelope(INVOICE)[:-40],
        envelope('<BinaryContent xmlns="e">no base64!</BinaryContent>'),
        envelope('<BinaryContent xmlns="e">AAAA<a/>AAAA</BinaryContent>'),
        envelope(INVOICE, declared='<!DOCTYPE x [<!ENTITY y "z">]>'),
        INVOICE,
        INVOICE.replace("F-1", "StandardBusinessDocument"),
        "StandardBusinessDocument",
        "",
    ],
)
def test_what_is_no_envelope_of_one_document_stays_what_it_is(data: str) -> None:
    assert taken(data.encode()) is None
