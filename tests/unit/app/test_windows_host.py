"""The Service Control Manager is told each state in its turn, and a failure only where it helps."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.app.service_manager.windows_host import (
    SERVICE_SPECIFIC_ERROR,
    Severity,
    State,
    WindowsHost,
)


class Recording:
    """An SCM that keeps what it is told."""

    def __init__(self) -> None:
        self.reports: list[tuple[State, int, float, int, int]] = []
        self.entries: list[tuple[str, str]] = []

    def report(self, state: State, **more: Any) -> None:
        values = (more[name] for name in ("checkpoint", "hint", "win32_code", "service_code"))
        self.reports.append((state, *values))  # type: ignore[arg-type]

    def log(self, severity: Severity, sentence: str) -> None:
        self.entries.append((severity, sentence))

    @property
    def states(self) -> list[State]:
        return [state for state, *_ in self.reports]


@pytest.fixture
def scm() -> Recording:
    return Recording()


def hosted(scm: Recording) -> tuple[WindowsHost, list[str]]:
    stops: list[str] = []
    return WindowsHost("synqup", scm, lambda: stops.append("stop"), misconfigured=2), stops


def test_a_service_starts_runs_and_drains_by_checkpoints(scm: Recording) -> None:
    host, stops = hosted(scm)
    host.starting(60)
    host.starting(60)
    host.ready()
    host.status("words")
    host.alive()
    host.reloading()
    host.ready()
    host.control("it was asked to")
    host.stopping(30)
    host.stopping(20)
    host.ready()
    host.starting(60)
    host.stopped(0)
    start, stop = State.START_PENDING, State.STOP_PENDING
    assert scm.states == [start, start, start, State.RUNNING, stop, stop, stop, State.STOPPED]
    assert [checkpoint for _, checkpoint, *_ in scm.reports] == [1, 2, 3, 0, 1, 2, 3, 0]
    assert all((hint > 0) is (state in (start, stop)) for state, _, hint, *_ in scm.reports)
    assert [codes for *_, _, codes in scm.reports] == [0] * 8
    assert stops == ["stop"]
    assert [one for _, one in scm.entries] == [
        "Service synqup has started.",
        "Service synqup is stopping: it was asked to.",
        "Service synqup has stopped.",
    ]


def test_it_can_be_stopped_while_it_starts_and_only_once(scm: Recording) -> None:
    host, stops = hosted(scm)
    host.control("Windows shuts down")
    host.control("Windows shuts down")
    host.starting(60)
    host.ready()
    host.stopped(0)
    host.control("it was asked to")
    assert scm.states == [State.START_PENDING, State.STOP_PENDING, State.STOPPED]
    assert stops == ["stop"]


@pytest.mark.parametrize("code", [1, 3, 70])
def test_a_failure_is_one_so_that_it_is_started_again(scm: Recording, code: int) -> None:
    host, _ = hosted(scm)
    host.stopped(code, "the state folder can't be used.")
    assert scm.reports[-1] == (State.STOPPED, 0, 0, SERVICE_SPECIFIC_ERROR, code)
    sentence = f"Service synqup has ended with exit status {code}: the state folder can't be used."
    assert scm.entries == [("error", sentence)]


def test_a_wrong_configuration_is_none_for_it_would_only_fail_again(scm: Recording) -> None:
    host, _ = hosted(scm)
    host.stopped(2, "synqup.toml: the configuration can't be used.")
    assert scm.reports[-1] == (State.STOPPED, 0, 0, 0, 0)
    ((severity, sentence),) = scm.entries
    assert severity == "error"
    assert "synqup.toml: the configuration can't be used." in sentence
    assert "not started again before that is corrected" in sentence
