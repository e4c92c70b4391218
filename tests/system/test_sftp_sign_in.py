"""Whom the connector sftp trusts, and who it is, against a real OpenSSH server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import RetryableError, SignInRefused, SourceUnreachable
from pipeline.source import Outcome
from tests.helpers.sftp import configured, entries, invoice, opened
from tests.helpers.sshd import Sshd, fingerprint, make_key, running_sshd

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running_sshd(tmp_path_factory.mktemp("sshd") / "server") as one:
        yield one


@pytest.fixture
def sshd(server: Sshd) -> Sshd:
    """The server with an empty folder."""
    shutil.rmtree(server.files)
    server.files.mkdir()
    return server


async def test_a_read_only_account_is_told_of(sshd: Sshd, tmp_path: Path) -> None:
    sshd.upload("a.xml", invoice("P-1"))
    command, sshd.command = sshd.command, f"internal-sftp -R -d {sshd.files}"
    sshd.restart()
    try:
        for mode, verb in (("remove", "removed"), ("move", "moved")):
            config = configured(tmp_path, sshd.section(acknowledge=mode))
            async with opened(config) as source:
                with pytest.raises(RetryableError, match=f"may only read.* can't be {verb}.*keep"):
                    await source.check(config)
                (entry,) = await entries(source, config)
                with pytest.raises(RetryableError, match="may only read"):
                    await source.acknowledge([Outcome(entry.id, True, revision=entry.revision)])
        config = configured(tmp_path, sshd.section(acknowledge="keep"))
        async with opened(config) as source:
            assert "signed in" in await source.check(config)
    finally:
        sshd.command = command
        sshd.restart()
    assert (sshd.files / "a.xml").exists()


async def test_no_key_is_trusted_for_being_the_first(sshd: Sshd, tmp_path: Path) -> None:
    unpinned = configured(tmp_path, sshd.section(fingerprint=None))
    async with opened(unpinned) as source:
        with pytest.raises(SourceUnreachable) as shown:
            await source.check(unpinned)
        assert f'write fingerprint = "{sshd.fingerprint}"' in str(shown.value)
        assert "nobody has signed in" in str(shown.value)
        with pytest.raises(SourceUnreachable):
            await entries(source, unpinned)
    log = (sshd.folder / "log").read_text()
    assert "Accepted" not in log.rpartition("Server listening")[2]


@pytest.mark.parametrize("by", ["fingerprint", "known_hosts"])
async def test_a_changed_key_is_refused_in_words(sshd: Sshd, tmp_path: Path, by: str) -> None:
    (tmp_path / "known").write_text(sshd.known_hosts)
    keys = {} if by == "fingerprint" else {"fingerprint": None, "known_hosts": "known"}
    config = configured(tmp_path, sshd.section(**keys))
    pinned = sshd.fingerprint
    other = sshd.folder / "other"
    make_key(other)
    async with opened(config) as source:
        assert pinned in await source.check(config)
    sshd.keys = [other]
    sshd.restart()
    try:
        async with opened(config) as source:
            with pytest.raises(SourceUnreachable) as refused:
                await entries(source, config)
    finally:
        sshd.keys = [sshd.host_key]
        sshd.restart()
    assert fingerprint(other) in str(refused.value)
    assert (pinned if by == "fingerprint" else "known") in str(refused.value)
    assert "another server" in str(refused.value)


async def test_a_pinned_key_is_found_among_several(sshd: Sshd, tmp_path: Path) -> None:
    """By default a server shows its Ed25519 key, and the pinned one may be of RSA."""
    rsa = sshd.folder / "rsa"
    make_key(rsa, "rsa")
    sshd.keys = [sshd.host_key, rsa]
    sshd.restart()
    try:
        config = configured(tmp_path, sshd.section(fingerprint=fingerprint(rsa)))
        async with opened(config) as source:
            assert fingerprint(rsa) in await source.check(config)
    finally:
        sshd.keys = [sshd.host_key]
        sshd.restart()


async def test_wrong_credentials_are_said_and_tried_once_in_a_poll(
    sshd: Sshd, tmp_path: Path
) -> None:
    stranger, locked = tmp_path / "stranger", tmp_path / "locked"
    make_key(stranger)
    make_key(locked, phrase="open sesame")
    (tmp_path / "phrase").write_text("close sesame")
    for key, more, said in (
        (stranger, "", "refuses the sign-in"),
        (locked, "", "`passphrase` is missing"),
        (locked, 'passphrase = { file = "phrase" }\n', "`passphrase` does not open it"),
        (Path(f"{stranger}.pub"), "", "private key can't be used"),
        (tmp_path / "nothing", "", "secret can't be read"),
    ):
        section = sshd.section().replace(f'"{sshd.key}"', f'"{key}"')
        config = configured(tmp_path, section + more)
        async with opened(config) as source:
            for _ in range(2):
                with pytest.raises(SignInRefused, match=said):
                    await entries(source, config)


async def test_a_key_with_a_passphrase_opens_the_account(sshd: Sshd, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    make_key(locked, phrase="open sesame")
    (tmp_path / "phrase").write_text("open sesame\n")
    allowed = Path(f"{sshd.key}.pub")
    before = allowed.read_text()
    allowed.write_text(before + Path(f"{locked}.pub").read_text())
    try:
        section = sshd.section().replace(f'"{sshd.key}"', f'"{locked}"')
        config = configured(tmp_path, section + 'passphrase = { file = "phrase" }\n')
        async with opened(config) as source:
            assert "signed in" in await source.check(config)
    finally:
        allowed.write_text(before)
