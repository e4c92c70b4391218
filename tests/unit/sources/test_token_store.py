"""A refresh token is stored for one source, and a new sign-in goes before everything else."""

from __future__ import annotations

import errno
import itertools
import os
import sys
import tempfile
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.config.secrets import SecretMissing
from pipeline.config.types import Secret
from pipeline.errors import SignInRefused
from pipeline.sign_in import NotSignedIn, described
from stages.sources.http import token_store
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.token_store import StoredSignIn, TokenStore, token_path


def store(folder: Path, configured: Secret | None = None, by_browser: bool = True) -> TokenStore:
    address = "https://issuer.example/auth" if by_browser else ""
    client = OAuthClient("https://issuer.example/token", "us", None, "", configured, address)
    return TokenStore("box", token_path(folder, "box"), client)


def test_a_name_of_a_source_leads_nowhere_else(tmp_path: Path) -> None:
    names = [
        *("box", "Box", "BOX", "../box", "a/b", "a\\b", "con", "CON", ".", "..", ".lock", "box."),
        *("Büro", "b%C3%BCro", "x" * 300, "y" * 300, "a:b", " box", "box ", "\u202ebox", "nul"),
    ]
    paths = [token_path(tmp_path, name) for name in names]
    assert {path.parent for path in paths} == {tmp_path / "tokens"}
    assert len({path.name.casefold() for path in paths}) == len(names)
    assert all(len(path.name.encode()) < 150 and path.name.isascii() for path in paths)
    assert token_path(tmp_path, "box").name == "box"


def test_what_a_sign_in_stores_is_read(tmp_path: Path) -> None:
    one = store(tmp_path)
    with pytest.raises(NotSignedIn, match=r"nobody has signed in yet. Sign in: synqup sign-in box"):
        one.read()
    assert described(one.state()) == "nobody has signed in yet; sign in: synqup sign-in box"
    one.sign_in(StoredSignIn("r1", 4e9, "jan"))
    assert store(tmp_path).read() == StoredSignIn("r1", 4e9, "jan")
    assert (one.state().account, one.state().ends_at, one.state().problem) == ("jan", 4e9, "")


def test_the_next_token_takes_the_place_of_the_one_before_and_of_no_other(tmp_path: Path) -> None:
    one = store(tmp_path)
    one.sign_in(StoredSignIn("r1"))
    assert one.renew("r1", StoredSignIn("r2"))
    assert one.read().refresh_token == "r2"
    one.sign_in(StoredSignIn("s1"))
    assert not one.renew("r2", StoredSignIn("r3"))
    assert one.read().refresh_token == "s1"


def test_the_one_who_signs_in_and_the_service_do_not_write_at_once(tmp_path: Path) -> None:
    """The service looks, and writes by what it has seen; nobody may sign in between the two."""
    one = store(tmp_path)
    one.sign_in(StoredSignIn("r0"))
    stop = threading.Event()

    def renew() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            used = one.read().refresh_token
            one.renew(used, StoredSignIn(f"{used.partition('-')[0]}-{number}"))

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        for number in range(30):
            one.sign_in(StoredSignIn(f"s{number}"))
            # Whatever the service does now, it goes on from here.
            assert one.read().refresh_token.startswith(f"s{number}")
    finally:
        stop.set()
        thread.join()


def test_a_configured_token_goes_first_until_it_has_been_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNQUP_TEST_REFRESH", "r0")
    one = store(tmp_path, Secret(env="SYNQUP_TEST_REFRESH"))
    assert one.read().refresh_token == "r0"
    one.renew("r0", StoredSignIn("r1"))
    assert one.read().refresh_token == "r1"
    one.sign_in(StoredSignIn("by-browser"))
    assert one.read().refresh_token == "by-browser"
    monkeypatch.setenv("SYNQUP_TEST_REFRESH", "signed-in-elsewhere")
    assert one.read().refresh_token == "signed-in-elsewhere"
    assert "r0" not in one.path.read_text()


def test_a_configured_token_that_is_gone_matters_where_nobody_can_sign_in_by_browser(
    tmp_path: Path,
) -> None:
    place = Secret(file=str(tmp_path / "refresh"))
    (tmp_path / "refresh").write_text("r0")
    store(tmp_path, place).renew("r0", StoredSignIn("r1"))
    (tmp_path / "refresh").unlink()
    assert store(tmp_path, place).read().refresh_token == "r1"
    with pytest.raises(SecretMissing):
        store(tmp_path, place, by_browser=False).read()
    assert "can't be read" in described(store(tmp_path, place, by_browser=False).state())


def test_a_token_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    place = Secret(file=str(tmp_path / "refresh"))
    (tmp_path / "refresh").write_text("r0")
    one = store(tmp_path, place)
    one.path.parent.mkdir(parents=True)
    one.path.write_text("r0\nr1")
    assert one.read() == StoredSignIn("r1", replaces=sha256(b"r0").hexdigest())
    one.path.write_text("other\nr1")
    assert one.read().refresh_token == "r0"


@pytest.mark.parametrize(
    "text", ["", "{", "{}", '{"refresh_token": 7}', '{"refresh_token": ""}', "[", "x\n", "\0" * 99]
)
def test_a_file_that_holds_no_token_is_said_and_a_sign_in_cures_it(
    tmp_path: Path, text: str
) -> None:
    one = store(tmp_path)
    one.path.parent.mkdir(parents=True)
    one.path.write_text(text)
    with pytest.raises(SignInRefused, match="synqup sign-in box"):
        one.read()
    assert one.state().problem
    one.sign_in(StoredSignIn("r1"))
    assert one.read().refresh_token == "r1"


@pytest.mark.parametrize("what", ["a folder", "a link", "a pipe"])
def test_what_is_no_file_is_not_read(tmp_path: Path, what: str) -> None:
    one = store(tmp_path)
    one.path.parent.mkdir(parents=True)
    if what == "a folder":
        one.path.mkdir()
    elif what == "a pipe":
        if sys.platform == "win32":
            pytest.skip("Windows has no such pipes")
        os.mkfifo(one.path)
    else:
        (tmp_path / "laid").write_text('{"refresh_token": "laid"}')
        one.path.symlink_to(tmp_path / "laid")
    with pytest.raises(SignInRefused, match="the stored sign-in can't be read"):
        one.read()


def test_a_full_disk_keeps_the_token_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = store(tmp_path)
    one.sign_in(StoredSignIn("r1"))

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            one.renew("r1", StoredSignIn("r2"))
    assert one.read().refresh_token == "r1"
    assert one.renew("r1", StoredSignIn("r2"))


@pytest.mark.skipif(sys.platform == "win32", reason="there files have the rights of their folder")
@pytest.mark.parametrize("exists", [True, False])
def test_what_root_signs_in_belongs_to_the_account_of_the_state_folder(exists: bool) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can write as another account")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # where that account can come to
        theirs = folder / "theirs"
        theirs.mkdir(mode=0o750)
        os.chown(theirs, 4711, 4712)
        one = store(theirs if exists else theirs / "var" / "state")
        one.sign_in(StoredSignIn("r1"))
        for path in (one.path.parents[1], one.path.parent, one.path, one.path.parent / ".lock"):
            assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_a_lock_that_somebody_holds_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_store, "LOCK_TIMEOUT", 0.05)
    one = store(tmp_path)
    one.sign_in(StoredSignIn("r1"))
    with one._locked(), pytest.raises(OSError, match="lock"):
        one.renew("r1", StoredSignIn("r2"))
