"""What a process took until something is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.failure import BenchmarkError
from benchmarks.measure import cpu_of, memory_of
from benchmarks.scenarios.startup import has_file, until

pytestmark = pytest.mark.slow


def test_a_file_is_seen_once_it_is_shown(tmp_path: Path) -> None:
    assert not has_file(tmp_path)
    for name in (".hidden", "deep"):
        (tmp_path / "company" / name).mkdir(parents=True)
    (tmp_path / "company" / ".hidden" / "file").touch()
    (tmp_path / "company" / ".file").touch()
    assert not has_file(tmp_path)
    (tmp_path / "company" / "deep" / "file").touch()
    assert has_file(tmp_path)


def test_a_process_is_measured_up_to_the_moment_and_ended_then(tmp_path: Path) -> None:
    script = "from pathlib import Path; import time; Path('x').touch(); time.sleep(600)"
    run = until((tmp_path / "x").exists, [sys.executable, "-c", script], tmp_path)
    assert run.documents == 1
    assert run.cpu > 0
    assert run.peak > 1_000_000


def test_a_process_that_brings_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="brought no file"):
        until((tmp_path / "x").exists, [sys.executable, "-c", "pass"], tmp_path)


def test_processor_time_and_memory_are_those_of_the_process() -> None:
    before = cpu_of(os.getpid())
    assert sum(number * number for number in range(300_000))
    assert cpu_of(os.getpid()) > before
    assert memory_of(os.getpid()) > 1_000_000
