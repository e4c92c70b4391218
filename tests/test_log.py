"""The log tells what happened, a line each, whatever text a document brings."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina.instrumentation
import structlog

from pipeline.errors import PassingError
from pipeline.log import set_up
from pipeline.retries import Retries


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    stamina.instrumentation.set_on_retry_hooks(None)


def test_no_text_forges_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(tmp_path / "logs")
    forged = "Evil\n2026-01-01 level=info event=all well\r\x1b[2J\u2028 BV"
    structlog.get_logger("stages.test").warning("document waits", document=forged)
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line
    (line,) = (tmp_path / "logs" / "synqup.log").read_text("utf-8").splitlines()
    told = json.loads(line)
    assert told["event"] == "document waits"
    assert told["document"] == "Evil 2026-01-01 level=info event=all well  [2J  BV"


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    set_up(tmp_path / "logs", quiet=True)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as bug:
        structlog.get_logger("pipeline.test").error("stage died", exc_info=bug)
    told = json.loads((tmp_path / "logs" / "synqup.log").read_text())
    assert "Traceback (most recent call last)" in told["exception"]
    assert "ZeroDivisionError" in told["exception"]


@pytest.mark.anyio
async def test_what_is_tried_again_is_not_told_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(tmp_path / "logs")
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise PassingError("source", "it does not answer")

    with pytest.raises(PassingError):
        await Retries(attempts=3, first_wait=0.01, longest_wait=0.01).run(fail)
    assert tries == 3
    assert capsys.readouterr().err == ""
    assert (tmp_path / "logs" / "synqup.log").read_text() == ""
