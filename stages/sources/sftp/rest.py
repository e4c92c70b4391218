"""Files at rest: which files nobody is writing any more, by what two looks at them have shown.

Nothing on the wire tells that an upload goes on. A file is at rest when its size and time are what
they were at least `settle` seconds before. The server's times are compared with one another only,
for its clock may be another than ours; how long ago a look was is told by our own.
"""

from __future__ import annotations


class Rest:
    """The files of the latest walk by a number for path, size and time, with their first look."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._seen: dict[int, float] = {}
        self._looked: dict[int, float] = {}

    def begin(self) -> None:
        """A walk begins."""
        self._looked = {}

    def is_at_rest(self, path: bytes, size: int, mtime: int, now: float) -> bool:
        """Note a look at a file; whether it is at rest. now: in seconds, monotonic."""
        if not self._settle:
            return True
        number = hash((path, size, mtime))
        first = self._looked[number] = self._seen.setdefault(number, now)
        return now - first >= self._settle

    def end(self) -> None:
        """The walk has seen all files; those that it has not seen are gone."""
        self._seen = self._looked
