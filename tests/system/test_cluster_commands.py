"""The commands with [cluster]: the ledger is in PostgreSQL, and none in the state folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.app.wiring import ledger_place, load_config
from pipeline.control.protocol import DOOR, SOCKET
from pipeline.ledger.place import PostgresPlace
from tests.helpers.ledgers import psycopg_of, query
from tests.helpers.person import OPERATOR, guarded, person
from tests.helpers.postgres import running_postgres
from tests.helpers.processes import ROOT, Mailbox, mailbox, process, send, synqup, wait_until
from tests.helpers.services import until, visiting, watched
from tests.helpers.trial import trial

DOCUMENTS = 12
CLUSTER = '\n[cluster]\ndsn = {{ file = "{file}" }}\nnode = "n1"\nshared_dir = "shared"\n'


def cluster(folder: Path, config: Path, dsn: str) -> None:
    """Let a configuration share the ledger in a database."""
    (folder / "dsn").write_text(f"{dsn} password=geheim\n")
    (config.parent / "shared").mkdir(exist_ok=True)
    text = config.read_text("utf-8")
    config.write_text(text + CLUSTER.format(file=(folder / "dsn").as_posix()), "utf-8")


@pytest.fixture
def box(tmp_path: Path, postgres: str) -> Iterator[Mailbox]:
    with mailbox(tmp_path, "--documents", DOCUMENTS, "--companies", 3) as one:
        cluster(tmp_path, one.config, postgres)
        yield one


def do(box: Mailbox, command: str, *arguments: object) -> Any:
    return json.loads(synqup(command, "--config", box.config, "--json", *arguments))


def all_told(box: Mailbox) -> None:
    """What is found, shown and counted is what was delivered."""
    document = box.manifest()[0]
    (one,) = [
        one for one in do(box, "find", document["number"]) if one["sha256"] == document["sha256"]
    ]
    assert (one["company"], one["state"]) == (document["company"], "delivered")
    assert do(box, "show", document["id"])["document"]["path"] == one["path"]
    status = box.status()
    assert sum(count["documents"] for count in status["counts"]) == DOCUMENTS
    assert status["unacknowledged"] == 0
    assert not list((box.folder / "state").glob("ledger*"))


def test_a_catch_up_delivers_everything_once(box: Mailbox, postgres: str) -> None:
    assert "[cluster]: the ledger lies in database test_" in synqup("check", "--config", box.config)
    assert [source["polled_at"] for source in box.status()["sources"]] == [None]
    told = synqup("catch-up", "--config", box.config, "--dry-run")
    assert f"{DOCUMENTS}" in told
    # There is none yet, and a look makes none.
    with closing(psycopg_of(PostgresPlace(postgres))) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE tablename = 'documents'"
        assert connection.execute(tables).fetchone() == (0,)
    synqup("catch-up", "--config", box.config)
    box.assert_everything_stands_once()
    all_told(box)
    before = query(PostgresPlace(postgres), "SELECT * FROM sources")
    assert "geheim" not in synqup("catch-up", "--config", box.config, "--dry-run")
    assert query(PostgresPlace(postgres), "SELECT * FROM sources") == before
    synqup("catch-up", "--config", box.config)
    box.assert_everything_stands_once()
    nodes = query(PostgresPlace(postgres), "SELECT DISTINCT node FROM documents")
    assert nodes == [("n1",)]


def test_a_service_delivers_everything_once_and_does_what_it_is_asked(box: Mailbox) -> None:
    text = box.config.read_text("utf-8")
    box.config.write_text(
        text.replace('poll_interval = "5m"', 'poll_interval = "1s"\nkeep_delivered = "90d"')
    )
    with process("run", "--config", box.config) as running:
        wait_until((box.folder / "state" / (DOOR if os.name == "nt" else SOCKET)).exists)
        wait_until(lambda: len(box.journal()) >= DOCUMENTS)
        # What nobody waits for is committed a moment later.
        wait_until(lambda: box.status()["unacknowledged"] == 0)
        box.assert_everything_stands_once()
        all_told(box)
        told = do(box, "redeliver", box.manifest()[0]["id"])
        assert (told["done"], told["open"], told["failed"]) == (1, 0, 0)
        assert len(box.delivered()) == DOCUMENTS + 1
        send(running, "SIGTERM")
        assert running.wait(60) == 0
    assert "geheim" not in box.log()


def test_a_node_whose_database_is_gone_ends_and_goes_on_when_it_is_started_again(
    tmp_path: Path,
) -> None:
    with (
        running_postgres() as server,
        server.database() as dsn,
        mailbox(tmp_path, "--documents", 60, "--companies", 3, "--latency", "300") as box,
    ):
        cluster(tmp_path, box.config, dsn)
        with process("run", "--config", box.config) as running:
            wait_until(box.delivered)
            server.kill()
            assert running.wait(60) != 0
        assert "PostgreSQL can't be reached" in box.log()
        server.start()
        synqup("catch-up", "--config", box.config)
        # What the platform was told while the database was gone, it may be told again.
        delivered = Counter(sha256(path.read_bytes()).hexdigest() for path in box.delivered())
        assert delivered == Counter(one["sha256"] for one in box.manifest())
        assert {one["id"] for one in box.journal()} == {one["id"] for one in box.manifest()}


def test_what_can_not_be_done_is_said(box: Mailbox, tmp_path: Path) -> None:
    for command in ("backup", "restore"):
        (tmp_path / "file.zip").touch()
        told = synqup(command, tmp_path / "file.zip", "--config", box.config, expect=1)
        assert "PostgreSQL's own tools" in " ".join(told.split())
    (tmp_path / "dsn").write_text("geheim")
    assert "no connection string" in synqup("check", "--config", box.config, expect=1)
    for command in ("status", "catch-up"):
        told = synqup(command, "--config", box.config, expect=1)
        assert "no connection string" in " ".join(told.split())
        assert "geheim" not in told
    (tmp_path / "dsn").unlink()
    told = " ".join(synqup("status", "--config", box.config, expect=1).split())
    assert "[cluster] dsn" in told
    assert "can't be read" in told


def test_without_its_library_the_command_to_install_it_is_said(box: Mailbox) -> None:
    program = "import sys; sys.modules['psycopg'] = None\nfrom pipeline.app.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "status", "--config", str(box.config)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "pip install 'synqup[cluster]'" in said
    assert "synqup-windows-cluster.zip" in said


@pytest.mark.anyio
async def test_without_the_section_nothing_of_it_is_imported(tmp_path: Path) -> None:
    async with trial(tmp_path, documents=3) as it:
        it.config()
        program = (
            "import sys; from pipeline.app.cli import main\n"
            "try: main()\n"
            "finally: print({'psycopg', 'procrastinate'} & set(sys.modules))"
        )
        done = await anyio.run_process(
            [sys.executable, "-c", program, "catch-up", "--config", str(it.path)],
            cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert done.stdout.decode().splitlines()[-1] == "set()"


@pytest.mark.anyio
async def test_the_page_tells_and_acts(tmp_path: Path, postgres: str) -> None:
    async with trial(tmp_path, documents=9) as it:
        cluster(tmp_path, it.path, postgres)
        async with (
            visiting(watched(it.config(), guarded(tmp_path))) as visitor,
            person(visitor) as one,
        ):
            await until(lambda: it.delivered() == it.held())
            assert (await one.post("/sign-in", token=OPERATOR, name="Jan"))[0] == 303
            for path in ("/", "/companies", "/waiting"):
                status, text = await one.get(path)
                assert (status, "can't be read" in text) == (200, False), path
            status, text = await one.get("/find?q=coda")
            assert status == 200
            assert text.count("/document?") > 0
            csrf = await one.csrf()
            status, said = await one.post("/act", do="poll?source=billtobox", csrf=csrf)
            assert (status, said) == (303, "Source billtobox is polled now.")


def test_a_check_says_once_that_the_database_is_away(tmp_path: Path) -> None:
    with mailbox(tmp_path, "--documents", 1, "--companies", 1) as box:
        text = box.config.read_text("utf-8")
        section = 'dsn = { file = "dsn" }\nshared_dir = "shared"\nnode = "n1"'
        box.config.write_text(f"{text}\n[cluster]\n{section}\n")
        (tmp_path / "shared").mkdir()
        (tmp_path / "dsn").write_text("postgresql://synqup:geheim@127.0.0.1:1/synqup")
        told = synqup("check", "--config", box.config, expect=1)
        failed = [line for line in told.splitlines() if line.startswith("FAIL")]
        assert len(failed) == 1, told
        assert "PostgreSQL can't be reached" in failed[0]
        assert "geheim" not in told


def test_the_section_is_checked(tmp_path: Path, postgres: str) -> None:
    with mailbox(tmp_path, "--documents", 1, "--companies", 1) as box:
        text = box.config.read_text("utf-8")
        wrong = {
            'dsn = "postgresql://jan:geheim@host/db"': "a secret may not stand in the file",
            'node = "n1"': "this key is missing",
            'dsn = { env = "DSN" }\nnode = " "': "this can't be empty",
            'dsn = { env = "DSN" }\nnode = "a\\u0000b"': "printable characters",
            'dsn = { env = "DSN" }\nledger = "x"': "no such key",
        }
        for section, words in wrong.items():
            box.config.write_text(f'{text}\n[cluster]\nshared_dir = "shared"\n{section}\n')
            told = " ".join(synqup("status", "--config", box.config, expect=2).split())
            assert words in told, (section, told)
            assert "geheim" not in told
        section = 'dsn = { file = "dsn" }\nshared_dir = "shared"'
        box.config.write_text(f"{text}\n[cluster]\n{section}\n")
        (tmp_path / "dsn").write_text(postgres)
        settings = load_config(box.config)
        assert ledger_place(settings) == PostgresPlace(postgres)
        assert settings.cluster is not None
        assert settings.cluster.name
