"""What people ask of a service by commands: each is a process of its own, as is the service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pipeline.control.protocol import SOCKET, Request, encoded
from tests.helpers.processes import (
    ROOT,
    SYNQUP,
    Mailbox,
    mailbox,
    process,
    send,
    synqup,
    wait_until,
)
from tests.helpers.rendered import text_of
from tests.helpers.systems import posix_only

pytestmark = pytest.mark.slow

DOCUMENTS = 9
KEPT = 'poll_interval = "1s"\nkeep_delivered = "90d"'


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Mailbox]:
    with mailbox(tmp_path, "--documents", DOCUMENTS, "--companies", 3) as one:
        edit(one, 'poll_interval = "5m"', KEPT)
        yield one


def edit(box: Mailbox, old: str, new: str) -> None:
    text = box.config.read_text("utf-8")
    assert old in text
    box.config.write_text(text.replace(old, new), "utf-8")


@contextmanager
def service(box: Mailbox) -> Iterator[subprocess.Popen[str]]:
    with process("run", "--config", box.config) as running:
        wait_until((box.folder / "state" / SOCKET).exists)
        yield running
        send(running, "SIGTERM")
        running.wait(30)


def do(box: Mailbox, command: str, *arguments: object, expect: int = 0) -> Any:
    text = synqup(command, "--config", box.config, "--json", *arguments, expect=expect)
    return json.loads(text) if not expect else text


def delivered(box: Mailbox) -> Counter[str]:
    return Counter(sha256(path.read_bytes()).hexdigest() for path in box.delivered())


def bring(box: Mailbox) -> None:
    wait_until(lambda: len(box.journal()) >= DOCUMENTS)


def test_a_document_is_found_and_comes_again_once_each_time_it_is_asked_for(box: Mailbox) -> None:
    with service(box):
        bring(box)
        document = box.manifest()[0]
        found = do(box, "find", document["number"])
        (one,) = [entry for entry in found if entry["sha256"] == document["sha256"]]
        assert (one["company"], one["state"]) == (document["company"], "delivered")
        assert all((one["number"], one["date"], one["counterparty"], one["path"]))
        # From the copy: the platform is gone.
        box.process.kill()
        box.process.wait()
        for times in (2, 3):
            told = do(box, "redeliver", document["id"])
            assert (told["done"], told["open"], told["failed"]) == (1, 0, 0)
            assert delivered(box)[document["sha256"]] == times
        into = box.folder / "elsewhere"
        do(box, "redeliver", one["sha256"][:12], "--into", into)
        (file,) = [path for path in into.iterdir() if not path.name.startswith(".")]
        assert sha256(file.read_bytes()).hexdigest() == document["sha256"]
        story = do(box, "show", document["id"])
        assert [order["done"] for order in story["again"]] == [True] * 3
        assert story["again"][0]["result"] == str(file)
        assert {action["who"] for action in story["actions"]} == {own_name()}
        assert all((story["why"], story["acknowledged_at"], story["verified_at"]))


def test_a_document_is_read_as_a_pdf(box: Mailbox) -> None:
    edit(box, '\nkeep_delivered = "90d"', "")
    file = box.folder / "read.pdf"
    document = next(one for one in box.manifest() if one["kind"] == "purchase")
    with service(box):
        bring(box)
        (one,) = do(box, "find", document["sha256"])
        delivered_file = Path(one["path"])
        kept = delivered_file.read_bytes()
        # The service has it fetched from the platform.
        delivered_file.unlink()
        told = do(box, "show", document["id"], "--pdf", file, "--language", "fr")
        assert told["document"]["number"] == document["number"]
        text = text_of(file.read_bytes())
        assert document["number"] in text
        assert "facture" in text.casefold()
        file.unlink()
        assert "can't be written" in do(
            box, "show", document["id"], "--pdf", box.folder / "no" / "such.pdf", expect=1
        )
    # Without a service it is what is kept here.
    said = do(box, "show", document["id"], "--pdf", file, expect=1)
    assert "Start the service" in said
    assert not file.exists()
    delivered_file.write_bytes(kept)
    do(box, "show", document["id"], "--pdf", file)
    assert document["number"] in text_of(file.read_bytes())
    do(box, "show", "nothing", "--pdf", file, expect=2)


def own_name() -> str:
    import getpass  # noqa: PLC0415

    return getpass.getuser()


def test_days_are_named_as_people_write_them(box: Mailbox) -> None:
    with service(box):
        bring(box)
        today = time.strftime("%d/%m/%Y")
        for number, days in enumerate(((today, today), (time.strftime("%Y-%m"), "9999-12-31")), 2):
            result = do(box, "redeliver", "--from", days[0], "--to", days[1])
            assert (result["done"], result["open"], result["failed"]) == (DOCUMENTS, 0, 0)
            assert set(delivered(box).values()) == {number}


def test_all_of_a_company_come_again_from_the_platform_where_no_copies_are_kept(
    box: Mailbox,
) -> None:
    edit(box, '\nkeep_delivered = "90d"', "")
    with service(box):
        bring(box)
        before = delivered(box)
        company = box.manifest()[0]["company"]
        of_it = [one for one in box.manifest() if one["company"] == company]
        for times in (1, 2):
            told = do(box, "redeliver", "--company", company, "--from", "2020-01-01")
            assert (told["done"], told["failed"]) == (len(of_it), 0)
            expected = before + Counter({one["sha256"]: times for one in of_it})
            assert delivered(box) == expected
        assert not (box.folder / "state" / "delivered.sqlite").exists()
        # The platform is told nothing of it.
        assert len(box.journal()) == DOCUMENTS
        assert box.status()["unacknowledged"] == 0


@pytest.mark.parametrize("kept", [True, False], ids=["from copies", "from the platform"])
def test_a_service_that_is_killed_goes_on_with_what_it_was_asked(
    tmp_path: Path, kept: bool
) -> None:
    documents = 60
    with mailbox(tmp_path, "--documents", documents, "--companies", 2) as box:
        edit(box, 'poll_interval = "5m"', KEPT if kept else 'poll_interval = "1s"')
        ask = [*SYNQUP, "redeliver", "--config", str(box.config), "--from", "2020-01-01"]
        with process("run", "--config", box.config) as running:
            wait_until(lambda: len(box.journal()) >= documents)
            before = delivered(box)
            with subprocess.Popen(ask, cwd=ROOT) as asking:
                wait_until(lambda: len(box.delivered()) > documents)
                running.kill()
                # It has been asked for, and that is recorded; what came of it nobody has said.
                assert asking.wait(60) == 1
        with service(box):
            wait_until(lambda: len(box.delivered()) >= 2 * documents)
            time.sleep(2)
        assert delivered(box) == before + before
        story = do(box, "show", box.manifest()[-1]["id"])
        assert [one["done"] for one in story["again"]] == [True]


def test_a_pause_lasts_and_is_no_failure(box: Mailbox) -> None:
    with service(box):
        bring(box)
        assert do(box, "pause", "billtobox")["done"] == 1
        assert do(box, "pause", "billtobox")["done"] == 0
        assert "it is paused" in do(box, "poll", expect=1)
    with service(box):
        (source,) = box.status()["sources"]
        assert source["paused_by"] == own_name()
        polled = source["polled_at"]
        time.sleep(2.5)
        assert box.status()["sources"][0]["polled_at"] == polled
        do(box, "resume", "billtobox")
        wait_until(lambda: box.status()["sources"][0]["polled_at"] > polled)
        assert box.status()["sources"][0]["paused_at"] is None
        assert do(box, "poll", "billtobox")["done"] == 1
    assert "not configured" in do(box, "pause", "another", expect=2)


def test_what_is_in_quarantine_is_tried_again_or_put_where_it_belongs(box: Mailbox) -> None:
    victim = box.manifest()[0]["company"]
    of_it = [one for one in box.manifest() if one["company"] == victim]
    assert len(of_it) > 1
    edit(box, victim, "BE0403170701")
    with service(box):
        bring(box)
        assert {one["status"] for one in box.journal()} == {"FORWARDED", "ERROR"}
        failed = box.status()["quarantine"]
        first, *others = failed
        told = do(
            *(box, "assign", first["id"], "--company", "BE0403170701", "--kind", "purchase"),
            *("--reason", "the supplier has mistyped it"),
        )
        assert (told["done"], told["failed"]) == (1, 0)
        story = do(box, "show", first["id"])
        assert story["document"]["state"] == "delivered"
        assert story["why"] == "by hand: the supplier has mistyped it"
        assert "BE0403170701" in story["document"]["path"]
        # As long as nothing has changed it fails again, and says why.
        text = do(box, "retry", others[0]["id"], expect=1)
        assert json.loads(text)["failed"] == 1
        edit(box, "BE0403170701", victim)
        wait_until(lambda: "configuration applied" in box.log())
        told = do(box, "retry", "--reason", "configured")
        assert (told["done"], told["failed"]) == (len(others), 0)
        assert not box.status()["quarantine"]
        got = delivered(box)
        assert all(got[one["sha256"]] == 1 for one in box.manifest())
        wait_until(lambda: sum(one["status"] == "FORWARDED" for one in box.journal()) >= DOCUMENTS)
    assert "there are none" in do(box, "retry", "--reason", "no such reason", expect=1)


def test_without_a_service_it_is_done_where_that_is_safe(box: Mailbox) -> None:
    synqup("catch-up", "--config", box.config)
    one = box.manifest()[0]
    assert do(box, "redeliver", one["id"])["open"] == 0
    assert delivered(box)[one["sha256"]] == 2
    assert do(box, "pause", "billtobox")["done"] == 1
    assert "no service works with this state folder" in do(box, "poll", expect=1)
    assert "no such document" in do(box, "show", "nonesuch", expect=2)
    assert "mistyped" not in do(box, "find", "mistyped")


def test_what_is_asked_wrongly_is_refused_with_a_sentence(box: Mailbox) -> None:
    with service(box):
        bring(box)
        one = box.manifest()[0]
        assert "has not failed" in do(box, "retry", one["id"], expect=1)
        wrong = ("--kind", "purchase", "--reason", "so")
        text = do(box, "assign", one["id"], "--company", "nobody", *wrong, expect=2)
        assert "no company is called so" in text
        text = do(box, "redeliver", "--company", one["company"], "--from", "31/01/26", expect=2)
        assert "no days" in text
        upside_down = ("--from", "2026-03", "--to", "1 feb 2026")
        assert "is after the last" in do(box, "redeliver", *upside_down, expect=2)
        assert "name documents" in do(box, "redeliver", expect=2)
        for command in ("find", "show", "retry", "pause", "poll", "redeliver"):
            # What the shell passes on of a file name in an old encoding.
            assert "no text" in do(box, command, "caf\udce9", expect=2)
        state = box.folder / "state"
        assert "folder of synqup" in do(box, "redeliver", one["id"], "--into", state, expect=2)
        assert delivered(box).total() == DOCUMENTS


NOBODY = 65_534
ASK = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[3]))
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(sys.argv[2].encode())
print(connection.recv(10000).decode())
"""


@posix_only("elsewhere there is no such socket")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone may")
def test_another_account_may_not_ask(box: Mailbox) -> None:
    request = encoded(Request("pause", {"source": "billtobox"})).decode()
    with service(box):
        bring(box)
        socket = box.folder / "state" / SOCKET
        assert socket.stat().st_mode & 0o777 == 0o600

        def ask(user: int) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", ASK, str(socket), request, str(user)],
                capture_output=True,
                text=True,
                check=False,
            )

        assert json.loads(ask(0).stdout)["ok"]
        do(box, "resume", "billtobox")
        assert "PermissionError" in ask(NOBODY).stderr
        # Also where somebody has opened the way to it.
        for folder in (socket, *socket.parents):
            if not folder.stat().st_mode & 0o001:
                folder.chmod(folder.stat().st_mode | 0o007)
        answer = json.loads(ask(NOBODY).stdout)
        assert not answer["ok"]
        assert "only the account that runs it" in answer["failure"]["reason"]
        assert box.status()["sources"][0]["paused_at"] is None
