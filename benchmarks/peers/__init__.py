"""What people would use instead: programs of the system, and the scripts that are often written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.dataset import Item

HERE = Path(__file__).parent

#: Requests at once, as the product has by default.
CONNECTIONS = 16

#: Writes what it needs into the folder and returns the command, which delivers to `folder`/out.
Prepare = Callable[[Path, str, Sequence[Item]], list[str]]


class Peer(Struct, frozen=True):
    """Another way to bring the documents. program: what has to be installed, if anything."""

    name: str
    prepare: Prepare
    program: str | None = None

    @property
    def is_here(self) -> bool:
        """Whether it can run on this machine."""
        return self.program is None or shutil.which(self.program) is not None


def write_list(path: Path, url: str, items: Sequence[Item]) -> Path:
    """Write the list that the scripts read: address, file name, bytes and SHA-256 by line."""
    lines = (f"{url}/{item.path}\t{item.name}\t{item.size}\t{item.sha256}\n" for item in items)
    path.write_text("".join(lines))
    return path


def _aria2c(folder: Path, url: str, items: Sequence[Item]) -> list[str]:
    """With the checksum of each: aria2c holds the file against it once it is there."""
    listed = "".join(
        f"{url}/{item.path}\n  out={item.name}\n  checksum=sha-256={item.sha256}\n"
        for item in items
    )
    (folder / "aria2c.txt").write_text(listed)
    return [
        *("aria2c", "--no-conf", "-i", "aria2c.txt", "-d", "out", f"-j{CONNECTIONS}", "-x1", "-s1"),
        *("--file-allocation=none", "--quiet", "--download-result=hide", "--summary-interval=0"),
    ]


def _rclone(transfers: int) -> Prepare:
    def prepare(folder: Path, url: str, items: Sequence[Item]) -> list[str]:
        (folder / "rclone.txt").write_text("".join(f"{item.path}\n" for item in items))
        (folder / "rclone.conf").touch()
        return [
            *("rclone", "copy", ":http:", "out", "--http-url", url, "--config", "rclone.conf"),
            *("--files-from-raw", "rclone.txt", "--no-traverse", "--no-check-dest"),
            *("--http-no-head", "--transfers", str(transfers), "--checkers", str(transfers)),
            *("--quiet", "--stats", "0"),
        ]

    return prepare


def _curl(folder: Path, url: str, items: Sequence[Item]) -> list[str]:
    listed = "".join(f'url = "{url}/{item.path}"\noutput = "out/{item.name}"\n' for item in items)
    (folder / "curl.txt").write_text(listed)
    return [
        *("curl", "-q", "-K", "curl.txt", "--parallel", "--parallel-max", str(CONNECTIONS)),
        *("--fail", "--silent", "--show-error"),
    ]


def _script(name: str) -> Prepare:
    def prepare(folder: Path, url: str, items: Sequence[Item]) -> list[str]:
        write_list(folder / "list.tsv", url, items)
        return [sys.executable, str(HERE / name), "list.tsv", "out"]

    return prepare


PEERS = (
    Peer("aria2c -j16, sha-256 checked", _aria2c, "aria2c"),
    Peer("rclone, 4 transfers", _rclone(4), "rclone"),
    Peer("rclone, 8 transfers", _rclone(8), "rclone"),
    Peer("rclone, 16 transfers", _rclone(16), "rclone"),
    Peer("curl --parallel", _curl, "curl"),
    Peer("naive asyncio script", _script("naive.py")),
    Peer("one after another", _script("one_by_one.py")),
)
