"""A copy of a state folder is noticed, and nothing else is taken for one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from msgspec import structs

from pipeline.app import identity, machine, mounts
from pipeline.app.identity import (
    Here,
    Identity,
    check_state,
    claim_state,
    read_identity,
    why_copy,
)
from pipeline.app.machine import Machine, this_machine
from pipeline.errors import StateCopied, StateError

SERVER = Machine("a1", "srv", ("card1", "card2"))
OTHER = Machine("b2", "new", ("card3",))
BOX = Machine("", "3f2a", ("x1",), is_container=True)
UNKNOWN = Machine("", "srv")

HERE = "/var/lib/synqup"


def known(of: Machine, path: str = HERE, file: int | None = 12) -> Identity:
    return Identity("id", of, path, "/etc/synqup.toml", file)


def here(at: Machine, path: str = HERE, file: int | None = 12, original: bool = False) -> Here:
    return Here(at, path, file, original)


ACCEPTED = {
    "nothing has changed": (known(SERVER), here(SERVER)),
    "it was renamed": (known(SERVER), here(structs.replace(SERVER, hostname="renamed"))),
    "its name is in capitals": (known(SERVER), here(structs.replace(SERVER, hostname="SRV"))),
    "a card was replaced": (known(SERVER), here(structs.replace(SERVER, hardware=("new",)))),
    "one of two cards is left, and another name": (
        *(known(SERVER), here(structs.replace(SERVER, hostname="x", hardware=("card2",)))),
    ),
    "no card is up, and another name": (
        *(known(SERVER), here(structs.replace(SERVER, hostname="x", hardware=()))),
    ),
    "it was put back from a backup": (known(SERVER), here(SERVER, file=99)),
    "it was moved": (known(SERVER), here(SERVER, "/srv/synqup")),
    "it was moved to another volume": (known(SERVER), here(SERVER, "/srv/synqup", 99)),
    "the system was installed anew": (
        *(known(SERVER), here(structs.replace(SERVER, installation="new"))),
    ),
    "a container was made anew on its volume": (
        *(known(BOX), here(Machine("", "9b11", ("x2",), is_container=True))),
    ),
    "it went into a container": (known(SERVER), here(BOX)),
    "it came out of a container": (known(BOX), here(SERVER)),
    "a container whose volume has no lasting numbers": (
        *(known(BOX, file=None), here(Machine("", "9b11", is_container=True), file=None)),
    ),
    "a container of a fixed name, put back from a backup": (known(BOX), here(BOX, file=99)),
    "a machine without a number, put back": (known(UNKNOWN), here(UNKNOWN, file=99)),
    "a machine without a number, moved": (known(UNKNOWN), here(UNKNOWN, "/srv/x", 99)),
}

REFUSED = {
    "another machine": (known(SERVER), here(OTHER, file=99)),
    "another machine, the same disk": (known(SERVER), here(OTHER)),
    "another machine of the same name": (
        *(known(SERVER), here(structs.replace(OTHER, hostname="srv"))),
    ),
    "a clone with the same number": (
        *(known(SERVER), here(structs.replace(OTHER, installation="a1"))),
    ),
    "a copy beside the original": (known(SERVER), here(SERVER, "/srv/copy", 99, True)),
    "a copy beside the original, by chance with its number": (
        *(known(SERVER), here(SERVER, "/srv/copy", 12, True)),
    ),
    "a copy of a container's volume": (
        *(known(BOX), here(Machine("", "9b11", is_container=True), file=99)),
    ),
    "a copy in a container of the same name at another path": (
        *(known(BOX), here(BOX, "/other", 99)),
    ),
    "a copy beside the original on a share": (
        *(known(BOX, file=None), here(BOX, "/other", None, True)),
    ),
    "a copy from a machine into a container": (known(SERVER), here(BOX, file=99)),
}


def written(state: Path) -> tuple[int, ...]:
    """What each write of the identity changes; a reader changes the time of access alone."""
    found = (state / "identity.json").stat()
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_is_no_copy_goes_on(case: str) -> None:
    assert why_copy(*ACCEPTED[case]) == ""


@pytest.mark.parametrize("case", REFUSED)
def test_a_copy_is_refused_and_the_place_of_the_other_is_named(case: str) -> None:
    assert HERE in why_copy(*REFUSED[case])


# With real folders


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def on(monkeypatch: pytest.MonkeyPatch, one: Machine) -> None:
    monkeypatch.setattr(identity, "this_machine", lambda: one)


def test_a_new_folder_gets_an_identity_that_stays(state: Path) -> None:
    claim_state(state, Path("/etc/synqup.toml"))
    first = read_identity(state)
    assert first is not None
    assert len(first.id) == 32
    assert first.config == "/etc/synqup.toml"
    before = written(state)
    assert first.file == before[0]
    claim_state(state, Path("/etc/synqup.toml"))
    assert written(state) == before
    claim_state(state, Path("/etc/other.toml"))
    second = read_identity(state)
    assert second is not None
    assert (second.id, second.config) == (first.id, "/etc/other.toml")
    assert [path.name for path in state.iterdir()] == ["identity.json"]


def test_a_copy_beside_the_original_is_refused_until_it_is_taken_over(
    state: Path, tmp_path: Path
) -> None:
    config = tmp_path / "synqup.toml"
    claim_state(state, config)
    before = read_identity(state)
    copy = tmp_path / "copy"
    shutil.copytree(state, copy)
    for look in (lambda: claim_state(copy, config), lambda: check_state(copy)):
        with pytest.raises(StateCopied) as refused:
            look()
        assert str(state) in str(refused.value)
        assert "--take-over" in str(refused.value)
    claim_state(copy, config, take_over=True)
    claim_state(copy, config)
    claim_state(state, config)
    assert read_identity(state) == before != read_identity(copy)


def test_a_folder_that_was_moved_or_put_back_goes_on(state: Path, tmp_path: Path) -> None:
    config = tmp_path / "synqup.toml"
    claim_state(state, config)
    first = read_identity(state)
    assert first is not None
    moved = tmp_path / "moved"
    state.rename(moved)
    claim_state(moved, config)
    shutil.copytree(moved, tmp_path / "backup")
    shutil.rmtree(moved)
    shutil.copytree(tmp_path / "backup", moved)
    claim_state(moved, config)
    check_state(moved)
    last = read_identity(moved)
    assert last is not None
    assert last.id == first.id
    assert last.file == (moved / "identity.json").stat().st_ino


def test_another_machine_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, SERVER)
    claim_state(state, Path("/etc/synqup.toml"))
    on(monkeypatch, OTHER)
    with pytest.raises(StateCopied, match=r"another machine, srv \(.*/state, /etc/synqup.toml\)"):
        claim_state(state, Path("/etc/synqup.toml"))
    claim_state(state, Path("/etc/synqup.toml"), take_over=True)
    on(monkeypatch, SERVER)
    with pytest.raises(StateCopied, match="another machine, new"):
        claim_state(state, Path("/etc/synqup.toml"))


def test_a_volume_without_lasting_numbers_is_not_written_at_each_start(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "mount_of", lambda _: mounts.Mount("host", "/", "virtiofs"))
    on(monkeypatch, BOX)
    claim_state(state, Path("/c"))
    before = written(state)
    claim_state(state, Path("/c"))
    assert written(state) == before


@pytest.mark.parametrize("text", ["", "{", "{}", '{"id": 7}', "[]", '{"id": "x"}', "\xff"])
def test_an_identity_that_cannot_be_read_is_begun_anew(state: Path, text: str) -> None:
    (state / "identity.json").write_bytes(text.encode("latin-1"))
    claim_state(state, Path("/etc/synqup.toml"))
    assert read_identity(state) is not None


def test_a_hostile_identity_steers_no_terminal(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim_state(state, Path("/etc/synqup.toml"))
    told = json.loads((state / "identity.json").read_text())
    told["state_dir"] = "/\x1b[2J\u202e"
    told["machine"] |= {"hostname": "\x9b31m\nx", "installation": "other"}
    (state / "identity.json").write_text(json.dumps(told))
    on(monkeypatch, OTHER)
    with pytest.raises(StateCopied) as refused:
        claim_state(state, Path("/etc/synqup.toml"))
    assert str(refused.value).isprintable()


def test_a_folder_that_cannot_be_written_is_named(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(identity, "new_file", denied)
    with pytest.raises(StateError, match=r"can't be used \(denied\)"):
        claim_state(state, Path("/etc/synqup.toml"))
    assert list(state.iterdir()) == []


# The machine


def test_this_machine_is_the_same_at_each_look() -> None:
    one = this_machine()
    assert one == this_machine()
    assert one.hostname
    if sys.platform == "linux" and not one.is_container and Path("/etc/machine-id").exists():
        text = Path("/etc/machine-id").read_text().strip()
        assert one.installation
        assert one.installation not in text


def test_a_container_has_no_number_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = tmp_path / "machine-id"
    number.write_text("3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    monkeypatch.setattr(machine, "MACHINE_ID_FILES", (str(tmp_path / "none"), str(number)))
    monkeypatch.setattr(machine, "CONTAINER_FILES", (str(tmp_path / "dockerenv"),))
    for name in machine.CONTAINER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert this_machine().installation
    assert not this_machine().is_container
    (tmp_path / "dockerenv").touch()
    assert this_machine().is_container
    assert not this_machine().installation


@pytest.mark.skipif(sys.platform != "linux", reason="the list is Linux's")
def test_the_volume_of_a_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "/dev/a / ext4 rw 0 0\n/dev/b /mnt/my\\040books xfs rw 0 0\n//srv/x /mnt/my cifs rw 0 0\n"
        "tmpfs /mnt/my\\040books tmpfs rw 0 0\n"
    )
    monkeypatch.setattr(mounts, "MOUNTS", str(table))
    for path, kind in (("/mnt/my books/x", "tmpfs"), ("/mnt/my/x", "cifs"), ("/mnt/myx", "ext4")):
        found = mounts.mount_of(Path(path))
        assert found is not None
        assert found.kind == kind
    assert len(mounts.mounts()) == 4
