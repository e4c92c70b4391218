"""The main job, as its user sees it: real processes, a real mailbox, real folders."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from tests.helpers.processes import (
    PATIENCE,
    mailbox,
    process,
    send,
    synqup,
    wait_until,
)
from tests.helpers.systems import posix_only


@pytest.mark.slow
def test_a_catch_up_brings_everything_once_and_a_second_one_nothing(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 300) as box:
        said = synqup("catch-up", "--config", box.config)
        assert "300 delivered" in said
        box.assert_everything_stands_once()
        assert "0 delivered" in synqup("catch-up", "--config", box.config)
        box.assert_everything_stands_once()
        counts = box.status()["counts"]
        assert sum(one["documents"] for one in counts) == 300
        assert {one["state"] for one in counts} == {"delivered"}


def test_a_dry_run_tells_and_touches_nothing(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 30) as box:
        assert "30 documents would be brought" in synqup(
            "catch-up", "--config", box.config, "--dry-run"
        )
        assert not box.delivered()
        assert not box.journal()
        assert not (tmp_path / "state").exists()
        synqup("catch-up", "--config", box.config)
        box.assert_everything_stands_once()


@pytest.mark.slow
def test_an_importer_that_takes_files_at_once_gets_each_one_once(tmp_path: Path) -> None:
    taken: list[str] = []
    with mailbox(tmp_path, "--documents", 200) as box:
        with process("catch-up", "--config", box.config) as running:
            while running.poll() is None:
                for path in box.delivered():
                    data = path.read_bytes()
                    # Windows lets nobody remove it before who has renamed it has let go of it.
                    with suppress(PermissionError):
                        path.unlink()
                        taken.append(sha256(data).hexdigest())
        taken += [sha256(path.read_bytes()).hexdigest() for path in box.delivered()]
        assert running.returncode == 0
        assert Counter(taken) == Counter(one["sha256"] for one in box.manifest())


#: A backlog that is long enough to be stopped in its middle: each document takes much longer there.
BACKLOG = 80 if os.name == "nt" else 400


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", *(["SIGINT"] if os.name != "nt" else []), "SIGKILL"])
def test_the_service_stopped_in_mid_backlog_goes_on_where_it_was(tmp_path: Path, name: str) -> None:
    with mailbox(tmp_path, "--documents", BACKLOG, "--latency", 5) as box:
        with process("run", "--config", box.config) as service:
            wait_until(lambda: len(box.journal()) > 20)
            send(service, name)
            status = service.wait(PATIENCE)
        if name != "SIGKILL":
            assert status == 0
            # What was in flight has drained: nothing is half done, nothing untold.
            assert len(box.delivered()) == len(box.journal())
            assert box.status()["unacknowledged"] == 0
        synqup("catch-up", "--config", box.config)
        journal = {one["id"] for one in box.journal()}
        assert journal == {one["id"] for one in box.manifest()}
        found = Counter(sha256(path.read_bytes()).hexdigest() for path in box.delivered())
        assert found == Counter(one["sha256"] for one in box.manifest())


@pytest.mark.slow
def test_the_service_survives_edits_of_its_configuration_in_mid_backlog(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 400, "--latency", 5) as box:
        good = box.config.read_text("utf-8")
        edited = good.replace("/achats", "/aankopen") + "\n[stages.download]\nworkers = 3\n"
        with process("run", "--config", box.config) as service:
            for text in ("[service", edited, "nonsense = 1", good, edited):
                seen = len(box.journal())
                wait_until(lambda seen=seen: len(box.journal()) >= min(seen + 40, 400))
                box.config.write_text(text, "utf-8")
                time.sleep(0.3)
            wait_until(lambda: len(box.journal()) >= 400)
            send(service, "SIGTERM")
            assert service.wait(PATIENCE) == 0
        found = Counter(sha256(path.read_bytes()).hexdigest() for path in box.delivered())
        assert found == Counter(one["sha256"] for one in box.manifest())
        assert {"achats", "aankopen", "ventes", "coda"} >= {p.parts[-2] for p in box.delivered()}


@pytest.mark.slow
@posix_only("no process can be told to pause")
def test_an_edit_applies_to_the_rest_of_a_backlog(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 400, "--latency", 100) as box:
        text = box.config.read_text("utf-8")
        box.config.write_text(text.replace("[[sources]]", "[[sources]]\nconnections = 4"), "utf-8")
        with process("run", "--config", box.config) as service:
            wait_until(
                lambda: (tmp_path / "out").exists() and list(tmp_path.glob("out/*/achats/*"))
            )
            # The mailbox holds its breath, lest it be empty before the edit is seen.
            box.process.send_signal(signal.SIGSTOP)
            box.config.write_text(box.config.read_text("utf-8").replace("/achats", "/aankopen"))
            wait_until(lambda: "configuration applied" in box.log())
            box.process.send_signal(signal.SIGCONT)
            wait_until(lambda: len(box.journal()) >= 400)
            send(service, "SIGTERM")
            assert service.wait(PATIENCE) == 0
        assert Counter(one["id"] for one in box.journal()) == {
            one["id"]: 1 for one in box.manifest()
        }
        found = Counter(sha256(path.read_bytes()).hexdigest() for path in box.delivered())
        assert found == Counter(one["sha256"] for one in box.manifest())
        folders = Counter(path.parts[-2] for path in box.delivered())
        assert folders["aankopen"] > 10
        assert folders["achats"] > 0


def test_a_second_process_on_the_same_state_is_refused_in_words(tmp_path: Path) -> None:
    with (
        mailbox(tmp_path, "--documents", 10) as box,
        process("run", "--config", box.config),
    ):
        wait_until(lambda: len(box.journal()) == 10)
        said = synqup("catch-up", "--config", box.config, expect=1)
        assert "another synqup" in said
        assert "Traceback" not in said


def test_a_source_that_is_gone_is_said_in_words(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 1) as box:
        pass
    (source,) = box.status()["sources"]
    assert source == {
        "name": "billtobox",
        "polled_at": None,
        "error": "",
        "error_at": None,
        "unreadable": 0,
        "paused_at": None,
        "paused_by": "",
    }
    said = synqup("catch-up", "--config", box.config, expect=3)
    assert "does not answer" in said
    assert "Traceback" not in said
    (source,) = box.status()["sources"]
    assert source["polled_at"] is None
    assert "does not answer" in source["error"]
    told = synqup("status", "--config", box.config)
    assert "source billtobox: not read through to its end so far" in told
    assert "does not answer" in told


def test_a_refused_sign_in_is_said_in_words_without_the_secret(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 1) as box:
        (secret,) = tmp_path.glob("*.secret")
        secret.write_text("hunter2-is-not-it")
        said = synqup("catch-up", "--config", box.config, expect=3)
        assert "sign-in" in said
        assert "hunter2" not in said
        checked = synqup("check", "--config", box.config, expect=3).splitlines()
        assert [line for line in checked if line.startswith("FAIL") and "sign-in" in line]
        for log in (tmp_path / "state" / "logs").iterdir():
            assert "hunter2" not in log.read_text()


def test_check_shows_the_paths_and_what_waits(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 10) as box:
        said = synqup("check", "--config", box.config)
        for one in box.manifest():
            assert one["company"] in said
        assert "achats" in said
        assert {line.split()[0] for line in said.splitlines()} == {"ok"}
        assert not (tmp_path / "out").exists()


def test_every_problem_of_a_configuration_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "synqup.toml"
    path.write_text('[service]\nstate_dri = "x"\n')
    said = synqup("run", "--config", path, expect=2)
    for key in ("state_dri", "state_dir", "delivery", "sources", "companies"):
        assert key in said
    assert "Traceback" not in said


def test_the_demonstration_does_the_whole_job(tmp_path: Path) -> None:
    said = synqup("demo", "--documents", 60, "--directory", tmp_path / "demo")
    assert "60 delivered" in said
    assert ".synqup" not in said
    assert re.fullmatch(r"ok +60 of 60 documents delivered", said.splitlines()[-1])
    assert sum(path.is_file() for path in (tmp_path / "demo" / "out").rglob("*")) == 60
    refused = synqup("demo", "--directory", tmp_path / "demo", expect=2)
    assert "not empty" in refused


def test_real_documents_of_one_company_find_their_folders(tmp_path: Path, corpus: Path) -> None:
    """Those of others are set aside with reasons: the list says no word of what they are."""
    manifest = json.loads((corpus / "manifest.json").read_text())
    company = "BE0000000196"  # the supplier of the credit notes
    ours = [one for one in manifest if company in [id_ for _, id_ in one.get("supplier_ids", ())]]
    assert ours
    with mailbox(tmp_path, "--corpus", corpus, "--company", company) as box:
        synqup("catch-up", "--config", box.config, expect=1)
        found = {sha256(path.read_bytes()).hexdigest(): path for path in box.delivered()}
        for one in ours:
            assert found[one["sha256"]].parts[-2] == "ventes"
        told = {one["id"]: one["status"] for one in box.journal()}
        assert len(told) == len(box.manifest())
        states = Counter({c["state"]: c["documents"] for c in box.status()["counts"]})
        assert len(box.delivered()) == states["delivered"] == len(found)
        # Each stands twice among the real documents, as if it had come by two routes.
        assert Counter(told.values())["FORWARDED"] == states["delivered"] + states["duplicate"]


def test_a_state_folder_that_is_a_file_is_said_in_words(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 1) as box:
        (tmp_path / "state").write_text("in the way")
        said = synqup("catch-up", "--config", box.config, expect=1)
    assert "state" in said
    assert "Traceback" not in said
