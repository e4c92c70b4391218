"""Importer: takes files the instant that they appear, as a process of its own; counts nothing.

`python -m tests.crash.cluster.importer OUT TAKEN` moves each file below OUT into TAKEN in one step,
so that at any moment it is in one of the two. Linux only: inotify(7) says what appears.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
CREATE, MOVED_TO, IS_FOLDER = 0x100, 0x80, 0x40000000
EVENT = struct.Struct("iIII")
#: Seconds between two looks at everything, for what inotify does not say.
LOOK = 0.25
#: Between the parts of the name of a file that was taken.
PARTS = "~"


class Importer:
    """Watches a folder and all below it, except for those whose names begin with a dot."""

    def __init__(self, out: Path, taken: Path) -> None:
        self._out, self._taken = out, taken
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._library.inotify_init1(os.O_NONBLOCK)
        self._folders: dict[int, Path] = {}
        self._known: set[Path] = set()
        self._count = 0
        self.is_stopped = False

    def run(self) -> None:
        """Take files until it is stopped, and then what is there."""
        self.look(self._out)
        looked = time.monotonic()
        while not self.is_stopped:
            if select.select([self._descriptor], [], [], LOOK)[0]:
                self._read()
            if time.monotonic() > looked + LOOK:
                self.look(self._out)
                looked = time.monotonic()
        self.look(self._out)

    def look(self, folder: Path) -> None:
        """Watch a folder, and take what is in it and below."""
        if folder not in self._known:
            number = self._library.inotify_add_watch(
                self._descriptor, os.fsencode(folder), CREATE | MOVED_TO
            )
            if number >= 0:
                self._folders[number] = folder
                self._known.add(folder)
        try:
            entries = list(os.scandir(folder))
        except OSError:
            return
        for entry in entries:
            if not entry.name.startswith("."):
                if entry.is_dir(follow_symlinks=False):
                    self.look(Path(entry.path))
                else:
                    self._take(Path(entry.path))

    def _read(self) -> None:
        data = os.read(self._descriptor, 65536)
        while data:
            number, mask, _, size = EVENT.unpack_from(data)
            name = os.fsdecode(data[EVENT.size : EVENT.size + size].rstrip(b"\0"))
            data = data[EVENT.size + size :]
            folder = self._folders.get(number)
            if folder is None or not name or name.startswith("."):
                continue
            if mask & IS_FOLDER:
                self.look(folder / name)
            else:
                self._take(folder / name)

    def _take(self, path: Path) -> None:
        parts = (f"{self._count:06}", *path.relative_to(self._out).parts)
        try:
            path.rename(self._taken / PARTS.join(parts))
        except FileNotFoundError:
            return  # taken already
        self._count += 1


@contextmanager
def importing(out: Path, taken: Path) -> Iterator[None]:
    """Let an importer take files while the block runs; at its end it takes what is there."""
    out.mkdir(exist_ok=True)
    taken.mkdir(exist_ok=True)
    command = [sys.executable, "-m", __name__, str(out), str(taken)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def place(path: Path, out: Path) -> Path:
    """Where a file that was taken had appeared."""
    return out.joinpath(*path.name.split(PARTS)[1:])


def main() -> None:
    importer = Importer(Path(sys.argv[1]), Path(sys.argv[2]))

    def stop(*_: object) -> None:
        importer.is_stopped = True

    signal.signal(signal.SIGTERM, stop)
    importer.run()


if __name__ == "__main__":
    main()
