"""Node note: a state folder knows that it is of a node, so that no start takes it for one alone.

Nor the other way round. The ledger of a machine that works alone lies in its state folder, that of
a node in a database: a start with the other kind of ledger would find nothing in it, and bring once
more whatever the platforms still list. docs/cluster.md tells what to do then.
"""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from pipeline.app.state_folder import unusable
from pipeline.app.wiring import Config, ledger_path, ledger_place
from pipeline.durable import replace_file
from pipeline.errors import StateError
from pipeline.files import os_reason, read_file
from pipeline.ledger.place import described, reading

log = structlog.get_logger(__name__)

#: The file in the state folder.
NAME = "node.json"
#: Bytes of it, at most.
MAX_BYTES = 100_000


class NodeNote(Struct, frozen=True):
    """That a state folder is of a node.

    database: where its ledger is, for people. since: when that began, in UTC. adopting: the name
    of the ledger that still lies here, and that is being carried over; "" if none is.
    """

    database: str
    since: str
    adopting: str = ""


def claim_kind(config: Config) -> None:
    """Note that a state folder is of a node, if it is. The caller has its lock.

    StateError where check_kind() raises it, or the note can't be written.
    """
    try:
        check_kind(config)
    except StateError as error:
        log.error("state folder refused", reason=error.reason, remedy=error.remedy)
        raise
    if config.cluster is None:
        return
    known, database = read_note(config.service.state_dir), described(ledger_place(config))
    if known is None or known.adopting or known.database != database:
        write_note(config.service.state_dir, database)


def check_kind(config: Config) -> None:
    """Raise StateError where the ledger of a state folder is of the other kind; nothing changes."""
    state_dir = config.service.state_dir
    note = read_note(state_dir)
    if config.cluster is None:
        if note is not None:
            raise _of_a_node(state_dir, note)
        return
    path = ledger_path(state_dir)
    if note is not None and not note.adopting:
        return
    if not path.exists():
        return
    if note is not None:
        raise StateError(
            str(path),
            "this ledger is being carried over into the cluster, and that was broken off",
            "Go on with: synqup cluster adopt",
        )
    with reading(path) as connection:
        has_documents = connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()
    if has_documents:
        raise StateError(
            str(path),
            "this ledger of one machine was not carried over into the cluster, which would bring"
            " once more what it has delivered and the platforms still list",
            "Carry it over with: synqup cluster adopt; or move the file away, to begin anew on"
            " purpose",
        )


def read_note(state_dir: Path) -> NodeNote | None:
    """The note of a state folder; None for one of a machine alone. StateError if it is damaged."""
    path = state_dir / NAME
    try:
        return msgspec.json.decode(read_file(path, MAX_BYTES, follow=False), type=NodeNote)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise StateError(
            str(path),
            f"whether this state folder is of a node of a cluster can't be read ({reason})",
            "Let this account read it; if it is damaged, remove it where [cluster] is configured",
        ) from None


def write_note(state_dir: Path, database: str, adopting: str = "") -> NodeNote:
    """Note durably that a state folder is of a node; the fields are those of NodeNote."""
    note = NodeNote(database, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), adopting)
    text = msgspec.json.format(msgspec.json.encode(note), indent=2)
    try:
        replace_file(state_dir / NAME, BytesIO(text + b"\n"), 0o640)
    except OSError as error:
        raise unusable(state_dir, error) from None
    return note


def _of_a_node(state_dir: Path, note: NodeNote) -> StateError:
    path = state_dir / NAME
    if note.adopting:
        return StateError(
            str(state_dir),
            f"its ledger was being carried over into {note.database} when that was broken off at"
            f" {note.since}, and may be there by now",
            "Put [cluster] back into the configuration, and go on with: synqup cluster adopt; or,"
            f" to stay with this machine alone, remove {path}, and let no node use that database",
        )
    return StateError(
        str(state_dir),
        f"it is of a node, whose ledger is in {note.database}; without it, what was delivered and"
        " is still listed comes once more",
        f"Put [cluster] back into the configuration; or, to begin anew on purpose, remove {path}",
    )
