"""A terminal of its own in which a command asks a person, who reads and types."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.processes import PATIENCE, SYNQUP

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What a command shows, and what is typed to it."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._seen = 0
        self._bytes = b""
        self.process = process

    @property
    def text(self) -> str:
        """All that was shown, without colours."""
        return _CONTROL.sub("", self._bytes.decode(errors="replace")).replace("\r\n", "\n")

    def expect(self, *words: str) -> None:
        """Wait until each of these was shown, one after another."""
        until = time.monotonic() + PATIENCE
        for word in words:
            while (place := self.text.find(word, self._seen)) < 0:
                assert time.monotonic() < until, f"no {word!r} in {self.text[self._seen :]!r}"
                assert self._read(), f"it ended without {word!r}: {self.text[self._seen :]!r}"
            self._seen = place + len(word)

    def type(self, line: str) -> None:
        os.write(self._descriptor, f"{line}\n".encode())

    def press(self, key: bytes) -> None:
        os.write(self._descriptor, key)

    def answer(self, question: str, line: str) -> None:
        self.expect(question)
        self.type(line)

    def end(self) -> int:
        """Read until the command has ended, and return its exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        if not select.select((self._descriptor,), (), (), PATIENCE)[0]:
            return False
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self._bytes += data
        return bool(data)


@contextmanager
def terminal(
    *arguments: object, cwd: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run a command of synqup in a terminal of its own."""
    import fcntl  # noqa: PLC0415 - of POSIX
    import pty  # noqa: PLC0415
    import termios  # noqa: PLC0415

    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    root = str(Path(__file__).parents[2])
    usual = {"PYTHONPATH": root, "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(
        [*SYNQUP, *map(str, arguments)],
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,  # noqa: PLW1509 - the tests have no threads of their own
        env={**os.environ, **usual, **(environment or {})},
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)
