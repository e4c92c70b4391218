"""Scene: attempts at one document whose steps are let go one at a time, and what is counted there.

An importer and other programs act between two steps. Each acknowledgement is checked at its moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.helpers.invoices import ubl
from tests.helpers.ledgers import psycopg_of

from .gates import GO, MADE, NOT_MADE, REFUSE, Gated, gated
from .nodes import PDF, Mailroom

#: What another program has put in the place of a document.
FOREIGN = b"of another program"
EMPTY = "; ".join(f"DELETE FROM {one}" for one in ("documents", "volumes", "retired", "sources"))
WORDS = {GO: "", REFUSE: "refused", MADE: "answer lost", NOT_MADE: "request lost"}


class Scene:
    """nodes: those that stand before a step, and it. prepare: what each does before it begins.

    steps: how often each was let go, or what else was done there. problems: what is wrong.
    """

    def __init__(self, room: Mailroom, prepare: Sequence[Callable[[], object]] = ()) -> None:
        self.room = room
        self.nodes: dict[Gated, str] = {}
        self.steps: Counter[str] = Counter()
        self.trace: list[str] = []
        self.problems: list[str] = []
        self._prepare = prepare
        self._wanted = {".xml": ubl().encode()} | ({".pdf": PDF} if room.sidecar else {})

    def start(self, node: str, name: str, *, patience: float = 10.0) -> Gated:
        """Start a node, up to its first step. name: in the trace."""
        said = self.room.folder / "said"
        one = gated(self.room, node, said, self._prepare, patience)._replace(name=name)
        self._see(one)
        return one

    def let(self, node: Gated, how: bytes = GO) -> None:
        """Let a node make its step, up to the next one."""
        self.note(node, self.nodes[node], WORDS[how])
        if self.nodes[node] == "tell" and any(self.copies(one) == 0 for one in self._wanted):
            self.problems.append(f"{node.name} tells before it is there")
        node.let(how)
        self._see(node)

    def kill(self, node: Gated) -> None:
        """Kill a node where it stands."""
        self.note(node, self.nodes.pop(node), "dies")
        node.kill()
        node.ended()

    def close(self) -> None:
        """Kill all that stand somewhere."""
        for node in list(self.nodes):
            self.kill(node)

    def note(self, node: Gated, step: str, what: str) -> None:
        """Note what became of a node at its step."""
        self.steps[f"{step}: {what}" if what else step] += 1
        self.trace.append(f"{node.name} {step} {what}".rstrip())

    def take(self) -> None:
        """Do what an importer does: take whatever is visible."""
        for path in self._visible():
            number = len(list(self.room.taken.iterdir()))
            path.rename(self.room.taken / f"{number}-{path.name}")
            self.trace.append(f"the importer takes {path.name}")

    def occupy(self) -> bool:
        """Do what another program does: take the name. Whether the folder is there."""
        if not self.room.out.is_dir():
            return False
        with suppress(FileExistsError), (self.room.out / "F-1.xml").open("xb") as file:
            file.write(FOREIGN)
            self.trace.append("another program takes the name")
        return True

    def copies(self, suffix: str) -> int:
        """How often a file has become visible, whole."""
        return sum(one.read_bytes() == self._wanted[suffix] for one in self._arrived())

    def check(self, *, late: bool = False) -> None:
        """Note what is wrong once the document has come to its end.

        late: after processes have woken that everybody took for dead. They may list its twin once
        more, and not bring that to its end; of what was delivered they change nothing.
        """
        for suffix in self._wanted:
            if (copies := self.copies(suffix)) != 1:
                self.problems.append(f"{suffix} is there {copies} times")
        if any(one.read_bytes() not in self._wanted.values() for one in self._arrived()):
            self.problems.append("a file is torn")
        with psycopg_of(self.room.place) as connection:
            found = connection.execute(
                "SELECT state, acknowledged_at IS NULL FROM documents ORDER BY state"
            )
            wanted = [("delivered", False), ("duplicate", False)][: 1 + self.room.twins]
            if (rows := found.fetchall()) != wanted and not (late and rows[:1] == wanted[:1]):
                self.problems.append(f"the ledger says {rows}")

    def _see(self, node: Gated) -> None:
        """Wait until a node stands before its next step, or has ended."""
        if step := node.step():
            self.nodes[node] = step
            return
        self.nodes.pop(node, None)
        self.trace.append(f"{node.name} ends")
        if problem := node.ended():
            self.problems.append(problem)

    def _arrived(self) -> list[Path]:
        return [*self._visible(), *self.room.taken.iterdir()]

    def _visible(self) -> list[Path]:
        out = self.room.out
        if not out.is_dir():
            return []
        return [one for one in sorted(out.iterdir()) if one.read_bytes() != FOREIGN]
