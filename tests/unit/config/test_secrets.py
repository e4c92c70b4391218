"""A secret is read where it lies, anew each time, and is never said."""

from __future__ import annotations

import os
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from pipeline.config.secrets import MAX_SECRET_BYTES, SecretMissing, read_secret, store_secret
from pipeline.config.types import Secret
from tests.helpers.systems import is_private


class Ring(keyring.backend.KeyringBackend):
    """A keyring of this test's own, so that none of the machine's is touched."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret(env="SYNQUP_TEST")
    monkeypatch.delenv("SYNQUP_TEST", raising=False)
    with pytest.raises(SecretMissing, match="environment variable SYNQUP_TEST"):
        read_secret(secret)
    monkeypatch.setenv("SYNQUP_TEST", "one")
    assert read_secret(secret) == "one"
    monkeypatch.setenv("SYNQUP_TEST", "two")
    assert read_secret(secret) == "two"
    assert not store_secret(secret, "three")


#: What has a name in a folder on POSIX alone.
POSIX = () if os.name == "nt" else ("pipe", "device")


def test_from_a_file_which_keeps_a_renewed_one_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = Secret(file=str(path))
    with pytest.raises(SecretMissing, match="can't be read"):
        read_secret(secret)
    path.write_text("\n")
    with pytest.raises(SecretMissing, match="missing or empty"):
        read_secret(secret)
    path.write_text("\ufeffone\r\n", "utf-8")
    assert read_secret(secret) == "one"
    path.write_bytes("one\r\n".encode("utf-16"))
    with pytest.raises(SecretMissing, match="Save it as UTF-8"):
        read_secret(secret)
    path.write_text("one\r\n")
    assert read_secret(secret) == "one"
    assert store_secret(secret, "two")
    assert read_secret(secret) == "two"
    assert is_private(path)
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


def test_what_the_system_refuses_to_keep_is_said(tmp_path: Path) -> None:
    assert not store_secret(Secret(file=str(tmp_path / "absent" / "secret")), "one")
    (tmp_path / "folder").mkdir()
    assert not store_secret(Secret(file=str(tmp_path / "folder")), "one")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("what", [*POSIX, "folder", "long"])
def test_only_a_file_of_a_sane_size_is_read(tmp_path: Path, what: str) -> None:
    """Not what never ends, and not what never begins."""
    path = tmp_path / "secret"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        path = Path("/dev/zero")
    elif what == "folder":
        path.mkdir()
    else:
        path.write_text("x" * (MAX_SECRET_BYTES + 1))
    with pytest.raises(SecretMissing, match="can't be read"):
        read_secret(Secret(file=str(path)))


def test_bytes_that_are_no_text_are_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNQUP_TEST", "s\udcff")
    with pytest.raises(SecretMissing, match="not UTF-8"):
        read_secret(Secret(env="SYNQUP_TEST"))


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "else").write_text("mine")
    (tmp_path / "secret").symlink_to(tmp_path / "else")
    assert store_secret(Secret(file=str(tmp_path / "secret")), "two")
    assert (tmp_path / "else").read_text() == "mine"
    assert (tmp_path / "secret").read_text() == "two\n"


class Broken(Ring):
    """A keyring whose daemon is gone."""

    def get_password(self, service: str, username: str) -> str | None:
        raise ConnectionError

    def set_password(self, service: str, username: str, password: str) -> None:
        raise ConnectionError


def test_from_a_keyring_that_fails_in_its_own_way() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Broken())
    try:
        with pytest.raises(SecretMissing, match="can't be opened"):
            read_secret(Secret(keyring="billtobox"))
        assert not store_secret(Secret(keyring="billtobox"), "one")
    finally:
        keyring.set_keyring(before)


def test_from_a_keyring_that_is_closed() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    try:
        with pytest.raises(SecretMissing, match="can't be opened"):
            read_secret(Secret(keyring="billtobox"))
        assert not store_secret(Secret(keyring="billtobox"), "one")
    finally:
        keyring.set_keyring(before)


def test_from_the_keyring() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        secret = Secret(keyring="billtobox")
        with pytest.raises(SecretMissing, match="keyring set synqup billtobox"):
            read_secret(secret)
        assert store_secret(secret, "one")
        assert read_secret(secret) == "one"
    finally:
        keyring.set_keyring(before)
