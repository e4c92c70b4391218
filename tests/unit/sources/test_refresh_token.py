"""A refresh token is used once, and the next one is kept whatever happens."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest
from structlog.testing import capture_logs

from pipeline.config.types import Secret
from pipeline.errors import RetryableError, SignInRefused
from stages.sources.http import oauth
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.token_endpoint import GrantRefused
from stages.sources.http.token_store import StoredSignIn, TokenStore
from tests.helpers.issuer import asked, issuer, sign_in_of, token
from tests.helpers.systems import is_private, posix_only

pytestmark = pytest.mark.anyio


async def test_a_refresh_token_is_used_once_and_the_next_one_kept(tmp_path: Path) -> None:
    async with issuer() as it:
        it.rotates = True
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            await one.get()
            one.reject("t1")
            await one.get()
        async with token(
            tmp_path, it, refresh_token=Secret(file=str(tmp_path / "refresh"))
        ) as again:
            await again.get()
        assert [form["refresh_token"] for form in it.forms] == ["r0", "r1", "r2"]
        assert {form["grant_type"] for form in it.forms} == {"refresh_token"}


async def test_a_refresh_token_whose_file_can_not_be_written_is_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with issuer() as it:
        it.rotates = True
        monkeypatch.setenv("SYNQUP_TEST_REFRESH", "r0")
        for _ in range(2):
            async with token(tmp_path, it, Secret(env="SYNQUP_TEST_REFRESH")) as one:
                await one.get()
        assert [form["refresh_token"] for form in it.forms] == ["r0", "r1"]
        kept = tmp_path / "kept" / "box"
        assert is_private(kept)
        monkeypatch.setenv("SYNQUP_TEST_REFRESH", "signed-in-anew")
        async with token(tmp_path, it, Secret(env="SYNQUP_TEST_REFRESH")) as one:
            await one.get()
        assert it.forms[-1]["refresh_token"] == "signed-in-anew"


@contextmanager
def refusing(folder: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> Iterator[None]:
    """A system that lets nothing be stored in a folder, in one of several ways."""
    kept = folder / "kept"
    with monkeypatch.context() as patch:
        if how == "a file lies there":
            kept.write_text("")
        elif how == "a link lies there":
            (folder / "elsewhere").mkdir()
            kept.symlink_to(folder / "elsewhere")
        else:
            flush = os.fsync

            def fail(descriptor: int) -> None:
                is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
                if is_folder == (how == "the folder can't be flushed"):
                    raise OSError(errno.ENOSPC, "No space left on device")
                flush(descriptor)

            patch.setattr(os, "fsync", fail)
        yield
    if kept.is_symlink() or kept.is_file():
        kept.unlink()


@pytest.mark.parametrize("place", ["env", "file"])
@pytest.mark.parametrize(
    "how",
    [
        "a file lies there",
        pytest.param("a link lies there", marks=posix_only("links need a right of their own")),
        "no file can be flushed",
        pytest.param("the folder can't be flushed", marks=posix_only("no folder can be flushed")),
    ],
)
async def test_a_refresh_token_that_can_not_be_stored_is_used_and_stored_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, place: str
) -> None:
    monkeypatch.setenv("SYNQUP_TEST_REFRESH", "r0")
    where = tmp_path / "absent" / "refresh"
    secret = Secret(env="SYNQUP_TEST_REFRESH")
    if place == "file":
        # It can be read and not be replaced: its folder is gone as soon as it has been read.
        where.parent.mkdir()
        where.write_text("r0")
        secret = Secret(file=str(where))
    async with issuer() as it:
        it.rotates = True
        async with token(tmp_path, it, secret) as one:
            with refusing(tmp_path, monkeypatch, how), capture_logs() as logs:
                it.asked = partial(shutil.rmtree, where.parent, ignore_errors=True)
                for name in ("t1", "t2", "t3"):
                    assert await one.get() == name
                    one.reject(name)
            said = [log for log in logs if log["event"].endswith("can't be stored")]
            assert len(said) == 1
            assert "Make room" in said[0]["remedy"]
            assert said[0]["reason"]
            assert not any("r1" in str(log) for log in logs)
        assert not (tmp_path / "elsewhere" / "box").exists()
        # It was stored when all was closed, and is used by the next process.
        if place == "file":
            where.parent.mkdir()
            where.write_text("r0")
        async with token(tmp_path, it, secret) as again:
            await again.get()
        assert [form["refresh_token"] for form in it.forms] == ["r0", "r1", "r2", "r3"]


async def test_a_token_of_a_new_sign_in_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "refresh"
    async with issuer() as it:
        it.rotates = True
        async with token(tmp_path, it, Secret(file=str(path))) as one:
            with refusing(tmp_path, monkeypatch, "no file can be flushed"):
                await one.get()
                one.reject("t1")
            path.write_text("signed-in-anew")
        assert path.read_text() == "signed-in-anew"
        async with token(tmp_path, it, Secret(file=str(path))) as one:
            await one.get()
            path.write_text("and-again")
            one.reject("t2")
            await one.get()
        used = [form["refresh_token"] for form in it.forms]
        assert used == ["r0", "signed-in-anew", "and-again"]


@pytest.mark.parametrize("given", ["two\nlines", "", "r" * 20_000, "\u202e"])
async def test_a_refresh_token_that_is_none_is_not_stored(tmp_path: Path, given: str) -> None:
    async with issuer() as it, token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
        it.answer = {"refresh_token": given}
        with capture_logs() as logs:
            assert await one.get() == "t1"
        said = [entry["event"] for entry in logs]
        told = "the token address answered with an invalid refresh token"
        assert said == ([told] if given else [])
        assert (tmp_path / "refresh").read_text() == "r0"


async def test_a_kept_token_is_not_read_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNQUP_TEST_REFRESH", "r0")
    (tmp_path / "kept").mkdir()
    (tmp_path / "laid").write_text("r0\nlaid")
    (tmp_path / "kept" / "box").symlink_to(tmp_path / "laid")
    async with issuer() as it:
        it.rotates = True
        async with token(tmp_path, it, Secret(env="SYNQUP_TEST_REFRESH")) as one:
            await one.get()
        assert it.forms[0]["refresh_token"] == "r0"
    assert (tmp_path / "laid").read_text() == "r0\nlaid"
    kept = tmp_path / "kept" / "box"
    assert msgspec.json.decode(kept.read_text())["refresh_token"] == "r1"
    assert not kept.is_symlink()


async def test_a_refresh_token_is_kept_even_by_one_who_is_cancelled(tmp_path: Path) -> None:
    async with issuer() as it:
        it.rotates, it.delay = True, 0.1
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            async with anyio.create_task_group() as group:
                group.start_soon(one.get)
                await asked(it)
                group.cancel_scope.cancel()
            assert (tmp_path / "refresh").read_text().strip() == "r1"


async def test_a_token_whose_answer_was_lost_is_tried_once_more(tmp_path: Path) -> None:
    """Many issuers take it again within a short time; its answer may never have been sent."""
    async with issuer() as it:
        it.rotates, it.cuts = True, 1
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            assert await one.get() == "t2"
        assert [form["refresh_token"] for form in it.forms] == ["r0", "r0"]
        assert (tmp_path / "refresh").read_text().strip() == "r2"


async def test_an_issuer_that_does_not_take_it_again_ends_in_words(tmp_path: Path) -> None:
    async with issuer() as it:
        it.rotates, it.cuts = True, 1
        it.status_after_cuts = 400
        async with token(
            tmp_path, it, Secret(file=str(tmp_path / "refresh")), by_browser=True
        ) as one:
            with pytest.raises(GrantRefused) as refused:
                await one.get()
            said = str(refused.value)
            assert "the answer with the next refresh token was lost on its way" in said
            assert said.endswith("Sign in again: synqup sign-in box.")
            assert len(it.forms) == 2


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_an_issuer_that_has_answered_is_not_asked_again_at_once(
    tmp_path: Path, status: int
) -> None:
    async with issuer() as it:
        it.status, it.answer = status, "busy"
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            with pytest.raises(RetryableError):
                await one.get()
        assert len(it.forms) == 1


async def test_client_credentials_whose_answer_was_lost_are_not_sent_twice(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.cuts = 1
        with pytest.raises(RetryableError):
            await one.get()
        assert len(it.forms) == 1


async def test_the_access_token_is_used_when_the_refresh_token_is_stored_and_not_before(
    tmp_path: Path,
) -> None:
    order: list[str] = []
    flush = os.fsync

    def note(descriptor: int) -> None:
        order.append("flushed")
        flush(descriptor)

    async with issuer() as it:
        it.rotates = True
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "fsync", note)
                await one.get()
                order.append("used")
    assert order[0] == "flushed"
    assert order[-1] == "used"
    kept = msgspec.json.decode((tmp_path / "kept" / "box").read_bytes())
    assert kept["refresh_token"] == "r1"


async def test_a_sign_in_while_a_token_is_renewed_goes_before_what_comes_of_that(
    tmp_path: Path,
) -> None:
    async with issuer() as it:
        it.rotates = True
        async with token(
            tmp_path, it, Secret(file=str(tmp_path / "refresh")), by_browser=True
        ) as one:
            client = OAuthClient(
                it.url, "us", None, "", Secret(file=str(tmp_path / "refresh")), "x"
            )
            store = TokenStore("box", tmp_path / "kept" / "box", client)
            it.asked = partial(store.sign_in, StoredSignIn("by-browser", account="jan"))
            await one.get()
            it.asked = lambda: None
            one.reject("t1")
            await one.get()
        assert [form["refresh_token"] for form in it.forms] == ["r0", "by-browser"]
        assert store.read() == StoredSignIn("r2", account="jan", replaces=store.read().replaces)


async def test_a_refused_token_is_looked_up_once_more_before_anybody_is_told(
    tmp_path: Path,
) -> None:
    """Somebody may have signed in since it was read."""
    async with issuer() as it:
        it.rotates, it.refused = True, {"r0"}
        refresh = tmp_path / "refresh"
        async with token(tmp_path, it, Secret(file=str(refresh))) as one:
            it.asked = partial(refresh.write_text, "signed-in-anew")
            assert await one.get() == "t2"
        assert [form["refresh_token"] for form in it.forms] == ["r0", "signed-in-anew"]


async def test_who_waits_for_a_new_sign_in_goes_on_with_it_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "CHECK_INTERVAL", 0.01)
    async with issuer() as it:
        it.rotates, it.refused = True, {"r0", "r9"}
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            with pytest.raises(SignInRefused):
                await one.get()
            with anyio.move_on_after(0.2) as waited:
                await sign_in_of(one).renewed_by_user()
            assert waited.cancelled_caught
            (tmp_path / "refresh").unlink()
            (tmp_path / "refresh").write_text("signed-in-anew")
            with anyio.fail_after(60):
                await sign_in_of(one).renewed_by_user()
            await one.get()
            # What it was granted is not a sign-in anew: after a refusal it waits again.
            with anyio.move_on_after(0.2) as waited:
                await sign_in_of(one).renewed_by_user()
            assert waited.cancelled_caught


async def test_the_end_of_a_sign_in_outlives_a_restart(tmp_path: Path) -> None:
    async with issuer() as it:
        it.rotates = True
        it.answer = {"refresh_expires_in": 86_400}
        refresh = Secret(file=str(tmp_path / "refresh"))
        async with token(tmp_path, it, refresh) as one:
            await one.get()
            ends_at = sign_in_of(one).ends_at
            assert ends_at is not None
        it.status, it.answer = 400, '{"error": "invalid_grant"}'
        async with token(tmp_path, it, refresh) as one:
            assert sign_in_of(one).ends_at is None
            with pytest.raises(SignInRefused):
                await one.get()
            assert sign_in_of(one).ends_at == ends_at


async def test_the_end_is_stored_where_the_token_stays_the_same(tmp_path: Path) -> None:
    async with issuer() as it:
        it.answer = {"refresh_expires_in": 86_400}
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            await one.get()
            kept = tmp_path / "kept" / "box"
            before = kept.stat().st_ino
            one.reject("t1")
            await one.get()  # it has moved by less than a minute
            assert kept.stat().st_ino == before
            it.answer = {"refresh_expires_in": 1800}
            one.reject("t2")
            await one.get()
            assert msgspec.json.decode(kept.read_bytes())["refresh_token"] == "r0"
            assert kept.stat().st_ino != before
