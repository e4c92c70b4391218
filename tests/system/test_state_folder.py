"""A state folder serves one process at a time, and only its own account."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import pytest

from pipeline.app.lock import single_instance
from pipeline.errors import StateInUse
from pipeline.ledger.ledger import open_ledger
from tests.helpers.processes import ROOT

NOBODY = 65534


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    second = (
        "import sys; from pathlib import Path; from pipeline.app.lock import single_instance\n"
        "with single_instance(Path(sys.argv[1])): pass"
    )
    command = [sys.executable, "-c", second, str(state)]
    with single_instance(state):
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert StateInUse.__name__ in refused.stderr
    assert "already works with this folder" in refused.stderr
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_whoever_owns_the_folder_is_told_whatever_the_file_says(tmp_path: Path) -> None:
    second = (
        "import sys; from pathlib import Path; from pipeline.app.lock import single_instance\n"
        "with single_instance(Path(sys.argv[1])): pass"
    )
    with single_instance(tmp_path / "state"):
        (tmp_path / "state" / "owner").write_bytes(b"\xff\xfe" * 1000)
        command = [sys.executable, "-c", second, str(tmp_path / "state")]
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "StateInUse" in refused.stderr
    assert "UnicodeDecodeError" not in refused.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root becomes another")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_status_for_another_account_ends_in_words(mode: int) -> None:
    async def make(path: Path) -> None:
        async with open_ledger(path):
            pass

    folder = Path(tempfile.mkdtemp(prefix="synqup-status-"))
    try:
        anyio.run(make, folder / "ledger")
        (folder / "ledger").chmod(0o644)
        folder.chmod(mode)
        program = (
            "import os, sys; from pathlib import Path\n"
            "from pipeline.ledger.summary import summarise\n"
            f"os.setuid({NOBODY})\n"
            "print(summarise(Path(sys.argv[1])))"
        )
        command = [sys.executable, "-c", program, str(folder / "ledger")]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert "pipeline.errors.StateError" in told.stderr
        assert "s the account that runs synqup" in told.stderr
    finally:
        shutil.rmtree(folder)
