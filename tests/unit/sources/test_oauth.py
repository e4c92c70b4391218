"""One token for all: renewed in time and on 401, by one request, under the secret of the day."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from pipeline.config.types import Secret
from pipeline.errors import RetryableError, SignInRefused, SourceError, SynqupError
from pipeline.retry import Retries
from stages.check import examine
from stages.sources.http import oauth
from stages.sources.http.client import Http, Timeouts
from stages.sources.http.oauth import Client, SignIn
from stages.sources.http.token import Token
from tests.helpers.trial import trial

pytestmark = pytest.mark.anyio


class Issuer:
    """A token endpoint: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answer: dict[str, Any] | str = {"expires_in": 300}
        self.status = 200
        self.delay = 0.0
        self.rotates = False
        self.url = ""
        self.asked: Callable[[], object] = lambda: None

    async def handle(self, request: web.Request) -> web.Response:
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        self.asked()
        await anyio.sleep(self.delay)
        if isinstance(self.answer, str):
            return web.Response(text=self.answer, status=self.status)
        granted = {"access_token": f"t{len(self.forms)}", **self.answer}
        if self.rotates:
            granted["refresh_token"] = f"r{len(self.forms)}"
        return web.json_response(granted, status=self.status)


@asynccontextmanager
async def issuer() -> AsyncIterator[Issuer]:
    one = Issuer()
    app = web.Application()
    app.router.add_post("/token", one.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
        yield one
    finally:
        await runner.cleanup()


@asynccontextmanager
async def token(
    folder: Path, one: Issuer, refresh_token: Secret | None = None
) -> AsyncIterator[Token]:
    (folder / "secret").write_text("s3cret-one")
    if not (folder / "refresh").exists():
        (folder / "refresh").write_text("r0")
    client = Client(one.url, "us", Secret(file=str(folder / "secret")), "openid", refresh_token)
    http = Http("box", connections=60, timeouts=Timeouts(5, 5, 5))
    sign_in = SignIn("box", client, http, folder / "kept" / "box")
    try:
        yield Token(sign_in.grant)
    finally:
        await sign_in.close()
        await http.close()


async def many(one: Token, count: int = 50) -> list[str]:
    got: list[str] = []

    async def get() -> None:
        got.append(await one.get())

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(get)
    return got


async def asked(one: Issuer) -> None:
    """Wait until it has been asked for a token."""
    with anyio.fail_after(60):
        while not one.forms:
            await anyio.sleep(0.005)


async def test_fifty_who_need_a_token_cost_one_request(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.delay = 0.05
        assert set(await many(one)) == {"t1"}
        assert it.forms == [
            {
                "grant_type": "client_credentials",
                "client_id": "us",
                "client_secret": "s3cret-one",
                "scope": "openid",
            }
        ]
        for _ in range(50):
            one.reject("t1")
        assert set(await many(one)) == {"t2"}
        one.reject("t1")  # a late answer to the old one
        assert set(await many(one)) == {"t2"}
        assert len(it.forms) == 2


async def test_fifty_who_wait_for_one_that_fails_are_told_at_once(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.delay, it.status, it.answer = 0.05, 503, "busy"
        failures = []

        async def get() -> None:
            with pytest.raises(RetryableError, match="503") as failed:
                await one.get()
            failures.append(failed.value)

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(get)
        assert len(failures) == 50
        assert len(it.forms) == 1
        it.status, it.answer = 200, {}
        assert await one.get() == "t2"


@pytest.mark.parametrize(("life", "requests"), [(1000, 1), ("1000", 1), (0, 2), (-5, 2)])
async def test_a_token_is_renewed_before_it_expires(
    tmp_path: Path, life: object, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.answer = {"expires_in": life}
        await one.get()
        await one.get()
        assert len(it.forms) == requests
        if requests == 1:
            now = time.monotonic()
            monkeypatch.setattr(time, "monotonic", lambda: now + 1000 - oauth.MARGIN_MOST)
            await one.get()
            monkeypatch.undo()
            assert len(it.forms) == 2


async def test_a_changed_secret_is_used_from_the_next_token(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        await one.get()
        (tmp_path / "secret").write_text("s3cret-two")
        await one.get()
        assert [form["client_secret"] for form in it.forms] == ["s3cret-one"]
        one.reject("t1")
        await one.get()
        assert [form["client_secret"] for form in it.forms] == ["s3cret-one", "s3cret-two"]


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
        assert kept.stat().st_mode & 0o777 == 0o600
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
        "a link lies there",
        "no file can be flushed",
        "the folder can't be flushed",
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
async def test_a_refresh_token_that_is_none_is_refused(tmp_path: Path, given: str) -> None:
    async with issuer() as it, token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
        it.answer = {"refresh_token": given}
        if given:
            with pytest.raises(SourceError, match="gave a refresh token that is none"):
                await one.get()
        else:
            await one.get()
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
    assert kept.read_text() == "r0\nr1"
    assert not kept.is_symlink()


async def test_a_check_spends_no_refresh_token(tmp_path: Path) -> None:
    """The service may be running, and a refresh token is good for one sign-in."""
    async with trial(tmp_path, documents=4) as it:
        (tmp_path / "refresh").write_text(it.sandbox.refresh_token)
        config = it.config('refresh_token = { file = "refresh" }\n')
        for _ in range(2):
            (finding,) = [one for one in await examine(config) if one.about == "source"]
            assert finding.well
            assert "not signed in" in finding.sentence
        outcome = await it.bring(config)
        assert not outcome.failures
        assert it.delivered() == it.held()
        (finding,) = [one for one in await examine(config) if one.about == "source"]
        assert finding.well
        outcome = await it.bring(config)
        assert not outcome.failures
        (tmp_path / "refresh").unlink()
        (finding,) = [one for one in await examine(config) if one.about == "source"]
        assert not finding.well
        assert "the secret can't be read" in finding.sentence


async def test_a_refresh_token_is_kept_even_by_one_who_is_cancelled(tmp_path: Path) -> None:
    async with issuer() as it:
        it.rotates, it.delay = True, 0.1
        async with token(tmp_path, it, Secret(file=str(tmp_path / "refresh"))) as one:
            async with anyio.create_task_group() as group:
                group.start_soon(one.get)
                await asked(it)
                group.cancel_scope.cancel()
            assert (tmp_path / "refresh").read_text().strip() == "r1"


async def test_one_who_is_cancelled_leaves_the_token_to_the_others(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.delay = 0.1
        got: list[str] = []

        async def patient() -> None:
            got.append(await one.get())

        async with anyio.create_task_group() as others, anyio.create_task_group() as impatient:
            impatient.start_soon(one.get)
            await asked(it)
            others.start_soon(patient)
            await anyio.lowlevel.checkpoint()
            impatient.cancel_scope.cancel()
        assert len(got) == 1


@pytest.mark.parametrize(
    ("status", "answer", "error", "said"),
    [
        (401, '{"error_description": "Invalid client"}', SignInRefused, "Invalid client"),
        (400, '{"error": "invalid_grant"}', SignInRefused, "invalid_grant"),
        (403, "", SignInRefused, "403"),
        (404, "", SourceError, "there are no tokens at the token address (404). Check token_url"),
        (405, "", SourceError, "(405). Check token_url"),
        (302, "", SignInRefused, "sends us elsewhere"),
        (500, "", RetryableError, "500"),
        (429, "", RetryableError, "429"),
        (200, "<html>", SourceError, "did not answer with a token. Check token_url"),
        (200, "{}", SourceError, "did not answer with a token"),
        (200, '{"access_token": ""}', SourceError, "did not answer with a token"),
        (200, '{"access_token": "a\\r\\nX: b"}', SourceError, "did not answer with a token"),
        (200, "[" * 100_000, SourceError, "did not answer with a token"),
        (200, " " * 200_000, SourceError, "longer than 100,000 bytes"),
    ],
)
async def test_a_sign_in_that_fails_is_said_without_the_secret(
    tmp_path: Path, status: int, answer: str, error: type[SynqupError], said: str
) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.status, it.answer = status, answer
        with pytest.raises(error) as failed:
            await one.get()
        assert str(failed.value).startswith("source box: ")
        assert said in str(failed.value)
        assert "s3cret" not in repr(failed.value)
        assert failed.value.__cause__ is None


def test_waits_are_settable_and_bounded() -> None:
    retries = Retries(attempts=2, first_wait=0.01)
    tried = []

    async def work() -> None:
        tried.append(1)
        raise RetryableError("it", retry_after=0.01)

    async def hopeless() -> None:
        tried.append(1)
        raise RetryableError("it", retry_after=retries.longest_asked + 1)

    for job, times in ((work, 2), (hopeless, 1)):
        tried.clear()
        with pytest.raises(RetryableError):
            anyio.run(retries.run, job)
        assert len(tried) == times
