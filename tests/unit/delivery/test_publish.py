"""The files of a document go by one base name, its sidecars first, through any crash."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from msgspec import structs

from pipeline.alternatives import alternative, first_free, name_hash
from pipeline.document import Sidecar
from pipeline.ledger.models import State
from pipeline.long_paths import StrPath
from pipeline.payload import Payload
from stages.delivery import publish as publishing, rename
from stages.delivery.document_files import (
    free_number,
    remove_files,
    sidecar_path,
    write_file,
)
from stages.delivery.publish import Attempt, Vanished, is_unpublished, publish, resume
from stages.delivery.rename import rename_exclusively
from stages.delivery.staging import Staging
from tests.helpers.invoices import ubl
from tests.helpers.writing import bench, visible

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
        write_file(Payload(len(data), "", data), path, 0o640, lambda: None, flush=True)
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

    def __call__(self, source: StrPath, to: StrPath) -> None:
        if len(self.renamed) == self.at:
            self.at = -1
            raise self.error(13, "denied")
        rename_exclusively(source, to)
        self.renamed.append(Path(to).name)


def second(staged: Path) -> Path:
    return Path(alternative(str(target(staged)), 2))


def test_the_companion_is_there_before_the_document(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renames = Crashing(at=-1)
    monkeypatch.setattr(publishing, "rename_exclusively", renames)
    assert publish(staged, PDF, target(staged)) == Attempt()
    assert renames.renamed == ["F.1.pdf", "F.1.xml"]
    assert out(staged) == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}
    assert not left(staged)


@pytest.mark.parametrize("taken", ["F.1.xml", "F.1.pdf"])
def test_a_name_is_taken_by_either_file(staged: Path, taken: str) -> None:
    (target(staged).parent / taken).write_text("somebody's")
    assert free_number(target(staged), PDF) == 2
    attempt = publish(staged, PDF, target(staged))
    assert attempt.taken
    assert attempt.unrestored == ()
    assert publish(staged, PDF, second(staged)) == Attempt()
    assert out(staged) == {
        taken: b"somebody's",
        "F.1-2.pdf": PDF_BYTES,
        "F.1-2.xml": XML_BYTES,
    }


def test_a_document_alone_does_not_mind_what_is_beside_it(staged: Path) -> None:
    (target(staged).parent / "F.1.pdf").write_text("somebody's")
    assert free_number(target(staged), ()) == 1


@pytest.mark.parametrize("denied", [FileExistsError, PermissionError])
def test_a_companion_comes_back_when_the_document_can_not_follow(
    staged: Path, monkeypatch: pytest.MonkeyPatch, denied: type[OSError]
) -> None:
    def refuse(source: Path, to: Path) -> None:
        if to.name == "F.1.xml":
            raise denied(13, "denied")
        rename_exclusively(source, to)

    monkeypatch.setattr(publishing, "rename_exclusively", refuse)
    attempt = publish(staged, PDF, target(staged))
    assert isinstance(attempt.error, denied)
    assert attempt.unrestored == ()
    assert out(staged) == {}
    assert left(staged) == {staged.name, f"{staged.name}.pdf"}


def test_who_took_the_companion_meanwhile_keeps_it(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(source: Path, to: Path) -> None:
        rename_exclusively(source, to)
        if to.name == "F.1.pdf":
            target(staged).write_text("somebody's")
            to.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "rename_exclusively", meanwhile)
        attempt = publish(staged, PDF, target(staged))
    assert attempt.taken
    assert attempt.unrestored == PDF
    assert publish(staged, (), second(staged)) == Attempt()
    assert out(staged) == {"F.1.xml": b"somebody's", "F.1-2.xml": XML_BYTES}


@pytest.mark.parametrize("gone", ["", "pdf"])
def test_a_temporary_file_that_vanished_was_not_published(staged: Path, gone: str) -> None:
    sidecar_path(staged, gone).unlink()
    attempt = publish(staged, PDF, target(staged))
    assert isinstance(attempt.error, Vanished)
    assert attempt.unrestored == ()
    assert out(staged) == {}


def test_a_missing_folder_is_not_taken_for_a_vanished_file(staged: Path) -> None:
    attempt = publish(staged, PDF, target(staged).parent / "gone" / "F.xml")
    assert isinstance(attempt.error, FileNotFoundError)
    assert not isinstance(attempt.error, Vanished)


@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_after_a_crash_it_goes_on_under_the_same_name(
    staged: Path, monkeypatch: pytest.MonkeyPatch, at: int, imported: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "rename_exclusively", Crashing(at))
        try:
            publish(staged, PDF, target(staged))
            assert at == 2
        except KeyboardInterrupt:
            assert at < 2
    assert is_unpublished(staged) is (at < 2)
    seen = out(staged)
    if imported:
        for path in target(staged).parent.iterdir():
            path.unlink()
    if is_unpublished(staged):
        assert resume(staged, PDF, target(staged)) == Attempt()
    if imported:
        seen |= out(staged)
    else:
        seen = out(staged)
    assert seen == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}
    assert not left(staged)


def unsupported(source: str, to: str) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_a_link_that_took_the_name_is_a_file_that_is_visible(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on file systems without an exclusive rename, in a crash between link and removal."""
    monkeypatch.setattr(rename, "_rename", unsupported)
    os.link(staged.with_suffix(".pdf"), target(staged).with_suffix(".pdf"))
    assert not is_unpublished(staged.with_suffix(".pdf"))
    assert is_unpublished(staged)
    assert resume(staged, PDF, target(staged)) == Attempt()
    assert out(staged) == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}
    assert not left(staged)


