"""[monitor] is off until an address is given, and safe with whichever is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from pipeline.config.monitor import is_loopback, parse_address
from pipeline.config.types import Secret
from tests.helpers.settings import GOOD, load, problems

TOKEN = 'token = { file = "token" }'


def monitor(*lines: str) -> str:
    return "\n".join((GOOD, "[monitor]", *lines))


def test_without_an_address_there_is_no_server(tmp_path: Path) -> None:
    for text in (GOOD, monitor(), monitor('listen = ""'), monitor('listen = "  "', TOKEN)):
        assert load(tmp_path, text).monitor.address is None


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1:8470", "127.0.0.1", 8470),
        (" 127.8.9.1:1 ", "127.8.9.1", 1),
        ("[::1]:65535", "::1", 65535),
        ("[0:0:0:0:0:0:0:1]:8470", "::1", 8470),
        ("[::ffff:127.0.0.1]:8470", "::ffff:7f00:1", 8470),
        ("LocalHost.:08470", "localhost", 8470),
    ],
)
def test_an_address_of_this_machine_needs_no_token(
    tmp_path: Path, listen: str, host: str, port: int
) -> None:
    address = load(tmp_path, monitor(f'listen = "{listen}"')).monitor.address
    assert address is not None
    assert (address.host, address.port, address.is_loopback) == (host, port, True)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "listen",
    [
        *("0.0.0.0:8470", "[::]:8470", "192.168.1.9:8470", "[fe80::1%eth0]:8470"),
        *("server:8470", "server.office.lan:8470", "localhost.evil.example:8470"),
        *("[::ffff:10.0.0.1]:1", "10.127.0.0:1", "xn--lcalhost-54a:1"),
    ],
)
def test_what_others_can_reach_needs_a_token(tmp_path: Path, listen: str) -> None:
    (problem,) = problems(tmp_path, monitor(f'listen = "{listen}"'))
    assert problem.startswith("monitor.token: this is missing, and other machines can reach")
    assert "{ env =" in problem
    assert '"127.0.0.1:8470"' in problem
    settings = load(tmp_path, monitor(f'listen = "{listen}"', TOKEN)).monitor
    assert settings.token == Secret(file=str(tmp_path / "token"))
    assert settings.address is not None


@pytest.mark.parametrize(
    "listen",
    [
        *("8470", ":8470", "127.0.0.1", "127.0.0.1:", "::1:8470", "[::1]", "::1", "[]:1", "*:8470"),
        *("http://127.0.0.1:8470", "127.0.0.1:8470/", "127.0.0.1:65536", "127.0.0.1:-1"),
        *("127.1:8470", "127.0.0.1.:8470", "127.000.000.001:8470", "2130706433:8470", "0:8470"),
        *(
            "a b:8470",
            "-a:8470",
            "a..b:8470",
            "é:8470",
            "127.0.0.1:\uff18\uff14",
            "[localhost]:8470/",
        ),
        *("user@127.0.0.1:8470", "127.0.0.1:8470:8471", "127.0.0.1\\n:8470"),
    ],
)
def test_what_is_no_address_is_refused(tmp_path: Path, listen: str) -> None:
    (problem,) = problems(tmp_path, monitor(f'listen = "{listen}"'))
    assert problem.startswith("monitor.listen: ")
    assert "write" in problem


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("listen = 8470", "monitor.listen: expected text"),
        ('listen = ["127.0.0.1:8470"]', "monitor.listen: expected text"),
        ('token = "the secret itself"', "monitor.token: a secret may not stand in the file"),
        ('token = { file = "" }', "monitor.token: it has to name exactly one place"),
        ('port = "8470"', "monitor.port: there is no such key"),
        ('allowed_hosts = ["http://books.example"]', "monitor.allowed_hosts[1]: "),
        ('allowed_hosts = ["books.example:8470"]', "monitor.allowed_hosts[1]: "),
        ('allowed_hosts = "books.example"', "monitor.allowed_hosts: "),
    ],
)
def test_what_else_is_wrong_is_named(tmp_path: Path, line: str, said: str) -> None:
    (problem,) = problems(tmp_path, monitor(line))
    assert problem.startswith(said)
    assert "the secret itself" not in problem


def test_names_of_hosts_are_kept_as_they_are_compared(tmp_path: Path) -> None:
    text = monitor('allowed_hosts = ["Books.Office.example.", "10.0.0.9", "[::1]"]')
    assert load(tmp_path, text).monitor.allowed_hosts == ("books.office.example", "10.0.0.9", "::1")


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused_in_words(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError as error:
        assert "write" in str(error)  # noqa: PT017 - most texts are refused
    else:
        assert parse_address(str(address)) == address


@given(st.ip_addresses())
def test_only_loopback_is_loopback(address: object) -> None:
    assert is_loopback(str(address)) == (str(address).startswith("127.") or str(address) == "::1")
