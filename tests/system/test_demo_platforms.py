"""A firm with sources of every kind: one command brings its documents, each of them once."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from stages.sources.registry import CONNECTORS
from tests.helpers.processes import PATIENCE, ROOT

pytest.importorskip("asyncssh", reason="the source sftp needs asyncssh")


def demo(folder: Path, platforms: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = ("demo", "--platforms", platforms, "--directory", str(folder), *more)
    return subprocess.run(
        [sys.executable, "-c", "from pipeline.app.cli import main; main()", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_all_platforms_bring_each_document_once(tmp_path: Path) -> None:
    folder = tmp_path / "firm"
    done = demo(folder, "all", "--documents", "150")
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = re.findall(r"^(\w+): a mailbox of", done.stdout, re.MULTILINE)
    assert set(kinds) == {connector.kind for connector in CONNECTORS}
    assert len(kinds) == 8
    found = re.search(r"ok +([0-9]+) of \1 documents delivered", done.stdout)
    assert found is not None, done.stdout
    assert re.search(r"[1-9][0-9]* duplicates", done.stdout)
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    contents = Counter(sha256(path.read_bytes()).hexdigest() for path in files)
    assert len(files) == int(found[1]) == len(contents)


def test_a_platform_that_there_is_not_is_named(tmp_path: Path) -> None:
    done = demo(tmp_path / "firm", "codbox")
    assert done.returncode == 2
    assert "there is no such platform" in done.stderr
    assert "codabox" in done.stderr
