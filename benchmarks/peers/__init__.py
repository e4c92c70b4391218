"""What people would use instead: programs of the system, and the scripts that are often written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.dataset import Dataset, Item

HERE = Path(__file__).parent

#: Requests at once, as the product has by default.
CONNECTIONS = 16

#: Writes what it needs into the folder and returns the command, which delivers to `folder`/out.
Prepare = Callable[[Path, str, Dataset], list[str]]


class Peer(Struct, frozen=True):
    """Another way to bring the documents.

    does: all that it does, in words for a table. program: what has to be installed, if anything.
    """

    name: str
    does: str
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


def same_work(connections: int = CONNECTIONS) -> Peer:
    """The script that does what Synqup does, and has none of its layers."""

    def prepare(folder: Path, url: str, dataset: Dataset) -> list[str]:
        write_list(folder / "list.tsv", url, dataset.items)
        numbers = "\n".join(company.number for company in dataset.mailbox.companies)
        (folder / "companies.txt").write_text(numbers)
        return [
            *(sys.executable, str(HERE / "same_work.py"), "list.tsv", "out", "companies.txt"),
            str(connections),
        ]

    does = (
        "GET, SHA-256, parse, parties, temporary files, groups flushed, SQLite rows, exclusive"
        " renames, a PUT for each; it is given the list, and neither retries nor recovers"
    )
    return Peer(f"same-work script, {connections} connections", does, prepare)


def aria2c(connections: int = CONNECTIONS) -> Peer:
    """With the checksum of each: aria2c holds the file against it once it is there."""

    def prepare(folder: Path, url: str, dataset: Dataset) -> list[str]:
        listed = "".join(
            f"{url}/{item.path}\n  out={item.name}\n  checksum=sha-256={item.sha256}\n"
            for item in dataset.items
        )
        (folder / "aria2c.txt").write_text(listed)
        return [
            *("aria2c", "--no-conf", "-i", "aria2c.txt", "-d", "out", f"-j{connections}"),
            *("-x1", "-s1", "--file-allocation=none", "--quiet", "--download-result=hide"),
            "--summary-interval=0",
        ]

    does = "GET, SHA-256, the file; no parse, no folder, no flush, no record, no PUT"
    return Peer(f"aria2c -j{connections}, sha-256 checked", does, prepare, "aria2c")


def rclone(transfers: int) -> Peer:
    """Without its look at what is there already, and without a HEAD for each."""

    def prepare(folder: Path, url: str, dataset: Dataset) -> list[str]:
        (folder / "rclone.txt").write_text("".join(f"{item.path}\n" for item in dataset.items))
        (folder / "rclone.conf").touch()
        return [
            *("rclone", "copy", ":http:", "out", "--http-url", url, "--config", "rclone.conf"),
            *("--files-from-raw", "rclone.txt", "--no-traverse", "--no-check-dest"),
            *("--http-no-head", "--transfers", str(transfers), "--checkers", str(transfers)),
            *("--quiet", "--stats", "0"),
        ]

    does = "GET, a temporary file, its rename; no checksum, parse, folder, flush, record or PUT"
    return Peer(f"rclone, {transfers} transfers", does, prepare, "rclone")


def _curl(folder: Path, url: str, dataset: Dataset) -> list[str]:
    listed = "".join(
        f'url = "{url}/{item.path}"\noutput = "out/{item.name}"\n' for item in dataset.items
    )
    (folder / "curl.txt").write_text(listed)
    return [
        *("curl", "-q", "-K", "curl.txt", "--parallel", "--parallel-max", str(CONNECTIONS)),
        *("--fail", "--silent", "--show-error"),
    ]


def _script(name: str) -> Prepare:
    def prepare(folder: Path, url: str, dataset: Dataset) -> list[str]:
        write_list(folder / "list.tsv", url, dataset.items)
        return [sys.executable, str(HERE / name), "list.tsv", "out"]

    return prepare


_ONLY = "GET and the file; no checksum, parse, folder, flush, record or PUT"

SAME_WORK = same_work()
ONE_BY_ONE = Peer(
    "one after another",
    "GET, the size, the file; no checksum, parse, folder, flush, record or PUT",
    _script("one_by_one.py"),
)
PEERS = (
    SAME_WORK,
    aria2c(),
    *(rclone(transfers) for transfers in (4, 8, 16)),
    Peer("curl --parallel", _ONLY, _curl, "curl"),
    Peer("naive asyncio script", _ONLY, _script("naive.py")),
    ONE_BY_ONE,
)
