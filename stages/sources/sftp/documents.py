"""Documents: which files of a folder are documents, and which only lie beside one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from msgspec import Struct, structs

from pipeline.source import UnreadableItems
from stages.settings import Company
from stages.sources.sftp.names import NamePatterns, as_typed, stem_of, to_text
from stages.sources.sftp.settings import DocumentFolder, Sftp

#: Seconds after which a file that is empty, or lacks its document, is told of.
STALE = 86_400
#: Reasons that are kept of what was left out, at most.
REASONS = 10


class File(Struct, frozen=True):
    """A file of a listing. path: below the root. mtime: seconds, by the server's clock."""

    path: bytes
    name: bytes
    size: int
    mtime: int


class Found(Struct, frozen=True):
    """A file that is a document. rendition: the PDF beside it. owner: as the path tells it."""

    file: File
    folder: DocumentFolder
    owner: Company | None
    rendition: File | None = None


class LeftOut:
    """What a walk leaves out for a reason that somebody should know."""

    def __init__(self) -> None:
        self._lists: dict[str, UnreadableItems] = {}

    def add(self, what: str, reason: str) -> None:
        """Count one more; what: which sort it is of."""
        before = self._lists.get(what, UnreadableItems(what, 0, ()))
        reasons = tuple(before.reasons)
        if len(reasons) < REASONS:
            reasons = (*reasons, reason)
        self._lists[what] = UnreadableItems(what, before.items + 1, reasons)

    def lists(self) -> Sequence[UnreadableItems]:
        """All that was added."""
        return tuple(self._lists.values())


class Marker:
    """The names of markers: a pattern in which * is a file's name with its extension or without."""

    def __init__(self, pattern: str) -> None:
        self._written = pattern.encode()
        self._before, _, self._after = self._written.lower().partition(b"*")

    def is_marker(self, name: bytes) -> bool:
        """Whether a file is a marker itself."""
        lower = name.lower()
        return lower.startswith(self._before) and lower.endswith(self._after)

    def names(self, name: bytes) -> tuple[bytes, ...]:
        """The names, in small letters, that the marker of a file may have."""
        return tuple(self._before + one.lower() + self._after for one in (name, stem_of(name)))

    def names_as_written(self, name: bytes) -> list[bytes]:
        """The names that the marker of a file may have, as far as the case is known."""
        written = [self._written, self._written.upper()]
        return [one.replace(b"*", base) for base in (name, stem_of(name)) for one in written]


class Selection:
    """Selects the documents among the files of a folder."""

    def __init__(self, settings: Sftp, left_out: LeftOut) -> None:
        self._rules = settings.document_folders
        self._wanted = [NamePatterns(rule.files) for rule in self._rules]
        self._marker = Marker(settings.marker) if settings.marker else None
        self._has_renditions = settings.has_renditions
        self._left_out = left_out

    @property
    def needs_whole_folder(self) -> bool:
        """Whether it depends on what lies beside a file."""
        return self._marker is not None or self._has_renditions

    def documents(self, rule: int, owner: Company | None, files: Sequence[File]) -> list[Found]:
        """The documents among files of one folder. rule: which of `folders` it matches."""
        others = files
        if self._marker is not None:
            names = {file.name.lower() for file in files}
            others = [
                file
                for file in files
                if not self._marker.is_marker(file.name)
                and names.intersection(self._marker.names(file.name))
            ]
        found = [
            Found(file, self._rules[rule], owner)
            for file in others
            if as_typed(file.name) in self._wanted[rule]
        ]
        if self._has_renditions:
            found = list(self._with_renditions(found))
        return [one for one in found if not self._is_empty(one.file)]

    def _with_renditions(self, found: Sequence[Found]) -> Iterator[Found]:
        """The documents, each with the PDF beside it, which is none itself then."""
        pdfs = {_pdf_key(one.file.name): one for one in found if is_pdf(one.file.name)}
        used = set[bytes]()
        for one in found:
            if is_pdf(one.file.name):
                continue
            keys = (stem_of(one.file.name).lower(), one.file.name.lower())
            pdf = next((pdfs[key].file for key in keys if key in pdfs), None)
            if pdf is not None:
                used.add(pdf.name)
            yield structs.replace(one, rendition=pdf if pdf is not None and pdf.size else None)
        for one in pdfs.values():
            if one.file.name in used:
                continue
            if one.folder.kind != "statement":
                yield one
            elif _is_stale(one.file):
                path = to_text(one.file.path)
                self._left_out.add("PDFs", f"{path} lies there without its statement")

    def _is_empty(self, file: File) -> bool:
        """Whether a file is empty: it is left alone, and told of when it has been so for a day."""
        if file.size:
            return False
        if _is_stale(file):
            self._left_out.add("empty files", f"{to_text(file.path)} has been empty for a day")
        return True


def is_pdf(name: bytes) -> bool:
    """Whether a name is that of a PDF."""
    return name.lower().endswith(b".pdf") and len(name) > 4


def _pdf_key(name: bytes) -> bytes:
    return name[:-4].lower()


def _is_stale(file: File) -> bool:
    # The clocks may differ by hours, which matters little after a day; it only is told.
    return time.time() - file.mtime > STALE
