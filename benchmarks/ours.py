"""Synqup itself as a contender: a whole process, as its user starts it."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from benchmarks.dataset import Dataset
from benchmarks.failure import BenchmarkError
from stages.sandbox import write_config
from stages.sandbox.server import Sandbox

#: The command line, by the interpreter that runs the benchmark.
SYNQUP = (sys.executable, "-c", "from pipeline.cli import main; main()")
ROOT = Path(__file__).parents[1]


def configure(folder: Path, dataset: Dataset, url: str, token_url: str, more: str = "") -> Path:
    """Write a configuration that delivers below `folder`/out; `more` goes to its end."""
    path = folder / "synqup.toml"
    served = Sandbox(url, token_url, "benchmark", "secret", "")
    write_config(path, served, dataset.mailbox)
    if more:
        path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    return path


def catch_up(config: Path) -> list[str]:
    """The command that brings everything."""
    return [*SYNQUP, "catch-up", "--config", str(config)]


def check_ledger(config: Path, documents: int) -> None:
    """Raise BenchmarkError unless every document is delivered and acknowledged."""
    ledger = config.parent / "state" / "ledger.sqlite"
    with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
        (done,) = connection.execute(
            "SELECT count(*) FROM documents"
            " WHERE state = 'delivered' AND acknowledged_at IS NOT NULL"
        ).fetchone()
    if done != documents:
        raise BenchmarkError(f"the ledger has {done:,} of {documents:,} documents as delivered")
