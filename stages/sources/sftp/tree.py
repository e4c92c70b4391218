"""Tree: walks over the folders of a server, page by page, and finds the files that are documents.

Links are not followed. Depth and number are bounded, and a folder is held in memory as a whole only
where what lies beside a file matters (markers, renditions).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import anyio
import asyncssh
from asyncssh.constants import (
    FILEXFER_TYPE_DIRECTORY as FOLDER,
    FILEXFER_TYPE_REGULAR as FILE,
    FILEXFER_TYPE_UNKNOWN as UNTOLD,
)
from msgspec import Struct

from pipeline.errors import (
    RetryableError,
    SignInRefused,
    SourceError,
    SourceUnavailable,
    SourceUnreachable,
    SynqupError,
)
from pipeline.source import UnreadableItems
from stages.settings import Company
from stages.sources.sftp.companies import CompanyFolders
from stages.sources.sftp.connection import SshConnection
from stages.sources.sftp.documents import File, Found, LeftOut, Selection
from stages.sources.sftp.failures import MISSING
from stages.sources.sftp.names import (
    LONGEST_PATH,
    NamePatterns,
    as_typed,
    is_sane,
    is_self,
    shown,
    to_text,
)
from stages.sources.sftp.patterns import Patterns, Spot
from stages.sources.sftp.settings import MOVE, Sftp

#: Files that are read from a listing before they are handed on.
PAGE = 500
#: How often the listing of a folder is begun, when connections end.
ATTEMPTS = 3
#: Names of folders of no configured company that are kept, at most.
UNKNOWN = 10_000


class Place(Struct, frozen=True):
    """A folder of the walk: its path below the root, and how far it goes along the patterns."""

    path: bytes
    spots: tuple[Spot, ...]
    depth: int = 0


class Tree:
    """One walk.

    problems: of folders that could not be read. unknown: names of folders that are of no configured
    company; known: of those that are of one.
    """

    def __init__(
        self, connection: SshConnection, settings: Sftp, companies: CompanyFolders
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._companies = companies
        self._root = settings.root.encode()
        self._patterns = Patterns([rule.path for rule in settings.document_folders])
        self._ignored = NamePatterns(settings.left_alone)
        own = (settings.archive, settings.errors) if settings.acknowledging == MOVE else ()
        # In any case: some servers know no difference.
        self._own = {name.encode().lower() for name in own}
        self._left_out = LeftOut()
        self._selection = Selection(settings, self._left_out)
        self._count = 0
        self.problems: list[SynqupError] = []
        self.known: set[str] = set()
        self.unknown: set[str] = set()

    @property
    def names_companies(self) -> bool:
        """Whether folders tell whose their documents are."""
        return self._patterns.names_companies

    def left_out(self) -> Sequence[UnreadableItems]:
        """What was left out for a reason that somebody should know."""
        return self._left_out.lists()

    async def pages(
        self, *, only_companies: bool = False
    ) -> AsyncGenerator[tuple[Place, list[Found]], None]:
        """Yield the documents of each folder, a page at a time.

        only_companies: go no further than to the folders that tell the company.
        """
        open_ = [Place(b"", self._patterns.start())]
        while open_:
            place = open_.pop()
            inside: list[Place] = []
            async with aclosing(self.read(place, inside)) as pages:
                async for page in pages:
                    yield place, page
                    if self._is_full():
                        return
            if only_companies:
                inside = [one for one in inside if any(s.company is None for s in one.spots)]
            open_ += reversed(inside)

    async def read(
        self, place: Place, inside: list[Place] | None = None
    ) -> AsyncGenerator[list[Found], None]:
        """Yield the documents of one folder; inside: gets the folders below it that matter.

        The listing begins anew, a few times, when the connection ends; entries are repeated then.
        """
        for attempt in range(1, ATTEMPTS + 1):
            found_inside: list[Place] = []
            try:
                async with aclosing(self._read(place, found_inside)) as pages:
                    async for page in pages:
                        yield page
            except SourceUnavailable:
                if attempt == ATTEMPTS:
                    raise
                await anyio.sleep(self._settings.retry_wait * attempt)
            except (SourceUnreachable, SignInRefused):
                raise
            except (SourceError, RetryableError) as error:
                self._note_problem(place, error)
                return
            else:
                if inside is not None:
                    inside += found_inside
                return

    async def _read(self, place: Place, inside: list[Place]) -> AsyncGenerator[list[Found], None]:
        spot = self._patterns.holding(place.spots)
        held: list[File] = []
        async with aclosing(self._items(place)) as items:
            async for name, attrs in items:
                if attrs.type == FOLDER:
                    if (below := self._below(place, name)) is not None:
                        inside.append(below)
                elif attrs.type == FILE and spot is not None:
                    assert attrs.size is not None
                    assert attrs.mtime is not None
                    held.append(File(_join(place.path, name), name, attrs.size, attrs.mtime))
                    if len(held) >= PAGE and not self._selection.needs_whole_folder:
                        yield self._selection.documents(spot.pattern, self._owner(spot), held)
                        held = []
        if spot is not None and held:
            found = self._selection.documents(spot.pattern, self._owner(spot), held)
            for start in range(0, len(found), PAGE):
                yield found[start : start + PAGE]

    async def _items(self, place: Place) -> AsyncGenerator[tuple[bytes, asyncssh.SFTPAttrs], None]:
        """Yield what a folder holds that is not left alone; nothing if it is gone."""
        session = await self._connection.session()
        path = self.absolute(place.path) or b"."
        subject = f"source {self._settings.name}, folder {to_text(path)}"
        async with self._connection.words(subject, "be read"):
            listing = session.scandir(path)
            try:
                while (item := await self._connection.ask(anext(listing, None))) is not None:
                    name = item.filename
                    assert isinstance(name, bytes)
                    if is_self(name):
                        continue
                    if not is_sane(name) or len(place.path) + len(name) >= LONGEST_PATH:
                        self._left_out.add("names", f"a name is too long or none: {to_text(name)}")
                        continue
                    if as_typed(name) in self._ignored:
                        continue
                    self._count += 1
                    if self._is_full():
                        return
                    attrs = await self._complete(session, place, name, item.attrs)
                    if attrs is not None:
                        yield name, attrs
            except MISSING:
                if not place.path:
                    raise SourceError(
                        subject, "the server has no such folder", "Check root in this section"
                    ) from None
            finally:
                assert isinstance(listing, AsyncGenerator)
                with anyio.move_on_after(1, shield=True):
                    await listing.aclose()

    async def _complete(
        self, session: asyncssh.SFTPClient, place: Place, name: bytes, attrs: asyncssh.SFTPAttrs
    ) -> asyncssh.SFTPAttrs | None:
        """Ask for what a listing does not say of a file; None if the server does not tell."""
        if not _is_told(attrs):
            path = self.absolute(_join(place.path, name))
            try:
                attrs = await self._connection.ask(session.lstat(path))
            except MISSING:
                return None
            if not _is_told(attrs):
                self._left_out.add("files", f"the server does not say what {to_text(path)} is")
                return None
        return attrs

    def absolute(self, path: bytes) -> bytes:
        """The path at the server of a path below the root."""
        return _join(self._root, path) if path else self._root

    def _below(self, place: Place, name: bytes) -> Place | None:
        """The place of a folder in a folder, None if nothing of it matters."""
        path, text = _join(place.path, name), as_typed(name)
        if path.lower() in self._own:
            return None
        spots, strangers = [], set[str]()
        for spot in self._patterns.into(place.spots, text):
            if spot.company is None or self._companies.find(spot.company) is not None:
                spots.append(spot)
                if spot.company is not None:
                    self.known.add(shown(spot.company))
            else:
                strangers.add(shown(spot.company))
        if not spots:
            if len(self.unknown) < UNKNOWN:
                self.unknown |= strangers
            return None
        if place.depth + 1 > self._settings.max_depth:
            self._left_out.add("folders", f"{to_text(path)} lies deeper than max_depth")
            return None
        return Place(path, tuple(spots), place.depth + 1)

    def _owner(self, spot: Spot) -> Company | None:
        """Whose what lies at a spot is, as far as the path tells."""
        if self._patterns.tells_company(spot):
            return self._companies.find(spot.company) if spot.company else None
        return self._companies.alone()

    def _is_full(self) -> bool:
        if self._count <= self._settings.max_files:
            return False
        if not self.problems or "max_files" not in str(self.problems[-1]):
            self.problems.append(
                SourceError(
                    f"source {self._settings.name}",
                    f"its folders hold more than {self._settings.max_files:,} files (max_files),"
                    " and the rest was not looked at",
                    "Name fewer folders, have old files removed, or raise max_files",
                )
            )
        return True

    def _note_problem(self, place: Place, error: SynqupError) -> None:
        if not place.path:
            raise SourceError(error.subject, error.reason, error.remedy) from None
        self.problems.append(error)


def _join(folder: bytes, name: bytes) -> bytes:
    if not folder or folder.endswith(b"/"):
        return folder + name
    return folder + b"/" + name


def _is_told(attrs: asyncssh.SFTPAttrs) -> bool:
    if attrs.type == FILE:
        return attrs.size is not None and attrs.mtime is not None
    return attrs.type != UNTOLD
