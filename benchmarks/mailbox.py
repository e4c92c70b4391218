"""A sandbox of the product's own as a process beside us: a mailbox that forgets what was told.

It makes documents as they are asked for, so a million of them take no disk.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.failure import BenchmarkError
from benchmarks.ours import ROOT, SYNQUP

#: Seconds within which it has to end.
CLOSING = 20.0


@contextmanager
def sandbox(folder: Path, documents: int, companies: int, seed: int) -> Iterator[Path]:
    """Serve a new mailbox; yields a configuration that works, in a folder to be delivered below."""
    config = folder / "synqup.toml"
    command = [
        *(*SYNQUP, "sandbox", "--documents", str(documents), "--companies", str(companies)),
        *("--seed", str(seed), "--write-config", str(config)),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith("listening on http://"):
                raise BenchmarkError("the sandbox does not start")
            yield config
        finally:
            process.terminate()
            # Before its output is closed, into which it says that it stops.
            process.wait(CLOSING)
