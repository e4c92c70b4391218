"""Wrapped documents: what is inside is read and handed on, whatever is around it, within bounds."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from base64 import b64encode
from contextlib import suppress
from json import dumps
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings, strategies as st

from pipeline.payload import Payload
from stages.formats.content import Hostile, Invoice, Other, Reading, Statement, Unreadable
from stages.formats.registry import MAX_LAYERS, opened, read
from stages.formats.scratch import Room
from tests.helpers.camt import camt, one
from tests.helpers.invoices import ubl
from tests.helpers.mt940 import BODY
from tests.helpers.pdf import payload, ubl as small, written
from tests.helpers.wrapping import BLEMISHES, TRANSPORTS, WIDE, mailed, packed, zipped

INVOICE = ubl().encode()
DOCUMENTS = {
    "ubl": INVOICE,
    "camt": camt(one()),
    "mt940": BODY.encode(),
    "pdf": written(("factur-x.xml", small("A1"), "/Data")),
}
ROOM = Room()


def content(data: bytes) -> Invoice | Statement:
    found = read(payload(data)).content
    assert isinstance(found, Invoice | Statement), found
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("wrapping", TRANSPORTS)
def test_what_is_inside_is_read_and_handed_on(document: str, wrapping: str) -> None:
    data = DOCUMENTS[document]
    found = opened(payload(TRANSPORTS[wrapping](data)), ROOM)
    assert found.payload.read() == data
    assert found.payload.size == len(data)
    assert found.reading == read(payload(data))
    assert isinstance(found.reading.content, Invoice | Statement)


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("blemish", BLEMISHES)
def test_what_stands_before_it_is_overlooked_and_handed_on(document: str, blemish: str) -> None:
    came = payload(BLEMISHES[blemish](DOCUMENTS[document]))
    found = opened(came, ROOM)
    assert found.payload is came
    assert found.reading == read(payload(DOCUMENTS[document]))


@pytest.mark.parametrize("document", ["ubl", "camt", "mt940"])
@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("before", ["", "\ufeff", "\r\n\r\n", "\ufeff\ufeff\n"])
def test_text_of_two_or_four_bytes_for_a_sign_is_read(
    document: str, encoding: str, before: str
) -> None:
    text = DOCUMENTS[document].decode()
    came = payload((before + text).encode(encoding))
    found = opened(came, ROOM)
    assert found.payload is came
    assert found.reading == read(payload(DOCUMENTS[document]))


@pytest.mark.parametrize("document", ["ubl", "camt", "mt940"])
@pytest.mark.parametrize("before", ["", "\ufeff", "\r\n"])
@pytest.mark.parametrize("escape", ["<", "\\u003c"])
def test_a_string_of_json_is_read_and_handed_on(document: str, before: str, escape: str) -> None:
    data = DOCUMENTS[document]
    string = dumps(before + data.decode()).replace("<", escape)
    found = opened(payload(f"{before}{string}\n".encode()), ROOM)
    assert found.payload.read().decode().strip("\ufeff\r\n") == data.decode().strip()
    assert found.reading == read(payload(data))


@pytest.mark.parametrize("end", ["", '" and more', "\n"])
def test_what_only_begins_as_a_string_of_json_stays_as_it_is(end: str) -> None:
    came = payload(dumps(INVOICE.decode()).encode()[:-1] + end.encode())
    found = opened(came, ROOM)
    assert found.payload is came
    assert isinstance(found.reading.content, Other)
    assert found.reading.content.format == "text"


ANY = {**TRANSPORTS, **BLEMISHES}


@settings(max_examples=150)
@given(st.sampled_from(sorted(DOCUMENTS)), st.lists(st.sampled_from(sorted(ANY)), max_size=3))
def test_any_layers_around_any_document_change_nothing(document: str, layers: list[str]) -> None:
    data = DOCUMENTS[document]
    for layer in layers:
        data = ANY[layer](data)
    assert read(payload(data)) == read(payload(DOCUMENTS[document]))


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(ANY)),
    st.one_of(st.binary(max_size=300), st.just(INVOICE)),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=3)), max_size=4),
)
def test_whatever_is_made_of_a_wrapping_it_is_read_or_refused(
    layer: str, data: bytes, changes: list[tuple[int, bytes]]
) -> None:
    changed = ANY[layer](data)
    for place, put in changes:
        at = place % (len(changed) + 1)
        changed = changed[:at] + put + changed[at + 1 :]
    for one_ in (changed, changed[: len(changed) // 2]):
        with suppress(Unreadable):
            assert isinstance(read(payload(one_)), Reading)


class TestWhatStaysAsItIs:
    @pytest.mark.parametrize(
        ("data", "format_", "said"),
        [
            (zipped(("a.xml", INVOICE), ("b.xml", INVOICE)), "zip", "a ZIP archive"),
            (zipped(("a.xml", INVOICE), ("b.pdf", b"%PDF-1.7 %%EOF")), "zip", "a ZIP archive"),
            (zipped(("a.xml", b""), ("b/", b"")), "zip", "a ZIP archive"),
            (zipped(("a.txt", b"Dear customer,\n")), "zip", "that holds a plain text"),
            (zipped(("a.xml", INVOICE), method=zipfile.ZIP_BZIP2), "zip", "a way that"),
            (zipped(("[Content_Types].xml", b"<a/>"), ("word/document.xml", b"<a/>")), "docx", ""),
            (zipped(("mimetype", b"application/epub+zip"), ("a.xml", b"<a/>")), "zip", ""),
            (packed(b"\1\2\3\4"), "gzip", "that holds a file of no format"),
            (packed(zipped(("a.xml", INVOICE), ("b.xml", INVOICE))), "gzip", "holds a ZIP archive"),
            (b64encode(b"\1\2\3\4" * 20), "text", "a plain text"),
            (b64encode(b"Dear customer, here it is, at last.\n"), "text", "a plain text"),
            (b64encode(zipped(("a", INVOICE), ("b", INVOICE))), "text", "text that holds a ZIP"),
            (b64encode(INVOICE) + b"=" + b64encode(INVOICE), "text", "a plain text"),
            (b64encode(INVOICE) + b"!", "text", "a plain text"),
            (b"invoice" * 50, "text", "a plain text"),
            (mailed(INVOICE, INVOICE), "eml", "an e-mail message"),
            (mailed(INVOICE) + b"--=_c\n" * 50_000, "eml", "an e-mail message"),
            (mailed(b"Dear customer,\n"), "eml", "an e-mail message that holds a plain text"),
        ],
    )
    def test_it_is_what_it_is(self, data: bytes, format_: str, said: str) -> None:
        came = payload(data)
        found = opened(came, ROOM)
        assert found.payload is came
        assert isinstance(found.reading.content, Other)
        assert found.reading.content.format == format_
        assert said in found.reading.content.description
        assert not found.reading.problems

    def test_a_password_is_named(self) -> None:
        data = bytearray(zipped(("a.xml", INVOICE)))
        data[6] |= 1
        data[data.index(b"PK\1\2") + 8] |= 1
        found = read(payload(bytes(data))).content
        assert isinstance(found, Other)
        assert found.description == "a ZIP archive that is protected by a password"

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (packed(INVOICE)[:-20], "gzip is damaged (it breaks off)"),
            (packed(INVOICE)[:-5] + b"\1\2\3\4\5", "a file compressed with gzip is damaged"),
            (b64encode(packed(INVOICE)[:-20]), "gzip is damaged (it breaks off)"),
            (zipped(("a.xml", INVOICE))[:-30], "the end of a ZIP archive is missing"),
            (
                zipped(("a.xml", INVOICE), method=zipfile.ZIP_STORED).replace(b">F-1<", b">F-2<"),
                "a ZIP archive is damaged (Bad CRC-32",
            ),
        ],
    )
    def test_damage_is_a_problem(self, data: bytes, problem: str) -> None:
        found = read(payload(data))
        assert isinstance(found.content, Other)
        assert any(problem in one for one in found.problems), found


class TestBounds:
    def test_what_expands_out_of_proportion_is_refused(self) -> None:
        bomb = packed(b"\0" * 30_000_000)
        for data in (bomb, b64encode(bomb), packed(packed(bomb))):
            with pytest.raises(Hostile, match="packed in it has more than"):
                read(payload(data))
        with pytest.raises(Hostile, match="packed in it has more than"):
            read(payload(zipped(("a", b" " * 30_000_000))))

    def test_what_is_larger_than_a_document_may_be_is_refused(self) -> None:
        data = Random(1).randbytes(50_000)
        with pytest.raises(Hostile, match="more than 40,000 bytes"):
            opened(payload(packed(data)), Room(most=40_000))

    def test_layers_are_counted(self) -> None:
        data = INVOICE
        for _ in range(MAX_LAYERS - 1):
            data = packed(data)
        assert content(data) == content(INVOICE)
        with pytest.raises(Hostile, match="wrapped more than 4 times"):
            read(payload(packed(data)))

    def test_members_are_counted(self) -> None:
        with pytest.raises(Hostile, match="members of gzip"):
            read(payload(gzip.compress(b"") * 10_001))

    def test_a_directory_of_many_files_is_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = zipped(*((f"{number:0100}/", b"") for number in range(3000)), ("a.xml", INVOICE))
        found = read(payload(data)).content
        assert isinstance(found, Other)
        assert found.format == "zip"


class TestTemporaryFiles:
    @pytest.fixture
    def room(self, tmp_path: Path) -> Room:
        return Room(tmp_path, in_memory=100, most=10_000_000)

    @pytest.mark.parametrize("wrapping", TRANSPORTS)
    def test_only_the_innermost_is_left(self, wrapping: str, tmp_path: Path, room: Room) -> None:
        (path := tmp_path / "spooled").write_bytes(TRANSPORTS[wrapping](packed(INVOICE)))
        came = Payload(path.stat().st_size, sha256="", spool=path)
        found = opened(came, room)
        assert found.payload.data is None
        assert found.payload.spool is not None
        assert found.payload.spool.read_bytes() == INVOICE
        assert set(tmp_path.iterdir()) == {path, found.payload.spool}
        found.payload.discard()

    @pytest.mark.parametrize(
        "data",
        [
            zipped(("a.xml", INVOICE), ("b.xml", INVOICE)),
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>" + b" " * 2000,
            packed(packed(packed(packed(packed(Random(1).randbytes(5000)))))),
            Random(1).randbytes(5000),
            packed(Random(1).randbytes(5000))[:-9],
        ],
    )
    def test_nothing_is_left_of_what_does_not_count(
        self, data: bytes, tmp_path: Path, room: Room
    ) -> None:
        (path := tmp_path / "spooled").write_bytes(packed(packed(data)))
        came = Payload(path.stat().st_size, sha256="", spool=path)
        with suppress(Unreadable):
            assert opened(came, room).payload is came
        assert list(tmp_path.iterdir()) == [path]

    def test_a_copy_without_what_stands_before_is_not_left_either(
        self, tmp_path: Path, room: Room
    ) -> None:
        (path := tmp_path / "spooled").write_bytes((BODY * 20).encode("utf-16"))
        came = Payload(path.stat().st_size, sha256="", spool=path)
        assert isinstance(opened(came, room).reading.content, Statement)
        assert list(tmp_path.iterdir()) == [path]

    def test_reading_alone_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        large = ubl(lines=8000).encode()
        assert isinstance(read(payload(zlib.compress(large, wbits=31))).content, Invoice)
        assert not list(tmp_path.iterdir())
