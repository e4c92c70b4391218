"""Documents made to do harm cost no more than they may, and are refused in words, one by one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings, strategies as st

from pipeline.document import Document
from pipeline.errors import Rejected
from pipeline.payload import Payload
from pipeline.stage import one_by_one
from stages.classify import Classify, classify_file
from stages.formats import pdf, registry, xml
from stages.formats.attachments import chosen_pdf
from stages.formats.content import Unreadable
from stages.matching.classification import ListHint
from stages.matching.fingerprint import fingerprint
from stages.matching.parties import CompanyIndex
from stages.matching.rules import apply_rules
from stages.settings import Company
from stages.verify import process
from tests.helpers.camt import camt, one
from tests.helpers.corpus import CORPUS
from tests.helpers.documents import configured, fetched, verified
from tests.helpers.invoices import payload, ubl
from tests.helpers.mt940 import BODY

STRANGER = "BE0999999922"
#: What max_document_size lets pass.
MOST = 50_000_000
#: Characters of a reason, at most.
LONGEST = 5000


def repeated(pattern: str, size: int, first: str = "", last: str = "") -> bytes:
    """So many bytes of a pattern that counts."""
    length = len(pattern % 1_000_000 if "%" in pattern else pattern)
    parts = (pattern % n if "%" in pattern else pattern for n in range(size // length))
    return (first + "".join(parts) + last).encode()


def party(element: str, size: int) -> bytes:
    return ubl(repeated(element, size).decode()).encode()


IDENTIFIER = "<cac:PartyIdentification><cbc:ID>%07d</cbc:ID></cac:PartyIdentification>"
END = ":62F:C260101EUR1,00\r\n"

#: Each with what is said of it.
HOSTILE = {
    "identifiers": (lambda: party(IDENTIFIER, 1_500_000), "0000009 and "),
    "more identifiers": (lambda: party(IDENTIFIER, MOST), "beside its attachments"),
    "a long scheme": (
        lambda: ubl(f'<cbc:EndpointID schemeID="{"9" * 2_000_000}">0</cbc:EndpointID>').encode(),
        "no party is a configured company",
    ),
    "a long name": (f"<{'a' * 40_000}/>".encode, "more characters"),
    "MT940 accounts": (
        lambda: repeated(":25:%d\r\n", MOST, ":20:X\r\n", END),
        "more than 10,000 statements",
    ),
    "fewer accounts": (
        lambda: repeated(":25:%d\r\n", 800_000, ":20:X\r\n", END),
        "10,000 statements",
    ),
    "few accounts": (lambda: repeated(":25:1%d\r\n", 5000, ":20:X\r\n", END), "9 and "),
    "one account": (lambda: repeated(":25:1\r\n", 50_000, ":20:X\r\n", END), "account 1"),
    "slashes": (
        lambda: repeated(f":25:{'1/' * 2000}\r\n", 5_000_000, ":20:X\r\n", END),
        "no configured company",
    ),
    "empty lines": (
        lambda: repeated("\r\n", MOST, ":20:X\r\n:25:1\r\n", END),
        "more than 1,000,000",
    ),
    "camt accounts": (
        lambda: camt(
            repeated(
                "<Stmt><Acct><Id><Othr><Id>%d</Id></Othr></Id></Acct></Stmt>", 2_000_000
            ).decode()
        ),
        "10,000 statements",
    ),
    "a PDF of dictionaries": (
        lambda: repeated("<</A ", MOST, "%PDF-1.7\n/EF 1 0 obj ", "\nstartxref\n13\n%%EOF"),
        "costs more to read",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(60)
def test_what_there_are_too_many_of_is_counted_and_told_in_a_few_words(
    tmp_path: Path, name: str
) -> None:
    make, said = HOSTILE[name]
    path = tmp_path / "document"
    path.write_bytes(make())
    found = classify_file(path, STRANGER)
    assert said in found.reason
    assert len(found.reason) < LONGEST


@pytest.mark.anyio
async def test_the_reason_of_a_refusal_is_short_and_clean(tmp_path: Path) -> None:
    name = "<cac:PartyName><cbc:Name>Evil\u202e\x9b31m&#13;BV</cbc:Name></cac:PartyName>"
    document = verified(
        configured(tmp_path), ubl(name + (IDENTIFIER * 20_000) % tuple(range(20_000)))
    )
    with pytest.raises(Rejected) as caught:
        await Classify().process(document)
    reason = str(caught.value)
    assert len(reason) < LONGEST
    assert reason.isprintable()
    assert "and 19,990 more" in reason


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("data", "in_thread"),
    [(b"%PDF-1.7\n%%EOF", True), (ubl().encode(), False), (ubl(lines=5000).encode(), True)],
)
async def test_what_takes_long_is_read_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, in_thread: bool
) -> None:
    threads = []
    for module in (pdf, xml):

        def read(payload: Payload, was: Any = module.read) -> Any:
            threads.append(threading.current_thread())
            return was(payload)

        monkeypatch.setattr(module, "read", read)
    document = fetched(configured(tmp_path), data)
    await anyio.lowlevel.checkpoint()
    await process(document)
    assert [thread is not threading.main_thread() for thread in threads] == [in_thread]


IMPORTS = """
import sys, threading, anyio
from importlib.abc import MetaPathFinder

