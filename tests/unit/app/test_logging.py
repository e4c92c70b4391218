"""The log tells what happened, a line each, whatever text a document brings."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina.instrumentation
import structlog

from pipeline.app.logging import ProgramLog, configure_logging
from pipeline.config.types import ServiceSettings
from pipeline.errors import RetryableError
from pipeline.retry import RetryPolicy
from tests.helpers.logs import a_record
from tests.helpers.systems import posix_only


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    config = structlog.get_config()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level
    structlog.configure(**config)
    stamina.instrumentation.set_on_retry_hooks(None)


def text(program_log: ProgramLog, folder: Path) -> str:
    """The log, when all that was logged so far is in it."""
    program_log.flush()
    return (folder / "synqup.log").read_text("utf-8")


def test_no_text_forges_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program_log = configure_logging(tmp_path / "logs")
    forged = "Evil\n2026-01-01 level=info event=all well\r\x1b[2J\u2028 BV"
    structlog.get_logger("stages.test").warning("document waits", document=forged)
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line
    (line,) = text(program_log, tmp_path / "logs").splitlines()
    told = json.loads(line)
    assert told["event"] == "document waits"
    assert told["document"] == "Evil 2026-01-01 level=info event=all well  [2J  BV"


def test_nothing_within_a_list_or_a_traceback_steers_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program_log = configure_logging(tmp_path / "logs")
    signs = "\x1b[2J\x9b31m\u202e\ud800"
    try:
        raise ValueError(signs)
    except ValueError as bug:
        structlog.get_logger("stages.test").error(
            "stage died", why=[f"a {signs}"] * 1000, path=Path(f"/{signs}"), exc_info=bug
        )
    logging.getLogger("asyncio").error("a library's own %s", signs)
    told = capsys.readouterr().err + text(program_log, tmp_path / "logs")
    assert "Traceback" in told
    assert all(line.isprintable() for line in told.splitlines())
    assert "and 990 more" in told


@posix_only("a file that is open can't be moved")
def test_a_log_that_is_taken_away_is_begun_anew(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    program_log = configure_logging(logs, quiet=True)
    log = structlog.get_logger("stages.test")
    log.warning("one")
    program_log.flush()
    (logs / "synqup.log").rename(tmp_path / "taken.log")
    log.warning("two")
    assert "two" in text(program_log, logs)
    shutil.rmtree(logs)
    log.warning("three")
    assert "three" in text(program_log, logs)
    assert "one" in (tmp_path / "taken.log").read_text()


@posix_only("there is no /dev/full")
def test_a_log_that_cannot_be_written_is_told_once_and_written_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = tmp_path / "logs"
    logs.write_text("in the way")
    program_log = configure_logging(logs, quiet=True)
    log = structlog.get_logger("stages.test")
    for _ in range(3):
        log.warning("lost")
        program_log.flush()
    logs.unlink()
    log.warning("kept")
    lines = [json.loads(line) for line in text(program_log, logs).splitlines()]
    assert [line["event"] for line in lines] == ["kept", "log lines are missing"]
    assert lines[1]["lines"] == 3
    (logs / "synqup.log").unlink()
    (logs / "synqup.log").symlink_to("/dev/full")
    for _ in range(3):
        log.warning("lost as well")
        program_log.flush()
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("synqup: the log can't be written and is left out: ")
    assert "No space left on device" in second


def test_the_level_is_a_setting_that_may_change(tmp_path: Path) -> None:
    service = ServiceSettings(tmp_path, log_level="warning")
    program_log = configure_logging(tmp_path / "logs", service, quiet=True)
    log = structlog.get_logger("pipeline.test")
    log.info("one")
    log.warning("two")
    program_log.record([a_record()])
    program_log.apply(ServiceSettings(tmp_path, log_level="debug"))
    log.debug("three")
    program_log.record([a_record()])
    program_log.apply(ServiceSettings(tmp_path))
    log.debug("four")
    told = [json.loads(line)["event"] for line in text(program_log, tmp_path / "logs").splitlines()]
    assert told == ["two", "three", "document delivered"]


def test_standard_error_that_is_a_file_is_written_by_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk may hang like any other."""
    with (tmp_path / "errors").open("w") as errors:
        monkeypatch.setattr("sys.stderr", errors)
        configure_logging(None)
        (handler,) = logging.getLogger().handlers
        structlog.get_logger("pipeline.test").warning("told")
        handler.close()
        assert type(handler) is not logging.StreamHandler
    assert "event=told" in (tmp_path / "errors").read_text()


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    program_log = configure_logging(tmp_path / "logs", quiet=True)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as bug:
        structlog.get_logger("pipeline.test").error("stage died", exc_info=bug)
    told = json.loads(text(program_log, tmp_path / "logs"))
    assert "Traceback (most recent call last)" in told["exception"]
    assert "ZeroDivisionError" in told["exception"]


@pytest.mark.anyio
async def test_what_is_tried_again_is_not_told_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program_log = configure_logging(tmp_path / "logs")
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        raise RetryableError("source", "it does not answer")

    with pytest.raises(RetryableError):
        await RetryPolicy(attempts=3, first_wait=0.01, longest_wait=0.01).run(fail)
    assert tries == 3
    assert capsys.readouterr().err == ""
    assert text(program_log, tmp_path / "logs") == ""
