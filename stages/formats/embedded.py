"""Extractor of embedded files: the XML files inside a PDF (ISO 32000-2, 7.11.4), at bounded cost.

A PDF can send its reader in circles or expand a thousandfold. So pypdf gets limits of size and a
stream that stops when the time is up, and only the few objects that lead to the files are resolved.
"""

from __future__ import annotations

import io
import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from itertools import islice
from time import thread_time
from typing import BinaryIO, cast

from msgspec import Struct
from pypdf import PdfReader, apply_configuration
from pypdf.errors import FileNotDecryptedError, LimitReachedError, PyPdfError
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    PdfObject,
    StreamObject,
)

from pipeline.payload import Payload
from pipeline.text import NAME, sanitized
from stages.formats.content import Hostile, Unreadable
from stages.formats.preamble import plain

#: Bytes of all XML in a PDF, and of any other stream in it that has to be expanded.
XML_SIZE = 10_000_000
EXPANDED = 1_000_000
#: Bytes of a PDF that is still searched from end to end if its index is broken.
MAX_SCAN = 16_000_000
#: Seconds of processor time of one PDF; so a busy machine decides as an idle one does.
SECONDS = 0.5
#: Embedded files that are looked at, and XML files that a PDF may have.
MAX_FILES = 256
MAX_XML_FILES = 32
#: Pages, and nodes of their tree, whose files are looked at.
MAX_PAGES = 256
#: Bytes from the beginning of a file by which XML is told.
SNIFFED = 256
_MARKUP = re.compile(rb"<(?:\?xml|[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?[\s>])")

#: The keys of a file in its specification (ISO 32000-2, table 43), and of its name.
_NAMES = ("/UF", "/F", "/Unix", "/Mac", "/DOS")

#: The names of the XML in hybrid invoices: Factur-X 1.0 and ZUGFeRD 2.1 (6.2), ZUGFeRD 2.0 and 1.0,
#: XRechnung.
INVOICE_NAMES = {"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"}
#: How such a file is related to its PDF (ISO 19005-3, annex E).
INVOICE_RELATIONS = {"/Data", "/Alternative", "/Source"}

#: Bytes without which a PDF has no embedded file: the key of its dictionary, or the type of an
#: object stream, in which that key may be hidden.
_MARKS = (b"/EF", b"/ObjStm")
_CHUNK = 1_048_576

# pypdf logs each thing that it finds wrong; the reason of one exception is enough.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


class Place(Enum):
    """Where the files of a PDF are listed, in the order in which they are looked for."""

    DOCUMENT = auto()
    PAGES = auto()


class XmlFile(Struct, frozen=True):
    """One XML file, and its name inside the PDF."""

    name: str
    data: bytes


class _EmbeddedFile(Struct, frozen=True):
    """An embedded file as its file specification describes it."""

    name: str
    relation: str
    stream: StreamObject

    @property
    def rank(self) -> tuple[bool, bool]:
        """A sort key: the file that is most likely the invoice comes first."""
        return self.name.lower() not in INVOICE_NAMES, self.relation not in INVOICE_RELATIONS


class _TooCostly(BaseException):
    """A limit of what a PDF may cost has been reached.

    It is a BaseException, because pypdf catches Exception in several places and goes on.
    """


class _TimeLimited(io.BufferedIOBase):
    """A stream that raises _TooCostly when the time is up."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._reads = 0
        self._until = thread_time() + SECONDS

    @property
    def is_half_over(self) -> bool:
        """Whether half of the time is up."""
        return thread_time() > self._until - SECONDS / 2

    def check(self) -> None:
        """Raise _TooCostly if the time is up."""
        if thread_time() > self._until:
            raise _TooCostly

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any stream does. _TooCostly also if the whole of a large PDF is asked for."""
        self._reads += 1
        if size is None or size < 0:
            size = self._size
        if size > MAX_SCAN:
            raise _TooCostly
        if size > _CHUNK or not self._reads % 64:
            self.check()
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Seek as any stream does."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Tell as any stream does."""
        return self._stream.tell()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True