class Watch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pypdf":
            print(threading.current_thread() is threading.main_thread())

sys.meta_path.insert(0, Watch())
from pathlib import Path
from tests.helpers.documents import configured, fetched
from stages.verify import process

async def main():
    await process(fetched(configured(Path(sys.argv[1])), b"%PDF-1.7\\n/EF %%EOF"))
    print("read")

anyio.run(main)
"""


def test_the_reader_of_pdfs_is_imported_in_a_thread(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, tmp_path],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["False", "read"], done


@pytest.mark.anyio
async def test_one_document_after_another_gives_others_their_turn() -> None:
    async def busy(document: Any) -> Any:
        until = time.perf_counter() + 0.006
        return next(document for _ in count() if time.perf_counter() > until)

    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    documents: list[Document[Any]] = [object()] * 8  # type: ignore[list-item]
    async with anyio.create_task_group() as group:
        group.start_soon(other)
        assert await one_by_one(busy)(documents) == documents
        assert turns >= 7
        group.cancel_scope.cancel()


#: What is put into documents, at the beginning of which there is most to break.
PIECES = [
    *(b"<", b">", b"&", b"]]>", b"<![CDATA[", b"<!--", b"<?", b"\0", b"\xff", b"\xed\xa0\x80"),
    *(b"9" * 5000, b"-1", b"1E999999999", b"NaN", b"sNaN", b"<a>" * 300, b"[" * 300, b"<<" * 200),
    *(b"/EF", b"/Names", b"/Kids", b"stream", b"endstream", b" 0 obj", b" 0 R", b"%%EOF"),
    *(b"/Filter /FlateDecode", b"/Predictor 15", b"/Length 99999999999", b"startxref"),
    *(b"encoding='utf-16'", b"encoding='idna'", b"encoding='cp1252'", b"\xfe\xff", b"\r", b"\n"),
    *(b"\x1b[2J", "\u202e".encode(), b":25:", b":60F:", b":61:", b"00000", b"{", b"}"),
]
#: A place (of a thousand), whether near the beginning, how many bytes go there, and what comes.
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 999),
        st.booleans(),
        st.sampled_from([0, 0, 1, 10, 1000, MOST]),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)),
    ),
    min_size=1,
    max_size=8,
)
OURS = CompanyIndex([Company("us", "BE0403170701", source="")])


def documents() -> list[bytes]:
    made = [ubl().encode(), camt(one()), BODY.encode()]
    if not CORPUS.is_dir():
        return made
    entries = json.loads((CORPUS / "manifest.json").read_text())
    paths = sorted({CORPUS / entry["path"] for entry in entries})
    return made * 3 + [path.read_bytes() for path in paths if path.stat().st_size < 100_000]


DOCUMENTS = documents()


def changed(data: bytes, changes: list[tuple[int, bool, int, bytes]]) -> bytes:
    for place, is_near, gone, come in changes:
        at = min(len(data), 3000 if is_near else len(data)) * place // 1000
        data = data[:at] + come + data[at + gone :]
    return data


@given(st.sampled_from(DOCUMENTS), CHANGES)
@settings(max_examples=800)
def test_whatever_is_made_of_a_document_it_is_read_or_refused(
    data: bytes, changes: list[tuple[int, bool, int, bytes]]
) -> None:
    data = changed(data, changes)
    document = Payload(len(data), sha256(data).hexdigest(), data)
    for said in said_of(document):
        assert len(said) < LONGEST
        said.encode()
    chosen_pdf(document, "F-1")


def said_of(document: Payload) -> Iterator[str]:
    try:
        reading = registry.read(document)
    except Unreadable as error:
        yield str(error)
        return
    yield from reading.problems
    if reading.content is None:
        return
    classification = apply_rules(reading.content, OURS, ListHint())
    assert classification.reason.isprintable()
    yield classification.reason
    yield fingerprint(reading.content, document.sha256, OURS.is_shared).marks


@pytest.mark.parametrize("error", [RecursionError, MemoryError, OverflowError, UnicodeError])
def test_whatever_a_reader_fails_of_is_that_documents_own(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(_: Payload) -> None:
        raise error

    monkeypatch.setattr(xml, "read", fail)
    with pytest.raises(Unreadable, match="can't be read"):
        registry.read(payload(ubl()))
