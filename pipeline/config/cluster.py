"""Cluster settings: the section [cluster], by which several machines work as one."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Self

from msgspec import Struct, structs

from pipeline.config.types import Secret, absolute, output_path

#: Characters of the name of a node, at most.
MAX_NAME = 100


def node_name(text: str) -> str:
    """Validate the name of a node; empty: that of its host."""
    if text != text.strip() or not text.isprintable() or len(text) > MAX_NAME:
        raise ValueError(
            f'"{text}" is no name of a node; write one of at most {MAX_NAME} characters, without'
            ' spaces around it, like "node-1"'
        )
    return text


class ClusterSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[cluster]: the ledger and the folder that several nodes share; without it there is one node.

    dsn: where the connection string of PostgreSQL lies, which may hold a password. shared_dir: a
    folder that all nodes see, for what sources remember, sign-ins and the quarantine. node: the
    name of this machine among the others; without it, its host name.
    """

    dsn: Secret
    shared_dir: Annotated[Path, output_path]
    node: Annotated[str, node_name] = ""

    @property
    def name(self) -> str:
        """The name of this node."""
        return self.node or socket.gethostname()

    def located(self, base: Path) -> Self:
        """The same section with its paths absolute."""
        dsn = self.dsn
        if dsn.file is not None:
            dsn = structs.replace(dsn, file=str(absolute(base, dsn.file)))
        return structs.replace(self, dsn=dsn, shared_dir=absolute(base, self.shared_dir))


def lies_in(folder: Path, other: Path) -> bool:
    """Whether a folder is another one, or lies in it; by their names, whose case may not count."""
    one, within = Path(os.path.normcase(folder)), Path(os.path.normcase(other))
    return one == within or one.is_relative_to(within)
