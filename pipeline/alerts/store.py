"""Alert store: what has been told and what is still to be sent, in one file of the state folder.

Both change in one step, so that no stop comes between them. A disk that refuses the file keeps no
alert from being sent; it is written again at the next look. In a cluster it lies where whichever
node tells next finds it, and nothing is sent before it lies there.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct, structs

from pipeline.alerts.memory import Memory, new_memory
from pipeline.alerts.outbox import Outbox
from pipeline.durable import make_folder, replace_file
from pipeline.files import read_file

log = structlog.get_logger(__name__)

#: Bytes of the file, at most: more than 500 messages and some thousand names need.
MAX_BYTES = 50_000_000
#: Seconds after which the file is written though nothing that matters has changed.
LONGEST_UNWRITTEN = 600.0


class State(Struct, frozen=True):
    """What the file holds."""

    memory: Memory
    outbox: Outbox = ()


class Kept(Protocol):
    """Where the state lies. Its methods block."""

    def read(self) -> bytes | None:
        """What was written last; None if nothing was. OSError."""

    def write(self, data: bytes) -> None:
        """Replace it, durably. OSError."""

    def put_aside(self) -> None:
        """Keep what can't be understood out of the way. OSError."""


class KeptFile:
    """The state as a file of the state folder. folder: of alerts alone."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"

    def __str__(self) -> str:
        return str(self._path)

    def read(self) -> bytes | None:
        """See Kept."""
        try:
            return read_file(self._path, MAX_BYTES, follow=False)
        except FileNotFoundError:
            return None

    def write(self, data: bytes) -> None:
        """See Kept."""
        make_folder(self._path.parent, 0o700)
        replace_file(self._path, BytesIO(data))

    def put_aside(self) -> None:
        """See Kept."""
        self._path.replace(self._path.with_suffix(".damaged"))


class Store:
    """What is kept. state: as it is now, which may not have been written yet."""

    def __init__(self, folder: Path, now: float, kept: Kept | None = None) -> None:
        """folder: of alerts alone, in the state folder. now: if this is the first start.

        kept: where the state lies, if not in that folder.
        """
        self._kept = kept or KeptFile(folder)
        self.state = State(new_memory(now))
        self._changed = True
        self._written_at = -math.inf
        self._reported = False
        self._writing = threading.Lock()

    @property
    def is_due(self) -> bool:
        """Whether the file is to be written now."""
        return self._changed or time.monotonic() - self._written_at >= LONGEST_UNWRITTEN

    @property
    def is_saved(self) -> bool:
        """Whether all that matters is written."""
        return not self._changed

    def put(self, state: State) -> None:
        """Replace the state; save() makes it durable."""
        before, self.state = self.state, state
        self._changed = self._changed or _matter(before) != _matter(state)

    def load(self) -> None:
        """Read it, if there is anything; what is damaged is kept aside. It blocks.

        Raises RetryableError where it is there and can't be read for now.
        """
        try:
            data = self._kept.read()
            if data is None:
                return
            self.state = msgspec.json.decode(data, type=State)
            self._changed = False
        except (OSError, ValueError, RecursionError) as error:
            log.error(
                "what alerts have told is not known any more",
                path=str(self._kept),
                reason=str(error),
                remedy="What is still wrong will be told anew",
            )
            with suppress(OSError):
                self._kept.put_aside()

    def save(self) -> None:
        """Write it. It blocks, and raises nothing."""
        # A call that was not waited for may still be at it, and must not replace what is newer.
        with self._writing:
            self._save()

    def _save(self) -> None:
        state, self._changed = self.state, False
        try:
            self._kept.write(msgspec.json.encode(state))
        except OSError as error:
            self._changed = True
            if not self._reported:
                log.warning("what alerts have told can't be written", reason=str(error))
            self._reported = True
        else:
            self._written_at, self._reported = time.monotonic(), False


def _matter(state: State) -> State:
    """The state without what changes at each look, and is found again if it is lost."""
    memory = state.memory
    gathering = structs.replace(memory.quarantine, until=0.0)
    return State(structs.replace(memory, looked_at=0.0, quarantine=gathering), state.outbox)
