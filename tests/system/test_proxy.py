"""Behind a company's network: proxies that ask for a sign-in, inspect TLS, refuse, or are down."""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing
from yarl import URL

from pipeline.app.wiring import Config, examine, load_config, open_source
from pipeline.network.proxy import ProxyRefused
from tests.helpers.authority import Authority
from tests.helpers.processes import synqup
from tests.helpers.proxy import InspectingProxy, proxying
from tests.helpers.services import running, until
from tests.helpers.settings import GOOD
from tests.helpers.trial import Trial, all_arrived_once, trial

pytestmark = pytest.mark.anyio

#: A name that the proxy alone can resolve: whatever goes another way does not arrive.
HOST = "mailbox.example"
PASSWORD = "pässword: 1"
CREDENTIALS = f"CORP\\synqup:{PASSWORD}"
SIGNED_IN = "proxy_user = 'CORP\\synqup'\nproxy_password = { file = \"proxy.secret\" }\n"


class Site:
    """A mailbox in the Internet, an authority that inspects, and a configuration of both."""

    def __init__(self, it: Trial, authority: Authority, upstream: ssl.SSLContext) -> None:
        self.it = it
        self.authority = authority
        self.upstream = upstream
        self.place = ("127.0.0.1", URL(it.sandbox.url).port or 0)
        it.folder.joinpath("proxy.secret").write_text(f"{PASSWORD}\n", "utf-8")
        text = it.path.read_text("utf-8")
        it.path.write_text(text.replace(f"127.0.0.1:{self.place[1]}", HOST), "utf-8")

    def proxy(self, **given: Any) -> InspectingProxy:
        return InspectingProxy({(HOST, 443): self.place}, upstream=self.upstream, **given)

    def config(self, source: str) -> Config:
        return self.it.config(source, attempts=2)

    async def check(self, config: Config) -> str:
        """What `synqup check` says of the source."""
        return next(one.sentence for one in await examine(config) if one.about == "source")


@asynccontextmanager
async def site(folder: Path, documents: int = 10) -> AsyncIterator[Site]:
    internet = Authority(folder / "internet", "Public Root")
    certificate = internet.certificate(HOST)
    upstream = ssl.create_default_context(cafile=internet.root)
    # The proxy asks for the target by its number, as it alone knows it.
    upstream.check_hostname = False
    async with trial(folder / "site", documents=documents, tls=certificate) as it:
        yield Site(it, Authority(folder / "company"), upstream)


def named(proxy: InspectingProxy, extra: str = "") -> str:
    return f'proxy = "{proxy.url}"\n{extra}'


def trusting(authority: Authority) -> str:
    return f'ca_file = "{authority.root.as_posix()}"\n'


async def test_all_documents_come_through_a_proxy_that_inspects(tmp_path: Path) -> None:
    async with (
        site(tmp_path, documents=300) as one,
        proxying(one.proxy(credentials=CREDENTIALS, authority=one.authority)) as proxy,
    ):
        config = one.config(named(proxy, SIGNED_IN + trusting(one.authority)))
        assert "signed in; to be fetched: " in await one.check(config)
        outcome = await one.it.bring(config)
        assert not outcome.failures
        assert outcome.counters.delivered == 300
        assert all_arrived_once(one.it)
        # The sign-in went that way too, and nothing for the proxy went further.
        assert proxy.targets() == {f"{HOST}:443"}
        assert b"/protocol/openid-connect/token" in proxy.passed_on
        assert b"/accounting-status" in proxy.passed_on
        assert b"proxy-authorization" not in proxy.passed_on.lower()
        # Nor did the access token go to the proxy in the clear.
        assert not any("bearer" in head.lower() for head in proxy.heads)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
async def test_the_proxy_of_the_system_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    async with (
        site(tmp_path) as one,
        proxying(one.proxy(credentials="us:p@ss", authority=one.authority)) as proxy,
    ):
        monkeypatch.setenv(variable, f"http://us:p%40ss@{proxy.address}")
        config = one.config(trusting(one.authority))
        assert not (await one.it.bring(config)).failures
        assert all_arrived_once(one.it)
        assert proxy.targets() == {f"{HOST}:443"}
        # NO_PROXY excepts it, and then nobody knows the name.
        monkeypatch.setenv("NO_PROXY", f"localhost, .{HOST.partition('.')[2]}")
        assert f"{HOST}:443" in await one.check(config)
        assert "proxy" not in await one.check(config)


async def test_user_and_password_of_the_source_go_before_those_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        site(tmp_path) as one,
        proxying(one.proxy(credentials=CREDENTIALS, authority=one.authority)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"other:wrong@{proxy.address}")
        config = one.config(SIGNED_IN + trusting(one.authority))
        assert "signed in" in await one.check(config)