def test_a_second_name_says_nothing_where_a_rename_is_one_step(
    staged: Path, tmp_path: Path
) -> None:
    """As a backup or a tool that saves room makes one."""
    (tmp_path / "backup").mkdir()
    os.link(staged, tmp_path / "backup" / "kept")
    assert is_unpublished(staged)
    assert resume(staged, PDF, target(staged)) == Attempt()
    assert out(staged) == {"F.1.pdf": PDF_BYTES, "F.1.xml": XML_BYTES}


def test_where_a_rename_is_two_steps_it_goes_on_after_the_first(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rename, "_rename", unsupported)
    os.link(staged, target(staged))
    rename_exclusively(staged, target(staged))
    assert out(staged) == {"F.1.xml": XML_BYTES}
    assert left(staged) == {f"{staged.name}.pdf"}


def test_a_name_that_cannot_be_removed_after_its_link_is_published_all_the_same(
    staged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(*_: object, **__: object) -> None:
        raise PermissionError(13, "denied")

    with monkeypatch.context() as patch:
        patch.setattr(rename, "_rename", unsupported)
        patch.setattr(Path, "unlink", stuck)
        assert publish(staged, (), target(staged)) == Attempt()
    assert out(staged) == {"F.1.xml": XML_BYTES}


def test_what_does_not_become_visible_is_removed_with_its_companions(staged: Path) -> None:
    remove_files(staged, PDF)
    remove_files(staged, PDF)
    assert not left(staged)


def test_no_link_is_followed_that_lies_where_a_temporary_file_goes(staged: Path) -> None:
    """Nor is a file overwritten that somebody else has put there."""
    victim = staged.parent / "victim"
    victim.write_text("precious")
    link = staged.parent / "link"
    if os.name != "nt":  # where links need a right of their own
        link.symlink_to(victim)
    for path in (link, victim)[os.name == "nt" :]:
        with pytest.raises(FileExistsError):
            write_file(Payload(3, "", b"new"), path, 0o640, lambda: None, flush=False)
    assert victim.read_text() == "precious"


class Crash(BaseException):
    """The end of the process, as far as this process can have it."""


@pytest.mark.anyio
@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_the_next_start_brings_both_files_to_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, imported: bool
) -> None:
    pdf = Sidecar("pdf", Payload(len(PDF_BYTES), "", PDF_BYTES))
    seen: dict[str, bytes] = {}

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in visible(tmp_path / "out")}

    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), sidecars=(pdf,))
        with monkeypatch.context() as patch:
            patch.setattr(publishing, "rename_exclusively", Crashing(at, Crash))
            # At two, all is renamed, and the ledger does not come to know.
            if at == 2:
                patch.setattr(one.ledger, "delivered", dies)
            with pytest.raises(Crash):
                await one.work(document)
    seen |= files()
    assert sorted(seen) == ["F-1.pdf", "F-1.xml"][:at]
    if imported:
        for path in visible(tmp_path / "out"):
            path.unlink()
    async with bench(tmp_path) as one:
        assert await one.state(document) is State.STAGED
        await one.write.recovery.recover()
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
    pdf = Sidecar("pdf", Payload(len(PDF_BYTES), "", PDF_BYTES))
    left_to_link = linked

    def link(source: Path, to: Path) -> None:
        nonlocal left_to_link
        os.link(source, to)
        left_to_link -= 1
        if not left_to_link:
            raise Crash

    async with bench(tmp_path) as one:
        document = structs.replace(await one.make(ubl(), "1"), sidecars=(pdf,))
        with monkeypatch.context() as patch:
            patch.setattr(publishing, "rename_exclusively", link)
            with pytest.raises(Crash):
                await one.work(document)
    async with bench(tmp_path) as one:
        # Elsewhere than in the agent's own folder nobody else clears up.
        monkeypatch.setattr(Staging, "keep", lambda *_: None)
        monkeypatch.setattr(rename, "_rename", unsupported)
        await one.write.recovery.recover()
        assert await one.state(document) is State.DELIVERED
        assert one.files() == ["F-1.pdf", "F-1.xml"]
        assert not list((tmp_path / "staging").iterdir())


async def dies(*_: object) -> None:
    raise Crash


@given(st.from_regex(r"[a-z.\- ]{0,20}[a-z](\.xml)", fullmatch=True))
def test_a_companion_has_the_same_base_name(name: str) -> None:
    path = Path("out") / name
    beside = sidecar_path(path, "pdf")
    assert beside.name == name.removesuffix(".xml") + ".pdf"
    assert sidecar_path(path, "") == path


@given(st.integers(1, 3000), st.integers(1, 200))
def test_a_free_number_is_found_by_few_questions(taken: int, start: int) -> None:
    asked: list[int] = []

    def is_taken(number: int) -> bool:
        asked.append(number)
        return number <= taken

    assert first_free(is_taken, start) == max(taken + 1, start)
    assert len(asked) <= 2 * max(taken - start, 1).bit_length() + 3


@given(st.sets(st.integers(1, 40)), st.integers(1, 40))
def test_a_free_number_is_free_whatever_the_gaps(taken: set[int], start: int) -> None:
    found = first_free(taken.__contains__, start)
    assert found not in taken
    assert found >= start


def test_names_are_compared_without_case_and_extension() -> None:
    assert name_hash("out/A.xml") == name_hash("OUT/a.pdf")
    assert name_hash("out/a.xml") != name_hash("out/a-2.xml")
    assert name_hash("o/ut/a.xml") != name_hash("out/a.xml")
    assert 0 <= name_hash("out/a.xml") < 2**63
