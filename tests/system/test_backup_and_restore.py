"""A backup of a service at work, restored when the state folder is lost, brings nothing twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.processes import mailbox, process, synqup, wait_until

pytestmark = pytest.mark.slow


def test_a_backup_of_a_service_at_work_is_restored_when_the_state_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    with mailbox(tmp_path, "--documents", 120, "--latency", 5) as box:
        with process("run", "--config", box.config) as service:
            wait_until(lambda: len(box.journal()) > 10)
            said = synqup("backup", file, "--config", box.config)
            assert f"{file}: " in said
            assert "keep it as you keep passwords" in said
            refused = synqup("restore", file, "--config", box.config, "--replace", expect=1)
            assert f"another synqup (process {service.pid}) already works" in refused
            wait_until(lambda: len(box.journal()) == 120)
            service.terminate()
            assert service.wait() == 0
        refused = synqup("restore", file, "--config", box.config, expect=1)
        assert "--replace" in refused
        shutil.rmtree(tmp_path / "state")
        said = synqup("restore", file, "--config", box.config)
        assert "restored as of 20" in said
        assert "comes once more" in said
        # What was delivered since the backup the platform was told of: it lists nothing.
        synqup("catch-up", "--config", box.config)
        box.assert_everything_stands_once()
        assert [json.loads(line)["event"] for line in box.log().splitlines()].count(
            "document delivered"
        ) == 0


def test_a_restore_elsewhere_has_to_be_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    with mailbox(tmp_path, "--documents", 6) as box:
        synqup("catch-up", "--config", box.config)
        before = box.status()
        synqup("backup", file, "--config", box.config)
        other = tmp_path / "other"
        other.mkdir()
        for name in ("synqup.toml", "synqup.toml.secret"):
            shutil.copy(tmp_path / name, other / name)
        config = other / "synqup.toml"
        assert "--take-over" in synqup("restore", file, "--config", config)
        assert json.loads(synqup("status", "--config", config, "--json")) == before
        synqup("catch-up", "--config", config, expect=2)
        synqup("catch-up", "--config", config, "--take-over")
        box.assert_everything_stands_once()