async def test_none_is_no_proxy_whatever_the_system_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trial(tmp_path, documents=5) as it, proxying(InspectingProxy()) as proxy:
        for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        assert not (await it.bring(it.config('proxy = "none"\n'))).failures
        assert all_arrived_once(it)
        assert not proxy.heads


def test_the_demonstration_needs_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert "5 delivered" in synqup("demo", "--documents", 5, "--directory", tmp_path / "demo")


def test_check_tells_of_a_proxy_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://us:topsecret@127.0.0.1:9")
    monkeypatch.setenv("SYNQUP_BILLTOBOX_SECRET", "1")
    path = tmp_path / "synqup.toml"
    path.write_text(GOOD)
    said = " ".join(synqup("check", "--config", path, expect=3).split())
    assert "FAIL source billtobox: the proxy 127.0.0.1:9 does not answer (" in said
    assert "check the environment variable HTTPS_PROXY" in said
    assert "topsecret" not in said


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="this system verifies certificates by itself"
)
async def test_the_system_s_certificate_store_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE stands for the store of the system."""
    async with site(tmp_path) as one, proxying(one.proxy(authority=one.authority)) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(one.authority.root))
        assert "signed in" in await one.check(one.config(named(proxy)))
        # ca_file adds to it.
        other = Authority(tmp_path / "other")
        assert "signed in" in await one.check(one.config(named(proxy, trusting(other))))


async def test_a_proxy_that_speaks_tls_itself(tmp_path: Path) -> None:
    async with (
        site(tmp_path) as one,
        proxying(
            one.proxy(credentials=CREDENTIALS, authority=one.authority),
            tls=one.authority.server_context("127.0.0.1"),
        ) as proxy,
    ):
        assert proxy.url.startswith("https://")
        config = one.config(named(proxy, SIGNED_IN + trusting(one.authority)))
        assert not (await one.it.bring(config)).failures
        assert all_arrived_once(one.it)
        said = await one.check(one.config(named(proxy, SIGNED_IN)))
        assert f"the certificate of the proxy {proxy.address} is not trusted (" in said
        assert "ca_file in [[sources]], or add it to the certificate store of this system" in said


async def test_http_addresses_go_by_the_proxy_too(tmp_path: Path) -> None:
    async with (
        trial(tmp_path, documents=10) as it,
        proxying(InspectingProxy(credentials=CREDENTIALS)) as proxy,
    ):
        it.folder.joinpath("proxy.secret").write_text(PASSWORD, "utf-8")
        assert not (await it.bring(it.config(named(proxy, SIGNED_IN)))).failures
        assert all_arrived_once(it)
        assert b"proxy-authorization" not in proxy.passed_on.lower()
        it.folder.joinpath("proxy.secret").write_text("wrong", "utf-8")
        (said,) = (await it.bring(it.config(named(proxy, SIGNED_IN)))).failures.values()
        assert 'refuses the user "CORP\\synqup" or the password (407)' in said


async def test_an_edited_proxy_is_used_without_a_restart(tmp_path: Path) -> None:
    async with site(tmp_path) as one, proxying(one.proxy(authority=one.authority)) as proxy:
        before = one.config('proxy = "http://127.0.0.1:9"\n')
        after = one.config(named(proxy, trusting(one.authority)))
        async with running(before) as service:
            await anyio.sleep(0.2)
            service.apply(after)
            await until(lambda: one.it.delivered() == one.it.held())


REFUSALS: dict[str, tuple[dict[str, str], str, str]] = {
    "wrong password": (
        {"credentials": "CORP\\synqup:another"},
        SIGNED_IN,
        """\
the proxy PROXY refuses the user "CORP\\synqup" or the password (407). Check proxy_user and
proxy_password in [[sources]], and that this account is not locked.""",
    ),
    "no password": (
        {"credentials": CREDENTIALS},
        "",
        """\
the proxy PROXY asks for a user and a password (407). Set proxy_user and proxy_password in
[[sources]].""",
    ),
    "no Basic": (
        {"credentials": CREDENTIALS, "challenges": 'Negotiate|NTLM, Digest realm="a, b", qop="x"'},
        "",
        """\
the proxy PROXY asks for a sign-in by Negotiate, NTLM, Digest (407), and synqup signs in to proxies
by Basic only. Ask whoever runs the proxy to allow Basic""",
    ),
    "forbidden": (
        {"status": "403 Forbidden by policy"},
        "",
        """\
