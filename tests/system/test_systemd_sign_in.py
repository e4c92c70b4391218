"""A service is installed before anybody has signed in; root signs in, and the service goes on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.helpers.browsing import decide, get, shown_address
from tests.helpers.machine import CONFIG, Machine, fresh_machine
from tests.helpers.processes import PATIENCE, wait_until
from tests.helpers.systemd import lacking

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking()), reason=f"no systemd can run here: {lacking()}"),
]


def sign_in(it: Machine) -> str:
    """As root, by a browser of this machine, whose network is the same."""
    output = it.box.folder / "said"
    command = it.inside.command("/srv/bin/synqup", "sign-in", "billtobox", "--config", CONFIG)
    with (
        output.open("w") as file,
        subprocess.Popen(
            [*command, "--no-browser"], stdin=subprocess.DEVNULL, stdout=file, stderr=file
        ) as process,
    ):
        wait_until(lambda: shown_address(output.read_text()) or process.poll() is not None)
        get(decide(shown_address(output.read_text())))
        assert process.wait(PATIENCE) == 0, output.read_text()
    return output.read_text()


def test_it_is_installed_waits_for_a_sign_in_of_root_and_goes_on(tmp_path: Path) -> None:
    with fresh_machine(tmp_path, "--documents", 12, "--sign-in") as it:
        # Where the unit allows it for the sake of the documents.
        it.edit('"/var/lib/synqup"', '"/srv/books/state"')
        state = it.inside.folder / "srv" / "books" / "state"
        it.edit('"http://127.0.0.1', '"http://127.0.0.2')
        said = it.synqup("service", "install", "--config", CONFIG, expect=3)
        assert "FAIL  source" in said
        assert not state.exists()
        it.edit('"http://127.0.0.2', '"http://127.0.0.1')

        said = it.synqup("service", "install", "--config", CONFIG)
        assert "todo  source billtobox: nobody has signed in yet" in said
        assert "made the folder /srv/books/state for the account synqup" in said
        assert "synqup runs" in said
        assert f"Sign in with: synqup sign-in billtobox --config {CONFIG}" in said
        wait_until(lambda: "nobody has signed in yet" in it.synqup("service", "status"))

        assert "signed in as jan@firm.example until 20" in sign_in(it)
        wait_until(lambda: it.delivered() >= it.held())
        assert it.inside.shows("synqup", "NRestarts") == "0"
        log = (state / "logs" / "synqup.log").read_text()
        assert "there is a new sign-in" in log
        assert "can't be stored" not in log
        owner = state.stat().st_uid
        assert owner != 0
        tokens = [state / "tokens", *(state / "tokens").iterdir()]
        assert {path.stat().st_uid for path in tokens} == {owner}
        assert json.loads((state / "tokens" / "billtobox").read_text())["account"]

        said = it.synqup("service", "install", "--config", CONFIG)
        assert "ok    source billtobox: signed in as jan@firm.example" in said
        assert "ign in with" not in said
