"""Sandbox's tree: the documents of a mailbox as files of a folder, as CodaBox lays them out.

COMPANY/YEAR/IBAN/ holds statements with a PDF beside each, COMPANY/YEAR/Invoices-IN-01/ and
Invoices-OUT-01/ invoices. Around them lies what a real server holds too and nobody may take: an
upload that has not ended, an empty file, what another program has processed, a link, a name in
Latin-1, and the folder of a company that is not configured.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from stages.kind import Kind
from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.state_index import State
from stages.sandbox.statements import Statement

#: The PDF beside a statement.
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
#: Of documents that state no date.
YEAR = 2026


class MailboxTree:
    """The files of a mailbox below a folder."""

    def __init__(self, root: Path, mailbox: Mailbox) -> None:
        self.root = root
        self._mailbox = mailbox
        self._written = 0
        self._documents: dict[bytes, str] = {}

    def write_new(self) -> list[tuple[Path, bytes]]:
        """Write the documents that have come since; each with its path and its bytes."""
        new = []
        for index, document in enumerate(self._mailbox):
            if index < self._written:
                continue
            if self._mailbox.state(document) is State.PENDING:
                new.append(self._write(document))
        self._written = len(self._mailbox)
        return new

    def has_new(self) -> bool:
        """Whether the mailbox has grown."""
        return len(self._mailbox) > self._written

    def document(self, path: bytes) -> str | None:
        """The id of the document that a path at the server is of."""
        return self._documents.get(path.strip(b"/"))

    def taken(self, path: bytes) -> str | None:
        """A document was taken away: its id, None if the file is of none."""
        id_ = self._documents.pop(path.strip(b"/"), None)
        if id_ is not None and (document := self._mailbox.find(id_)) is not None:
            self._mailbox.set_state(document, State.ACKED)
        return id_

    def add_what_is_left_alone(self) -> None:
        """Put there what is to be left alone."""
        company = self._mailbox.companies[0].accounting_file_id
        folder = self.root / company / str(YEAR) / "Invoices-IN-01"
        (folder / "processed").mkdir(parents=True, exist_ok=True)
        (folder / "processed" / "old.xml").write_bytes(b"<Invoice/>")
        (folder / "upload.xml.filepart").write_bytes(b"<Invo")
        (folder / "empty.xml").write_bytes(b"")
        (folder / "link.xml").symlink_to("processed/old.xml")
        stranger = self.root / "ONBEKEND01" / str(YEAR) / "Invoices-IN-01"
        stranger.mkdir(parents=True, exist_ok=True)
        (stranger / "invoice.xml").write_bytes(b"<Invoice/>")
        # A system that holds names as text has no other ones.
        if os.name != "nt":
            latin = os.fsencode(stranger) + b"/re\xe7u.xml"
            Path(os.fsdecode(latin)).write_bytes(b"<Invoice/>")

    def _write(self, document: Document) -> tuple[Path, bytes]:
        folder, name = _place(document)
        path = self.root / document.company.accounting_file_id / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = document.read()
        # As careful senders do: under another name, then renamed into place.
        part = path.with_name(f"{path.name}.filepart")
        part.write_bytes(data)
        if document.kind is Kind.STATEMENT:
            path.with_suffix(".pdf").write_bytes(PDF)
        part.rename(path)
        relative = path.relative_to(self.root).as_posix().encode()
        self._documents[relative] = document.id
        return path, data


class Growing:
    """A file that is half there under its own name for some seconds, and grows meanwhile."""

    def __init__(self, path: Path, data: bytes, seconds: float) -> None:
        self._path = path
        self._data = data
        self._seconds = seconds
        self._began = time.monotonic()
        self._length = len(data)
        self.grow()

    def grow(self) -> bool:
        """Let it have the length that is due; whether it goes on growing.

        It is enough that each request does so: nobody sees it in between.
        """
        passed = (time.monotonic() - self._began) / self._seconds if self._seconds else 1.0
        due = len(self._data) if passed >= 1 else int(len(self._data) * (1 + passed) / 3)
        if due != self._length:
            self._length = due
            self._path.write_bytes(self._data[:due])
        return passed < 1


def _place(document: Document) -> tuple[str, str]:
    """The folder of a document below that of its company, and its name."""
    match document.content:
        case Invoice(issued=day):
            way = "IN" if document.kind is Kind.PURCHASE else "OUT"
            return f"{day.year}/Invoices-{way}-01", f"{document.index:06}.xml"
        case Statement(day=day):
            iban = document.company.iban
            return f"{day.year}/{iban}", f"{document.index:06}.cod"
        case Path() as path:
            return f"{YEAR}/Documents", f"{document.index:06}-{path.name}"
        case _:
            return f"{YEAR}/Invoices-OUT-01", f"{document.index:06}.xml"
