"""SFTP connector: lists the files of an SSH server's folders, fetches them and takes them away.

How this is known: the draft of SFTP version 3 (draft-ietf-secsh-filexfer-02), and OpenSSH's server,
against which all of it is tested. Version 3 states size and time of a file in whole seconds, no
checksum, no time of creation, and nothing of who is writing it. A name that is used again with the
same size and the same second can't be told from what was there before: such a file is fetched again
and its bytes are compared.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import structlog

from pipeline.errors import Rejected, SourceError
from pipeline.source import Announced, Entry, Form, FoundCompany, Incoming, Outcome, Source
from pipeline.text import enumerated
from pipeline.traits import Acknowledging, Traits
from stages.model import Listed
from stages.settings import Config, members
from stages.sources.sftp.companies import CompanyFolders
from stages.sources.sftp.connection import SshConnection
from stages.sources.sftp.documents import File, Found
from stages.sources.sftp.fetching import chunks
from stages.sources.sftp.names import to_bytes, to_text
from stages.sources.sftp.removal import Removal, rendition_names, revision, revision_of
from stages.sources.sftp.rest import Rest
from stages.sources.sftp.settings import KEEP, Sftp
from stages.sources.sftp.tree import Place, Tree

log = structlog.get_logger(__name__)

#: The form that a rendition is.
PDF = "pdf"
#: Files that `check` counts, and folders in which it tries its rights, at most.
CHECKED_FILES = 1000
CHECKED_FOLDERS = 10


class SftpSource(Source):
    """The folders of one account at one server, over one connection."""

    def __init__(self, settings: Sftp, state_dir: Path) -> None:  # noqa: ARG002 - of all connectors
        self.name = settings.name
        self.settings = settings
        self.retries = settings.retries
        keeps = settings.acknowledging == KEEP
        self.traits = Traits(
            shrinks=not keeps,
            acknowledges=Acknowledging.NONE if keeps else Acknowledging.EACH,
            exact_revisions=False,
            # A walk misses nothing for others being removed, and may wait for files to settle.
            pause=1.0,
        )
        self._connection = SshConnection(settings)
        self._removal = Removal(self._connection, settings)
        self._rest = Rest(settings.settle)
        self._reading = anyio.Semaphore(settings.parallel)
        self._backlog: int | None = None
        self._strangers: set[str] = set()
        #: Files that the latest walk has seen and not listed; hashes, for there may be many.
        self._moving: set[int] = set()

    async def list(self, config: Config) -> AsyncGenerator[Sequence[Entry], None]:
        """Walk over the folders; where files are new, wait, and look at their folders again.

        So a file is listed once nothing of it has changed for `settle`, also in the first poll.
        """
        self._connection.begin_poll()
        self._backlog = 0
        self._rest.begin()
        tree = self._tree(config)
        moving: dict[bytes, Place] = {}
        waiting: set[int] = set()
        async with aclosing(tree.pages()) as pages:
            async for place, page in pages:
                now = anyio.current_time()
                at_rest = [one for one in page if self._is_at_rest(one, now)]
                if len(at_rest) < len(page):
                    moving[place.path] = place
                    resting = {one.file.path for one in at_rest}
                    # Hashes, for there may be many.
                    waiting.update(
                        hash(one.file.path) for one in page if one.file.path not in resting
                    )
                self._backlog += len(at_rest)
                yield [self._entry(one, config) for one in at_rest]
        if moving:
            await anyio.sleep(self.settings.settle)
        again = self._tree(config)
        for place in moving.values():
            async with aclosing(again.read(place)) as pages:
                async for page in pages:
                    now = anyio.current_time()
                    settled = [
                        one
                        for one in page
                        if self._is_at_rest(one, now) and hash(one.file.path) in waiting
                    ]
                    self._backlog += len(settled)
                    waiting.difference_update(hash(one.file.path) for one in settled)
                    yield [self._entry(one, config) for one in settled]
        self._moving = waiting
        self._note_strangers(tree)
        self.unreadable = tree.left_out()
        for problem in (*tree.problems, *again.problems):
            raise SourceError(problem.subject, problem.reason, problem.remedy)
        self._rest.end()

    def backlog(self) -> int | None:
        """How many files the latest walk has listed so far."""
        return self._backlog

    @asynccontextmanager
    async def fetch(self, entry: Entry, form: str = "") -> AsyncIterator[Incoming]:
        """Read a file, or the PDF beside it; Rejected if there is none."""
        async with self._reading:
            path, stated = to_bytes(entry.id), revision_of(entry.revision)
            size: int | None = int(stated.partition(":")[0])
            if form:
                path, stated, size = await self._rendition(entry, form), "", None
            label = f"{entry.label} {form}".strip()
            data = chunks(
                self._connection,
                self._removal.at(path),
                label,
                stated,
                self.settings.retry_wait,
            )
            async with aclosing(data):
                yield Incoming(Announced(length=size), data)

    async def acknowledge(self, outcomes: Sequence[Outcome]) -> Collection[str]:
        """Remove each, or move it; what could not be fetched is never removed."""
        return [one.id for one in outcomes if await self._removal.acknowledge(one)]

    async def companies(self) -> Sequence[FoundCompany] | None:
        """The names of the folders that tell a company; None where no folder does."""
        tree = Tree(self._connection, self.settings, CompanyFolders(()))
        if not tree.names_companies:
            return None
        async with aclosing(tree.pages(only_companies=True)) as pages:
            async for _ in pages:
                pass
        return [FoundCompany(name, file_number=name) for name in sorted(tree.unknown)]

    def shows(self, id: str, company: str) -> bool:  # noqa: A002, ARG002 - as in the contract
        """All that is at rest is shown; what changes just now is there all the same."""
        return hash(to_bytes(id)) not in self._moving

    async def check(self, config: Config) -> str:
        """Sign in, count files and companies, and try whether documents may be taken away."""
        self._connection.begin_poll()
        tree = self._tree(config)
        found: list[str] = []
        files, folders = 0, dict[bytes, None]()
        async with aclosing(tree.pages()) as pages:
            async for place, page in pages:
                files += len(page)
                if page:
                    folders[place.path] = None
                if files >= CHECKED_FILES:
                    break
        more = " or more" if files >= CHECKED_FILES else ""
        software = self._connection.software
        found.append(
            f"signed in at {self.settings.server} ({software}), whose key {self._connection.key}"
            f" is the pinned one; {files:,}{more} files are there"
        )
        found += _of_companies(tree, CompanyFolders(members(config, self.name)))
        if tree.problems:
            raise tree.problems[0]
        if self.settings.acknowledging != KEEP:
            await self._removal.probe(list(folders)[:CHECKED_FOLDERS] or [b""])
        found += [f"left out: {one.reasons[0]}" for one in tree.left_out()]
        return "; ".join(found)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    def _note_strangers(self, tree: Tree) -> None:
        """Log whose folders are left alone, when that changes."""
        if tree.unknown != self._strangers:
            self._strangers = tree.unknown
            log.info(
                "folders of companies that are not configured are left alone",
                source=self.name,
                folders=enumerated(sorted(tree.unknown)),
            )

    def _tree(self, config: Config) -> Tree:
        companies = CompanyFolders(members(config, self.name))
        return Tree(self._connection, self.settings, companies)

    def _is_at_rest(self, one: Found, now: float) -> bool:
        def look(file: File) -> bool:
            return self._rest.is_at_rest(file.path, file.size, file.mtime, now)

        at_rest = look(one.file)
        return (one.rendition is None or look(one.rendition)) and at_rest

    def _entry(self, one: Found, config: Config) -> Entry:
        file = one.file
        id_ = to_text(file.path)
        rendition = one.rendition
        forms = (Form(PDF, "application/pdf", rendition.size),) if rendition is not None else ()
        return Entry(
            id=id_,
            revision=revision(file.size, file.mtime),
            label=f"file {id_}",
            meta=Listed(
                config=config,
                id=to_text(file.name),
                kind=one.folder.hint,
                company=one.owner.identifier if one.owner else None,
                size=file.size,
            ),
            forms=forms,
        )

    async def _rendition(self, entry: Entry, form: str) -> bytes:
        """The path of the PDF beside a file. Rejected if there is none."""
        path = to_bytes(entry.id)
        folder, slash, name = path.rpartition(b"/")
        if form == PDF and self.settings.has_renditions:
            async with self._connection.words(entry.label, "be read"):
                for other in rendition_names(name):
                    beside: bytes = folder + slash + other
                    if other != name and await self._removal.stated(beside):
                        return beside
        raise Rejected(entry.label, f"there is no {form.upper()} beside it")


def _of_companies(tree: Tree, companies: CompanyFolders) -> Sequence[str]:
    """Which companies the server knows and the configuration does not, and the reverse."""
    if not tree.names_companies:
        return []
    known, unknown = sorted(tree.known), sorted(tree.unknown)
    total = len(known) + len(unknown)
    found = [f"the server has folders of {total:,} companies, {len(known):,} are configured"]
    if unknown:
        found[0] += f"; not configured, and left alone: {enumerated(unknown)}"
    if without := companies.without(known):
        found.append(f"no folder is of {enumerated([one.name for one in without])}")
    return found
