"""What `synqup backup` and `synqup restore` do."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.filesize import decimal

from pipeline.app.backup import Manifest, restore_backup, write_backup
from pipeline.app.lock import single_instance
from pipeline.app.wiring import Config, load_config
from pipeline.errors import StateError


def back_up(file: Path, config: Path) -> None:
    """Write a backup, and say what is in it."""
    settings = load_config(config)
    _refuse_cluster(settings)
    manifest = write_backup(settings.service.state_dir, file)
    Console(highlight=False).print(
        f"{file}: {_contents(manifest)}. It holds tokens: keep it as you keep passwords",
        soft_wrap=True,
    )


def put_back(file: Path, config: Path, *, replace: bool) -> None:
    """Restore a backup, and say what it means."""
    settings = load_config(config)
    _refuse_cluster(settings)
    state_dir = settings.service.state_dir
    with single_instance(state_dir):
        restored = restore_backup(file, state_dir, replace=replace)
    console = Console(highlight=False)
    console.print(
        f"{state_dir}: restored as of {restored.manifest.made_at}, {_contents(restored.manifest)}",
        soft_wrap=True,
    )
    if restored.before is not None:
        console.print(
            f"What was there is in {restored.before}; remove it when all is well", soft_wrap=True
        )
    if restored.is_elsewhere:
        console.print(
            f"The backup is of {restored.manifest.state_dir}. If no synqup works there any more,"
            " start this one once with --take-over",
            soft_wrap=True,
        )
    console.print(
        "What was delivered since then, and not acknowledged to the platform, comes once more:"
        " compare the folders of that time",
        soft_wrap=True,
    )


def _refuse_cluster(settings: Config) -> None:
    """Raise StateError where the ledger is no file of the state folder."""
    if settings.cluster is not None:
        raise StateError(
            "[cluster]",
            "a backup is of a state folder with its ledger, and here the ledger is in PostgreSQL",
            "Back up the database with PostgreSQL's own tools, write-ahead log and all, and each"
            " node's state folder as any other; an old state of the database delivers twice what"
            " came since",
        )


def _contents(manifest: Manifest) -> str:
    size = sum(member.size for member in manifest.members)
    return f"{len(manifest.members):,} files, {decimal(size)}"