def xml_files(payload: Payload, places: Sequence[Place] = tuple(Place)) -> list[XmlFile]:
    """Return the XML files in the first place of a PDF that has any, the likeliest invoice first.

    Unreadable if the PDF can't be read; Hostile if that would cost more than the limits allow.
    """
    if not _may_hold_files(payload):
        return []
    limits = apply_configuration(
        disable_legacy_handling=True,
        maximum_declared_stream_length=MAX_SCAN,
        array_based_stream_maximum_output_length=EXPANDED,
        lzw_maximum_output_length=EXPANDED,
        run_length_maximum_output_length=EXPANDED,
        zlib_maximum_output_length=EXPANDED,
        zlib_maximum_recovery_input_length=EXPANDED // 4,
        brotli_maximum_output_length=EXPANDED,
        stream_filters_maximum_length=4,
        stream_decoding_work_maximum_length=4 * EXPANDED,
        jbig2dec_binary=None,
    )
    with payload.open() as stream, limits:
        limited = _TimeLimited(stream, payload.size)
        try:
            return list(_xml_files(limited, places))
        except (_TooCostly, LimitReachedError, MemoryError) as error:
            why = _message(error) or "it takes too long"
            raise Hostile(f"the PDF costs more to read than its size warrants: {why}") from None
        except FileNotDecryptedError:
            raise Unreadable("it is protected by a password") from None
        except PyPdfError as error:
            raise Unreadable(_message(error)) from None
        except Exception as error:  # noqa: BLE001 - a broken PDF makes pypdf fail in any way
            raise Unreadable(f"it is broken inside: {type(error).__name__}") from None


def _may_hold_files(payload: Payload) -> bool:
    """Whether a PDF can have an embedded file at all; most have none, and this is fast."""
    if payload.data is not None:
        return any(mark in payload.data for mark in _MARKS)
    overlap = b""
    with payload.open() as stream:
        while chunk := stream.read(_CHUNK):
            searched = overlap + chunk
            if any(mark in searched for mark in _MARKS):
                return True
            overlap = chunk[-8:]
    return False


def _xml_files(limited: _TimeLimited, places: Sequence[Place]) -> Iterator[XmlFile]:
    reader = PdfReader(
        cast("BinaryIO", limited),
        root_object_recovery_limit=1000,
        xref_stream_maximum_entries=500_000,
    )
    found: dict[int, _EmbeddedFile] = {}
    for place in places:
        if not found:
            files = _embedded_files(_OF_PLACES[place](reader.root_object, limited), limited)
            found = {id(one.stream): one for one in files if _is_xml(one)}
    if len(found) > MAX_XML_FILES:
        raise _TooCostly(f"it has more than {MAX_XML_FILES} XML files")
    left = XML_SIZE
    for one in sorted(found.values(), key=lambda one: one.rank):
        if _is_predicted(one.stream):
            # Predictors are made for pictures, and pypdf undoes them slowly, byte by byte.
            raise _TooCostly(f"{one.name} is compressed as only a picture is")
        with apply_configuration(
            zlib_maximum_output_length=left, stream_decoding_work_maximum_length=2 * XML_SIZE
        ):
            data = one.stream.get_data()
        limited.check()
        left -= len(data)
        if left <= 0:
            raise _TooCostly(f"the XML in it has more than {XML_SIZE:,} bytes")
        yield XmlFile(sanitized(one.name, NAME), data)


def _embedded_files(
    specifications: Iterator[object], limited: _TimeLimited
) -> Iterator[_EmbeddedFile]:
    """Yield the files that file specifications describe."""
    for item, _ in zip(specifications, range(MAX_FILES), strict=False):
        specification = _resolved(item, limited)
        files = _value(specification, "/EF")
        for key in _NAMES:
            stream = _value(files, key)
            if isinstance(stream, StreamObject):
                name = next((found for one in _NAMES if (found := _value(specification, one))), "")
                yield _EmbeddedFile(
                    _text(name), _text(_value(specification, "/AFRelationship")), stream
                )
                break


