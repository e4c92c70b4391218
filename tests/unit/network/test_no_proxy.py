"""NO_PROXY is read as curl reads it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, strategies as st
from yarl import URL

from pipeline.network.no_proxy import bypasses_proxy

NAME = "https://api.example.com/v4"


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ("example.com", NAME),
        (".example.com", NAME),
        ("*.example.com", NAME),
        ("API.Example.COM", NAME),
        ("api.example.com.", NAME),
        ("api.example.com", "https://API.example.com./"),
        ("api.example.com:443", NAME),
        ("example.com:8443", "https://api.example.com:8443"),
        ("other, example.com", NAME),
        ("other example.com", NAME),
        ("other,,\texample.com,", NAME),
        ("*", NAME),
        ("localhost,*", NAME),
        ("api.*", NAME),
        ("bücher.example", "https://www.bücher.example"),
        ("xn--bcher-kva.example", "https://bücher.example"),
        ("10.0.0.0/8", "https://10.1.2.3"),
        ("10.1.2.3/8", "https://10.1.2.3"),
        ("10.1.2.3", "https://10.1.2.3"),
        ("10.1.2.3:8080", "http://10.1.2.3:8080"),
        ("10.1.*", "https://10.1.2.3"),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]"),
        ("fd00::/8", "https://[fd12::1]"),
        ("[fd00::]/8", "https://[fd12::1]"),
        ("::1", "http://[::1]:8080"),
        ("[::1]", "http://[::1]:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("0:0:0:0:0:0:0:1", "http://[::1]"),
    ],
)
def test_what_is_excepted(entries: str, url: str) -> None:
    assert bypasses_proxy(entries, URL(url))


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        ("", NAME),
        (" , ,", NAME),
        ("ample.com", NAME),
        ("www.example.com", NAME),
        ("com.example", NAME),
        ("api.example.com:8443", NAME),
        ("*.api.example.com", NAME),
        ("2.3", "https://10.1.2.3"),
        ("10.0.0.0/16", "https://10.1.2.3"),
        ("10.0.0.0/99", "https://10.1.2.3"),
        ("10.1.2.3:80", "https://10.1.2.3"),
        ("10.0.0.0/8", NAME),
        ("::1", NAME),
        ("[::1]:80", "http://[::1]:8080"),
        (".", NAME),
    ],
)
def test_what_is_not(entries: str, url: str) -> None:
    assert not bypasses_proxy(entries, URL(url))


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_every_network_holds_its_addresses(address: ipaddress.IPv4Address, bits: int) -> None:
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    assert bypasses_proxy(f"other, {network}", URL(f"https://{address}"))


@given(st.text(max_size=40))
def test_no_value_is_a_fault(value: str) -> None:
    for url in (NAME, "http://10.1.2.3:81", "https://[fd00::1%25eth0]/"):
        bypasses_proxy(value, URL(url))
