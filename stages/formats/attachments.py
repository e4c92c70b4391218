"""Attachment extractor: the PDF inside the XML of an invoice, chosen among its attachments.

In UBL an attachment is a cac:AdditionalDocumentReference of the document (EN 16931, BG-24), not of
a line; in CII a ram:AdditionalReferencedDocument likewise. It counts if its bytes are a PDF,
whatever its mimeCode says; a reference that only states an address is ignored. Each PDF has a rank,
the first of these rules that holds for it. The PDF of the lowest rank is taken, the first in
document order among equals:

1. its type is that of an invoice or a credit note (UNTDID 1001), or its type or description says
   that it is one (UBL.BE and e-FFF: "CommercialInvoice");
2. its id is the invoice's number;
3. its file name or its id contains the invoice's number, or says that it is the invoice;
4. nothing says what it is;
5. its description or its name says that it only supplements one: an annex, a timesheet, terms.

An invoiced object or a tender (types 130 and 50) is never the invoice.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lxml import etree
from msgspec import Struct

from pipeline.payload import Payload
from stages.formats.cii import CREDIT_NOTES
from stages.formats.content import BROKEN, Unreadable
from stages.formats.xml_strip import ascii_markup

#: The local names of references to a document, and of the elements in them that hold its bytes.
REFERENCES = {"AdditionalDocumentReference", "AdditionalReferencedDocument"}
BYTES = {"EmbeddedDocumentBinaryObject", "AttachmentBinaryObject"}
#: The lines of an invoice, whose references are not those of the invoice.
LINES = {"InvoiceLine", "CreditNoteLine", "DebitNoteLine", "IncludedSupplyChainTradeLineItem"}
#: The elements that describe an attachment, in both vocabularies.
DESCRIPTIONS = {"DocumentType", "DocumentDescription", "Name"}
IDS = {"ID", "IssuerAssignedID"}
CODES = {"DocumentTypeCode", "TypeCode"}
TEXTS = DESCRIPTIONS | IDS | CODES

#: UNTDID 1001: the types of invoices, and types that are never the picture of one.
INVOICE_TYPES = {"380", "383", "384", "386", "389", "393", "751", *CREDIT_NOTES}
NEVER_INVOICE_TYPES = {"50", "130"}

#: Words for an invoice, and for what supplements one, in common languages; letters only.
INVOICE_WORDS = re.compile(r"invoice|factuu?r|facture|rechnung|creditn|notedecredit|gutschrift")
SUPPLEMENT_WORDS = re.compile(
    r"annex|bijlage|anlage|attachment|piecejointe|specific|timesheet|urenstaat|prestatie|terms"
    r"|condition|voorwaarden|delivery|levering|livraison|packing|order|commande|bestel|contract"
)
#: Characters that a number has at least if it is searched for inside a name.
MIN_NUMBER = 4

#: Attachments that are looked at.
MAX_ATTACHMENTS = 256
#: Characters of a text that are read.
MAX_TEXT = 1000
#: Bytes in which readers look for the header of a PDF.
HEADER = 1024

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NO_BASE64 = bytes(set(range(256)) - set(_BASE64))


class Attachment(Struct, frozen=True):
    """A PDF inside an invoice. rank: how certainly it shows the invoice; 1 is the most certain."""

    rank: int
    pdf: Payload

    @property
    def is_supplement(self) -> bool:
        """Whether it says that it only supplements the invoice."""
        return self.rank == 5


def chosen_pdf(payload: Payload, number: str) -> Attachment | None:
    """Return the PDF in the XML of an invoice, None if it holds none.

    number: of the invoice. If the XML lies in a temporary file, the PDF is written to another one
    beside it and never held in memory; the caller has to release it. OSError if that can't be
    written.
    """
    reader = _Reader(number, payload.spool)
    parser = etree.XMLParser(
        target=reader,  # type: ignore[arg-type] # as in xml.py, not all methods are needed
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        # Otherwise a text could have ten million characters at most. The verify stage has bounded
        # the size of the document, and refused it if it has a document type.
        huge_tree=True,
    )
    try:
        # A document with a valid checksum may be malformed: attachments before that place count.
        with suppress(*BROKEN, Unreadable), payload.open() as stream:
            for piece in ascii_markup(stream):
                parser.feed(piece)
            parser.close()
    except BaseException:
        if reader.best is not None:
            reader.best.pdf.discard()
        raise
    finally:
        reader.stop()
    return reader.best


class _Reader:
    """Parser target that keeps the attachment of the lowest rank, in bounded memory beside it."""

    def __init__(self, number: str, spool: Path | None) -> None:
        self.best: Attachment | None = None
        self._number = _letters(number)
        self._spool = spool
        self._files = 0
        self._depth = 0
        #: The depths of the line and of the reference in which the parser is; 0 outside of them.
        self._line = 0
        self._reference = 0
        self._name = ""
        self._texts: dict[str, str] = {}
        self._file_name = ""
        self._decoder: _Decoder | None = None
        self._is_in_bytes = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._line:
            return
        self._name = name = tag.rpartition("}")[2]
        if self._reference:
            if name in BYTES and self._decoder is None and self._files < MAX_ATTACHMENTS:
                self._file_name = attributes.get("filename", "")
                self._decoder = _Decoder(self._new_path())
                self._is_in_bytes = True
        elif name in LINES:
            self._line = self._depth
        elif name in REFERENCES:
            self._reference = self._depth
            self._texts, self._file_name = {}, ""

    def data(self, text: str) -> None:
        if not self._reference:
            return
        if self._is_in_bytes:
            assert self._decoder is not None
            self._decoder.feed(text)
        elif self._name in TEXTS and self._depth == self._reference + 1 and len(text) < MAX_TEXT:
            known = self._texts.get(self._name, "")
            self._texts[self._name] = (known + text)[:MAX_TEXT]

    def end(self, tag: str) -> None:
        self._is_in_bytes = False
        if self._depth == self._line:
            self._line = 0
        elif self._depth == self._reference:
            self._reference = 0
            self._keep_better()
        self._depth -= 1

    def close(self) -> None: ...

    def stop(self) -> None:
        """Discard an attachment that is still incomplete."""
        if self._decoder is not None:
            self._decoder.discard()

    def _new_path(self) -> Path | None:
        self._files += 1
        if self._spool is None:
            return None
        return self._spool.with_name(f"{self._spool.name}.{self._files}")

    def _keep_better(self) -> None:
        """Keep the attachment that has just ended if it ranks before the best so far."""
        if self._decoder is None:
            return
        rank = self._rank()
        if rank and (self.best is None or rank < self.best.rank) and (pdf := self._decoder.pdf()):
            if self.best is not None:
                self.best.pdf.discard()
            self.best = Attachment(rank, pdf)
        else:
            self._decoder.discard()
        self._decoder = None

    def _rank(self) -> int:
        """Return the rank, as the module describes it, or 0 for one that is never the invoice."""
        codes = {text.strip() for text in self._texts_of(CODES)}
        descriptions = [_letters(text) for text in self._texts_of(DESCRIPTIONS)]
        ids = [_letters(text) for text in self._texts_of(IDS)]
        names = [*ids, _letters(self._file_name)]
        # The first rule that holds decides.
        rules = (
            (codes & NEVER_INVOICE_TYPES, 0),
            (codes & INVOICE_TYPES, 1),
            (any(map(SUPPLEMENT_WORDS.search, descriptions)), 5),
            (any(map(INVOICE_WORDS.search, descriptions)), 1),
            (any(map(self._is_number, ids)), 2),
            (any(map(SUPPLEMENT_WORDS.search, names)), 5),
            (any(map(self._holds_number, names)) or any(map(INVOICE_WORDS.search, names)), 3),
        )
        return next((rank for holds, rank in rules if holds), 4)

    def _texts_of(self, names: set[str]) -> list[str]:
        return [text for name, text in self._texts.items() if name in names]

    def _is_number(self, name: str) -> bool:
        return bool(self._number) and name.removesuffix("pdf") == self._number

    def _holds_number(self, name: str) -> bool:
        return self._is_number(name) or (len(self._number) >= MIN_NUMBER and self._number in name)


class _Decoder:
    """Base64 decoder (RFC 4648): decodes as text comes, into memory or a file.

    It discards what it has as soon as that turns out not to be a PDF.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._target: BinaryIO | None = BytesIO() if path is None else path.open("xb")
        self._digest = hashlib.sha256()
        self._head = b""
        self._rest = b""
        self._size = 0

    def feed(self, text: str) -> None:
        """Decode more text; what stands after the padding is ignored."""
        if self._target is None or self._rest.endswith(b"="):
            return
        data = self._rest + text.encode("ascii", "ignore").translate(None, _NO_BASE64)
        whole = len(data) // 4 * 4
        padded = data.find(b"=")
        if padded >= 0:
            self._decode(data[:padded])
            self._rest = b"="
            return
        self._rest = data[whole:]
        self._decode(data[:whole])

    def pdf(self) -> Payload | None:
        """End decoding and return the PDF; discard it and return None if it is no PDF."""
        if not self._rest.endswith(b"="):
            # Some senders leave out the padding.
            self._decode(self._rest)
        if self._target is None or not _is_pdf(self._head):
            self.discard()
            return None
        data = self._target.getvalue() if isinstance(self._target, BytesIO) else None
        self._target.close()
        return Payload(self._size, self._digest.hexdigest(), data, self._path)

    def discard(self) -> None:
        """Remove all that has been decoded."""
        if self._target is not None:
            self._target.close()
            self._target = None
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _decode(self, data: bytes) -> None:
        # A single character at the end is less than a byte: the text was cut off there.
        data = data[:-1] if len(data) % 4 == 1 else data
        if not data or self._target is None:
            return
        decoded = binascii.a2b_base64(data + b"=" * (-len(data) % 4))
        self._target.write(decoded)
        self._digest.update(decoded)
        self._size += len(decoded)
        if len(self._head) < HEADER:
            self._head += decoded[:HEADER]
            if len(self._head) >= HEADER and not _is_pdf(self._head):
                self.discard()


def _is_pdf(head: bytes) -> bool:
    return b"%PDF-" in head[:HEADER]


def _letters(text: str) -> str:
    """Return only the letters and digits of a text, in lower case and without accents."""
    plain = unicodedata.normalize("NFKD", text[:MAX_TEXT]).lower()
    return re.sub(r"[^0-9a-z]", "", plain)
