"""The XML files inside a PDF (ISO 32000-2, 7.11.4), found at a cost that has a bound.

A PDF is a program for its reader: it may send one in circles, or swell a thousandfold. So pypdf
is given limits of size, a stream that stops when the time is up, and as few questions as will do.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
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

#: Bytes that all XML in a PDF may have, and those of anything else in it that has to be expanded.
XML_SIZE = 10_000_000
EXPANDED = 1_000_000
#: Bytes of a PDF that is still searched from end to end where its index is broken.
SEARCHED = 16_000_000
#: Seconds of work, not of waiting: so a busy machine decides as an idle one does.
SECONDS = 0.5
#: Embedded files that are looked at, and XML files that are read.
FILES = 256
XML_FILES = 4

#: The names of hybrid invoices: Factur-X 1.0 and ZUGFeRD 2.1 (6.2), ZUGFeRD 2.0 and 1.0, XRechnung.
NAMES = {"factur-x.xml", "zugferd-invoice.xml", "xrechnung.xml"}
#: How such a file is related to its PDF (ISO 19005-3, annex E).
RELATIONS = {"/Data", "/Alternative", "/Source"}

#: Bytes without which there is no embedded file: its dictionary's key, or a place to hide it.
_MARKS = (b"/EF", b"/ObjStm")
_CHUNK = 1_048_576

# What pypdf thinks of a file is said here, once, instead of line by line.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


class XmlFile(Struct, frozen=True):
    """One XML file and its name inside the PDF."""

    name: str
    data: bytes


class _Found(Struct, frozen=True):
    """An embedded file as its specification describes it."""

    name: str
    relation: str
    stream: StreamObject

    @property
    def rank(self) -> tuple[bool, bool]:
        """What is likelier to be the invoice comes first."""
        return self.name.lower() not in NAMES, self.relation not in RELATIONS


class _TooCostly(BaseException):
    """The limit of what a PDF may cost has been reached.

    It is no Exception, for pypdf goes on after any of those in one place or another.
    """


class _Metered(io.BufferedIOBase):
    """A stream that is read until the time is up."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._reads = 0
        self._until = thread_time() + SECONDS

    def check(self) -> None:
        """Raise if the time is up."""
        if thread_time() > self._until:
            raise _TooCostly

    def read(self, size: int | None = -1, /) -> bytes:
        """As any stream's."""
        self._reads += 1
        if size is None or size < 0:
            size = self._size
        if size > SEARCHED:
            raise _TooCostly
        if size > _CHUNK or not self._reads % 64:
            self.check()
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As any stream's."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As any stream's."""
        return self._stream.tell()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True


def xml_files(payload: Payload) -> list[XmlFile]:
    """The XML files in a PDF, the one that is most likely its invoice first.

    Unreadable if the PDF can't be read; Hostile if that would cost more than it may.
    """
    if not _may_hold_files(payload):
        return []
    limits = apply_configuration(
        disable_legacy_handling=True,
        maximum_declared_stream_length=SEARCHED,
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
        metered = _Metered(stream, payload.size)
        try:
            return list(_xml_files(metered))
        except (_TooCostly, LimitReachedError, MemoryError) as error:
            why = _said(error) or "it takes too long"
            raise Hostile(f"the PDF costs more to read than its size warrants: {why}") from None
        except FileNotDecryptedError:
            raise Unreadable("it is protected by a password") from None
        except PyPdfError as error:
            raise Unreadable(_said(error)) from None
        except Exception as error:  # noqa: BLE001 - a broken PDF makes pypdf fail in any way
            raise Unreadable(f"it is broken inside: {type(error).__name__}") from None


def _may_hold_files(payload: Payload) -> bool:
    """Whether a PDF can have a file in it at all, which most have not."""
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


def _xml_files(metered: _Metered) -> Iterator[XmlFile]:
    reader = PdfReader(
        cast("BinaryIO", metered),
        root_object_recovery_limit=1000,
        xref_stream_maximum_entries=500_000,
    )
    found = {id(one.stream): one for one in _found(reader.root_object, metered) if _is_xml(one)}
    left = XML_SIZE
    for one in sorted(found.values(), key=lambda one: one.rank)[:XML_FILES]:
        if _is_predicted(one.stream):
            # Which is for pictures, and undone byte by byte.
            raise _TooCostly(f"{one.name} is compressed as only a picture is")
        with apply_configuration(
            zlib_maximum_output_length=left, stream_decoding_work_maximum_length=2 * XML_SIZE
        ):
            data = one.stream.get_data()
        metered.check()
        left -= len(data)
        if left <= 0:
            raise _TooCostly(f"the XML in it has more than {XML_SIZE:,} bytes")
        # Some senders leave a line in front of the declaration, where XML allows none.
        yield XmlFile(sanitized(one.name, NAME), data.lstrip(b"\r\n\t "))


def _found(catalog: DictionaryObject, metered: _Metered) -> Iterator[_Found]:
    """The files that are associated with the document, then those in its tree of names."""
    for item, _ in zip(_specifications(catalog, metered), range(FILES), strict=False):
        specification = _resolved(item, metered)
        files = _value(specification, "/EF")
        for key in ("/UF", "/F"):
            stream = _value(files, key)
            if isinstance(stream, StreamObject):
                name = _value(specification, "/UF") or _value(specification, "/F")
                yield _Found(_text(name), _text(_value(specification, "/AFRelationship")), stream)
                break


def _specifications(catalog: DictionaryObject, metered: _Metered) -> Iterator[object]:
    yield from _items(_value(catalog, "/AF"))
    nodes = [_value(_value(catalog, "/Names"), "/EmbeddedFiles")]
    for _ in range(FILES):
        if not nodes:
            break
        node = _resolved(nodes.pop(), metered)
        # A leaf holds names and specifications by turns.
        yield from islice(_items(_value(node, "/Names")), 1, None, 2)
        nodes += _items(_value(node, "/Kids"))


def _resolved(item: object, metered: _Metered) -> object:
    metered.check()
    return item.get_object() if isinstance(item, PdfObject) else item


def _value(dictionary: object, key: str) -> object:
    if isinstance(dictionary, DictionaryObject) and key in dictionary:
        return dictionary[key]
    return None


def _items(array: object) -> Iterator[object]:
    """The items of an array as they stand there, so many of them as are worth a look."""
    return islice(iter(array), 2 * FILES) if isinstance(array, ArrayObject) else iter(())


def _is_predicted(stream: StreamObject) -> bool:
    """Whether its bytes are stated as differences (ISO 32000-2, 7.4.4.4)."""
    parameters = _value(stream, "/DecodeParms")
    each = parameters if isinstance(parameters, ArrayObject) else [parameters]
    return any(_value(one, "/Predictor") not in (None, 1) for one in each)


def _said(error: BaseException) -> str:
    """What pypdf says of it, without the addresses of its objects."""
    said = re.sub(r"IndirectObject\((\d+), (\d+), \d+\)", r"object \1 \2", str(error))
    return " ".join(said.split()).rstrip(".")[:160]


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value or "")


def _is_xml(found: _Found) -> bool:
    subtype = _value(found.stream, "/Subtype")
    is_xml = isinstance(subtype, NameObject) and subtype.lower().endswith("xml")
    return is_xml or found.name.lower().endswith(".xml")
