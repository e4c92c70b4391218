"""The proxy that the operating system names for an address."""

from __future__ import annotations

import sys
import urllib.request

import pytest
from yarl import URL

from pipeline.network.system_proxy import SystemProxy, system_proxy

NAME = URL("https://api.example.com/v4")


def by(variable: str, address: str) -> SystemProxy:
    return SystemProxy(address, f"the environment variable {variable}")


def test_the_variable_of_the_scheme_goes_before_that_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert system_proxy(NAME) is None
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    assert system_proxy(NAME) == by("ALL_PROXY", "http://all:1")
    monkeypatch.setenv("HTTP_PROXY", "http://http:1")
    assert system_proxy(NAME) == by("ALL_PROXY", "http://all:1")
    assert system_proxy(NAME.with_scheme("http")) == by("HTTP_PROXY", "http://http:1")
    monkeypatch.setenv("HTTPS_PROXY", "https:1")
    assert system_proxy(NAME) == by("HTTPS_PROXY", "https:1")
    if sys.platform == "win32":
        return  # variables have no small letters there
    monkeypatch.setenv("https_proxy", "small:1")
    assert system_proxy(NAME) == by("https_proxy", "small:1")


def test_an_address_of_this_machine_goes_by_the_environment_as_with_curl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert system_proxy(URL(f"http://{host}:8080")) is not None
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.0/8,::1")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert system_proxy(URL(f"http://{host}:8080")) is None


def test_a_web_server_s_header_is_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2016-1000110: a CGI program finds the header `Proxy:` as HTTP_PROXY."""
    monkeypatch.setenv("HTTP_PROXY", "http://evil:1")
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert system_proxy(NAME.with_scheme("http")) is None


def test_what_windows_has_in_its_registry_counts_where_no_variable_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    excepted = {"intranet"}
    stored = {"https": "http://stored:1", "http": "http://stored:1"}
    monkeypatch.setattr(urllib.request, "getproxies_registry", lambda: stored, raising=False)
    monkeypatch.setattr(
        urllib.request, "proxy_bypass_registry", lambda host: host in excepted, raising=False
    )
    expected = SystemProxy("http://stored:1", "the proxy settings of the system")
    assert system_proxy(NAME) == expected
    assert system_proxy(URL("https://intranet")) is None
    # As Windows does; and NO_PROXY excepts more.
    assert system_proxy(URL("http://127.0.0.1:1")) is None
    assert system_proxy(URL("http://localhost:1")) is None
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert system_proxy(NAME) is None
    assert system_proxy(URL("https://example.org")) == expected
    monkeypatch.setenv("HTTPS_PROXY", "http://variable:1")
    assert system_proxy(URL("https://example.org")) == by("HTTPS_PROXY", "http://variable:1")
