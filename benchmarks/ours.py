"""Synqup itself as a contender: a whole process, as its user starts it."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import anyio

from benchmarks.dataset import Dataset
from benchmarks.failure import BenchmarkError
from pipeline.ledger.ledger import open_ledger
from stages.sandbox import write_config
from stages.sandbox.server import Sandbox
from stages.sources.billtobox.sandbox import BilltoboxWire

#: The command line, by the interpreter that runs the benchmark.
SYNQUP = (sys.executable, "-c", "from pipeline.app.cli import main; main()")
ROOT = Path(__file__).parents[1]


def configure(
    folder: Path, dataset: Dataset, url: str, token_url: str, connections: int | None = None
) -> Path:
    """Write a configuration that delivers below `folder`/out.

    connections: of the source, unless the default is to hold.
    """
    path = folder / "synqup.toml"
    served = Sandbox(BilltoboxWire(), url, token_url, "benchmark", "secret", "")
    write_config(path, served, dataset.mailbox)
    if connections is not None:
        source = "[[sources]]\n"
        text = path.read_text()
        path.write_text(text.replace(source, f"{source}connections = {connections}\n", 1))
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


def fill_ledger(config: Path, rows: int) -> None:
    """Put so many delivered documents into the ledger, as if they had been brought long ago."""
    anyio.run(_make_ledger, config.parent / "state" / "ledger.sqlite")
    with closing(sqlite3.connect(config.parent / "state" / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(
            "INSERT INTO documents (source, id, revision, label, state, company, kind, path,"
            " name_hash, sha256, size, checksum, seen_at, changed_at, verified_at, delivered_at,"
            " acknowledged_at) VALUES ('billtobox', ?1, ?2, ?3, 'delivered', ?4, 'purchase', ?5,"
            " ?6, ?2, 15000, 'list sha-256', 1, 1, 1, 1, 1)",
            (_row(number) for number in range(rows)),
        )
        connection.commit()


async def _make_ledger(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    async with open_ledger(path):
        pass


def _row(number: int) -> tuple[str, str, str, str, str, int]:
    digest = sha256(str(number).encode()).hexdigest()
    label = f"purchase invoice 2026-{number:06} (id {digest[:36]})"
    path = f"/srv/books/BE0{number % 100:09}/achats/2026-01-01_2026-{number:06}_Bakkerij.xml"
    return (f"purchase/{digest[:36]}", digest, label, f"BE0{number % 100:09}", path, number)
