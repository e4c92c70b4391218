"""Feed memory: keeps what each feed has listed, and when, over the end of the process.

A feed may be asked for once in `fetch_delay` seconds, which may be hours. What it has listed and is
not acknowledged yet is walked over from here meanwhile, so that a document that had to wait, or
whose delivery was cut off by a crash, is brought without asking too early.

Nodes of a cluster share the files: a change is made to what lies there, and not to what a node has
read some time ago.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct, structs

from pipeline.durable import make_folder, replace_file
from pipeline.files import read_file
from pipeline.folder_lock import folder_lock
from pipeline.shared_mount import ensure_mounted
from stages.sources.codabox.api import FeedEntry, PodClient

#: Bytes of a file, at most.
MAX_BYTES = 50_000_000

#: Seconds that are waited beyond a delay, as no two clocks run alike.
MARGIN = 0.5

#: Why a list was not read if the process has ended meanwhile.
LOST = "it was asked for, and the answer was lost"
#: Seconds for which a feed that another node has asked for may still be answered.
ASKING = 60.0

Kept = TypeVar("Kept", bound=Struct)

#: Seconds to wait for another node, which has the folder while it writes a file.
LOCK_TIMEOUT = 10.0


class FeedState(Struct, frozen=True, omit_defaults=True):
    """What is known of one feed.

    asked_at: when it was asked for, in seconds since 1970. rest: seconds from then in which it must
    not be asked for again. problem: why its latest list could not be read, "" if it was. gone: what
    has left the list although we have not acknowledged it, as far as we know: an answer was lost,
    or somebody else has. entries: what the list holds.
    """

    asked_at: float = 0.0
    rest: float = 0.0
    problem: str = ""
    gone: tuple[FeedEntry, ...] = ()
    entries: tuple[FeedEntry, ...] = ()

    @property
    def all(self) -> tuple[FeedEntry, ...]:
        """All that is not acknowledged, in the order of the feed."""
        return self.gone + self.entries

    def remaining(self, now: float) -> float:
        """Seconds until it may be asked for; no more than its rest, if a clock was set back."""
        return max(0.0, min(self.asked_at + self.rest - now, self.rest))

    def may_be_answered(self, now: float) -> bool:
        """Whether a node may still be waiting for its list."""
        return self.problem == LOST and 0 <= now - self.asked_at < ASKING

    def asked(self, rest: float, problem: str = LOST) -> FeedState:
        """The same when it is being asked for, or has been in vain."""
        return structs.replace(self, asked_at=time.time(), rest=rest + MARGIN, problem=problem)

    def listing(self, entries: Sequence[FeedEntry]) -> FeedState:
        """The same once it has listed these: from now on at the latest its delay counts."""
        listed = {entry.index for entry in entries}
        gone = tuple(entry for entry in self.all if entry.index not in listed)
        now = time.time()
        return structs.replace(self, asked_at=now, problem="", gone=gone, entries=tuple(entries))

    def asked_like(self, other: FeedState) -> FeedState:
        """The same, asked for when another one was, and with what came of that."""
        return structs.replace(
            self, asked_at=other.asked_at, rest=other.rest, problem=other.problem
        )

    def without(self, index: str) -> FeedState:
        """The same without one of those that are gone."""
        return structs.replace(self, gone=tuple(one for one in self.gone if one.index != index))

    def acknowledged(self, index: str) -> FeedState:
        """The same without all up to an entry, and it."""
        places = [place for place, entry in enumerate(self.all) if entry.index == index]
        if not places:
            return self
        count = places[-1] + 1
        listed = max(count - len(self.gone), 0)
        return structs.replace(self, gone=self.gone[count:], entries=self.entries[listed:])

    def has_left(self, index: str) -> bool:
        """Whether an entry was acknowledged since, or left its list: a later offset may be set."""
        return self.asked_at > 0 and all(entry.index != index for entry in self.all)

    def is_gone(self, index: str) -> bool:
        """Whether the latest list did not show it."""
        return any(entry.index == index for entry in self.gone)


#: Makes another state of one.
Change = Callable[[FeedState], FeedState]


class FeedMemory:
    """The files of one source. All methods are for threads that may block; they raise OSError.

    folder: feeds/SOURCE/FEED of the state folder. shared: of the one that nodes share, who change
    them as well.
    """

    def __init__(self, folder: Path, *, shared: bool = False) -> None:
        self._folder = folder
        self.is_shared = shared

    def feed(self, id_: str) -> FeedState:
        """What is known of a feed; nothing if its file can't be read."""
        self._ensure_there()
        return self._read(self._path(id_), FeedState) or FeedState()

    def keep_feed(self, id_: str, state: FeedState) -> None:
        """Keep it, durably."""
        self._write(self._path(id_), state)

    def change_feed(self, id_: str, state: FeedState, change: Change) -> FeedState:
        """Keep a feed as it is changed, durably, and return it so.

        state: what the change makes of it as far as this node knows.
        """
        if not self.is_shared:
            self.keep_feed(id_, state)
            return state
        self._ensure_there()
        make_folder(self._folder, 0o750)
        with folder_lock(self._folder, LOCK_TIMEOUT):
            before = self.feed(id_)
            changed = change(before)
            if changed != before:
                self.keep_feed(id_, changed)
        return changed

    def pod(self) -> PodClient | None:
        """What the platform said of the account when it was asked last."""
        self._ensure_there()
        return self._read(self._folder / "pod.json", PodClient)

    def keep_pod(self, pod: PodClient) -> None:
        """Keep it, durably."""
        self._write(self._folder / "pod.json", pod)

    def _path(self, id_: str) -> Path:
        return self._folder / f"feed-{quote(id_, safe='')[:150]}.json"

    def _read(self, path: Path, type_: type[Kept]) -> Kept | None:
        try:
            return msgspec.json.decode(read_file(path, MAX_BYTES, follow=False), type=type_)
        except (FileNotFoundError, ValueError):
            return None

    def _ensure_there(self) -> None:
        if self.is_shared:
            ensure_mounted(self._folder.parents[2])

    def _write(self, path: Path, kept: Struct) -> None:
        self._ensure_there()
        make_folder(self._folder, 0o750)
        replace_file(path, BytesIO(msgspec.json.encode(kept)))
