"""Each exit code has one meaning, which the documentation tells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.app.catch_up import CatchUpResult
from pipeline.app.clustering import STATUS
from pipeline.app.exit_codes import (
    ExitCode,
    exit_code_of_error,
    exit_code_of_findings,
    exit_code_of_result,
)
from pipeline.app.wiring import Finding
from pipeline.engine.counters import Counters
from pipeline.errors import (
    ConfigurationError,
    InternalError,
    RetryableError,
    SignInRefused,
    StateCopied,
    StateError,
    StateInUse,
    SynqupError,
)

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


def test_the_documentation_has_a_row_for_each_code() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \|", OPERATIONS.read_text("utf-8"))
    assert [int(row) for row in rows] == sorted(ExitCode)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("synqup.toml", ["key: wrong"]), 2),
        (SignInRefused("source"), 3),
        (RetryableError("source"), 3),
        (StateError("state"), 1),
        (StateInUse("state"), 1),
        (StateCopied("state"), 2),
        (InternalError("source"), 70),
    ],
    ids=lambda it: type(it).__name__,
)
def test_of_an_error(error: SynqupError, code: int) -> None:
    assert exit_code_of_error(error) == code


def test_a_node_that_has_to_end_does_so_with_that_of_its_error() -> None:
    assert exit_code_of_error(StateError("node a")) == STATUS


def test_of_a_catch_up_the_gravest_counts() -> None:
    left = Counters(quarantined=1)
    failures = {"box": "it does not answer"}
    assert exit_code_of_result(CatchUpResult(Counters(delivered=3), {}, stopped=False)) == 0
    assert exit_code_of_result(CatchUpResult(left, {}, stopped=False)) == 1
    assert exit_code_of_result(CatchUpResult(Counters(waiting=1), {}, stopped=False)) == 1
    assert exit_code_of_result(CatchUpResult(Counters(), {}, stopped=True)) == 1
    unreadable = CatchUpResult(Counters(), {}, stopped=False, unreadable={"box": 1})
    assert exit_code_of_result(unreadable) == 1
    assert exit_code_of_result(CatchUpResult(left, failures, stopped=True)) == 3
    assert exit_code_of_result(CatchUpResult(left, failures, stopped=True, fault="a bug")) == 70


def test_of_a_check_a_source_weighs_more_than_a_folder() -> None:
    folder, source = Finding("folder", False, "full"), Finding("source", False, "down")
    assert exit_code_of_findings([Finding("folder", True, "ready")]) == 0
    assert exit_code_of_findings([folder, Finding("source", True, "answers")]) == 1
    assert exit_code_of_findings([folder, source]) == 3
    assert exit_code_of_findings([folder, Finding("sign-in", False, "nobody")]) == 3
