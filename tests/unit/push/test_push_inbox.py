"""The inbox of one source: whose pushes it takes, and how many hints they make."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from pipeline.config.secrets import SecretMissing
from pipeline.config.types import Secret
from pipeline.hints import PushRefused, PushRequest
from pipeline.push import inbox as inbox_module
from pipeline.push.inbox import PushInbox, hexadecimal, is_hmac_sha256, secrets_in
from pipeline.push.log_pace import LogPace
from tests.helpers.pushes import request

pytestmark = pytest.mark.anyio


def names_its_secret(pushed: PushRequest, secrets: Sequence[bytes]) -> bool:
    return pushed.body in secrets


def inbox_of(folder: Path, text: str | None = "one\ntwo\n") -> PushInbox:
    if text is not None:
        (folder / "secrets").write_text(text, "utf-8")
    secret = Secret(file=str(folder / "secrets"))
    return PushInbox("source box", secret, names_its_secret)


async def test_each_line_is_a_secret_and_no_other_is_taken(tmp_path: Path) -> None:
    inbox = inbox_of(tmp_path, "one\r\n\r\n  two \n")
    assert await inbox.take(request(b"one"))
    assert not await inbox.take(request(b"two"))
    for other in (b"", b"onetwo", b"three"):
        with pytest.raises(PushRefused) as refused:
            await inbox.take(request(other))
        assert refused.value.is_signed
        assert "push_secret" in refused.value.reason


async def test_pushes_that_come_while_the_secrets_are_read_first_wait_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, may_read = inbox_of(tmp_path), threading.Event()
    read = inbox_module.read_secret

    def held_up(secret: Secret) -> str:
        assert may_read.wait(30)
        return read(secret)

    monkeypatch.setattr(inbox_module, "read_secret", held_up)
    async with anyio.create_task_group() as group:
        for secret in (b"one", b"two", b"one"):
            group.start_soon(inbox.take, request(secret))
        await anyio.wait_all_tasks_blocked()
        may_read.set()


async def test_many_pushes_make_one_hint_until_it_is_heeded(tmp_path: Path) -> None:
    inbox, seen = inbox_of(tmp_path), 0
    for number in range(100):
        assert await inbox.take(request(b"one")) is (number == 0)
    async with aclosing(inbox.hints()) as hints:
        assert await anext(hints) == ""
        with anyio.move_on_after(0.05) as waited:
            await anext(hints)
        assert waited.cancelled_caught
    async with aclosing(inbox.hints()) as hints:
        assert await inbox.take(request(b"two"))
        async for _ in hints:
            seen += 1
            break
    assert seen == 1


async def test_what_is_refused_makes_no_hint(tmp_path: Path) -> None:
    inbox = inbox_of(tmp_path)
    with pytest.raises(PushRefused):
        await inbox.take(request(b"three"))
    async with aclosing(inbox.hints()) as hints:
        with anyio.move_on_after(0.05) as waited:
            await anext(hints)
    assert waited.cancelled_caught


async def test_a_secret_that_is_added_is_used_soon_and_not_at_each_push(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = inbox_of(tmp_path)
    await inbox.take(request(b"one"))
    (tmp_path / "secrets").write_text("three")
    with pytest.raises(PushRefused):
        await inbox.take(request(b"three"))
    monkeypatch.setattr(inbox_module, "REREAD", -1.0)
    await inbox.take(request(b"three"))
    with pytest.raises(PushRefused):
        await inbox.take(request(b"one"))


async def test_secrets_that_are_missing_are_told_of_until_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = inbox_of(tmp_path, None)
    for _ in range(2):
        with pytest.raises(SecretMissing):
            await inbox.take(request(b"one"))
    monkeypatch.setattr(inbox_module, "REREAD", -1.0)
    (tmp_path / "secrets").write_text("one")
    assert await inbox.take(request(b"one"))


def test_secrets_are_bounded() -> None:
    assert len(secrets_in("x\n" * 100_000)) == inbox_module.MAX_SECRETS


def test_a_digest_is_32_bytes_in_hexadecimal() -> None:
    assert hexadecimal(" " + "0A" * 32 + "\n") == b"\n" * 32
    assert hexadecimal("0a" * 31) is None
    assert hexadecimal("zz" * 32) is None
    # Test case 2 of RFC 4231.
    digest = hexadecimal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert digest is not None
    assert is_hmac_sha256(b"what do ya want for nothing?", digest, [b"x", b"Jefe"])
    assert not is_hmac_sha256(b"what do ya want for nothing?", digest[:8], [b"Jefe"])
    assert not is_hmac_sha256(b"what do ya want for nothing", digest, [b"Jefe"])


def test_of_the_same_one_line_is_logged_and_the_others_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pace = LogPace()
    assert pace.counted("box") == 1
    assert [pace.counted("box") for _ in range(50)] == [None] * 50
    assert pace.counted("other") == 1
    monkeypatch.setattr("pipeline.push.log_pace.PAUSE", -1.0)
    assert pace.counted("box") == 51
    assert pace.counted("box") == 1