def _of_document(catalog: DictionaryObject, limited: _TimeLimited) -> Iterator[object]:
    """Yield the files associated with the document, then those in its name tree (collections too).

    Some of them come perhaps twice.
    """
    yield from _items(_value(catalog, "/AF"))
    nodes = [_value(_value(catalog, "/Names"), "/EmbeddedFiles")]
    for _ in range(MAX_FILES):
        if not nodes:
            break
        node = _resolved(nodes.pop(), limited)
        # A leaf holds names and specifications alternately.
        yield from islice(_items(_value(node, "/Names")), 1, None, 2)
        nodes += _items(_value(node, "/Kids"))


def _of_pages(catalog: DictionaryObject, limited: _TimeLimited) -> Iterator[object]:
    """Yield the files that are associated with the first pages, or attached to them.

    Most PDFs have none, so the search ends early rather than that it refuses a PDF of many pages.
    """
    nodes = [_value(catalog, "/Pages")]
    for _ in range(MAX_PAGES):
        if not nodes or limited.is_half_over:
            return
        node = _resolved(nodes.pop(), limited)
        nodes += reversed(list(_items(_value(node, "/Kids"))))
        yield from _items(_value(node, "/AF"))
        for item in _items(_value(node, "/Annots")):
            if limited.is_half_over:
                return
            annotation = _resolved(item, limited)
            if _value(annotation, "/Subtype") == "/FileAttachment":
                yield _value(annotation, "/FS")
            yield from _items(_value(annotation, "/AF"))


#: Where the files of a place are listed.
_OF_PLACES = {Place.DOCUMENT: _of_document, Place.PAGES: _of_pages}


def _resolved(item: object, limited: _TimeLimited) -> object:
    limited.check()
    return item.get_object() if isinstance(item, PdfObject) else item


def _value(dictionary: object, key: str) -> object:
    if isinstance(dictionary, DictionaryObject) and key in dictionary:
        return dictionary[key]
    return None


def _items(array: object) -> Iterator[object]:
    """Iterate over the first items of an array, unresolved.

    A dictionary where an array ought to be is its only item; anything else has none.
    """
    if isinstance(array, DictionaryObject):
        return iter([array])
    return islice(iter(array), 2 * MAX_FILES) if isinstance(array, ArrayObject) else iter(())


def _is_predicted(stream: StreamObject) -> bool:
    """Whether a stream is encoded with a predictor function (ISO 32000-2, 7.4.4.4)."""
    parameters = _value(stream, "/DecodeParms")
    each = parameters if isinstance(parameters, ArrayObject) else [parameters]
    return any(_value(one, "/Predictor") not in (None, 1) for one in each)


def _message(error: BaseException) -> str:
    """Return the message of pypdf without the memory addresses of its objects."""
    message = re.sub(r"IndirectObject\((\d+), (\d+), \d+\)", r"object \1 \2", str(error))
    return " ".join(message.split()).rstrip(".")[:160]


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value or "")


def _is_xml(found: _EmbeddedFile) -> bool:
    """Whether a file is XML by its name, by its type or by what it begins with."""
    if found.name.lower().endswith(".xml"):
        return True
    subtype = _value(found.stream, "/Subtype")
    if isinstance(subtype, NameObject) and subtype.lower().endswith("xml"):
        return True
    return _MARKUP.match(plain(_beginning(found.stream))) is not None


def _beginning(stream: StreamObject) -> bytes:
    """Return the first bytes of a stream, b"" if it is encoded in an unusual way."""
    encoded = bytes(stream._data[:SNIFFED])  # noqa: SLF001 - get_data() would expand all of it
    filters = _value(stream, "/Filter")
    names = filters if isinstance(filters, ArrayObject) else [filters]
    if names == ["/FlateDecode"]:
        try:
            return zlib.decompressobj().decompress(encoded, SNIFFED)
        except zlib.error:
            return b""
    return encoded if filters is None else b""
