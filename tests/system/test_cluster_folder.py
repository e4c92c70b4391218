"""The commands of nodes that share a folder: what they write there, try there, and refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra 'cluster')")

from pipeline.shared_mount import MARKER
from tests.helpers.browsing import decide, shown_address
from tests.helpers.processes import (
    PATIENCE,
    ROOT,
    SYNQUP,
    Mailbox,
    mailbox,
    process,
    send,
    synqup,
    wait_until,
)
from tests.helpers.systems import is_private

pytestmark = pytest.mark.slow


class Nodes:
    """The configurations of two nodes that bring the documents of one mailbox."""

    def __init__(self, box: Mailbox, dsn: str) -> None:
        self.folder = box.folder
        self.shared = box.folder / "shared"
        self.tokens = self.shared / "tokens"
        (self.folder / "dsn").write_text(dsn)
        text = box.config.read_text("utf-8")
        self.configs = []
        for name in ("one", "other"):
            path = self.folder / f"{name}.toml"
            own = text.replace('state_dir = "state"', f'state_dir = "state-{name}"')
            assert own != text
            cluster = f'dsn = {{ file = "dsn" }}\nshared_dir = "shared"\nnode = "{name}"\n'
            path.write_text(f"{own}\n[cluster]\n{cluster}", "utf-8")
            self.configs.append(path)

    def stored(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.tokens / "billtobox").read_text())
        return told

    def sign_in(self, config: Path) -> str:
        output = self.folder / "said"
        command = [*SYNQUP, "sign-in", "billtobox", "--no-browser", "--config", str(config)]
        with (
            output.open("w") as file,
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=file, stderr=file, text=True
            ) as running,
        ):
            wait_until(lambda: shown_address(output.read_text()) or running.poll() is not None)
            if address := shown_address(output.read_text()):
                running.communicate(f"{decide(address)}\n", PATIENCE)
        return output.read_text()


@pytest.fixture
def nodes(tmp_path: Path, postgres: str) -> Iterator[Nodes]:
    with mailbox(tmp_path, "--documents", 6, "--sign-in") as box:
        yield Nodes(box, postgres)


def test_a_person_signs_in_once_for_all_nodes_while_they_run(nodes: Nodes) -> None:
    nodes.shared.mkdir()
    one, other = nodes.configs
    with process("run", "--config", one) as first, process("run", "--config", other) as second:
        logs = [nodes.folder / f"state-{name}" / "logs" / "synqup.log" for name in ("one", "other")]

        def is_said(words: str) -> bool:
            """Whether it is said by the node that polls the source now."""
            return any(log.exists() and words in log.read_text() for log in logs)

        wait_until(lambda: is_said("Sign in: synqup sign-in"))
        assert "signed in as jan@firm.example" in nodes.sign_in(one)
        wait_until(lambda: is_said("there is a new sign-in"))
        wait_until(lambda: "access" in nodes.stored())
        for running in (first, second):
            assert running.poll() is None
            send(running, "SIGTERM")
            assert running.wait(PATIENCE) == 0
    assert is_private(nodes.tokens / "billtobox")
    assert not list(nodes.folder.glob("state-*/tokens"))
    for config in nodes.configs:
        said = synqup("status", "--config", config, "--json")
        # Under Wine 8, libpq prints that it misses a function, on standard error.
        told = json.loads(said.splitlines()[0])
        assert told["sign_ins"]["billtobox"]["account"] == "jan@firm.example"


def test_a_check_tries_the_folder_and_the_sign_in_that_lies_there(nodes: Nodes) -> None:
    config = nodes.configs[0]
    said = synqup("check", "--before-sign-in", "--config", config, expect=1)
    assert f"FAIL  shared_dir: {nodes.shared} is not there; mount it, or make it once" in said
    nodes.shared.mkdir(0o700)
    said = synqup("check", "--before-sign-in", "--config", config)
    assert f"shared_dir: {nodes.shared} is ready: it is written to" in said
    assert not list(nodes.shared.iterdir())
    assert "signed in as jan@firm.example" in nodes.sign_in(config)
    assert "signed in as jan@firm.example" in synqup("check", "--config", nodes.configs[1])


def test_a_node_that_sees_another_folder_does_not_begin(nodes: Nodes) -> None:
    one, other = nodes.configs
    nodes.shared.mkdir(0o700)
    assert "signed in as" in nodes.sign_in(one)
    assert (nodes.shared / MARKER).exists()
    # As where it is not mounted: the bare mount point.
    nodes.shared.rename(nodes.folder / "mounted-elsewhere")
    nodes.shared.mkdir(0o700)
    words = "this is not the folder that the other nodes share"
    assert words in synqup("check", "--before-sign-in", "--config", other, expect=1)
    assert words in synqup("catch-up", "--config", other, expect=1)
    assert words in nodes.sign_in(other)
    assert not list(nodes.shared.iterdir())
    nodes.shared.rmdir()
    assert "the folder that the nodes share is not there" in nodes.sign_in(other)
    shutil.move(nodes.folder / "mounted-elsewhere", nodes.shared)
    assert "signed in as jan@firm.example" in synqup("check", "--config", other)


def test_a_backup_says_what_to_back_up_instead(nodes: Nodes) -> None:
    for command in ("backup", "restore"):
        file = nodes.folder / "backup.zip"
        file.write_bytes(b"")
        said = synqup(command, file, "--config", nodes.configs[0], expect=1)
        assert "here the ledger is in PostgreSQL" in said
        assert f"and after it {nodes.shared}" in said


def test_support_holds_no_secret_of_the_shared_folder(nodes: Nodes) -> None:
    nodes.shared.mkdir(0o700)
    tokens = nodes.shared / "tokens"
    tokens.mkdir(0o700)
    secrets = ["refresh-token-of-nodes", "access-token-of-nodes"]
    stored = {
        "refresh_token": secrets[0],
        "access": {"token": secrets[1], "ends_at": 1.0, "granted_to": "x"},
    }
    (tokens / "billtobox").write_text(json.dumps(stored))
    (nodes.folder / "state-one" / "logs").mkdir(parents=True)
    log = nodes.folder / "state-one" / "logs" / "synqup.log"
    log.write_text(json.dumps({"event": " ".join(secrets)}) + "\n")
    for broken in (False, True):
        if broken:
            with nodes.configs[0].open("a") as file:
                file.write("unknown = 1\n")
        archive = nodes.folder / f"support-{broken}.zip"
        synqup("support", archive, "--config", nodes.configs[0])
        folder = nodes.folder / f"support-{broken}"
        shutil.unpack_archive(archive, folder)
        found = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
        assert "log.jsonl" in {path.name for path in folder.rglob("*")}
        assert not [one for one in secrets if one in found]
