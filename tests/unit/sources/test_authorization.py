"""The authorization code grant: what is asked for, which answers count, and what is kept."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import anyio.to_thread
import msgspec
import pytest

from pipeline.app.wiring import load_config, open_sign_in
from pipeline.app.wiring_sandbox import serve_sandbox, write_config
from pipeline.config.secrets import SecretMissing
from pipeline.errors import ConfigurationError, SignInRefused, SourceError, StateError
from pipeline.sign_in import InteractiveSignIn, ListenAddress, UnusableAnswer
from stages.sandbox import Faults, FaultSpec, IssuerRules, Mailbox, Sandbox
from tests.helpers.browsing import decide, get

pytestmark = pytest.mark.anyio


class Trial:
    """A sign-in to a sandbox."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.kept = folder / "state" / "tokens" / "billtobox"

    def flow(self, more: str = "", **replaced: str) -> InteractiveSignIn:
        text = (self.folder / "synqup.toml").read_text()
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new)
        path = self.folder / "tried.toml"
        path.write_text(text.replace('kind = "billtobox"\n', f'kind = "billtobox"\n{more}'))
        return open_sign_in(load_config(path).sources[0], self.folder / "state")

    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.kept.read_text())
        return found


@asynccontextmanager
async def trial(
    folder: Path, *faults: FaultSpec, rules: IssuerRules | None = None
) -> AsyncIterator[Trial]:
    mailbox = Mailbox(1, 1)
    async with serve_sandbox(mailbox, rules=rules, faults=Faults(faults)) as sandbox:
        write_config(folder / "synqup.toml", sandbox, mailbox, by_person=True)
        yield Trial(folder, sandbox)


async def approved(flow: InteractiveSignIn, decision: str = "approve") -> str:
    """Where the browser is sent when somebody has decided."""
    return await anyio.to_thread.run_sync(partial(decide, flow.address(8400), decision))


def asked(flow: InteractiveSignIn, port: int = 8400) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(flow.address(port)).query, strict_parsing=True))


async def test_it_asks_for_a_code_with_a_challenge_and_for_offline_access(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        flow = it.flow()
        one, other = asked(flow), asked(it.flow())
        assert one["response_type"] == "code"
        assert one["client_id"] == it.sandbox.client_id
        assert one["redirect_uri"] == "http://127.0.0.1:8400/"
        assert one["scope"] == "openid offline_access"
        assert one["code_challenge_method"] == "S256"
        assert one["state"] != other["state"]
        assert one["code_challenge"] != other["code_challenge"]
        verifier = flow._verifier.encode()  # type: ignore[attr-defined]
        assert 43 <= len(verifier) <= 128
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).decode()
        assert one["code_challenge"] == digest.rstrip("=")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("offline_access = false\n", "openid"),
        ('scope = "openid  offline_access"\n', "openid offline_access"),
        ('scope = ""\n', "offline_access"),
        ('scope = ""\noffline_access = false\n', None),
    ],
)
async def test_the_scope_is_as_set(tmp_path: Path, settings: str, expected: str | None) -> None:
    async with trial(tmp_path) as it:
        assert asked(it.flow(settings)).get("scope") == expected


