"""The PDF of an invoice inside its XML, and which of several attachments is the invoice itself.

UBL: cac:AdditionalDocumentReference of the document (EN 16931, BG-24), not those of its lines. CII:
ram:AdditionalReferencedDocument likewise. What counts is that the bytes are a PDF, whatever their
mimeCode says; a reference that only holds an address holds nothing. Of several that one is taken
which the earliest of these is true of, and the first in the document's order among those:

1. its type is that of an invoice or a credit note (UNTDID 1001), or its type or description says
   that it is one (UBL.BE and e-FFF: "CommercialInvoice");
2. its id is the invoice's number;
3. its file's name or its id holds the invoice's number, or says that it is the invoice;
4. nothing says what it is;
5. its description or its name says that it only goes with one: an annex, a timesheet, terms.

What is the object that is invoiced, or a tender (types 130 and 50), is never it.
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

#: What refers to a document, and what inside it holds its bytes, by local name.
REFERENCES = {"AdditionalDocumentReference", "AdditionalReferencedDocument"}
BYTES = {"EmbeddedDocumentBinaryObject", "AttachmentBinaryObject"}
#: What belongs to a line of the invoice, and not to the invoice.
LINES = {"InvoiceLine", "CreditNoteLine", "IncludedSupplyChainTradeLineItem"}
#: What says what an attachment is, in both vocabularies.
SAYS = {"DocumentType", "DocumentDescription", "Name"}
IDS = {"ID", "IssuerAssignedID"}
CODES = {"DocumentTypeCode", "TypeCode"}
STATED = SAYS | IDS | CODES

#: UNTDID 1001: invoices; and what is never the picture of one.
INVOICE_TYPES = {"380", "383", "384", "386", "389", "393", "751", *CREDIT_NOTES}
NEVER_INVOICE_TYPES = {"50", "130"}

#: How an invoice is called in the languages that are met, and what goes with one; letters only.
INVOICE = re.compile(r"invoice|factuu?r|facture|rechnung|creditn|notedecredit|gutschrift")
BESIDE = re.compile(
    r"annex|bijlage|anlage|attachment|piecejointe|specific|timesheet|urenstaat|prestatie|terms"
    r"|condition|voorwaarden|delivery|levering|livraison|packing|order|commande|bestel|contract"
)
#: Characters below which a number is too short to be known again inside a name.
SHORT = 4

#: Attachments that are looked at.
MOST = 256
#: Characters of a text that are read; bytes in which readers look for a PDF's header.
LONGEST = 1000
HEADER = 1024

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NO_BASE64 = bytes(set(range(256)) - set(_BASE64))


class Attachment(Struct, frozen=True):
    """A PDF inside an invoice, and how sure it is that it shows the invoice: 1 is the surest."""

    rank: int
    pdf: Payload

    @property
    def is_beside(self) -> bool:
        """Whether it says that it only goes with the invoice."""
        return self.rank == 5


def chosen_pdf(payload: Payload, number: str) -> Attachment | None:
    """The PDF of an invoice whose XML is in payload, or None if it holds none.

    number: the invoice's own. A PDF out of a temporary file is put into another one beside it, so
    none of it is in memory; whoever ends it removes it. OSError where that can't be written.
    """
    reader = _Reader(number, payload.spool)
    parser = etree.XMLParser(
        target=reader,  # type: ignore[arg-type] # as in xml.py, not all methods are needed
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        # Without it, a text may have ten million characters. The size of all has been bounded,
        # and there is no document type: that has been verified.
        huge_tree=True,
    )
    try:
        # What a checksum vouches for may be malformed all the same: what came before counts.
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
    """A parser's target that keeps the best attachment, in flat memory beside it."""

    def __init__(self, number: str, spool: Path | None) -> None:
        self.best: Attachment | None = None
        self._number = _letters(number)
        self._spool = spool
        self._files = 0
        self._depth = 0
        #: The depths of the line and of the reference that the parser is in; 0 for none.
        self._line = 0
        self._reference = 0
        self._name = ""
        self._texts: dict[str, str] = {}
        self._file_name = ""
        self._bytes: _Bytes | None = None
        self._is_in_bytes = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._line:
            return
        self._name = name = tag.rpartition("}")[2]
        if self._reference:
            if name in BYTES and self._bytes is None and self._files < MOST:
                self._file_name = attributes.get("filename", "")
                self._bytes = _Bytes(self._new_path())
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
            assert self._bytes is not None
            self._bytes.feed(text)
        elif self._name in STATED and self._depth == self._reference + 1 and len(text) < LONGEST:
            known = self._texts.get(self._name, "")
            self._texts[self._name] = (known + text)[:LONGEST]

    def end(self, tag: str) -> None:
        self._is_in_bytes = False
        if self._depth == self._line:
            self._line = 0
        elif self._depth == self._reference:
            self._reference = 0
            self._weigh()
        self._depth -= 1

    def close(self) -> None: ...

    def stop(self) -> None:
        """Let go of what has not come to its end."""
        if self._bytes is not None:
            self._bytes.discard()

    def _new_path(self) -> Path | None:
        self._files += 1
        if self._spool is None:
            return None
        return self._spool.with_name(f"{self._spool.name}.{self._files}")

    def _weigh(self) -> None:
        if self._bytes is None:
            return
        rank = self._rank()
        if rank and (self.best is None or rank < self.best.rank) and (pdf := self._bytes.pdf()):
            if self.best is not None:
                self.best.pdf.discard()
            self.best = Attachment(rank, pdf)
        else:
            self._bytes.discard()
        self._bytes = None

    def _rank(self) -> int:
        """As the module says, or 0 for one that never is the invoice."""
        codes = {text.strip() for text in self._stated(CODES)}
        said = [_letters(text) for text in self._stated(SAYS)]
        ids = [_letters(text) for text in self._stated(IDS)]
        names = [*ids, _letters(self._file_name)]
        # The first that is true decides.
        rules = (
            (codes & NEVER_INVOICE_TYPES, 0),
            (codes & INVOICE_TYPES, 1),
            (any(map(BESIDE.search, said)), 5),
            (any(map(INVOICE.search, said)), 1),
            (any(map(self._is_number, ids)), 2),
            (any(map(BESIDE.search, names)), 5),
            (any(map(self._holds_number, names)) or any(map(INVOICE.search, names)), 3),
        )
        return next((rank for holds, rank in rules if holds), 4)

    def _stated(self, names: set[str]) -> list[str]:
        return [text for name, text in self._texts.items() if name in names]

    def _is_number(self, name: str) -> bool:
        return bool(self._number) and name.removesuffix("pdf") == self._number

    def _holds_number(self, name: str) -> bool:
        return self._is_number(name) or (len(self._number) >= SHORT and self._number in name)


class _Bytes:
    """Base64 (RFC 4648) as it comes, decoded into memory or a file; dropped if it is no PDF."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._target: BinaryIO | None = BytesIO() if path is None else path.open("xb")
        self._digest = hashlib.sha256()
        self._head = b""
        self._rest = b""
        self._size = 0

    def feed(self, text: str) -> None:
        """Decode some more; what stands behind the padding is left out."""
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
        """What has been decoded, closed; None, and nothing is left of it, if it is no PDF."""
        if not self._rest.endswith(b"="):
            # Some leave the padding out.
            self._decode(self._rest)
        if self._target is None or not _is_pdf(self._head):
            self.discard()
            return None
        data = self._target.getvalue() if isinstance(self._target, BytesIO) else None
        self._target.close()
        return Payload(self._size, self._digest.hexdigest(), data, self._path)

    def discard(self) -> None:
        """Leave nothing of it."""
        if self._target is not None:
            self._target.close()
            self._target = None
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _decode(self, data: bytes) -> None:
        # One character alone is less than a byte: what was cut there is cut, and the rest counts.
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
    """Small letters without their accents, and digits."""
    plain = unicodedata.normalize("NFKD", text[:LONGEST]).lower()
    return re.sub(r"[^0-9a-z]", "", plain)
