"""When a sign-in ends is known where the issuer says it, and forgotten with the token."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.app.wiring import open_source
from pipeline.config.types import Secret
from stages.sources.http.oauth_client import OAuthClient
from stages.sources.http.token_store import StoredSignIn, TokenStore
from tests.helpers.documents import configured
from tests.helpers.issuer import issuer, sign_in_of, token

pytestmark = pytest.mark.anyio


async def test_the_end_is_known_until_another_token_comes_without_one(tmp_path: Path) -> None:
    async with (
        issuer() as it,
        token(tmp_path, it, refresh_token=Secret(file=str(tmp_path / "refresh"))) as one,
    ):
        assert sign_in_of(one).ends_at is None
        it.answer = {"refresh_expires_in": 86_400}
        await one.get()
        ends_at = sign_in_of(one).ends_at
        assert ends_at is not None
        assert 86_000 < ends_at - time.time() < 86_401
        # The same token is still good, and nothing new is said of it.
        it.answer = {"expires_in": 300}
        one.reject("t1")
        await one.get()
        assert sign_in_of(one).ends_at == ends_at
        it.rotates = True
        one.reject("t2")
        await one.get()
        assert sign_in_of(one).ends_at is None


async def test_a_sign_in_anew_forgets_the_end_of_the_one_before(tmp_path: Path) -> None:
    async with (
        issuer() as it,
        token(tmp_path, it, refresh_token=Secret(file=str(tmp_path / "refresh"))) as one,
    ):
        it.answer = {"refresh_expires_in": 86_400}
        await one.get()
        it.answer = {"expires_in": 300}
        (tmp_path / "refresh").write_text("signed-in-anew")
        one.reject("t1")
        await one.get()
        assert it.forms[-1]["refresh_token"] == "signed-in-anew"
        assert sign_in_of(one).ends_at is None


async def test_a_sign_in_beside_it_is_known_from_the_next_poll_and_used_by_the_next_token(
    tmp_path: Path,
) -> None:
    async with issuer() as it, token(tmp_path, it, by_browser=True) as one:
        found = sign_in_of(one)
        await found.synchronise()
        assert found.ends_at is None
        beside = TokenStore("box", tmp_path / "kept" / "box", OAuthClient(it.url, "", None, ""))
        beside.sign_in(StoredSignIn("signed-in", 4e9))
        await one.get()
        beside.sign_in(StoredSignIn("signed-in-anew", 5e9))
        assert found.ends_at == 4e9
        await found.synchronise()
        assert found.ends_at == 5e9
        one.reject("t1")
        await one.get()
        assert [form["refresh_token"] for form in it.forms] == ["signed-in", "signed-in-anew"]


async def test_client_credentials_have_no_end(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.answer = {"refresh_expires_in": 1800}
        await one.get()
        assert sign_in_of(one).ends_at is None


async def test_a_source_tells_of_its_sign_in(tmp_path: Path) -> None:
    async with issuer() as it:
        config = configured(tmp_path, url=it.url.removesuffix("/token"))
        source = open_source(config.sources[0], tmp_path)
        assert source.sign_in_ends_at is None
        with pytest.raises(Exception, match="404"):
            await source.check(config)
        await source.close()
