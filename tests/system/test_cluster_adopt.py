"""A machine that has worked alone becomes the first node of a cluster, with all its history.

Its platform lists what was delivered for ever, so that what is forgotten comes once more.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg")

from pipeline.ledger.place import PostgresPlace
from tests.helpers.ledgers import psycopg_of, query
from tests.helpers.processes import Mailbox, mailbox, process, send, synqup, wait_until

pytestmark = pytest.mark.slow

DOCUMENTS = 12
UNKNOWN = "BE0403170701"


class Firm:
    """A firm whose machine has delivered what it could, and that writes [cluster] now."""

    def __init__(self, box: Mailbox, dsn: str) -> None:
        self.box = box
        self.folder = box.folder
        self.state = box.folder / "state"
        self.shared = box.folder / "shared"
        self.place = PostgresPlace(dsn)
        self.alone = box.config.read_text("utf-8")
        (self.folder / "dsn").write_text(f"{dsn} password=geheim\n")
        self.shared.mkdir()

    def node(self, name: str, state: str = "state") -> Path:
        """The configuration of a node."""
        path = self.folder / f"{name}.toml"
        text = self.alone.replace('state_dir = "state"', f'state_dir = "{state}"')
        section = f'dsn = {{ file = "dsn" }}\nshared_dir = "shared"\nnode = "{name}"\n'
        path.write_text(f"{text}\n[cluster]\n{section}", "utf-8")
        return path

    def arrived(self) -> Counter[str]:
        return Counter(sha256(path.read_bytes()).hexdigest() for path in self.box.delivered())

    def told(self, config: Path) -> dict[str, Any]:
        """What is said of each document, and of each source."""
        status = json.loads(synqup("status", "--config", config, "--json"))
        names = ("counts", "waiting", "quarantine", "unacknowledged", "sources", "sign_ins")
        return {name: status[name] for name in names}


@pytest.fixture
def firm(tmp_path: Path, postgres: str) -> Iterator[Firm]:
    options = ("--platform", "einvoice_be", "--documents", DOCUMENTS, "--companies", 3)
    with mailbox(tmp_path, *options) as box:
        synqup("catch-up", "--config", box.config)
        assert len(box.delivered()) == len(box.manifest()) > 5
        yield Firm(box, postgres)


def adopt(config: Path, expect: int = 0) -> str:
    return " ".join(synqup("cluster", "adopt", "--config", config, expect=expect).split())


def test_what_was_delivered_alone_comes_from_no_node_once_more(firm: Firm) -> None:
    one, other = firm.node("one"), firm.node("other", "state-other")
    before = firm.arrived()
    told = firm.told(firm.box.config)
    said = adopt(one)
    assert f"the ledger was carried over, {before.total()} documents" in said
    assert "geheim" not in said
    assert firm.told(one) == told
    for config in (one, other, one):
        synqup("catch-up", "--config", config)
    assert firm.arrived() == before
    # Its node has the copies of what it has delivered, and the numbers of polls go on.
    assert query(firm.place, "SELECT DISTINCT node FROM documents") == [("one",)]
    cursors = query(firm.place, "SELECT count(*) FROM cluster_units WHERE cursor <> ''")
    assert cursors[0][0] == sum(source["cursor"] != "" for source in _sources(firm))
    (aside,) = firm.state.glob("before-cluster-*")
    assert [path.name for path in aside.glob("ledger*")] == ["ledger.sqlite"]
    assert not list(firm.state.glob("ledger.sqlite*"))
    assert "is in database" in adopt(one)


def _sources(firm: Firm) -> list[dict[str, Any]]:
    (aside,) = firm.state.glob("before-cluster-*")
    rows = query(aside / "ledger.sqlite", "SELECT name, cursor FROM sources")
    return [{"name": name, "cursor": cursor} for name, cursor in rows]


def test_a_cluster_begins_without_that_history_on_purpose_only(firm: Firm) -> None:
    """Were it not refused, all would come once more: the last lines show it."""
    one = firm.node("one")
    before = firm.arrived()
    for command in ("run", "catch-up", "check"):
        said = " ".join(synqup(command, "--config", one, expect=1).split())
        assert "this ledger of one machine was not carried over into the cluster" in said
        assert "synqup cluster adopt" in said
    assert not query_tables(firm)
    assert firm.arrived() == before
    (firm.state / "ledger.sqlite").rename(firm.folder / "aside")
    synqup("catch-up", "--config", one)
    assert firm.arrived() == before + before


def query_tables(firm: Firm) -> list[Any]:
    with closing(psycopg_of(firm.place)) as connection:
        return connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()


def test_without_the_section_it_does_not_begin_anew_by_accident(firm: Firm) -> None:
    one = firm.node("one")
    before = firm.arrived()
    adopt(one)
    for command in ("run", "catch-up", "check"):
        said = " ".join(synqup(command, "--config", firm.box.config, expect=1).split())
        assert "it is of a node, whose ledger is in database test_" in said
        assert "remove " + str(firm.state / "node.json") in said
    assert firm.arrived() == before
    # A node that has never been a machine alone is as safe.
    other = firm.node("other", "state-other")
    synqup("catch-up", "--config", other)
    alone = firm.folder / "alone.toml"
    alone.write_text(firm.alone.replace('state_dir = "state"', 'state_dir = "state-other"'))
    assert "it is of a node" in synqup("catch-up", "--config", alone, expect=1)
    assert firm.arrived() == before
    # On purpose.
    (firm.state / "node.json").unlink()
    synqup("catch-up", "--config", firm.box.config)
    assert firm.arrived() == before + before


def files_in(folder: Path) -> list[tuple[Path, bytes, int]]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted((p.relative_to(folder), p.read_bytes(), p.stat().st_mtime_ns) for p in found)


def test_every_state_is_carried_over_and_gone_on_with(tmp_path: Path, postgres: str) -> None:
    with mailbox(tmp_path, "--documents", DOCUMENTS, "--companies", 3) as box:
        documents = box.manifest()
        victim = documents[0]["company"]
        text = box.config.read_text("utf-8")
        box.config.write_text(text.replace(victim, UNKNOWN), "utf-8")
        # One folder is a file: its documents wait.
        other = next(one["company"] for one in documents if one["company"] != victim)
        name = re.search(rf'name = "(.*)"\nidentifier = "{other}"', text)
        assert name is not None
        in_the_way = tmp_path / "out" / f"{name[1]}_{other}"
        in_the_way.parent.mkdir(exist_ok=True)
        in_the_way.touch()
        synqup("catch-up", "--config", box.config, expect=1)
        synqup("pause", "billtobox", "--config", box.config)
        firm = Firm(box, postgres)
        told, kept = firm.told(box.config), files_in(firm.state / "quarantine")
        assert told["quarantine"]
        assert told["waiting"]
        assert kept
        one = firm.node("one")
        adopt(one)
        assert firm.told(one) == told
        assert files_in(firm.shared / "quarantine") == kept
        in_the_way.unlink()
        one.write_text(one.read_text("utf-8").replace(UNKNOWN, victim), "utf-8")
        synqup("resume", "billtobox", "--config", one)
        synqup("catch-up", "--config", one)
        ids = [one["id"] for one in told["quarantine"]]
        retried = json.loads(synqup("retry", *ids, "--config", one, "--json"))
        assert (retried["done"], retried["failed"]) == (len(ids), 0)
        assert firm.arrived() == Counter(one["sha256"] for one in documents)
        after = firm.told(one)
        assert not after["quarantine"]
        assert not after["waiting"]


def test_numbers_of_orders_are_never_given_again(firm: Firm) -> None:
    document = firm.box.manifest()[0]["id"]
    synqup("redeliver", document, "--config", firm.box.config)
    one = firm.node("one")
    adopt(one)
    synqup("redeliver", document, "--config", one)
    assert query(firm.place, "SELECT number, done FROM orders ORDER BY 1") == [(1, 1), (2, 1)]
    assert query(firm.place, "SELECT max(number), count(*) FROM actions") == [(2, 2)]
    assert len(firm.box.delivered()) == len(firm.box.manifest()) + 2


def test_a_sign_in_is_carried_over_and_goes_on(tmp_path: Path, postgres: str) -> None:
    with mailbox(tmp_path, "--documents", 3, "--platform", "codabox") as box:
        synqup("catch-up", "--config", box.config)
        firm = Firm(box, postgres)
        files = {
            path.relative_to(firm.state): path.read_bytes()
            for name in ("tokens", "feeds")
            for path in (firm.state / name).rglob("*")
            if path.is_file()
        }
        assert {path.parts[0] for path in files} >= {"feeds"}
        one = firm.node("one")
        adopt(one)
        for name, content in files.items():
            assert (firm.shared / name).read_bytes() == content
            mode = (firm.shared / name).stat().st_mode & 0o777
            assert mode == 0o600 or name.parts[0] != "tokens"
        before = firm.arrived()
        synqup("catch-up", "--config", one)
        assert firm.arrived() == before


def test_what_can_not_be_adopted_is_refused_before_anything_changes(firm: Firm) -> None:
    one, other = firm.node("one"), firm.node("other", "state-other")
    assert "the configuration has no such section" in adopt(firm.box.config, expect=1)
    assert "there is no ledger that could be carried over" in adopt(other, expect=1)
    # Another sign-in, made with the section in place.
    (firm.state / "tokens").mkdir(exist_ok=True)
    (firm.shared / "tokens").mkdir()
    (firm.state / "tokens" / "box").write_text("old")
    (firm.shared / "tokens" / "box").write_text("new")
    assert "Remove the one that is out of date" in adopt(one, expect=1)
    (firm.state / "tokens" / "box").unlink()
    with process("run", "--config", other) as running:
        wait_until(lambda: _alive(other))
        assert "node other: it is at work, and what" in adopt(one, expect=1)
        send(running, "SIGTERM")
        running.wait(60)
    # That node has brought all of it by now.
    assert "it holds documents already" in adopt(one, expect=1)
    assert "two ledgers can't be made one" in adopt(one, expect=1)
    with process("run", "--config", firm.box.config) as running:
        wait_until((firm.state / "control.sock").exists)
        assert f"another synqup (process {running.pid}) already works" in adopt(one, expect=1)
        send(running, "SIGTERM")
        running.wait(60)
    assert not (firm.state / "node.json").exists()


def test_a_damaged_ledger_is_not_taken_for_a_new_one(firm: Firm) -> None:
    damaged = bytearray((firm.state / "ledger.sqlite").read_bytes())
    damaged[4096:8192] = bytes(4096)
    (firm.state / "ledger.sqlite").write_bytes(damaged)
    for name in ("ledger.sqlite-wal", "ledger.sqlite-shm"):
        (firm.state / name).unlink(missing_ok=True)
    assert "it is damaged" in adopt(firm.node("one"), expect=1)
    assert not list(firm.state.glob("ledger.sqlite.damaged*"))


def _alive(config: Path) -> bool:
    status = json.loads(synqup("status", "--config", config, "--json"))
    return any(node["is_alive"] for node in status["cluster"]["nodes"])


def test_a_backup_of_the_machine_alone_can_still_be_put_back(firm: Firm, tmp_path: Path) -> None:
    """It says what that means; the state of before the cluster stays where it is."""
    file = tmp_path / "backup.zip"
    synqup("backup", file, "--config", firm.box.config)
    adopt(firm.node("one"))
    said = " ".join(synqup("restore", file, "--replace", "--config", firm.box.config).split())
    assert "comes once more" in said
    assert list(firm.state.glob("before-cluster-*/ledger.sqlite"))
    before = firm.arrived()
    synqup("catch-up", "--config", firm.box.config)
    assert firm.arrived() == before
