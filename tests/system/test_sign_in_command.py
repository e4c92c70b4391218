"""`synqup sign-in` as a command: its browser, its pasted answer, its words, its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browsing import decide, get, shown_address
from tests.helpers.processes import PATIENCE, ROOT, SYNQUP, Mailbox, mailbox, synqup

pytestmark = pytest.mark.slow

#: A browser that signs in by itself.
BROWSER = """
import sys
sys.path.insert(0, {root!r})
from tests.helpers.browsing import decide, get
get(decide(sys.argv[1]))
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Mailbox]:
    with mailbox(tmp_path, "--documents", 6, "--sign-in") as one:
        yield one


class Running:
    """`synqup sign-in --no-browser`, as it runs."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self._output = output

    def said(self) -> str:
        return self._output.read_text(errors="replace")

    def address(self) -> str:
        until = time.monotonic() + PATIENCE
        while not (found := shown_address(self.said())):
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)
        return found

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def end(self, expect: int = 0) -> str:
        assert self.process.wait(PATIENCE) == expect, self.said()
        return self.said()


@contextmanager
def signing_in(box: Mailbox, *options: str) -> Iterator[Running]:
    output = box.folder / "said"
    command = [*SYNQUP, "sign-in", "billtobox", "--config", str(box.config), *options]
    with (
        output.open("w") as file,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=file, stderr=file, text=True
        ) as process,
    ):
        try:
            yield Running(process, output)
        finally:
            process.kill()


def last_line_of_check(box: Mailbox, expect: int) -> str:
    return synqup("check", "--config", box.config, expect=expect).splitlines()[-1]


def test_before_a_sign_in_all_else_is_checked(box: Mailbox) -> None:
    """A service is installed then, which waits for it."""
    said = synqup("check", "--before-sign-in", "--config", box.config)
    assert "todo  source billtobox: nobody has signed in yet. Sign in: synqup sign-in" in said
    assert "FAIL" not in said
    box.process.terminate()
    box.process.wait(PATIENCE)
    said = synqup("check", "--before-sign-in", "--config", box.config, expect=3)
    assert "FAIL  source billtobox" in said
    (box.folder / "synqup.toml.secret").unlink()
    said = synqup("check", "--before-sign-in", "--config", box.config, expect=3)
    assert "synqup.toml.secret" in said
    (box.folder / "out").write_text("a file")
    synqup("check", "--before-sign-in", "--config", box.config, expect=3)


def test_a_browser_on_this_machine_signs_in(box: Mailbox) -> None:
    assert "nobody has signed in yet. Sign in: synqup sign-in" in last_line_of_check(box, 3)
    said = synqup("catch-up", "--config", box.config, expect=3)
    assert "Sign in: synqup sign-in billtobox" in said
    browser = box.folder / "browser.py"
    browser.write_text(BROWSER.format(root=str(ROOT)))
    done = subprocess.run(
        [*SYNQUP, "sign-in", "billtobox", "--config", str(box.config)],
        cwd=ROOT,
        env={**os.environ, "BROWSER": f"{sys.executable} {browser} %s"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "source billtobox: signed in as jan@firm.example until 20" in done.stdout
    assert "(30 days left)" in done.stdout
    synqup("catch-up", "--config", box.config)
    box.assert_everything_stands_once()


def test_an_answer_is_pasted_from_another_machine(box: Mailbox) -> None:
    with signing_in(box, "--no-browser") as running:
        sent_to = decide(running.address())
        running.type("what shall I do?\u00e9")
        running.type(sent_to)
        said = running.end()
    assert "this is no code" in said
    assert "signed in as jan@firm.example" in said
    synqup("catch-up", "--config", box.config)
    box.assert_everything_stands_once()


def test_a_browser_elsewhere_may_come_back_by_a_tunnel(box: Mailbox) -> None:
    with signing_in(box, "--no-browser") as running:
        assert running.process.stdin is not None
        address = running.address()
        running.process.stdin.close()
        status, page, _ = get(decide(address))
        running.end()
    assert status == 200
    assert "You can close this window." in page


def test_the_time_left_is_told_by_status_and_check(box: Mailbox) -> None:
    with signing_in(box, "--no-browser") as running:
        running.type(decide(running.address()))
        running.end()
    said = synqup("status", "--config", box.config)
    assert "signed in as jan@firm.example until 20" in said
    told: dict[str, Any] = json.loads(synqup("status", "--config", box.config, "--json"))
    state = told["sign_ins"]["billtobox"]
    assert state["account"] == "jan@firm.example"
    assert 29.9 * 86_400 < state["ends_at"] - time.time() <= 30 * 86_400
    assert "(30 days left)" in last_line_of_check(box, 0)
    # As if a month had passed.
    kept = box.folder / "state" / "tokens" / "billtobox"
    stored = json.loads(kept.read_text())
    kept.write_text(json.dumps(stored | {"ends_at": time.time() - 60}))
    assert "ended 20" in last_line_of_check(box, 3)
    assert "sign in again: synqup sign-in billtobox" in last_line_of_check(box, 3)
    assert "sign in again: synqup sign-in" in synqup("status", "--config", box.config)


def test_a_check_spends_no_token(box: Mailbox) -> None:
    with signing_in(box, "--no-browser") as running:
        running.type(decide(running.address()))
        running.end()
    kept = box.folder / "state" / "tokens" / "billtobox"
    before = kept.read_bytes()
    for _ in range(3):
        last_line_of_check(box, 0)
        synqup("status", "--config", box.config)
    assert kept.read_bytes() == before
    synqup("catch-up", "--config", box.config)
    assert kept.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("boxx",), 2, 'there is no source "boxx"; known are "billtobox"'),
        ((), 2, "Missing argument 'SOURCE'"),
        (("billtobox", "--config", "there-is-none.toml"), 2, "does not exist"),
    ],
)
def test_what_is_typed_wrong_is_said(
    box: Mailbox, arguments: Sequence[str], status: int, said: str
) -> None:
    config = () if "--config" in arguments else ("--config", box.config)
    assert said in synqup("sign-in", *arguments, *config, expect=status)


def test_a_source_that_needs_no_person_says_so(box: Mailbox) -> None:
    lines = box.config.read_text().splitlines(keepends=True)
    box.config.write_text("".join(one for one in lines if "authorize_url" not in one))
    said = synqup("sign-in", "billtobox", "--config", box.config, expect=2)
    assert "unless the client id and secret are enough" in said


def test_one_who_says_no_ends_it(box: Mailbox) -> None:
    with signing_in(box, "--no-browser") as running:
        running.type(decide(running.address(), "deny"))
        said = running.end(expect=3)
    assert "access_denied" in said
    assert "Sign in again: synqup sign-in billtobox" in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal")
def test_it_can_be_interrupted(box: Mailbox) -> None:
    with signing_in(box, "--no-browser") as running:
        running.address()
        running.process.send_signal(signal.SIGINT)
        running.end(expect=130)


def test_nothing_that_is_secret_is_shown(box: Mailbox) -> None:
    with signing_in(box, "--no-browser") as running:
        sent_to = decide(running.address())
        running.type(sent_to)
        said = running.end()
    kept = json.loads((box.folder / "state" / "tokens" / "billtobox").read_text())
    secret = (box.folder / "synqup.toml.secret").read_text().strip()
    code = sent_to.partition("code=")[2].partition("&")[0]
    synqup("catch-up", "--config", box.config)
    shown = said + box.log() + synqup("status", "--config", box.config)
    for word in (kept["refresh_token"], secret, code, "code_verifier"):
        assert word not in shown
