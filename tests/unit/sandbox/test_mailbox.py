"""The sandbox's mailbox: its lists, and how little it keeps in memory."""

from __future__ import annotations

import json
import tracemalloc
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from stages.kind import Kind
from stages.sandbox import Mailbox, write_manifest
from stages.sandbox.identity import Ids
from stages.sandbox.state_index import State


def test_a_million_documents_cost_a_byte_each() -> None:
    tracemalloc.start()
    try:
        mailbox = Mailbox(1_000_000, 3, seed=1)
        page = mailbox.page(Kind.PURCHASE, State.PENDING, None, 400_000, 50)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    assert len(page.documents) == 50
    totals = [mailbox.page(kind, None, None, 0, 0).total for kind in mailbox.kinds]
    assert sum(totals) == 1_000_000
    document = page.documents[7][0]
    assert mailbox.find(document.id) == document


def test_an_id_that_was_not_made_here_is_none() -> None:
    ids = Ids(1)
    assert [ids.index(ids.of(index)) for index in (0, 1, 10**12)] == [0, 1, 10**12]
    for text in ("", "7", Ids(2).of(0), ids.of(0).upper(), ids.of(0)[:-1] + "g"):
        assert ids.index(text) is None


def test_a_list_shifts_as_documents_leave_it() -> None:
    mailbox = Mailbox(3000, 1, seed=1)

    def ids(start: int, count: int) -> list[str]:
        page = mailbox.page(Kind.PURCHASE, State.PENDING, None, start, count)
        return [document.id for document, _ in page.documents]

    everything = ids(0, 5000)
    for id_ in everything[::3]:
        document = mailbox.find(id_)
        assert document is not None
        mailbox.set_state(document, State.ACKED)
        assert mailbox.state(document) is State.ACKED
    left = [id_ for place, id_ in enumerate(everything) if place % 3]
    assert ids(0, 5000) == left
    assert ids(777, 50) == left[777:827]
    mailbox.grow(100)
    assert ids(0, 5000)[: len(left)] == left
    assert len(ids(0, 5000)) == len(left) + 50


def test_files_of_a_folder_are_served_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/x.xml", "b.pdf", "manifest.json", "NOTICE.md", ".hidden"):
        (tmp_path / name).write_bytes(name.encode())
    mailbox = Mailbox.of_files(tmp_path, "0403.170.701")
    assert {d.read() for d in mailbox} == {b"a/x.xml", b"b.pdf"}
    assert {d.kind for d in mailbox} == {Kind.UNKNOWN}
    assert mailbox.companies[0].identifier == "BE0403170701"
    with pytest.raises(ConfigurationError, match="no such folder"):
        Mailbox.of_files(tmp_path / "absent", "0403.170.701")


def test_of_the_corpus_only_documents_are_served(corpus: Path) -> None:
    manifest = json.loads((corpus / "manifest.json").read_text())
    held = {
        sha256(document.read()).hexdigest() for document in Mailbox.of_files(corpus, "BE0403170701")
    }
    assert held == {one["sha256"] for one in manifest}


def test_the_manifest_says_what_is_held(tmp_path: Path) -> None:
    mailbox = Mailbox(30, 2, seed=3)
    write_manifest(tmp_path / "new" / "manifest.jsonl", mailbox)
    lines = [json.loads(x) for x in (tmp_path / "new/manifest.jsonl").read_text().splitlines()]
    for line, document in zip(lines, mailbox, strict=True):
        data = document.read()
        assert line == {
            "id": document.id,
            "kind": document.kind.value,
            "company": document.company.identifier,
            "number": document.number,
            "media_type": document.media_type,
            "size": len(data),
            "sha256": sha256(data).hexdigest(),
        }
