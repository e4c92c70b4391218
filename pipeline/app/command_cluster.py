"""What `synqup cluster adopt` and `synqup cluster accept` do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.app.adopting import Show, adopt
from pipeline.app.identity import claim_state
from pipeline.app.idle_cluster import idle_cluster
from pipeline.app.lock import single_instance
from pipeline.app.logging import configure_logging
from pipeline.app.wiring import Config, cluster_dsn, ledger_place, load_config
from pipeline.errors import StateError
from pipeline.ledger.database import STAGED_WAIT
from pipeline.ledger.place import open_store

#: Seconds between two lines that tell how far it is, where there is no terminal.
LINES_INTERVAL = 5.0


def adopt_ledger(path: Path) -> None:
    """Carry the state of this machine over into its cluster, and say what was done."""
    settings = load_config(path)
    _ensure_cluster(settings)
    state_dir, console = settings.service.state_dir, Console(highlight=False)
    with single_instance(state_dir):
        configure_logging(state_dir / "logs", settings.service, quiet=True)
        claim_state(state_dir, path)
        with _shown(console) as show:
            done = adopt(settings, show)
    if done.aside is None:
        console.print(f"The ledger is in {done.database} already", soft_wrap=True)
        return
    if done.documents is None:
        console.print(f"The ledger was carried over into {done.database} before", soft_wrap=True)
    else:
        console.print(
            f"{done.database}: the ledger was carried over, {done.documents:,} documents;"
            f" sign-ins and quarantine are in {settings.shared_dir}",
            soft_wrap=True,
        )
    console.print(
        f"What was there is in {done.aside}; remove it when all is well. Start this node, and then"
        " the others",
        soft_wrap=True,
    )


def accept_database(path: Path) -> None:
    """Let the nodes go on with a database that is older than it was, and say what it means."""
    settings = load_config(path)
    _ensure_cluster(settings)
    assert settings.cluster is not None
    with idle_cluster(cluster_dsn(settings)) as database:
        from pipeline.cluster.generation import accept_generation  # noqa: PLC0415 - of an extra
        from pipeline.cluster.schema import prepare  # noqa: PLC0415 - as above

        open_store(ledger_place(settings)).close()
        prepare(database)
        is_older = accept_generation(settings.cluster.shared_dir, database, STAGED_WAIT)
    if is_older:
        print("The nodes go on with this database when they are started.")
        print(
            "What was delivered since its time, and not acknowledged to the platform, comes once"
            " more: compare the folders of that time"
        )
    else:
        print("The database is not older than the shared folder: there is nothing to accept")


def _ensure_cluster(settings: Config) -> None:
    if settings.cluster is None:
        raise StateError(
            "[cluster]",
            "the configuration has no such section, so there is no cluster",
            "Write one, with its dsn and shared_dir; docs/cluster.md tells how",
        )


@contextmanager
def _shown(console: Console) -> Iterator[Show]:
    """Shows how many rows are carried over: a bar on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield _lines(console)
        return
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines(console: Console) -> Show:
    next_at = time.monotonic() + LINES_INTERVAL

    def show(done: int, total: int) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + LINES_INTERVAL
            console.print(f"{done:,} of {total:,} rows")

    return show
