"""A backup that is not whole, or not ours, changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.app.backup import MANIFEST, restore_backup, write_backup
from pipeline.app.identity import claim_state, read_identity
from pipeline.document import Key
from pipeline.errors import StateError
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import Staged, State
from pipeline.ledger.schema import VERSION

pytestmark = pytest.mark.anyio

KEY = Key("box", "1", "")


async def bring(path: Path, key: Key, *, delivered: bool) -> None:
    async with open_ledger(path) as ledger:
        await ledger.seen([(key, "invoice")], 1.0)
        staged = Staged(key, f"t/{key.id}", (), "o.xml", "BE1", "sales", "ab", 9, "Digest", "", 3.0)
        await ledger.stage([staged], 1.0)
        if delivered:
            await ledger.delivered([(key, staged.staged)], 2.0)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    for name in ("tokens", "quarantine/box", "logs", "staging", "spool"):
        (folder / name).mkdir(parents=True)
    anyio.run(partial(bring, folder / "ledger.sqlite", KEY, delivered=True))
    (folder / "tokens" / "box").write_text("old\nnew")
    (folder / "quarantine" / "box" / "Facture_n°_7-abc.bin").write_bytes(os.urandom(300_000))
    (folder / "quarantine" / "box" / "link.bin").symlink_to("/etc/passwd")
    (folder / "volumes").write_text("/mnt/books\n")
    for name in ("lock", "owner", "logs/synqup.log", "staging/x", "spool/y", "a.part"):
        (folder / name).write_text("x")
    claim_state(folder, tmp_path / "synqup.toml")
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


@pytest.fixture
def file(tmp_path: Path, state: Path) -> Path:
    path = tmp_path / "backup.zip"
    write_backup(state, path)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "ledger" not in path.name
    }


async def test_what_matters_comes_back_and_nothing_else(
    state: Path, file: Path, target: Path
) -> None:
    restored = restore_backup(file, target, replace=False)
    assert restored.before is None
    assert restored.is_elsewhere
    expected = files(state)
    for name in ("lock", "owner", "logs/synqup.log", "staging/x", "spool/y", "a.part"):
        del expected[name]
    del expected["quarantine/box/link.bin"]
    assert files(target) == expected
    if os.name != "nt":
        for path in (file, target / "tokens" / "box"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE((target / "tokens").stat().st_mode) == 0o700
    async with open_ledger(target / "ledger.sqlite") as ledger:
        assert (await ledger.contents("box", ["1"]))["1"][""].state is State.DELIVERED


async def test_what_was_staged_is_fetched_again(tmp_path: Path, state: Path, target: Path) -> None:
    await bring(state / "ledger.sqlite", Key("box", "2", ""), delivered=False)
    write_backup(state, tmp_path / "b.zip")
    restore_backup(tmp_path / "b.zip", target, replace=False)
    async with open_ledger(target / "ledger.sqlite") as ledger:
        assert await ledger.unfinished() == []
        assert (await ledger.contents("box", ["2"]))["2"][""].state is State.WAITING


async def test_a_state_is_replaced_only_when_that_is_said(
    state: Path, file: Path, target: Path
) -> None:
    await bring(state / "ledger.sqlite", Key("box", "later", ""), delivered=True)
    (state / "tokens" / "box").write_text("new\nnewest")
    (state / "tokens" / "another").write_text("of later")
    before, identity = files(state), read_identity(state)
    with pytest.raises(StateError, match="--replace"):
        restore_backup(file, state, replace=False)
    assert files(state) == before
    restored = restore_backup(file, state, replace=True)
    assert restored.before is not None
    assert not restored.is_elsewhere
    async with open_ledger(state / "ledger.sqlite") as ledger:
        assert "later" not in await ledger.contents("box", ["later"])
    async with open_ledger(restored.before / "ledger.sqlite") as ledger:
        assert "later" in await ledger.contents("box", ["later"])
    # A refresh token is good for one use: the latest are here.
    assert (state / "tokens" / "box").read_text() == "new\nnewest"
    assert (state / "tokens" / "another").read_text() == "of later"
    assert read_identity(state) == identity
    claim_state(state, state.parent / "synqup.toml")


def rewritten(file: Path, change: Callable[[dict[str, bytes]], Any]) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def manifest(members: dict[str, bytes], change: Callable[[dict[str, Any]], Any]) -> None:
    told = json.loads(members[MANIFEST])
    change(told)
    members[MANIFEST] = json.dumps(told).encode()


def rename(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members[name] = members.pop("volumes")
        manifest(
            members,
            lambda told: [
                one.update(name=name) for one in told["members"] if one["name"] == "volumes"
            ],
        )

    return change


DAMAGES: dict[str, Callable[[dict[str, bytes]], Any]] = {
    "a byte of a token": lambda m: m.update({"tokens/box": b"olD\nnew"}),
    "a byte of the ledger": lambda m: m.update(
        {"ledger.sqlite": m["ledger.sqlite"][:-1] + b"\x01"}
    ),
    "a shorter file": lambda m: m.update({"volumes": b""}),
    "a longer file": lambda m: m.update({"volumes": b"/mnt/books\n" * 9}),
    "a file more": lambda m: m.update({"more": b""}),
    "a file less": lambda m: m.pop("volumes"),
    "no manifest": lambda m: m.pop(MANIFEST),
    "another manifest": lambda m: m.update({MANIFEST: b"{}"}),
    "a manifest that is none": lambda m: m.update({MANIFEST: b"\xff"}),
    "a later format": lambda m: manifest(m, lambda told: told.update(format=2)),
    "a later ledger": lambda m: manifest(m, lambda told: told.update(ledger=VERSION + 1)),
    "no ledger": lambda m: (
        m.pop("ledger.sqlite"),
        manifest(m, lambda told: told["members"].pop(0)),
    ),
    "too much for any disk": lambda m: manifest(
        m, lambda told: told["members"][0].update(size=10**18)
    ),
    **{
        f"a file named {name}": rename(name)
        for name in (
            *("../volumes", "/etc/x", "a/../../x", "lock", "owner", "logs/synqup.log"),
            *("restore.ready-x/ledger.sqlite", "before-restore-1/x", "C:/x", "a\\b", "staging:x"),
        )
    },
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_backup_that_is_not_whole_changes_nothing(
    state: Path, file: Path, damage: str
) -> None:
    rewritten(file, DAMAGES[damage])
    before = files(state)
    with pytest.raises(StateError) as refused:
        restore_backup(file, state, replace=True)
    assert str(file) in str(refused.value)
    assert files(state) == before
    assert not (state.parent / "volumes").exists()
    async with open_ledger(state / "ledger.sqlite") as ledger:
        assert await ledger.contents("box", ["1"])


def test_a_file_that_breaks_off_or_is_none_is_refused(state: Path, file: Path) -> None:
    data = file.read_bytes()
    before = files(state)
    for broken in (b"", b"no zip", data[: len(data) // 2], data[:-30], data[100:]):
        file.write_bytes(broken)
        with pytest.raises(StateError):
            restore_backup(file, state, replace=True)
    for place in range(40, len(data), len(data) // 30):
        file.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            restore_backup(file, state, replace=True)
        except StateError:
            continue
        # A bit that means nothing, such as one of a time stamp.
        break
    after = files(state)
    assert {name: after[name] for name in before if "tokens" in name} == {
        name: data for name, data in before.items() if "tokens" in name
    }


def test_a_ledger_in_the_backup_that_is_no_ledger_is_refused(state: Path, file: Path) -> None:
    def change(members: dict[str, bytes]) -> None:
        from hashlib import sha256  # noqa: PLC0415

        data = members["ledger.sqlite"] = b"SQLite format 3\0" + bytes(5000)
        manifest(
            members,
            lambda told: told["members"][0].update(size=len(data), sha256=sha256(data).hexdigest()),
        )

    rewritten(file, change)
    before = files(state)
    with pytest.raises(StateError, match="can't be used"):
        restore_backup(file, state, replace=True)
    assert files(state) == before


def test_where_nothing_can_be_backed_up_it_is_said(state: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="can't lie in the folder"):
        write_backup(state, state / "backup.zip")
    with pytest.raises(StateError, match="can't be written"):
        write_backup(state, tmp_path / "none" / "backup.zip")
    with pytest.raises(StateError, match="there is no ledger"):
        write_backup(tmp_path, tmp_path.parent / "x.zip")
    (state / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    with pytest.raises(StateError, match="the ledger can't be copied"):
        write_backup(state, tmp_path / "x.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


def test_a_backup_that_fails_leaves_the_one_before(
    state: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match="No space left"):
        write_backup(state, file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["backup.zip", "state"]


async def test_it_is_consistent_while_the_ledger_is_written(state: Path, tmp_path: Path) -> None:
    path = state / "ledger.sqlite"
    async with open_ledger(path) as ledger:
        for number in range(20):
            key = Key("box", f"more-{number}", "")
            await ledger.seen([(key, "invoice")], 1.0)
            await ledger.quarantined([(key, "no")], 1.0)
            write_backup(state, tmp_path / "b.zip")
            with zipfile.ZipFile(tmp_path / "b.zip") as archive:
                (tmp_path / "copy").write_bytes(archive.read("ledger.sqlite"))
            with closing(sqlite3.connect(tmp_path / "copy")) as copy:
                ((count,),) = copy.execute(
                    "SELECT count(*) FROM documents WHERE state = 'quarantined'"
                )
            assert count == number + 1


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_a_backup_by_an_account_that_may_not_read_all_is_refused(state: Path) -> None:
    """Without the tokens it would look whole."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place = Path(name)
        place.chmod(0o777)
        here = Path(shutil.copytree(state, place / "state"))
        for path in (here, *here.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o777)
        (here / "tokens").chmod(0)
        with as_nobody(), pytest.raises(StateError) as refused:
            write_backup(here, place / "backup.zip")
        (here / "tokens").chmod(0o700)
        assert refused.value.subject == str(here / "tokens")
        assert "Back up as the account that runs synqup" in str(refused.value)
        assert sorted(path.name for path in place.iterdir()) == ["state"]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of root, if these are ours: root may read everything."""
    ours = os.geteuid()
    if ours == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(ours)
