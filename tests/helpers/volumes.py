"""Volumes that are mounted for a test, and filled up."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A volume at a folder; skips the test where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("volumes may not be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def volume(folder: Path, size: str = "256k") -> AbstractContextManager[None]:
    return mounted(folder, "-t", "tmpfs", "-o", f"size={size},mode=755", "none")


def fill(folder: Path) -> Path:
    """Leave no room on the volume."""
    filler = folder / ".filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return filler
