"""The files of a document go by one base name, its companions first, through any crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from msgspec import structs

from pipeline.document import Companion
from pipeline.payload import Payload
from pipeline.records import State
from stages.folders import parcel
from stages.folders.parcel import companion, is_published, names, publish, remove, visible
from stages.folders.rename import rename_exclusively
from stages.folders.staging import Staging
from tests.invoices import ubl
from tests.test_duplicates import bench

PDF = ("pdf",)
XML_BYTES, PDF_BYTES = b"<a/>", b"%PDF-"


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    return stage(tmp_path)


def stage(folder: Path) -> Path:
    place = folder / "staging"
    place.mkdir()
    (folder / "out").mkdir()
    staged = place / "0123abcd"
    for path, data in ((staged, XML_BYTES), (staged.with_suffix(".pdf"), PDF_BYTES)):
        parcel.write_file(Payload(len(data), "", data), path, 0o640, flush=True)
    return staged


def target(staged: Path) -> Path:
    return staged.parents[1] / "out" / "F.1.xml"


def out(staged: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in target(staged).parent.iterdir()}


def left(staged: Path) -> set[str]:
    return {path.name for path in staged.parent.iterdir()}


class Crashing:
    """Renames until it is told to fail; then goes on as it does."""

    def __init__(self, at: int, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.at = at
        self.error = error
        self.renamed: list[str] = []

    def __call__(self, source: Path, to: Path) -> None:
        if len(self.renamed) == self.at:
            self.at = -1
            raise self.error(13, "denied")
        rename_exclusively(source, to)
        self.renamed.append(to.name)


def test_the_companion_is_there_before_the_document(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renames = Crashing(at=-1)
    monkeypatch.setattr(parcel, "rename_exclusively", renames)
    assert publish(staged, PDF, target(staged)) == target(staged)
    assert renames.renamed == ["F.1.pdf", "F.1.xml"]
    assert out(staged) == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}
    assert not left(staged)


@pytest.mark.parametrize("taken", ["F.1.xml", "F.1.pdf"])
def test_a_name_is_taken_by_either_file(staged: Path, taken: str) -> None:
    (target(staged).parent / taken).write_text("somebody's")
    first = next(names(target(staged), PDF))
    assert first.name == "F.1-2.xml"
    assert publish(staged, PDF, target(staged)) == first
    assert out(staged) == {
        taken: b"somebody's",
        "F.1-2.pdf": PDF_BYTES,
        "F.1-2.xml": XML_BYTES,
    }


def test_a_document_alone_does_not_mind_what_is_beside_it(staged: Path) -> None:
    (target(staged).parent / "F.1.pdf").write_text("somebody's")
    assert next(names(target(staged), ())) == target(staged)


def test_a_companion_comes_back_from_a_name_that_was_taken_in_this_instant(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(source: Path, to: Path) -> None:
        rename_exclusively(source, to)
        if to.name == "F.1.pdf":
            target(staged).write_text("somebody's")

    monkeypatch.setattr(parcel, "rename_exclusively", meanwhile)
    assert publish(staged, PDF, target(staged)).name == "F.1-2.xml"
    assert out(staged) == {
        "F.1.xml": b"somebody's",
        "F.1-2.pdf": PDF_BYTES,
        "F.1-2.xml": XML_BYTES,
    }


def test_who_took_the_companion_meanwhile_keeps_it(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(source: Path, to: Path) -> None:
        rename_exclusively(source, to)
        if to.name == "F.1.pdf":
            target(staged).write_text("somebody's")
            to.unlink()

    monkeypatch.setattr(parcel, "rename_exclusively", meanwhile)
    assert publish(staged, PDF, target(staged)).name == "F.1-2.xml"
    assert out(staged) == {"F.1.xml": b"somebody's", "F.1-2.xml": XML_BYTES}


@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_after_a_crash_it_goes_on_under_the_same_name(
    staged: Path, monkeypatch: pytest.MonkeyPatch, at: int, imported: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(parcel, "rename_exclusively", Crashing(at))
        try:
            publish(staged, PDF, target(staged))
            assert at == 2
        except KeyboardInterrupt:
            assert at < 2
    assert visible(staged, PDF) is (at > 0)
    assert is_published(staged) is (at == 2)
    seen = out(staged)
    if imported:
        for path in target(staged).parent.iterdir():
            path.unlink()
    if not is_published(staged):
        assert publish(staged, PDF, target(staged), resumed=True) == target(staged)
    if imported:
        seen |= out(staged)
    else:
        seen = out(staged)
    assert seen == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}
    assert not left(staged)


def test_a_link_that_took_the_name_is_a_file_that_is_visible(staged: Path) -> None:
    """As on file systems without an exclusive rename, in a crash between link and removal."""
    os.link(staged.with_suffix(".pdf"), target(staged).with_suffix(".pdf"))
    assert visible(staged, PDF)
    assert not is_published(staged)
    publish(staged, PDF, target(staged), resumed=True)
    assert out(staged) == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}
    remove(staged, PDF)
    assert not left(staged)


def test_a_refusal_between_the_two_leaves_the_document_staged(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(parcel, "rename_exclusively", Crashing(1, PermissionError))
        with pytest.raises(PermissionError):
            publish(staged, PDF, target(staged))
    assert visible(staged, PDF)
    assert left(staged) == {staged.name}
    publish(staged, PDF, target(staged), resumed=True)
    assert out(staged) == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}


def test_what_does_not_become_visible_is_removed_with_its_companions(staged: Path) -> None:
    assert not visible(staged, PDF)
    remove(staged, PDF)
    remove(staged, PDF)
    assert not left(staged)


class Crash(BaseException):
    """The end of the process, as far as this process can have it."""


@pytest.mark.anyio
@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_the_next_start_brings_both_files_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, imported: bool
) -> None:
    pdf = Companion("pdf", Payload(len(PDF_BYTES), "", PDF_BYTES))
    seen: dict[str, bytes] = {}

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}

    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), companions=(pdf,))
        with monkeypatch.context() as patch:
            patch.setattr(parcel, "rename_exclusively", Crashing(at, Crash))
            # At two, all is renamed, and the ledger does not come to know.
            if at == 2:
                patch.setattr(one.ledger, "delivered", dies)
            with pytest.raises(Crash):
                await one.work(document)
    seen |= files()
    assert sorted(seen) == ["F-1.pdf", "F-1.xml"][:at]
    if imported:
        for path in (tmp_path / "out").rglob("*.*"):
            path.unlink()
    async with bench(tmp_path) as one:
        assert await one.state(document) is State.STAGED
        await one.write.recover()
        assert await one.state(document) is State.DELIVERED
    if imported:
        assert not seen.keys() & files().keys()
    assert sorted(seen | files()) == ["F-1.pdf", "F-1.xml"]
    assert (seen | files())["F-1.pdf"] == PDF_BYTES
    assert not list((tmp_path / "staging").iterdir())


@pytest.mark.anyio
@pytest.mark.parametrize("linked", [1, 2])
async def test_second_names_are_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: int
) -> None:
    """On file systems without an exclusive rename, after a crash between link and removal."""
    pdf = Companion("pdf", Payload(len(PDF_BYTES), "", PDF_BYTES))
    left_to_link = linked

    def link(source: Path, to: Path) -> None:
        nonlocal left_to_link
        os.link(source, to)
        left_to_link -= 1
        if not left_to_link:
            raise Crash

    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), companions=(pdf,))
        with monkeypatch.context() as patch:
            patch.setattr(parcel, "rename_exclusively", link)
            with pytest.raises(Crash):
                await one.work(document)
    async with bench(tmp_path) as one:
        # Elsewhere than in the agent's own folder nobody else clears up.
        monkeypatch.setattr(Staging, "clear", lambda *_: None)
        await one.write.recover()
        assert await one.state(document) is State.DELIVERED
        assert one.files() == ["F-1.pdf", "F-1.xml"]
        assert not list((tmp_path / "staging").iterdir())


async def dies(*_: object) -> None:
    raise Crash


@given(st.from_regex(r"[a-z.\- ]{0,20}[a-z](\.xml)", fullmatch=True))
def test_a_companion_has_the_same_base_name(name: str) -> None:
    path = Path("out") / name
    beside = companion(path, "pdf")
    assert beside.name == name.removesuffix(".xml") + ".pdf"
    assert companion(path, "") == path