the proxy PROXY does not allow a connection to HOST:443 (403: "Forbidden by policy"). Ask whoever
runs the proxy to allow CONNECT to HOST:443 for this machine; where no proxy is needed, set
proxy = "none" in [[sources]].""",
    ),
    "can't connect": (
        {"status": "504 Gateway Timeout"},
        "",
        """\
the proxy PROXY can't connect to HOST:443 (504: "Gateway Timeout"). Ask whoever runs the proxy
whether it can reach that address; it will be retried.""",
    ),
    "no proxy": (
        {"status": "405 Method Not Allowed"},
        "",
        """\
PROXY does not answer as a proxy that connects to https addresses (405: "Method Not Allowed"). Check
proxy in [[sources]].""",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_what_a_proxy_refuses_is_said(tmp_path: Path, case: str) -> None:
    given, source, expected = REFUSALS[case]
    async with site(tmp_path) as one, proxying(one.proxy(**given)) as proxy:
        config = one.config(named(proxy, source))
        expected = " ".join(expected.split()).replace("HOST", HOST)
        expected = f"source billtobox: {expected.replace('PROXY', proxy.address)}"
        assert expected in await one.check(config)
        with structlog.testing.capture_logs() as logged:
            outcome = await one.it.bring(config)
        assert expected in outcome.failures["billtobox"]
        assert not outcome.counters.listed
        assert not one.it.delivered()
        assert PASSWORD not in f"{outcome.failures} {logged}"


async def test_a_wrong_password_is_not_tried_again_and_again(tmp_path: Path) -> None:
    """It would lock the account. A corrected one is tried at once."""
    async with (
        site(tmp_path) as one,
        proxying(one.proxy(credentials="us:right", authority=one.authority)) as proxy,
    ):
        secret = one.it.folder / "proxy.secret"
        secret.write_text("wrong")
        text = 'proxy_user = "us"\nproxy_password = { file = "proxy.secret" }\n'
        config = one.config(named(proxy, text + trusting(one.authority)))
        source = open_source(config.sources[0], config.service.state_dir)
        for _ in range(5):
            with pytest.raises(ProxyRefused, match='refuses the user "us" or the password'):
                await source.check(config)
        assert len(proxy.heads) == 1
        secret.write_text("right")
        assert "signed in" in await source.check(config)
        await source.close()


async def test_a_root_that_nobody_trusts_is_said(tmp_path: Path) -> None:
    async with site(tmp_path) as one, proxying(one.proxy(authority=one.authority)) as proxy:
        config = one.config(named(proxy))
        expected = (
            f"the certificate that comes for {HOST} by way of the proxy {proxy.address} is not"
            " trusted ("
        )
        remedy = "name the certificate of the authority with which it signs as ca_file in"
        for said in (await one.check(config), (await one.it.bring(config)).failures["billtobox"]):
            assert expected in said
            assert remedy in said
        assert b"openid-connect" not in proxy.passed_on


async def test_a_proxy_that_is_down_is_said(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        async with proxying(one.proxy()) as proxy:
            config = one.config(named(proxy))
        for said in (await one.check(config), (await one.it.bring(config)).failures["billtobox"]):
            assert f"the proxy {proxy.address} does not answer (" in said
            assert "Check that it runs and that this machine may reach it" in said
            assert "check proxy in [[sources]]" in said
        unknown = one.config('proxy = "http://proxy.invalid:3128"\n')
        assert "the proxy proxy.invalid:3128 does not answer (" in await one.check(unknown)


async def test_a_proxy_that_never_answers_is_given_up(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        silent = one.proxy()
        silent.handle = _hang  # type: ignore[assignment,method-assign]
        async with proxying(silent) as proxy:
            config = load_config(_quick(one.it, named(proxy)))
            said = await one.check(config)
        assert f"the source does not answer in time by way of the proxy {proxy.address}" in said


async def test_what_is_no_proxy_at_all_is_said(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        other = one.proxy()
        other.handle = _greet  # type: ignore[assignment,method-assign]
        async with proxying(other) as proxy:
            said = await one.check(one.config(named(proxy)))
            assert f"{proxy.address} does not answer as a proxy" in said
            assert "Check proxy in [[sources]]" in said
            tls = await one.check(one.config(f'proxy = "https://{proxy.address}"\n'))
            assert f"no secure connection to the proxy {proxy.address} can be made" in tls
            assert "Write http:// in proxy in [[sources]]" in tls


async def _hang(*_: object) -> None:
    await anyio.sleep_forever()


async def _greet(_: object, writer: Any) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await anyio.sleep(5)


def _quick(it: Trial, source: str) -> Path:
    it.config(source, silence=0.05)
    path = it.folder / "tried.toml"
    path.write_text(path.read_text().replace("connect_timeout = 30", "connect_timeout = 0.2"))
    return path