async def test_what_the_address_of_the_endpoint_holds_is_kept(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        flow = it.flow(**{'/auth"': '/auth?prompt=consent&access_type=offline&state=x#y"'})
        found = parse_qs(urlsplit(flow.address(1)).query)
        assert found["prompt"] == ["consent"]
        assert found["access_type"] == ["offline"]
        assert len(found["state"]) == 1
        assert "#" not in flow.address(1)


@pytest.mark.parametrize(
    ("configured", "listen", "sent"),
    [
        ("", ("127.0.0.1", 0, "/"), "http://127.0.0.1:8400/"),
        ("http://127.0.0.1:9999/back", ("127.0.0.1", 9999, "/back"), "http://127.0.0.1:9999/back"),
        ("http://127.0.0.1/back", ("127.0.0.1", 0, "/back"), "http://127.0.0.1:8400/back"),
        ("http://localhost:9999", ("localhost", 9999, "/"), "http://localhost:9999"),
        ("http://[::1]:9999/", ("::1", 9999, "/"), "http://[::1]:9999/"),
        ("https://app.example/back?a=b", None, "https://app.example/back?a=b"),
        ("urn:ietf:wg:oauth:2.0:oob", None, "urn:ietf:wg:oauth:2.0:oob"),
    ],
)
async def test_the_browser_is_sent_back_to_what_is_registered(
    tmp_path: Path, configured: str, listen: tuple[str, int, str] | None, sent: str
) -> None:
    async with trial(tmp_path) as it:
        flow = it.flow(f'redirect_uri = "{configured}"\n' if configured else "")
        assert flow.listen == (listen and ListenAddress(*listen))
        assert asked(flow)["redirect_uri"] == sent


async def test_each_usual_spelling_of_an_answer_is_read(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        flow = it.flow()
        state = asked(flow)["state"]
        code = "4/0Ab+c.d~e"
        escaped = quote(code, safe="")
        for answer in (
            code,
            f"  {code}\r\n",
            f'"{escaped}"',
            f"http://127.0.0.1:8400/?code={escaped}&state={state}",
            f"<http://127.0.0.1:8400/?state={state}&session_state=1&code={escaped}>",
            f"https://app.example/cb#code={escaped}&state={state}",
            f"https://app.example/cb?code={escaped}\n&state={state}",
            f"/?code={escaped}&state={state}",
            f"?code={escaped}&state={state}",
            f"code={escaped}&state={state}",
        ):
            assert flow.code_of(answer) == code


async def test_an_answer_that_is_none_is_said_and_another_may_follow(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        flow = it.flow()
        state = asked(flow)["state"]
        for answer, said in {
            f"http://127.0.0.1:8400/?code=x&state={state}y": "another sign-in",
            "http://127.0.0.1:8400/?code=x&state=é": "another sign-in",
            f"http://127.0.0.1:8400/?code=x&state={state}&state={state}": "another sign-in",
            "http://127.0.0.1:8400/?code=x": "state is missing",
            "http://127.0.0.1:8400/?error=access_denied&state=other": "another sign-in",
            f"http://127.0.0.1:8400/?state={state}": "no code",
            f"http://127.0.0.1:8400/?code=&state={state}": "no code",
            f"http://127.0.0.1:8400/?code=a&code=b&state={state}": "no code",
            flow.address(8400): "no code in this address",
            "http://127.0.0.1:8400/?" + "a=b&" * 5000: "no code",
            "": "no code",
            "x" * 20_000: "no code",
            "\u202e": "no code",
        }.items():
            with pytest.raises(UnusableAnswer, match=said):
                flow.code_of(answer)
        with pytest.raises(SignInRefused, match="access_denied"):
            flow.code_of("/?error=access_denied")


async def test_a_sign_in_is_stored_with_its_account_and_its_end(tmp_path: Path) -> None:
    async with trial(tmp_path, rules=IssuerRules(refresh_lifetime=864_000)) as it:
        flow = it.flow()
        state = await flow.finish(flow.code_of(await approved(flow)))
        await flow.close()
        assert (state.source, state.account) == ("billtobox", "jan@firm.example")
        stored = it.stored()
        assert stored["account"] == "jan@firm.example"
        assert stored["ends_at"] == state.ends_at
        assert it.kept.stat().st_mode & 0o777 == 0o600
        assert it.kept.parent.stat().st_mode & 0o777 == 0o700
        assert not list(it.kept.parent.glob("*.part"))


async def test_a_public_client_needs_no_secret(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        own = f'client_id = "{it.sandbox.client_id}"'
        flow = it.flow(
            **{
                own: f'client_id = "{it.sandbox.public_client_id}"',
                'client_secret = { file = "synqup.toml.secret" }\n': "",
            }
        )
        state = await flow.finish(flow.code_of(await approved(flow)))
        await flow.close()
        assert state.account == "jan@firm.example"


async def test_a_secret_that_is_missing_is_said_before_anybody_signs_in(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        (tmp_path / "synqup.toml.secret").unlink()
        with pytest.raises(SecretMissing, match="the secret can't be read"):
            it.flow()


async def test_a_source_that_nobody_can_sign_in_to_is_said(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        line = f'authorize_url = "{it.sandbox.authorize_url}"\n'
        with pytest.raises(ConfigurationError, match="authorize_url: this is missing"):
            it.flow(**{line: ""})


async def test_one_who_says_no_is_understood(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        flow = it.flow()
        with pytest.raises(SignInRefused, match="access_denied: The user said no") as failed:
            flow.code_of(await approved(flow, "deny"))
        assert "Sign in again: synqup sign-in billtobox" in str(failed.value)


async def test_a_scope_that_the_platform_does_not_know_is_said(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        flow = it.flow('scope = "openid invoices"\n')
        _, _, sent_to = await anyio.to_thread.run_sync(get, flow.address(8400))
        with pytest.raises(SignInRefused, match=r"invalid_scope.*Check scope.*offline_access = "):
            flow.code_of(sent_to)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("expired-code", SignInRefused, r"Code has expired.*synqup sign-in billtobox"),
        ("no-refresh-token", SourceError, "gave no refresh token.*offline_access"),
        ("lost-token", SourceError, "the connection failed.*Sign in again: synqup sign-in"),
        ("reset", SourceError, "broke off.*Sign in again: synqup sign-in billtobox"),
        ("error", SourceError, "500.*Sign in again: synqup sign-in billtobox"),
        ("web-page", SourceError, "did not answer with a token"),
        ("not-found", SourceError, "no tokens at the token address"),
    ],
)
async def test_an_exchange_that_fails_stores_nothing_and_says_what_to_do(
    tmp_path: Path, fault: str, error: type[Exception], said: str
) -> None:
    async with trial(tmp_path, FaultSpec(fault, on="token")) as it:
        flow = it.flow()
        with pytest.raises(error, match=said):
            await flow.finish(flow.code_of(await approved(flow)))
        await flow.close()
        assert not it.kept.exists()


async def test_a_code_is_exchanged_for_its_own_sign_in_alone(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        one, other = it.flow(), it.flow()
        other.address(8400)
        code = one.code_of(await approved(one))
        # Without the verifier of the sign-in that it belongs to, a code that was seen is no use.
        with pytest.raises(SignInRefused, match="PKCE verification failed"):
            await other.finish(code)
        await one.close()
        await other.close()


async def test_a_sign_in_that_can_not_be_stored_is_said(tmp_path: Path) -> None:
    async with trial(tmp_path) as it:
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "tokens").write_text("")
        flow = it.flow()
        with pytest.raises(StateError, match="the sign-in can't be stored"):
            await flow.finish(flow.code_of(await approved(flow)))
        await flow.close()
