"""Two agents never work with copies of one state: the second is refused until it is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.processes import Mailbox, mailbox, synqup

pytestmark = pytest.mark.slow


def copy_of(box: Mailbox) -> Path:
    """The configuration and the state folder in another place, as somebody copies them."""
    other = box.folder / "other"
    other.mkdir()
    shutil.copytree(box.folder / "state", other / "state")
    for name in ("synqup.toml", "synqup.toml.secret"):
        shutil.copy(box.folder / name, other / name)
    return other / "synqup.toml"


def test_a_copy_is_refused_in_words_until_it_is_taken_over(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 6) as box:
        synqup("catch-up", "--config", box.config)
        config = copy_of(box)
        for command in ("catch-up", "run"):
            said = synqup(command, "--config", config, expect=2)
            assert f"it is a copy of {tmp_path / 'state'}, which is still there" in said
            assert "start once with --take-over" in said
        said = synqup("check", "--config", config, expect=1)
        assert "FAIL  " in said
        assert "which is still there" in said
        log = (config.parent / "state" / "logs" / "synqup.log").read_text()
        assert [json.loads(line)["event"] for line in log.splitlines()].count(
            "state folder refused"
        ) == 2
        # The original goes on.
        synqup("catch-up", "--config", box.config)
        synqup("catch-up", "--config", config, "--take-over")
        synqup("catch-up", "--config", config)
        synqup("check", "--config", config)


def test_another_configuration_may_use_the_same_folder(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 3) as box:
        synqup("catch-up", "--config", box.config)
        edited = box.config.with_name("edited.toml")
        edited.write_text(
            box.config.read_text().replace(
                "[service]\n", '[service]\nkeep_ledger = "90d"\nkeep_quarantine = "30d"\n'
            )
        )
        synqup("catch-up", "--config", edited)
        said = synqup("check", "--config", edited)
        assert "removed after 30 days" in said
        assert "after 90 days the ledger forgets" in said
        assert "state folder used by another configuration" in box.log()
