"""Installed by one command, the service runs under a real systemd and all the rules of its unit."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Iterator

import pytest

from pipeline.app.machine import this_machine
from tests.helpers.machine import CONFIG, Machine, fresh_machine
from tests.helpers.processes import wait_until
from tests.helpers.systemd import lacking

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking()), reason=f"no systemd can run here: {lacking()}"),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with fresh_machine(tmp_path_factory.mktemp("machine"), "--documents", 60) as it:
        yield it


def test_it_is_installed_runs_reloads_and_is_removed(machine: Machine) -> None:
    """One story, for each step takes what the one before has left."""
    it = machine
    assert "not installed" in it.synqup("service", "status", expect=1)
    shown = it.synqup("service", "print", "--config", CONFIG)

    it.edit('"http://127.0.0.1', '"http://127.0.0.2')
    said = it.synqup("service", "install", "--config", CONFIG, expect=3)
    assert "FAIL  source" in said
    assert "it is not installed, for what `check` says" in said
    assert not (it.inside.folder / "srv" / "books").exists()
    assert "synqup:" not in (it.inside.folder / "etc" / "passwd").read_text()
    it.edit('"http://127.0.0.2', '"http://127.0.0.1')

    said = it.synqup("service", "install", "--config", CONFIG)
    assert "made the account synqup" in said
    assert "made the folder /srv/books for the account synqup" in said
    assert "ok    source" in said
    assert "synqup runs" in said
    assert (it.inside.folder / "etc/systemd/system/synqup.service").read_text() == shown
    wait_until(lambda: it.delivered() == it.held())
    assert "synqup runs: 60 documents delivered" in _until_said(it, "60 documents delivered")
    assert it.inside.shows("synqup", "NRestarts") == "0"

    said = it.synqup("service", "install", "--config", CONFIG)
    assert "is up to date" in said
    assert "made" not in said
    rating = it.inside.run("systemd-analyze", "security", "--no-pager", "synqup")
    found = re.search(r"level for synqup.service: ([0-9.]+)", rating)
    assert found is not None
    assert float(found[1]) <= 2.0

    _tells_and_backs_up_while_it_runs(it)
    _edit_to_a_folder_that_is_not_allowed(it)

    it.synqup("service", "stop")
    assert "synqup is stopped" in it.synqup("service", "status", expect=1)
    it.synqup("service", "start")
    assert "synqup runs" in it.synqup("service", "status")
    said = it.synqup("service", "uninstall")
    assert "removed /etc/systemd/system/synqup.service" in said
    assert "there is no service synqup" in it.synqup("service", "uninstall")
    assert it.delivered() >= it.held()


def _tells_and_backs_up_while_it_runs(it: Machine) -> None:
    """The unit forbids nothing of that, and root may ask the service of another account."""
    lines = it.synqup("logs", "--config", CONFIG, "--json").splitlines()
    told = [one for one in map(json.loads, lines) if one["event"] == "document delivered"]
    assert len(told) == 60
    identity = json.loads((it.inside.folder / "lib" / "synqup" / "identity.json").read_text())
    assert identity["state_dir"] == "/var/lib/synqup"
    assert bool(identity["machine"]["installation"]) == bool(this_machine().installation)
    it.synqup("support", "/srv/support.zip", "--config", CONFIG)
    it.synqup("backup", "/srv/backup.zip", "--config", CONFIG)
    with zipfile.ZipFile(it.inside.folder / "srv" / "backup.zip") as backup:
        assert {"ledger.sqlite", "identity.json"} <= set(backup.namelist())
    assert "belongs to another account" in it.synqup(
        "restore", "/srv/backup.zip", "--replace", "--config", CONFIG, expect=1
    )
    assert it.inside.shows("synqup", "NRestarts") == "0"


def _edit_to_a_folder_that_is_not_allowed(it: Machine) -> None:
    it.edit("/srv/books/", "/srv/new books/")
    wait_until(lambda: "a folder can't be used" in it.log())
    assert "/srv/new books" in it.log()
    assert "run `synqup service install` again" in it.log()
    said = it.synqup("service", "install", "--config", CONFIG)
    assert "made the folder /srv/new books" in said
    assert "has been started anew" in said
    before = it.log()
    it.edit('poll_interval = "5m"', 'poll_interval = "4m"')
    wait_until(lambda: "configuration applied" in it.log()[len(before) :])
    assert "can't be used" not in it.log()[len(before) :]


def _until_said(it: Machine, words: str) -> str:
    wait_until(lambda: words in it.synqup("service", "status", expect=None))
    return it.synqup("service", "status")


def test_what_the_configuration_gets_wrong_ends_it_for_good(machine: Machine) -> None:
    it = machine
    it.synqup("service", "install", "--config", CONFIG, "--no-start")
    it.edit("[delivery]", "[deliveries]")
    assert "has not started" in it.synqup("service", "start", expect=1)
    time.sleep(1)
    assert it.inside.shows("synqup", "ActiveState") == "failed"
    assert it.inside.shows("synqup", "ExecMainStatus") == "2"
    assert "exit status 2" in it.synqup("service", "status", expect=1)
    assert "deliveries" in it.synqup("service", "install", "--config", CONFIG, expect=2)
    it.edit("[deliveries]", "[delivery]")
    it.synqup("service", "uninstall")


def test_one_that_shows_no_sign_of_life_is_ended_and_started_again(machine: Machine) -> None:
    it = machine
    quick = it.inside.folder / "etc/systemd/system/synqup.service.d/quick.conf"
    quick.parent.mkdir()
    quick.write_text("[Service]\nWatchdogSec=4\nRestartSec=1\n")
    hang = it.inside.folder / "srv" / "hang"
    hang.touch()
    it.synqup("service", "install", "--config", CONFIG)
    wait_until(lambda: int(it.inside.shows("synqup", "NRestarts")) > 0)
    hang.unlink()
    _until_said(it, "documents delivered, 0 on their way")
    assert "started again" in it.synqup("service", "status")
    it.synqup("service", "uninstall")
