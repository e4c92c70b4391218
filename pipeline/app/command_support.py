"""What `synqup support` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from rich.console import Console
from rich.filesize import decimal

from pipeline.app.loop import run_loop
from pipeline.app.redaction import (
    Redactor,
    described,
    secrets_around,
    secrets_of,
    secrets_stored,
    secrets_written,
    shape,
)
from pipeline.app.state_findings import known_volumes, state_findings
from pipeline.app.support import Installation, write_support
from pipeline.app.wiring import Config, examine, folders_of, ledger_path, ledger_place, load_config
from pipeline.config.loader import read_toml
from pipeline.config.types import Secret, absolute
from pipeline.errors import ConfigurationError, StateError, SynqupError
from pipeline.files import os_reason
from pipeline.ledger.place import LedgerPlace

#: Seconds that the check is given.
CHECK_TIMEOUT = 60.0
#: Folders whose free room is told, at most.
MAX_FOLDERS = 100


def gather_support(file: Path, config: Path, *, documents: bool) -> None:
    """Write the archive, and say what is in it. Raises StateError when it can't be written."""
    try:
        settings = load_config(config)
    except ConfigurationError as error:
        installation, secrets = _of_invalid(config, error)
    else:
        installation, secrets = _of(settings)
    try:
        size = write_support(
            file, installation, Redactor([*secrets, *secrets_around()]), documents=documents
        )
    except OSError as error:
        raise StateError(
            str(file), f"it can't be written ({os_reason(error)})", "Name another file"
        ) from None
    console = Console(highlight=False)
    console.print(f"{file}: {decimal(size)}, without secrets and documents", soft_wrap=True)
    if documents:
        console.print(
            "The log in it names numbers, parties and paths of documents; --no-documents leaves"
            " them out",
            soft_wrap=True,
        )


def _of(config: Config) -> tuple[Installation, list[str]]:
    state_dir = config.service.state_dir
    secrets = [*secrets_of(config), *secrets_stored(config.shared_dir / "tokens")]
    return Installation(
        state_dir,
        described(config),
        run_loop(lambda: _findings(config)),
        _folders(config),
        _ledger(config),
    ), secrets


def _folders(config: Config) -> list[Path]:
    """The folders whose free room is told."""
    own = (config.service.state_dir, config.shared_dir)
    return list(dict.fromkeys((*own, *sorted(folders_of(config)))))[:MAX_FOLDERS]


def _ledger(config: Config) -> LedgerPlace | None:
    try:
        return ledger_place(config)
    except SynqupError:
        return None


def _of_invalid(path: Path, error: ConfigurationError) -> tuple[Installation, list[str]]:
    """What can be told where the configuration can't be used: its keys, and what is wrong."""
    try:
        raw: dict[str, Any] = read_toml(path)
    except ConfigurationError:
        raw = {}
    service = raw.get("service")
    named = service.get("state_dir") if isinstance(service, dict) else None
    state_dir = absolute(path.parent, named) if isinstance(named, str) and named else None
    told = {"problems": list(error.problems), "keys": shape(raw)}
    secrets = list(secrets_written(raw))
    secrets += _read_where_said(raw, path.parent)
    for folder in (state_dir, _shared_dir(raw, path.parent)):
        if folder is not None:
            secrets += secrets_stored(folder / "tokens")
    if state_dir is None:
        return Installation(None, told, []), secrets
    # Where there is a cluster, no other place is known than one in which no ledger lies.
    return Installation(state_dir, told, [], [state_dir], ledger_path(state_dir)), secrets


def _shared_dir(raw: dict[str, Any], base: Path) -> Path | None:
    cluster = raw.get("cluster")
    named = cluster.get("shared_dir") if isinstance(cluster, dict) else None
    return absolute(base, named) if isinstance(named, str) and named else None


def _read_where_said(raw: Any, base: Path) -> Iterator[str]:
    """The secrets to which a file points that is no valid configuration."""
    if isinstance(raw, dict):
        match raw:
            case {"env": str(name)}:
                yield from secrets_of(Secret(env=name))
            case {"file": str(name)} if name:
                yield from secrets_of(Secret(file=str(absolute(base, name))))
            case {"keyring": str(name)}:
                yield from secrets_of(Secret(keyring=name))
        for one in raw.values():
            yield from _read_where_said(one, base)
    elif isinstance(raw, list):
        for one in raw:
            yield from _read_where_said(one, base)


async def _findings(config: Config) -> list[Any]:
    late = f"the check took longer than {CHECK_TIMEOUT:g} s"
    found: list[Any] = [{"ok": False, "sentence": late}]
    with anyio.move_on_after(CHECK_TIMEOUT):
        volumes = await anyio.to_thread.run_sync(known_volumes, config, abandon_on_cancel=True)
        found = [msgspec.to_builtins(one) for one in await examine(config, volumes)]
    return [*found, *(msgspec.to_builtins(one) for one in state_findings(config))]
