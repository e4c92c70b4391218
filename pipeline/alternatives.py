"""Alternative names for a file whose name is taken: a.xml, a-2.xml, a-3.xml and so on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache

#: Digits of the number of an alternative, at most.
MAX_DIGITS = 10


def alternative(path: str, number: int) -> str:
    """The n-th alternative of a path; the first is the path itself."""
    if number == 1:
        return path
    stem, tail = _split(path)
    return f"{stem}-{number}{tail}"


def number_of(path: str, preferred: str) -> int:
    """Which alternative of a preferred path another path is; 1 if it is none."""
    stem, tail = _split(preferred)
    number = path.removeprefix(f"{stem}-").removesuffix(tail)
    is_number = number.isascii() and number.isdecimal() and len(number) < MAX_DIGITS
    return int(number) if is_number and alternative(preferred, int(number)) == path else 1


def name_hash(path: str) -> int:
    """63 bits of the SHA-256 of a path, without regard to case and to the extension.

    NTFS compares names without regard to case; some accounting packages take files that differ in
    their extension only for one document.
    """
    folder, name = os.path.split(path)
    digest = _folder(folder).copy()
    digest.update((name.rpartition(".")[0] or name).casefold().encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8]) >> 1


def first_free(taken: Callable[[int], bool], start: int = 1) -> int:
    """Find a number from `start` on that is not taken, by exponential and binary search.

    It is the lowest one if the taken numbers have no gaps, as numbers that are given in turn. Calls
    `taken` about 2 log2(n) times.
    """
    if not taken(start):
        return start
    low, step = start, 1
    while taken(low + step):
        low += step
        step *= 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(middle) else (low, middle)
    return high


def _split(path: str) -> tuple[str, str]:
    """A path without its extension, and the extension with its dot."""
    name = os.path.basename(path)  # noqa: PTH119 - text in, text out
    stem, dot, extension = name.rpartition(".")
    stem, tail = (stem, dot + extension) if stem else (name, "")
    return f"{path.removesuffix(name)}{stem}", tail


@lru_cache(1024)  # every document of a company and a kind goes to the same folder
def _folder(folder: str) -> hashlib._Hash:
    return hashlib.sha256(f"{folder.casefold()}{os.sep}".encode("utf-8", "surrogatepass"))
