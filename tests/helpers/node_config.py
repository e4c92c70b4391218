"""The configuration of a node that brings what a sandbox mailbox has."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.helpers.processes import Mailbox

CLUSTER = """
[cluster]
dsn = {{ file = "dsn" }}
shared_dir = "{shared}"
node = "{name}"
"""


def write_node(folder: Path, box: Mailbox, dsn: str, name: str, interval: str) -> Path:
    """Make a node's folder, with its configuration and what that names; its path."""
    folder.mkdir()
    for one in box.folder.iterdir():
        if one.is_file() and one.suffix not in (".jsonl", ".toml"):
            shutil.copy(one, folder)
    (folder / "dsn").write_text(dsn)
    text = box.config.read_text().replace('"out/', f'"{box.folder.as_posix()}/out/')
    text = text.replace('poll_interval = "5m"', f'poll_interval = "{interval}"')
    shared = box.folder / "shared"
    shared.mkdir(exist_ok=True)
    config = folder / "synqup.toml"
    config.write_text(text + CLUSTER.format(name=name, shared=shared.as_posix()))
    return config
