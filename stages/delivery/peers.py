"""Peers: the other nodes that share the ledger, and how this process is told from their processes.

Exactly-once does not depend on who is alive: anybody may finish any delivery safely. It only saves
two nodes from doing the same work.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from pipeline.ledger.models import Unfinished
from pipeline.ledger.takeover import mark_of, node_of

#: Hexadecimal digits of a mark that stand for the node; those of the process follow.
NODE_DIGITS = 8


class Peers:
    """The nodes of a cluster as this process sees them, itself among them.

    node: the name of this node, as the ledger writes it into what it stages; without a slash.
    is_alive: whether another node is counted on, by its name.
    """

    def __init__(self, node: str, is_alive: Callable[[str], bool]) -> None:
        if "/" in node:
            raise ValueError(node)
        self.node = node
        self._is_alive = is_alive
        self._node_mark = hashlib.sha256(node.encode()).hexdigest()[:NODE_DIGITS]
        #: Part of the name of each temporary file: of this node, and of this process alone.
        self.mark = self._node_mark + secrets.token_hex(8)

    @property
    def claimant(self) -> str:
        """What the ledger writes into a row that this process resumes."""
        return f"{self.node}/{self.mark}"

    def is_of_earlier(self, mark: str) -> bool:
        """Whether a mark is of an earlier process of this node."""
        return len(mark) == len(self.mark) and (
            mark.startswith(self._node_mark) and mark != self.mark
        )

    def is_own(self, row: Unfinished) -> bool:
        """Whether this process has staged a document, and no other has begun to resume it."""
        return mark_of(row.staged) == self.mark and row.node == self.node

    def may_resume(self, row: Unfinished) -> bool:
        """Whether it is for this process to finish a document that is not in flight here."""
        node = node_of(row)
        return node in ("", self.node) or not self._is_alive(node)
