"""Rig: the mailbox, PostgreSQL, the folders and the importer of a cluster, and what is counted.

Each acknowledgement is checked at its moment: the file is in its folder then, or was taken.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pipeline.app.wiring_sandbox import Mailbox, serve_platform, write_config, write_manifest
from pipeline.ledger.postgres_store import open_postgres
from stages.sandbox.corpus import Document
from stages.sandbox.state_index import State
from tests.crash.world import Taken, World
from tests.helpers.postgres import OwnServer, running_postgres

from .importer import importing, place

PLATFORM = "billtobox"

#: Records in the database, from outside of the program, who begins to resume what another process
#: has staged.
AUDIT = """
CREATE TABLE takeovers (id text, was text, becomes text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION note_takeover() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO takeovers (id, was, becomes) VALUES (new.id, old.node, new.node);
    RETURN new;
END $$;
CREATE TRIGGER takeover AFTER UPDATE ON documents FOR EACH ROW
WHEN (old.state = 'staged' AND (new.node IS DISTINCT FROM old.node AND new.state = 'staged'))
EXECUTE FUNCTION note_takeover();
"""


class Takeovers(NamedTuple):
    """Staged documents that another process has begun to resume.

    by_others: another node; by_restart: a later process of the same node. of: by the node that had
    the document before.
    """

    by_others: int
    by_restart: int
    of: dict[str, int]


class WatchedMailbox(Mailbox):
    """A mailbox that looks where a document is at the moment that it is acknowledged."""

    rig: Rig

    def set_state(self, document: Document, state: State) -> None:
        if state is State.ACKED:
            self.rig.acknowledged(document)
        super().set_state(document, state)


class Rig:
    """All that the nodes have around them. out: where documents go; taken: where they end."""

    def __init__(
        self, folder: Path, mailbox: WatchedMailbox, server: OwnServer, dsn: str,
        portal: BlockingPortal,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.server = server
        self.dsn = dsn
        self.world = World(folder, mailbox)
        self.out = self.world.out
        self.taken = folder / "taken"
        self.acks = 0
        self.wrong_acks: list[str] = []
        self._mailbox = mailbox
        self._portal = portal
        #: What each file is that was looked into, by its inode: files are moved, never written.
        self._hashes: dict[int, str] = {}
        self._seen: set[str] = set()
        self._names: set[str] = set()
        self._lock = threading.Lock()
        mailbox.rig = self

    @property
    def documents(self) -> int:
        return len(self._mailbox)

    def grow(self, documents: int) -> None:
        """The mailbox receives so many more."""
        self._portal.call(self._mailbox.grow, documents)

    def acknowledged(self, document: Document) -> None:
        """Check an acknowledgement, in the thread of the mailbox."""
        self.acks += 1
        wanted = sha256(document.read()).hexdigest()
        number = next(n for n, one in enumerate(self._mailbox.companies) if one == document.company)
        folder = self.world.folder_of(number, str(document.kind))
        if not self._is_there(wanted, folder) and not self._is_there(wanted, self.out):
            self.wrong_acks.append(document.id)

    def arrived(self) -> int:
        """How many different contents were taken so far."""
        with self._lock:
            self._look_at_taken()
            return len(self._seen)

    def told(self) -> int:
        """How many documents were acknowledged so far."""
        return len(self.world.acknowledged())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query, or none of a statement. Raises psycopg.Error."""
        with psycopg.connect(self.dsn, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def takeovers(self) -> Takeovers:
        """What was taken over so far; all zero where the database does not answer."""
        found: list[tuple[Any, ...]] = []
        with suppress(psycopg.Error):
            found = self.rows("SELECT was, becomes FROM takeovers")
        pairs = [(was.partition("/")[0], becomes.partition("/")[0]) for was, becomes in found]
        others = [was for was, becomes in pairs if was != becomes]
        return Takeovers(
            len(others), len(pairs) - len(others), {one: others.count(one) for one in others}
        )

    def problems(self) -> list[str]:
        """What is wrong with what has arrived and was told, all told; empty when all is well."""
        world = self.world
        write_manifest(self.folder / "manifest.jsonl", self._mailbox, world.sandbox.platform.holds)
        world.taken = [
            Taken(sha256(one.read_bytes()).hexdigest(), place(one, self.out))
            for one in sorted(self.taken.iterdir())
        ]
        found = world.problems()
        found += [f"acknowledged before it was there: {one}" for one in self.wrong_acks]
        left = self.rows("SELECT id, state FROM documents WHERE state <> 'delivered'")
        return found + [f"not delivered, by the ledger: {one}" for one in left]

    def _is_there(self, wanted: str, folder: Path) -> bool:
        """Whether a content is in a folder, or was taken.

        Taken comes last: what is moved in between is seen there.
        """
        with self._lock:
            if wanted in self._seen:
                return True
            if any(self._hash(path) == wanted for path in _files(folder)):
                return True
            self._look_at_taken()
            return wanted in self._seen

    def _look_at_taken(self) -> None:
        for path in self.taken.iterdir():
            if path.name not in self._names:
                self._names.add(path.name)
                self._seen.add(self._hash(path))

    def _hash(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                digest = sha256(file.read()).hexdigest()
        except OSError:
            return ""
        return digest


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (
            one for one in folder.rglob("*") if one.is_file() and ".synqup" not in one.parts
        )


@contextmanager
def rigged(
    documents: int, *, companies: int, seed: int, latency: float = 0.0,
    takes: Callable[[Path, Path], AbstractContextManager[None]] = importing,
) -> Iterator[Rig]:  # fmt: skip
    """A rig for as long as the block runs. documents: of the backlog; takes: the importer."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="synqup-cluster-")))
        server = stack.enter_context(running_postgres())
        dsn = stack.enter_context(server.database())
        open_postgres(dsn, "rig").close()
        portal = stack.enter_context(start_blocking_portal())
        mailbox = WatchedMailbox(documents, companies, seed)
        rig = Rig(folder, mailbox, server, dsn, portal)
        rig.rows(AUDIT)
        rig.world.make_folders()
        (folder / "shared").mkdir()
        serving = serve_platform(
            PLATFORM, mailbox, journal=folder / "journal.jsonl", latency=latency
        )
        stack.enter_context(takes(rig.out, rig.taken))
        rig.world.sandbox = stack.enter_context(portal.wrap_async_context_manager(serving))
        write_config(rig.world.config, rig.world.sandbox, mailbox)
        yield rig
