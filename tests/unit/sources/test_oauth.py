"""One token for all: renewed in time and on 401, by one request, under the secret of the day."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from pipeline.errors import RetryableError, SignInRefused, SourceError, SynqupError
from stages.sources.http import oauth
from stages.sources.http.token_response import DEFAULT_LIFETIME, read_token_response
from tests.helpers.cases import case
from tests.helpers.issuer import asked, issuer, many, token

pytestmark = pytest.mark.anyio


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


@pytest.mark.parametrize(("life", "requests"), [(1000, 1), ("1000", 1), (1000.0, 1)])
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
            monkeypatch.setattr(time, "monotonic", lambda: now + 1000 - oauth.MAX_MARGIN)
            await one.get()
            monkeypatch.undo()
            assert len(it.forms) == 2


LIVES = [
    *(
        "null",
        '""',
        "0",
        "-5",
        "-1.5",
        '"-5"',
        "NaN",
        '"nan"',
        "true",
        "false",
        "{}",
        "[1]",
        "0.001",
    ),
    *("Infinity", "1e999", "9" * 400, '"soon"', '" 300 "', '"\\ud800"', "[" * 5000 + "]" * 5000),
]


@pytest.mark.parametrize("life", LIVES)
async def test_whatever_life_is_stated_the_token_is_used_and_renewed_on_401(
    tmp_path: Path, life: str
) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.answer = f'{{"expires_in": {life}, "access_token": "t", "token_type": 7}}'
        assert await many(one) == ["t"] * 50
        assert await one.get() == "t"
        assert len(it.forms) == 1
        one.reject("t")
        assert await one.get() == "t"
        assert len(it.forms) == 2


@pytest.mark.parametrize("life", ["null", '""', "0", "-1", "NaN", "true", "{}", '"x"'])
def test_where_no_life_is_stated_the_usual_one_is_assumed(life: str) -> None:
    answer = f'{{"access_token": "t", "expires_in": {life}}}'
    assert read_token_response(answer.encode()).lifetime == DEFAULT_LIFETIME


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
def test_a_token_in_any_encoding_of_unicode(encoding: str) -> None:
    answer = '{"access_token": "t", "expires_in": 3600}'.encode(encoding)
    granted = read_token_response(answer)
    assert (granted.access_token, granted.lifetime) == ("t", 3600.0)


@pytest.mark.parametrize(
    ("given", "expected"), [("null", ""), ('""', ""), ("42", "42"), ("{}", ""), ('"r"', "r")]
)
def test_a_refresh_token_is_a_hint_too(given: str, expected: str) -> None:
    answer = f'{{"access_token": "t", "refresh_token": {given}, "token_type": null}}'
    assert read_token_response(answer.encode()).refresh_token == expected


def test_nothing_beside_the_token_spoils_it() -> None:
    deep = b"[" * 20_000 + b"]" * 20_000
    for value in (b"NaN", b'"\\ud800"', b'"\xff"', deep):
        granted = read_token_response(b'{"x": %s, "access_token": "t"}' % value)
        assert granted.access_token == "t"


@pytest.mark.parametrize(
    "answer",
    [
        '\ufeff \r\n\ufeff{"access_token": "t"}\0\n',
        ' \n\ufeff{"access_token": "t"}',
        '{"access_token": " Bearer t\\n"}',
        '[{"access_token": "t"}]',
        '{"success": true, "more": {}, "data": {"access_token": "t", "expires_in": null}}',
        "access_token=t&token_type=bearer&expires_in=",
    ],
)
def test_a_token_in_other_clothes(answer: str) -> None:
    granted = read_token_response(answer.encode())
    assert (granted.access_token, granted.lifetime) == ("t", DEFAULT_LIFETIME)


def test_an_answer_of_many_objects_or_fields_has_no_token() -> None:
    for answer in (b'{"a": %s}' % (b"[" * 5000), b"{}" * 9, b"a=b&" * 500, b"[{},{}]"):
        assert read_token_response(answer).access_token == ""


@pytest.mark.parametrize("status", [200, 201, 203])
async def test_any_success_brings_a_token(tmp_path: Path, status: int) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        it.status = status
        assert await one.get() == "t1"


def test_answers_as_reported() -> None:
    lives = {
        path.stem: read_token_response(path.read_bytes())
        for path in case("07-token-answers").iterdir()
    }
    assert {one.access_token for one in lives.values()} == {"t1"}
    assert {name: one.lifetime for name, one in lives.items()} == {
        name: 3600.0 if name == "bom" else DEFAULT_LIFETIME for name in lives
    }


async def test_a_changed_secret_is_used_from_the_next_token(tmp_path: Path) -> None:
    async with issuer() as it, token(tmp_path, it) as one:
        await one.get()
        (tmp_path / "secret").write_text("s3cret-two")
        await one.get()
        assert [form["client_secret"] for form in it.forms] == ["s3cret-one"]
        one.reject("t1")
        await one.get()
        assert [form["client_secret"] for form in it.forms] == ["s3cret-one", "s3cret-two"]


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
        (302, "", SignInRefused, "the source redirects"),
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
