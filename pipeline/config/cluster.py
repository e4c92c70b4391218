"""Cluster settings: the section [cluster], by which several machines work as one."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Self

from msgspec import Struct, structs

from pipeline.config.types import Secret, absolute, not_blank, output_path

#: Characters of the name of a node, at most.
MAX_NAME = 63


def node_name(text: str) -> str:
    """Validate the name of a node. Raises ValueError with what would be right."""
    name = not_blank(text).strip()
    # A slash ends the name where the ledger says what process of the node has a document in hand.
    if len(name) > MAX_NAME or not name.isprintable() or "/" in name:
        raise ValueError(
            f"a node has a name of up to {MAX_NAME} printable characters, without a slash"
        )
    return name


class ClusterSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[cluster]: the ledger that several nodes share; without this section it is a file of one.

    dsn: where the connection string of PostgreSQL lies, which may hold a password. shared_dir: a
    folder that all nodes see, for sign-ins, what sources remember, and the quarantine. node: the
    name of this machine among the others; without it, its host name.
    """

    dsn: Secret
    shared_dir: Annotated[Path, output_path]
    node: Annotated[str, node_name] = ""

    @property
    def name(self) -> str:
        """The name of this node."""
        return self.node or socket.gethostname()

    def problem_of_name(self) -> str:
        """Why the name of the machine can't be that of this node, which has none of its own."""
        try:
            node_name(self.name)
        except ValueError as error:
            return f"this is missing, and the name of this machine, {self.name!r}, is none: {error}"
        return ""

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
