"""[push] is off until an address is given, and does something with the secret of a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.app.push_findings import push_addresses, push_findings
from pipeline.config.push import PushSettings
from stages.settings import Config
from tests.helpers.settings import GOOD, load, problems

BILLIT = """
[[sources]]
name = "billit / été"
kind = "billit"
door = "inbox"
api_key = { env = "KEY" }
"""
EINVOICE = """
[[sources]]
name = "peppol"
kind = "einvoice_be"
SECRET
[[sources.keys]]
name = "One"
secret = { env = "KEY" }
"""
SECRET = 'push_secret = { file = "push" }'
PUSH = '[push]\nlisten = "127.0.0.1:8471"'


def configured(folder: Path, *lines: str) -> Config:
    (folder / "push").write_text("s3cret")
    return load(folder, "\n".join((GOOD, *lines)))


def test_without_an_address_there_is_no_receiver(tmp_path: Path) -> None:
    for more in ("", "[push]", '[push]\nlisten = " "'):
        config = configured(tmp_path, more)
        assert config.push.address is None
        assert not push_findings(config)
        assert not push_addresses(config)


@pytest.mark.parametrize(
    "listen", ["8471", "127.0.0.1", ":8471", "http://127.0.0.1:8471", "127.1:8471", "h:99999"]
)
def test_what_is_no_address_is_refused_as_for_the_monitor(tmp_path: Path, listen: str) -> None:
    (problem,) = problems(tmp_path, f'{GOOD}[push]\nlisten = "{listen}"')
    (same,) = problems(tmp_path, f'{GOOD}[monitor]\nlisten = "{listen}"')
    assert problem == same.replace("monitor.", "push.")


def test_one_port_can_t_be_the_monitor_s_too(tmp_path: Path) -> None:
    monitor = '[monitor]\nlisten = "127.0.0.1:8471"'
    (problem,) = problems(tmp_path, f"{GOOD}\n{PUSH}\n{monitor}")
    assert problem.startswith("push.listen: [monitor] listens there")
    assert configured(tmp_path, PUSH, monitor.replace("8471", "8470"))
    any_port = PUSH.replace("8471", "0"), monitor.replace("8471", "0")
    assert configured(tmp_path, *any_port)


def test_the_address_of_a_source_is_quoted() -> None:
    assert PushSettings("[::1]:8471").url_of("a/b é") == "http://[::1]:8471/push/a%2Fb%20%C3%A9"


def test_a_source_that_takes_pushes_is_told_with_its_address(tmp_path: Path) -> None:
    config = configured(tmp_path, BILLIT, SECRET, EINVOICE.replace("SECRET", ""), PUSH)
    taken, polled = push_findings(config)
    address = "http://127.0.0.1:8471/push/billit%20%2F%20%C3%A9t%C3%A9"
    assert taken.ok
    assert taken.sentence.startswith(f"source billit / été: pushes are taken at {address}")
    assert "a proxy with TLS" in taken.sentence
    assert polled.ok
    assert polled.sentence == "source peppol: it has no push_secret: it is only polled"
    assert push_addresses(config) == {"billit / été": address}


def test_a_secret_without_a_receiver_is_told(tmp_path: Path) -> None:
    (one,) = push_findings(configured(tmp_path, EINVOICE.replace("SECRET", SECRET)))
    assert not one.ok
    assert one.sentence.startswith("source peppol: it has a push_secret")
    assert 'listen = "127.0.0.1:8471" into [push]' in one.sentence


@pytest.mark.parametrize("more", ["", BILLIT])
def test_a_receiver_without_any_secret_is_told(tmp_path: Path, more: str) -> None:
    (one,) = push_findings(configured(tmp_path, more, PUSH))
    assert not one.ok
    assert "[push] listens at 127.0.0.1:8471" in one.sentence
    assert "push_secret" in one.sentence


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    config = configured(tmp_path, BILLIT, SECRET, PUSH)
    (tmp_path / "push").unlink()
    (one,) = push_findings(config)
    assert not one.ok
    assert "source billit / été, push_secret: " in one.sentence
    assert str(tmp_path / "push") in one.sentence


def test_a_source_whose_platform_has_no_pushes_takes_no_secret(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, GOOD.replace("[[companies]]", f"{SECRET}\n[[companies]]"))
    assert "there is no such key" in problem
