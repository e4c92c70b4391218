"""What the user sees of a bug of ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import PATIENCE, ROOT, mailbox, synqup

pytestmark = pytest.mark.slow

#: Programs that put a bug into a stage, and into the engine.
STAGE = """
import stages.verify
async def process(document): return {}["ours"]
stages.verify.process = process
"""

ENGINE = """
import pipeline.engine.counters
pipeline.engine.counters.Counters.count = lambda *_: {}["ours"]
"""


@pytest.mark.slow
@pytest.mark.parametrize(("before", "traceback"), [(STAGE, False), (ENGINE, True)])
def test_a_catch_up_that_a_bug_hits_says_so_and_ends_with_70(
    tmp_path: Path, before: str, traceback: bool
) -> None:
    with mailbox(tmp_path, "--documents", 30) as box:
        code = f"{before}\nfrom pipeline.app.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, "catch-up", "--config", str(box.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 70
        assert ("Traceback" in done.stderr) is traceback
        assert "fault of synqup's own" in done.stderr
        if not traceback:
            assert "0 delivered" in done.stdout
            assert "left for a later run" in done.stdout
            assert "source billtobox: stage verify fails by a fault of" in done.stdout
            assert box.log().count("Traceback") == 1
            (source,) = box.status()["sources"]
            assert "a fault of synqup's own (KeyError). Send the log to support" in source["error"]
        assert not [one for one in box.journal() if one["status"] == "ERROR"]
        synqup("catch-up", "--config", box.config)
        box.assert_everything_stands_once()
