"""Removal: takes documents that are safe here away from the server, or moves them aside.

All of it may be done twice: what is not there any more has been taken away. A file that has taken
the place of the document meanwhile is left alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from uuid import uuid4

import asyncssh
from asyncssh.constants import FILEXFER_TYPE_REGULAR as FILE

from pipeline.errors import RetryableError, SynqupError
from pipeline.source import Outcome
from stages.sources.sftp.connection import SshConnection
from stages.sources.sftp.documents import Marker, is_pdf
from stages.sources.sftp.failures import MISSING, in_words
from stages.sources.sftp.names import free_names, stem_of, to_bytes, to_text
from stages.sources.sftp.settings import MOVE, Sftp

#: Names that are tried for a file that is moved aside, at most.
NAMES = 1000
#: What a server says that knows no better word for "it exists already".
REFUSED = (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists)


class Removal:
    """Acknowledges the documents of one source."""

    def __init__(self, connection: SshConnection, settings: Sftp) -> None:
        self._connection = connection
        self._settings = settings
        self._root = settings.root.encode()
        self._marker = Marker(settings.marker) if settings.marker else None
        self._taken: set[bytes] = set()
        self._made: set[bytes] = set()

    async def acknowledge(self, outcome: Outcome) -> bool:
        """Remove or move one document; whether it may be forgotten.

        A document that was not fetched is never removed.
        """
        moves = self._settings.acknowledging == MOVE
        if not (outcome.accepted or outcome.kept or moves):
            return False
        path = to_bytes(outcome.id)
        subject = f"source {self._settings.name}, acknowledgement of {outcome.id}"
        async with self._connection.words(subject, "be looked at"):
            if await self.stated(path) != revision_of(outcome.revision):
                return True
        folder = self._aside(outcome) if moves else None
        await self._take_away(path, folder, subject)
        for beside in self._beside(path):
            # Markers and renditions go with their document.
            await self._take_away(beside, folder, subject)
        return True

    async def stated(self, path: bytes) -> str:
        """Size and time of a file as its revision, "" if there is none. Raises as the library."""
        session = await self._connection.session()
        try:
            attrs = await self._connection.ask(session.lstat(self.at(path)))
        except MISSING:
            return ""
        return revision(attrs.size, attrs.mtime) if attrs.type == FILE else ""

    async def probe(self, folders: Sequence[bytes]) -> None:
        """Try whether this account may change folders: make one inside, and remove it again.

        Raises RetryableError with what it may not do.
        """
        for folder in folders:
            name = f"{to_text(folder)}/" if folder else ""
            subject = f"source {self._settings.name}"
            session = await self._connection.session()
            path = self.at(folder + b"/" if folder else b"") + b".synqup-" + uuid4().hex.encode()
            try:
                # A server that permits no writing at all says so without anything being made.
                with suppress(*MISSING):
                    await self._connection.ask(session.remove(path))
                await self._connection.ask(session.mkdir(path))
                await self._connection.ask(session.rmdir(path))
            except (asyncssh.Error, OSError) as error:
                raise self._refused(error, subject, f"in the folder {name or '/'}") from None

    async def _take_away(self, path: bytes, folder: bytes | None, subject: str) -> None:
        session = await self._connection.session()
        try:
            if folder is None:
                with suppress(*MISSING):
                    await self._connection.ask(session.remove(self.at(path)))
            else:
                await self._move(session, path, folder)
        except SynqupError:
            raise
        except (asyncssh.Error, OSError) as error:
            raise self._refused(error, subject, "") from None

    async def _move(self, session: asyncssh.SFTPClient, path: bytes, folder: bytes) -> None:
        """Move a file into a folder under a free name; it never replaces another one."""
        ask = self._connection.ask
        await self._make(session, folder)
        for name in itertools.islice(free_names(path.rpartition(b"/")[2]), NAMES):
            target = self.at(folder + b"/" + name)
            if target in self._taken:
                continue
            self._taken.add(target)
            try:
                # Some servers replace what a file is renamed to.
                with suppress(*MISSING):
                    await ask(session.lstat(target))
                    continue
                await ask(session.rename(self.at(path), target))
            except MISSING:
                if await self.stated(path):
                    self._made.discard(folder)
                    raise
            except REFUSED:
                try:
                    await ask(session.lstat(target))
                except MISSING:
                    pass
                else:
                    continue
                raise
            finally:
                self._taken.discard(target)
            return
        raise RetryableError(to_text(path), f"{to_text(folder)} holds {NAMES} files of this name")

    async def _make(self, session: asyncssh.SFTPClient, folder: bytes) -> None:
        if folder in self._made:
            return
        parts = folder.split(b"/")
        for length in range(1, len(parts) + 1):
            path = self.at(b"/".join(parts[:length]))
            try:
                await self._connection.ask(session.mkdir(path))
            except asyncssh.SFTPError as error:
                # Servers have various words for a folder that exists.
                try:
                    await self._connection.ask(session.stat(path))
                except MISSING:
                    raise error from None
        self._made.add(folder)

    def _aside(self, outcome: Outcome) -> bytes:
        """The folder for a document that is delivered, or for one that can't be."""
        if not outcome.accepted:
            return self._settings.errors.encode()
        return f"{self._settings.archive}/{date.today().isoformat()}".encode()  # noqa: DTZ011 - of people here

    def _beside(self, path: bytes) -> list[bytes]:
        """What may lie beside a document and goes with it."""
        folder, slash, name = path.rpartition(b"/")
        found: list[bytes] = []
        if self._settings.has_renditions and not is_pdf(name):
            found += rendition_names(name)
        if self._marker is not None:
            found += self._marker.names_as_written(name)
        return [folder + slash + one for one in dict.fromkeys(found)]

    def _refused(self, error: Exception, subject: str, where: str) -> SynqupError:
        verb = "moved" if self._settings.acknowledging == MOVE else "removed"
        said = in_words(error, subject, f"have files {verb} {where}".rstrip())
        if isinstance(error, asyncssh.SFTPPermissionDenied | asyncssh.SFTPWriteProtect):
            return type(said)(
                subject,
                f"this account may only read {where or 'there'}: documents that are safe here can't"
                f" be {verb}",
                "Ask the server's operator for the right to do so, or write acknowledge ="
                ' "keep", with which they stay there',
            )
        return said

    def at(self, path: bytes) -> bytes:
        """The path at the server of a path below the root."""
        if not self._root:
            return path
        return self._root + (b"" if self._root.endswith(b"/") else b"/") + path


def revision(size: int | None, mtime: int | None) -> str:
    """The revision of a file of this size and time."""
    return f"{size}:{mtime}"


def revision_of(text: str) -> str:
    """What the server stated of a revision: without the addition of the engine."""
    return text.partition("~")[0]


def rendition_names(name: bytes) -> list[bytes]:
    """The names that the PDF beside a file may have."""
    stem = stem_of(name)
    return [one + ending for one in dict.fromkeys((stem, name)) for ending in (b".pdf", b".PDF")]
