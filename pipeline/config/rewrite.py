"""Configuration rewriter: changes configuration files whole or not at all.

Two commands that edit the same configuration wait for each other, and an edit that somebody else
has saved in between is not overwritten. Mode and owner of a file stay.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from pipeline.config.loader import MAX_CONFIG_BYTES
from pipeline.durable import make_folder, replace_file
from pipeline.errors import ConfigurationError
from pipeline.files import os_reason, read_file

#: Seconds to wait for another command that edits the same configuration, and between two looks.
LOCK_TIMEOUT = 60.0
LOCK_INTERVAL = 0.05

#: Permissions of a new configuration file, before the umask, and of a folder that is made for it.
#: There are no secrets in it, and the account of the service has to read it.
NEW_MODE = 0o644
FOLDER_MODE = 0o755


@contextmanager
def editing(path: Path) -> Iterator[None]:
    """Keep other commands from editing the configuration at `path` within this block.

    On Windows, where a folder can't be locked, write_files() alone tells of them. Raises
    ConfigurationError when another one takes too long.
    """
    if os.name == "nt":
        yield
        return
    import fcntl  # noqa: PLC0415 - of POSIX

    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        until = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    problem = "another command edits it; wait until that has ended"
                    raise ConfigurationError(str(path), [problem]) from None
                time.sleep(LOCK_INTERVAL)
            except OSError:
                break  # a file system without locks: write_files() looks all the same
        yield
    finally:
        os.close(descriptor)


def write_files(after: Mapping[Path, bytes], before: Mapping[Path, bytes]) -> None:
    """Write files in their order, each whole; new ones go again if one of them can't be written.

    before: what those were that are to be replaced; one that has another content by now, or that
    has appeared, is left alone. Raises ConfigurationError.
    """
    for path in after:
        _check_unchanged(path, before.get(path))
    made: list[Path] = []
    for path, data in after.items():
        try:
            make_folder(path.parent, FOLDER_MODE)
            # The file that a link leads to is replaced, not the link.
            real = Path(os.path.realpath(path))
            replace_file(real, BytesIO(data), NEW_MODE, real.stat() if path in before else None)
        except OSError as error:
            for one in made:
                with suppress(OSError):
                    one.unlink()
            problem = f"it can't be written: {os_reason(error)}; let this account write there"
            raise ConfigurationError(str(path), [problem]) from None
        if path not in before:
            made.append(path)


def _check_unchanged(path: Path, before: bytes | None) -> None:
    try:
        found = read_file(path, MAX_CONFIG_BYTES)
    except FileNotFoundError:
        if before is None:
            return
        found = None
    except OSError as error:
        raise ConfigurationError(str(path), [f"it can't be read: {os_reason(error)}"]) from None
    if found != before:
        problem = "it was changed meanwhile, and was left alone; run the command again"
        raise ConfigurationError(str(path), [problem])
