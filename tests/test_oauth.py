"""One token for all: renewed in time and on 401, by one request, under the secret of the day."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web

from pipeline.config import Secret
from pipeline.errors import PassingError, SignInRefused, SourceError, SynqupError
from pipeline.retries import Retries
from stages.sources import oauth
from stages.sources.http import Http, Timeouts
from stages.sources.oauth import Client, SignIn
from stages.sources.token import Token

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

    async def handle(self, request: web.Request) -> web.Response:
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
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
    try:
        yield Token(SignIn("box", client, http, folder / "kept" / "box").grant)
    finally:
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
            with pytest.raises(PassingError, match="503") as failed:
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
        (500, "", PassingError, "500"),
        (429, "", PassingError, "429"),
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
        raise PassingError("it", retry_after=0.01)

    async def hopeless() -> None:
        tried.append(1)
        raise PassingError("it", retry_after=retries.longest_asked + 1)

    for job, times in ((work, 2), (hopeless, 1)):
        tried.clear()
        with pytest.raises(PassingError):
            anyio.run(retries.run, job)
        assert len(tried) == times
