"""The settings of a proxy, and the proxy that they come to; a password is shown nowhere."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from yarl import URL

from pipeline.config.secrets import SecretMissing
from pipeline.config.types import Secret
from pipeline.network.proxy import ProxyRefused, ProxySettings, find_proxy
from tests.helpers.settings import GOOD, load, problems

NAME = URL("https://api.example.com/v4")
SECRET = 'proxy_user = "us"\nproxy_password = { env = "PROXY_PASSWORD" }\n'


def with_source(lines: str) -> str:
    return GOOD.replace('kind = "billtobox"\n', f'kind = "billtobox"\n{lines}')


@pytest.mark.parametrize(
    "proxy", ["system", "none", "http://proxy:3128", "https://proxy:3129/", "http://[fd00::1]:80"]
)
def test_a_proxy_of_a_source(tmp_path: Path, proxy: str) -> None:
    (source,) = load(tmp_path, with_source(f'proxy = "{proxy}"\n')).sources
    assert source.proxy_settings == ProxySettings(proxy)  # type: ignore[attr-defined]


def test_the_password_is_found_beside_the_configuration(tmp_path: Path) -> None:
    text = 'proxy_user = "us"\nproxy_password = { file = "proxy.secret" }\n'
    (source,) = load(tmp_path, with_source(text)).sources
    expected = ProxySettings("system", "us", Secret(file=str(tmp_path / "proxy.secret")))
    assert source.proxy_settings == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('proxy = "proxy:3128"', 'sources[1].proxy (billtobox): this is none of "system", "none"'),
        ('proxy = ""', 'this is none of "system", "none"'),
        ('proxy = "System"', 'this is none of "system", "none"'),
        ("proxy = 3128", "sources[1].proxy"),
        ('proxy = "http://us:topsecret@proxy:1"', "may not hold a user or a password"),
        ('proxy = "http://us:top#secret@proxy:1"', "this is no address of a proxy"),
        ('proxy = "socks5://us:topsecret@proxy:1"', "SOCKS proxy, which synqup does not speak"),
        ('proxy = "ftp://proxy:1"', "this is no address of a proxy"),
        ('proxy = "http://proxy:99999"', "this is no address of a proxy"),
        ('proxy = "http://proxy:1/path"', "without a path"),
        ('proxy_user = "us"', "sources[1].proxy_password (billtobox): this is missing"),
        ('proxy_password = { env = "P" }', "sources[1].proxy_user (billtobox): this is missing"),
        ('proxy_password = "topsecret"', "sources[1].proxy_password"),
        (f'proxy = "none"\n{SECRET}', 'sources[1].proxy (billtobox): this is "none"'),
        (SECRET.replace('"us"', '"us:er"'), "can't hold a colon"),
        (SECRET.replace('"us"', '"us\\r\\nX: y"'), "can't hold a colon or control characters"),
    ],
)
def test_what_is_wrong_with_a_proxy_is_said_without_its_password(
    tmp_path: Path, lines: str, said: str
) -> None:
    (problem,) = problems(tmp_path, with_source(f"{lines}\n"))
    assert said in problem
    assert "topsecret" not in problem
    assert "top#secret" not in problem


def test_the_password_goes_into_a_header_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_PASSWORD", "pä:ss")
    settings = ProxySettings("http://proxy:3128", "us", Secret(env="PROXY_PASSWORD"))
    proxy = find_proxy(NAME, settings, "source box")
    assert proxy is not None
    assert str(proxy.url) == "http://proxy:3128"
    assert proxy.authorization == f"Basic {b64encode('us:pä:ss'.encode()).decode()}"
    for shown in (repr(proxy), str(proxy), repr(proxy.url)):
        assert proxy.authorization not in shown
        assert "pä" not in shown
    monkeypatch.delenv("PROXY_PASSWORD")
    with pytest.raises(SecretMissing, match="environment variable PROXY_PASSWORD"):
        find_proxy(NAME, settings, "source box")


@pytest.mark.parametrize(
    ("address", "user", "password"),
    [
        ("http://us:topsecret@proxy:3128", "us", "topsecret"),
        ("us:topsecret@proxy:3128", "us", "topsecret"),
        ("http://us:top%40%23secret@proxy:3128/", "us", "top@#secret"),
        ("http://CORP%5Cus:topsecret@proxy:3128", "CORP\\us", "topsecret"),
    ],
)
def test_user_and_password_in_a_variable(
    monkeypatch: pytest.MonkeyPatch, address: str, user: str, password: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    proxy = find_proxy(NAME, ProxySettings(), "source box")
    assert proxy is not None
    assert str(proxy) == "proxy:3128"
    assert proxy.url.user is None
    assert proxy.user == user
    assert proxy.authorization == f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
    assert "secret" not in f"{proxy!r} {proxy.url}"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://us:top#secret@proxy:3128", "HTTPS_PROXY is no address of a proxy"),
        ("socks5h://us:topsecret@proxy:1080", "HTTPS_PROXY names a SOCKS proxy"),
        ("file:///topsecret", "HTTPS_PROXY is no address of a proxy"),
    ],
)
def test_a_variable_that_can_t_be_used_is_named_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(ProxyRefused) as refused:
        find_proxy(NAME, ProxySettings(section="[alerts]"), "alerts")
    assert said in str(refused.value)
    assert 'set proxy in [alerts] to an address, or to "none"' in str(refused.value)
    assert "secret" not in str(refused.value)
