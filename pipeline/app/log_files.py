"""Log files: the one that is written, and those of earlier days, by their names.

`synqup.log` is being written. When a day is over, or the file is large, it is put away as
`synqup.log.2026-11-25T23-59-58.gz`, by the UTC time of its last line, so that the names have the
order of time. Earlier versions put them away as `synqup.log.2026-11-25`, without compression.
"""

from __future__ import annotations

import gzip
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

NAME = "synqup.log"
#: A file that was put away: when, a number where there are several of one second, compressed.
PUT_AWAY = re.compile(re.escape(NAME) + r"\.(\d{4}-\d\d-\d\d(?:T\d\d-\d\d-\d\d(?:-\d+)?)?)(\.gz)?")
#: The ending of a compressed file that is not whole yet.
PART = ".part"


def put_away_files(folder: Path) -> list[Path]:
    """The files that were put away, from the oldest; of one that is there twice, the compressed.

    Empty if there is no such folder. Raises OSError.
    """
    found: dict[str, Path] = {}
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            if (match := PUT_AWAY.fullmatch(path.name)) and (match[2] or match[1] not in found):
                found[match[1]] = path
    return [found[stamp] for stamp in sorted(found, key=_order)]


def stamp_of(path: Path) -> str:
    """What tells a file that was put away from the others, compressed or not."""
    match = PUT_AWAY.fullmatch(path.name)
    return match[1] if match else path.name


def last_line_at(path: Path) -> str:
    """The time stamp of its last line, as its name tells; of one named by a day, that day's end."""
    day, _, clock = stamp_of(path).partition("T")
    return f"{day}T{':'.join(clock.split('-')[:3]) or '23:59:59'}"


def open_log(path: Path) -> BinaryIO:
    """Open a file of the log for reading, compressed or not. Raises OSError."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def put_away(path: Path) -> Path:
    """Rename the file that is written to the name of its last line's time. Raises OSError."""
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(path.stat().st_mtime))
    for name in _names(f"{path.name}.{stamp}"):
        target = path.with_name(name)
        if not target.exists() and not target.with_name(f"{name}.gz").exists():
            return path.rename(target)
    raise AssertionError("names have no end")


def compress(path: Path) -> None:
    """Replace a file that was put away by a compressed one, whole at each moment. OSError."""
    target = path.with_name(f"{path.name}.gz")
    part = path.with_name(f"{path.name}{PART}")
    try:
        with path.open("rb") as plain, gzip.open(part, "wb", 6) as packed:
            shutil.copyfileobj(plain, packed, 1 << 18)
        part.chmod(path.stat().st_mode & 0o777)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    path.unlink()


def tidy(folder: Path, keep: float, most: float) -> None:
    """Compress what was put away, and remove what is too old or too much.

    keep: seconds. most: bytes of all of them. What can't be done is left to the next time.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(NAME) and path.name.endswith(PART):
                path.unlink(missing_ok=True)
            elif PUT_AWAY.fullmatch(path.name) and path.suffix != ".gz":
                with suppress(OSError, EOFError):
                    _compress_or_remove(path)
    oldest = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(max(time.time() - keep, 0)))
    total = 0
    with suppress(OSError):
        for path in reversed(put_away_files(folder)):
            with suppress(OSError):
                total += path.stat().st_size
                if total > most or last_line_at(path) < oldest:
                    path.unlink()


def _compress_or_remove(path: Path) -> None:
    if path.with_name(f"{path.name}.gz").exists():
        path.unlink()  # It was compressed, and the process ended before this.
    else:
        compress(path)


def _names(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _order(stamp: str) -> tuple[str, int]:
    """The key by which names have the order of time: the tenth of a second after the second."""
    day, _, clock = stamp.partition("T")
    parts = clock.split("-")
    return f"{day}T{'-'.join(parts[:3])}", int(parts[3]) if len(parts) > 3 else 1
