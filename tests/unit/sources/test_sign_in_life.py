"""When a sign-in ends is known where the issuer says it, and forgotten with the token."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.app.wiring import open_source
from pipeline.config.types import Secret
from stages.sources.http.oauth import MAX_REFRESH_LIFETIME, SignIn, read_token_response
from stages.sources.http.token import TokenCache
from tests.helpers.documents import configured
from tests.helpers.issuer import issuer, token

pytestmark = pytest.mark.anyio


def sign_in(one: TokenCache) -> SignIn:
    found: Any = one._grant
    assert isinstance(found.__self__, SignIn)
    return found.__self__


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ('"refresh_expires_in": 1800', 1800.0),
        ('"refresh_expires_in": "1800"', 1800.0),
        ('"refresh_token_expires_in": 7776000.0', 7776000.0),
        ('"x_refresh_token_expires_in": 8726400', 8726400.0),
        ('"refresh_expires_in": null, "refresh_token_expires_in": 60', 60.0),
        *(
            (f'"refresh_expires_in": {odd}', None)
            for odd in (
                *("0", "-1", "null", '""', "true", "{}", '"soon"', "NaN", "Infinity", "1e999"),
                str(MAX_REFRESH_LIFETIME * 2),
            )
        ),
        ('"expires_in": 300', None),
    ],
)
def test_the_life_of_a_refresh_token_is_read_in_any_usual_spelling(
    stated: str, expected: float | None
) -> None:
    answer = f'{{"access_token": "t", {stated}}}'
    assert read_token_response(answer.encode()).refresh_lifetime == expected


async def test_the_end_is_known_until_another_token_comes_without_one(tmp_path: Path) -> None:
    async with (
        issuer() as it,
        token(tmp_path, it, refresh_token=Secret(file=str(tmp_path / "refresh"))) as one,
    ):
        assert sign_in(one).ends_at is None
        it.answer = {"refresh_expires_in": 86_400}
        await one.get()
        ends_at = sign_in(one).ends_at
        assert ends_at is not None
        assert 86_000 < ends_at - time.time() < 86_401
        # The same token is still good, and nothing new is said of it.
        it.answer = {"expires_in": 300}
        one.reject("t1")
        await one.get()
        assert sign_in(one).ends_at == ends_at
        it.rotates = True
        one.reject("t2")
        await one.get()
        assert sign_in(one).ends_at is None


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
        assert sign_in(one).ends_at is None


async def test_client_credentials_have_no_end(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.answer = {"refresh_expires_in": 1800}
        await one.get()
        assert sign_in(one).ends_at is None


async def test_a_source_tells_of_its_sign_in(tmp_path: Path) -> None:
    async with issuer() as it:
        config = configured(tmp_path, url=it.url.removesuffix("/token"))
        source = open_source(config.sources[0], tmp_path)
        assert source.sign_in_ends_at is None
        with pytest.raises(Exception, match="404"):
            await source.check(config)
        await source.close()
