"""What the tests of the benchmarks share: what they need of the machine, and runs by hand."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec import structs

from benchmarks.dataset import Dataset, Item
from benchmarks.measure import Run

DOCUMENTS = 40

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path="/usr/bin:/usr/local/bin:/usr/sbin:/usr/local/sbin") is None,
    reason="nginx is not installed here",
)
needs_memory = pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no /dev/shm here")


def run_of(seconds: float) -> Run:
    """A run of a hundred documents, which took so long."""
    return Run(documents=100, seconds=seconds, cpu=seconds, peak=1_000_000)


def with_other_checksums(dataset: Dataset) -> Dataset:
    """The same documents, but that each is announced as another one."""
    other = sha256(b"").hexdigest()
    return structs.replace(
        dataset, items=[Item(one.path, one.size, other) for one in dataset.items]
    )
