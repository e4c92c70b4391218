"""Cluster settings: the section [cluster], by which several machines work as one."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Self

from msgspec import Struct, structs

from pipeline.config.types import Secret, absolute, not_blank

#: Characters of the name of a node, at most.
MAX_NAME = 63


def node_name(text: str) -> str:
    """Validate the name of a node. Raises ValueError with what would be right."""
    name = not_blank(text).strip()
    if len(name) > MAX_NAME or not name.isprintable():
        raise ValueError(f"a node has a name of up to {MAX_NAME} printable characters")
    return name


class ClusterSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """[cluster]: the ledger that several nodes share; without this section it is a file of one.

    dsn: where the connection string of PostgreSQL lies, which may hold a password. node: the name
    of this machine among the others; without it, its host name.
    """

    dsn: Secret
    node: Annotated[str, node_name] = ""

    @property
    def name(self) -> str:
        """The name of this node."""
        return self.node or socket.gethostname()

    def located(self, base: Path) -> Self:
        """The same section, the path of its secret absolute."""
        if self.dsn.file is None:
            return self
        return structs.replace(
            self, dsn=structs.replace(self.dsn, file=str(absolute(base, self.dsn.file)))
        )
