"""The documents of a benchmark: the sandbox's, of sizes as in life, and the wire format as files.

What the platform would answer is rendered once, for a web server to serve as static files:
`v4/LIST/ID` is a document, `lists/LIST/PLATFORM_ID/SIZE-PAGE.json` a page of a list.
"""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from hashlib import sha256
from itertools import cycle, islice
from math import log
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct, structs

from stages.kind import Kind
from stages.sandbox.companies import Company
from stages.sandbox.corpus import Document
from stages.sandbox.invoices import Invoice
from stages.sandbox.mailbox import Mailbox
from stages.sandbox.pdf import to_pdf
from stages.sandbox.state_index import State
from stages.sandbox.statements import Statement
from stages.sandbox.ubl import to_ubl
from stages.sources.billtobox.sandbox_items import item

#: Raised when the same seed makes other documents than before: what is cached is made anew.
VERSION = 1

#: Bytes: half of the documents are smaller; sigma 1 puts one in a hundred above 150 KB.
MEDIAN = 15_000
SIGMA = 1.0
#: Bytes that no document exceeds.
LARGEST = 3_000_000
#: Of three invoices one brings its PDF along.
EMBEDS_PDF = 1 / 3

#: Bytes of a UBL without lines, of each of its lines, and of a movement in CODA.
UBL_FRAME, UBL_LINE, CODA_FRAME, CODA_MOVEMENT = 4_200, 606, 520, 440

PAGE = 50
LISTS = {
    Kind.PURCHASE: "purchase-invoices",
    Kind.SALES: "sales-invoices",
    Kind.STATEMENT: "bank-statements",
}


class Item(Struct, frozen=True, array_like=True):
    """One document as it is served. path: below the API's base address. sha256: hexadecimal."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """A name for its file, of its own."""
        return self.path.rpartition("/")[2]


class Dataset(Struct, frozen=True):
    """Documents rendered to files below `root`, and whose they are."""

    root: Path
    mailbox: Mailbox
    items: list[Item]

    @property
    def bytes(self) -> int:
        """Of all documents."""
        return sum(one.size for one in self.items)


def render(cache_folder: Path, documents: int, companies: int, seed: int) -> Dataset:
    """Render a mailbox, or find it rendered already."""
    root = cache_folder / f"v{VERSION}-{documents}-{companies}-{seed}"
    manifest = root / "manifest.json"
    if not manifest.exists():
        shutil.rmtree(root, ignore_errors=True)
        items = _render(root, documents, companies, seed)
        manifest.write_bytes(msgspec.json.encode(items))
    items = msgspec.json.decode(manifest.read_bytes(), type=list[Item])
    return Dataset(root, Mailbox(0, companies, seed), items)


def _render(root: Path, documents: int, companies: int, seed: int) -> list[Item]:
    for name in LISTS.values():
        (root / "v4" / name).mkdir(parents=True)
    (root / "lists").mkdir()
    empty = {"size": PAGE, "total": 0, "page": 0, "results": []}
    (root / "lists" / "empty.json").write_bytes(msgspec.json.encode(empty))
    tasks = [(kind, company) for company in range(companies) for kind in LISTS]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = [
            pool.submit(_render_list, root, (documents, companies, seed), kind, company)
            for kind, company in tasks
        ]
        return [one for part in parts for one in part.result()]


@cache
def _mailbox(documents: int, companies: int, seed: int) -> Mailbox:
    return Mailbox(documents, companies, seed)


def _render_list(
    root: Path, mailbox_of: tuple[int, int, int], kind: Kind, company: int
) -> list[Item]:
    mailbox = _mailbox(*mailbox_of)
    owner = mailbox.companies[company]
    folder = root / "lists" / LISTS[kind] / owner.platform_id
    folder.mkdir(parents=True)
    items = []
    for number, (documents, total) in enumerate(_pages(mailbox, kind, owner)):
        results = []
        for document in documents:
            sized = _sized(document, mailbox.seed)
            data = _read(sized, mailbox.seed)
            one = Item(f"{LISTS[kind]}/{document.id}", len(data), sha256(data).hexdigest())
            (root / "v4" / one.path).write_bytes(data)
            items.append(one)
            listed = dict(item(sized, State.PENDING))
            results.append(listed | {"sha256": one.sha256, "size": one.size})
        _write_page(folder, number, results, total)
    return items


def _pages(mailbox: Mailbox, kind: Kind, owner: Company) -> Iterator[tuple[list[Document], int]]:
    start = 0
    while (page := mailbox.page(kind, None, owner.platform_id, start, PAGE)).documents:
        yield [document for document, _ in page.documents], page.total
        start += PAGE


def _write_page(folder: Path, number: int, results: list[dict[str, object]], total: int) -> None:
    page = {"size": PAGE, "total": total, "page": number, "results": results}
    (folder / f"{PAGE}-{number}.json").write_bytes(msgspec.json.encode(page))
    if number == 0:
        # What is asked for to learn the total alone.
        page = {"size": 1, "total": total, "page": 0, "results": results[:1]}
        (folder / "1-0.json").write_bytes(msgspec.json.encode(page))


def _size(document: Document, seed: int) -> int:
    drawn = Random(f"{seed}/size/{document.id}").lognormvariate(log(MEDIAN), SIGMA)
    return min(int(drawn), LARGEST)


def _sized(document: Document, seed: int) -> Document:
    """The same document with as many lines or movements as its size takes."""
    size = _size(document, seed)
    content = document.content
    if isinstance(content, Statement):
        count = max(1, round((size - CODA_FRAME) / CODA_MOVEMENT))
        movements = tuple(islice(cycle(content.movements), min(count, 9_999)))
        return structs.replace(document, content=structs.replace(content, movements=movements))
    assert isinstance(content, Invoice)
    embeds = Random(f"{seed}/embeds/{document.id}").random() < EMBEDS_PDF
    sized = content if embeds else lengthened(content, size)
    return structs.replace(document, content=structs.replace(sized, embeds_pdf=embeds))


def _read(document: Document, seed: int) -> bytes:
    """The bytes; an embedded PDF is filled up to the document's size."""
    content = document.content
    if not isinstance(content, Invoice) or not content.embeds_pdf:
        return document.read()
    return padded(content, _size(document, seed), Random(f"{seed}/pdf/{document.id}"))


def lengthened(invoice: Invoice, size: int) -> Invoice:
    """The same invoice with as many lines as make about so many bytes of UBL."""
    count = max(1, round((size - UBL_FRAME) / UBL_LINE))
    return structs.replace(invoice, lines=tuple(islice(cycle(invoice.lines), count)))


def padded(invoice: Invoice, size: int, random: Random) -> bytes:
    """The UBL of an invoice that embeds its PDF, which is filled up until it is about so long."""
    data = to_ubl(invoice)
    plain = to_pdf(invoice)
    room = (size - len(data)) * 3 // 4
    if room <= 0:
        return data
    noise = random.randbytes(room * 3 // 4)
    return data.replace(b64encode(plain), b64encode(_filled(plain, noise)), 1)


def _filled(pdf: bytes, noise: bytes) -> bytes:
    """The same PDF with a comment before its cross-reference table, as valid as before."""
    comment = b"%" + b64encode(noise) + b"\n"
    head, _, tail = pdf.rpartition(b"startxref\n")
    table = int(tail.split()[0])
    return b"".join(
        (pdf[:table], comment, head[table:], b"startxref\n%d\n%%%%EOF\n" % (table + len(comment)))
    )
