"""Several nodes at the same folders: whose volume is seen, who may remove what, who takes back."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.document import Sidecar
from pipeline.errors import RetryableError
from pipeline.ledger import takeover
from pipeline.ledger.connection import Connection
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import State
from pipeline.ledger.place import LedgerPlace
from pipeline.payload import Payload
from stages.check import examine_folders
from stages.delivery import forward, staging_shared
from stages.delivery.forward import Kept, aside, go_forward, put_aside, remove_all
from stages.delivery.markers import MARKER
from stages.delivery.peers import Peers
from stages.delivery.publish import Vanished
from stages.delivery.staging import NAME
from tests.helpers.documents import SUPPLIER, configured
from tests.helpers.invoices import ubl
from tests.helpers.writing import Bench

pytestmark = pytest.mark.anyio

PDF = (Sidecar("pdf", Payload(5, "", b"%PDF-")),)


@asynccontextmanager
async def node(
    folder: Path, place: LedgerPlace, name: str = "n1", alive: str = ""
) -> AsyncIterator[Bench]:
    """A node of a cluster, for which every other one is dead, but for one perhaps."""
    state = folder / name
    state.mkdir(exist_ok=True)
    config = configured(folder)
    async with open_ledger(place, node=name) as ledger:
        one = Bench(state, ledger, config, Peers(name, lambda other: other == alive))
        yield one
        one.lanes.close()


def invoice(number: str) -> str:
    return ubl().replace("F-1", number)


def out(folder: Path) -> Path:
    return folder / "out" / SUPPLIER / "out"


def staging(folder: Path, company: str = SUPPLIER) -> Path:
    """Beside the destination; on Windows within it."""
    beside = folder / "out" / company
    return (beside / "out" if os.name == "nt" else beside) / NAME


def delivered(folder: Path) -> list[Path]:
    return [one for one in out(folder).iterdir() if one.name != NAME]


def left(folder: Path) -> list[str]:
    return sorted(one.name for one in staging(folder).iterdir() if one.name != MARKER)


async def test_two_nodes_deliver_to_one_folder(tmp_path: Path, place: LedgerPlace) -> None:
    async with node(tmp_path, place) as one, node(tmp_path, place, "n2") as two:
        assert not isinstance(await one.bring(invoice("F-1"), "1"), RetryableError)
        assert not isinstance(await two.bring(invoice("F-2"), "2"), RetryableError)
        assert len(delivered(tmp_path)) == 2
        assert left(tmp_path) == []
        assert not (one.folder / "staging").exists()


@pytest.mark.parametrize("instead", ["nothing", "an empty folder", "another volume"])
async def test_nothing_is_written_where_the_marker_is_not_seen(
    tmp_path: Path, place: LedgerPlace, instead: str
) -> None:
    async with node(tmp_path, place) as one:
        await one.bring(invoice("F-1"), "1")
    (tmp_path / "out").rename(tmp_path / "unmounted")
    if instead != "nothing":
        out(tmp_path).mkdir(parents=True)
    if instead == "another volume":
        staging(tmp_path).mkdir(mode=0o700, parents=True)
        (staging(tmp_path) / MARKER).write_text("4d0e6d3a-0000-4000-8000-000000000000\n")
    before = sorted(tmp_path.glob("out/**/*"))
    async with node(tmp_path, place, "n2") as two:
        document = await two.make(invoice("F-2"), "2")
        (result,) = await two.work(document)
        assert isinstance(result, RetryableError)
        said = "another volume is there" if instead == "another volume" else "is not there"
        assert said in str(result)
        assert "Mount the volume" in str(result)
        assert sorted(tmp_path.glob("out/**/*")) == before
        (trouble,) = two.write.destinations.troubles().values()
        assert said in trouble.reason
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "unmounted").rename(tmp_path / "out")
        assert not isinstance((await two.work(document))[0], RetryableError)


@pytest.mark.parametrize("instead", ["an empty folder", "another volume"])
async def test_a_folder_that_nobody_knows_is_not_decided_where_its_neighbours_are_not_seen(
    tmp_path: Path, place: LedgerPlace, instead: str
) -> None:
    async with node(tmp_path, place) as one:
        await one.bring(invoice("F-1"), "1")
        # As of another company, whose first document comes after the volume has gone away.
        known = await one.ledger.change(_rename_known)
    assert known
    (tmp_path / "out").rename(tmp_path / "unmounted")
    (tmp_path / "out").mkdir()
    if instead == "another volume":
        staging(tmp_path, "BE0000000000").mkdir(parents=True, mode=0o700)
        (staging(tmp_path, "BE0000000000") / MARKER).write_text("another\n")
    before = sorted(tmp_path.glob("out/**/*"))
    async with node(tmp_path, place, "n2") as two:
        document = await two.make(invoice("F-2"), "2")
        (result,) = await two.work(document)
        assert isinstance(result, RetryableError)
        assert "Mount the volume" in str(result)
        assert sorted(tmp_path.glob("out/**/*")) == before
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "unmounted").rename(tmp_path / "out")
        # Its neighbour is seen.
        (tmp_path / "out" / SUPPLIER).rename(tmp_path / "out" / "BE0000000000")
        assert not isinstance((await two.work(document))[0], RetryableError)
        assert len(delivered(tmp_path)) == 1


async def test_a_neighbour_that_was_removed_holds_nothing_up(
    tmp_path: Path, place: LedgerPlace
) -> None:
    async with node(tmp_path, place) as one:
        await one.bring(invoice("F-1"), "1")
        await one.ledger.change(_rename_known)
        await one.ledger.change(
            lambda connection: _add_known(connection, tmp_path / "out" / "gone" / "out")
        )
        (tmp_path / "out" / SUPPLIER).rename(tmp_path / "out" / "BE0000000000")
    async with node(tmp_path, place, "n2") as two:
        assert not isinstance(await two.bring(invoice("F-2"), "2"), RetryableError)


async def test_neighbours_are_the_nearest_folders_within_one(
    tmp_path: Path, place: LedgerPlace
) -> None:
    async with node(tmp_path, place) as one:
        for name in ("a", "a/b/c", "a/b/d", "a/b/f", "a/bc/g", "x/y"):
            folder = Path(f"/{name}")
            await one.ledger.change(lambda connection, at=folder: _add_known(connection, at))
        found = await one.ledger.ask(
            lambda connection: takeover.neighbours(
                str(Path("/a/b/e")), f"{Path('/a/b')}{os.sep}", connection
            )
        )
    near = ("/a/b/c", "/a/b/d", "/a/b/f")
    assert {volume.place for volume in found} == {f"{Path(one)}.place" for one in near}


@pytest.mark.parametrize("instead", ["nothing", "an empty folder", "another volume"])
async def test_a_missing_file_says_nothing_where_the_marker_is_not_seen(
    tmp_path: Path, place: LedgerPlace, monkeypatch: pytest.MonkeyPatch, instead: str
) -> None:
    async with node(tmp_path, place) as one:
        document = await one.make(invoice("F-1"), "1")
        with monkeypatch.context() as patch:
            patch.setattr(forward, "rename_in_one_step", _refuse)
            patch.setattr("stages.delivery.publish_shared.put_aside", lambda *_: Kept.BEGUN)
            await one.work(document)
        assert await one.state(document) is State.STAGED
    (tmp_path / "out").rename(tmp_path / "unmounted")
    if instead != "nothing":
        staging(tmp_path).mkdir(parents=True, mode=0o700)
    if instead == "another volume":
        (staging(tmp_path) / MARKER).write_text("4d0e6d3a-0000-4000-8000-000000000000\n")
    async with node(tmp_path, place, "n2") as two:
        await two.write.recovery.recover()
        assert await two.state(document) is State.STAGED
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "unmounted").rename(tmp_path / "out")
        await two.write.recovery.retry(lambda _: False)
        assert await two.state(document) is State.DELIVERED
        assert len(delivered(tmp_path)) == 1


@pytest.mark.parametrize("whose", ["of a dead node", "its own"])
async def test_what_a_node_does_not_see_is_finished_by_another_though_it_is_alive(
    tmp_path: Path, place: LedgerPlace, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    async with AsyncExitStack() as stack:
        blind = await stack.enter_async_context(node(tmp_path, place, "n2"))
        async with node(tmp_path, place) as dead:
            one = blind if whose == "its own" else dead
            document = await one.make(invoice("F-1"), "1")
            with monkeypatch.context() as patch:
                patch.setattr(forward, "rename_in_one_step", _refuse)
                patch.setattr("stages.delivery.publish_shared.put_aside", lambda *_: Kept.BEGUN)
                await one.work(document)
        (tmp_path / "out").rename(tmp_path / "unmounted")
        await blind.write.recovery.retry(lambda _: False)
        (trouble,) = blind.write.destinations.troubles().values()
        assert "its volume is not there" in trouble.reason
        (tmp_path / "unmounted").rename(tmp_path / "out")
        third = await stack.enter_async_context(node(tmp_path, place, "n3", alive="n2"))
        await third.write.recovery.retry(lambda _: False)
        assert await third.state(document) is State.DELIVERED
        assert len(delivered(tmp_path)) == 1


async def test_what_refuses_a_node_that_resumes_it_is_finished_by_another(
    tmp_path: Path, place: LedgerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(tmp_path, place, "n2") as two, node(tmp_path, place, "n3", "n2") as three:
        with monkeypatch.context() as patch:
            patch.setattr(forward, "rename_in_one_step", _refuse)
            patch.setattr("stages.delivery.publish_shared.put_aside", lambda *_: Kept.BEGUN)
            async with node(tmp_path, place) as dead:
                document = await dead.make(invoice("F-1"), "1")
                await dead.work(document)
            await two.write.recovery.retry(lambda _: False)
        await three.write.recovery.retry(lambda _: False)
        assert await three.state(document) is State.DELIVERED


async def test_a_check_says_what_volume_is_missing(tmp_path: Path, place: LedgerPlace) -> None:
    async with node(tmp_path, place) as one:
        await one.bring(invoice("F-1"), "1")
        folder = str(out(tmp_path))
        known = await one.ledger.ask(lambda connection: takeover.volumes([folder], connection))
        assert list(known) == [folder]
        (found,) = await examine_folders(one.config, {out(tmp_path)}, known)
        assert found.ok
        (tmp_path / "out").rename(tmp_path / "unmounted")
        (found,) = await examine_folders(one.config, {out(tmp_path)}, known)
        assert not found.ok
        assert "its volume is not there" in found.sentence
        assert not (tmp_path / "out").exists()


async def test_a_file_system_without_such_a_rename_is_refused(
    tmp_path: Path, place: LedgerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging_shared, "renames_in_one_step", lambda _: False)
    async with node(tmp_path, place) as one:
        result = await one.bring(invoice("F-1"), "1")
        assert "in one step" in str(result)
        assert "SMB" in str(result)
        assert delivered(tmp_path) == []


async def test_only_leftovers_of_its_own_earlier_processes_are_removed(
    tmp_path: Path, place: LedgerPlace
) -> None:
    async with node(tmp_path, place) as one, node(tmp_path, place, "n2") as two:
        await one.bring(invoice("F-1"), "1")
        names = [bench.write._staging.new_name("ab" * 32) for bench in (one, two)]
        for name in names:
            for more in ("", ".pdf", ".aside", ".pdf.aside"):
                (staging(tmp_path) / f"{name}{more}").write_text("left")
        document = await one.make(invoice("F-3"), "3")
        async with node(tmp_path, place) as again:
            await again.bring(invoice("F-2"), "2")
            assert {name.partition(".")[0] for name in left(tmp_path)} == {names[1]}
        # The earlier process wakes: nothing of it is staged any more, for it may be gone.
        (result,) = await one.work(document)
        assert isinstance(result, RetryableError)
        assert await one.state(document) is not State.STAGED


async def test_what_an_antivirus_removes_is_fetched_again(
    tmp_path: Path, place: LedgerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(source: Path, target: Path) -> None:
        Path(source).unlink()
        raise FileNotFoundError(errno.ENOENT, "gone", str(source))

    async with node(tmp_path, place) as one:
        document = await one.make(invoice("F-1"), "1")
        with monkeypatch.context() as patch:
            patch.setattr(forward, "rename_in_one_step", remove)
            assert isinstance((await one.work(document))[0], RetryableError)
        assert await one.state(document) is State.WAITING
        await one.work(document)
        assert await one.state(document) is State.DELIVERED


async def test_a_folder_that_refuses_leaves_nothing(
    tmp_path: Path, place: LedgerPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(tmp_path, place) as one:
        document = structs.replace(await one.make(invoice("F-1"), "1"), sidecars=PDF)
        with monkeypatch.context() as patch:
            patch.setattr(forward, "rename_in_one_step", _refuse_outside)
            (result,) = await one.work(document)
            assert "denied" in str(result)
        assert await one.state(document) is State.WAITING
        assert left(tmp_path) == []
        await one.work(document)
        assert sorted(path.suffix for path in delivered(tmp_path)) == [".pdf", ".xml"]


def test_files_go_forward_or_aside(tmp_path: Path) -> None:
    staged, target = tmp_path / "t" / "0a", tmp_path / "o" / "F.1.xml"
    for folder in (staged.parent, target.parent):
        folder.mkdir()

    def stage() -> None:
        staged.write_text("<a/>")
        staged.with_suffix(".pdf").write_text("pdf")

    stage()
    assert go_forward(staged, ("pdf",), target).error is None
    assert isinstance(go_forward(staged, ("pdf",), target).error, Vanished)
    stage()
    assert go_forward(staged, ("pdf",), target).taken
    assert staged.with_suffix(".pdf").exists(), "found out before the sidecar goes"
    assert put_aside(staged, ("pdf",)) is Kept.ASIDE
    assert put_aside(staged, ("pdf",)) is Kept.ASIDE
    assert isinstance(
        go_forward(staged, ("pdf",), target.with_name("G.xml")).error, forward.PutAside
    )
    assert Path(aside(staged)).exists()
    remove_all(staged, ("pdf",))
    assert list(staged.parent.iterdir()) == []
    stage()
    staged.with_suffix(".pdf").unlink()
    assert put_aside(staged, ("pdf",)) is Kept.BEGUN
    assert put_aside(tmp_path / "t" / "none", ()) is Kept.GONE


def test_a_node_name_has_no_slash() -> None:
    with pytest.raises(ValueError, match="a/b"):
        Peers("a/b", lambda _: True)


def _rename_known(connection: Connection) -> int:
    """Let what is known of the volumes be of another company."""
    for column in ("folder", "place"):
        connection.execute(
            f"UPDATE volumes SET {column} = replace({column}, ?1, ?2)", (SUPPLIER, "BE0000000000")
        )
    return len(connection.execute("SELECT 1 FROM volumes").fetchall())


def _add_known(connection: Connection, folder: Path) -> None:
    connection.execute(
        "INSERT INTO volumes (folder, place, uuid) VALUES (?1, ?2, ?3)",
        (str(folder), f"{folder}.place", "uuid"),
    )


def _refuse(source: Path, target: Path) -> None:
    raise PermissionError(errno.EACCES, "denied", str(target))


_RENAME = forward.rename_in_one_step


def _refuse_outside(source: Path, target: Path) -> None:
    if NAME not in str(target):
        raise PermissionError(errno.EACCES, "denied", str(target))
    _RENAME(source, target)
