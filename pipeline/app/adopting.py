"""Adopting: carries the state of a machine that has worked alone into a new cluster.

Whatever breaks it off, it can be begun again, and nothing is brought twice meanwhile. The order is:

1. what is staged is finished, by the temporary files that only this machine has;
2. the note (`node_note`) says that the ledger is being carried over: no start uses it any more;
3. what nodes share is copied into the shared folder;
4. all rows go into the database in one transaction, with the name that stands in the note;
5. what was here is put aside, the ledger last.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from msgspec import Struct

from pipeline.app.carried_files import FOLDERS, copy_files, refuse_others
from pipeline.app.catch_up import LEDGER_TIMEOUT
from pipeline.app.idle_cluster import idle_cluster
from pipeline.app.loop import run_briefly
from pipeline.app.node_note import NodeNote, read_note, write_note
from pipeline.app.node_turns import compare_shared_folder, node_turns
from pipeline.app.wiring import Config, Flow, cluster_dsn, ledger_path
from pipeline.durable import flush_folder, make_folder
from pipeline.errors import StateError
from pipeline.files import os_reason
from pipeline.ledger.database import close_file
from pipeline.ledger.ledger import open_ledger
from pipeline.ledger.models import Unfinished
from pipeline.ledger.place import PostgresPlace, carrying, described, open_store

#: The folder in a state folder in which the state from before is kept; the time follows.
BEFORE = "before-cluster-"

#: Is told how many rows are carried over, and of how many.
Show = Callable[[int, int], object]


class Adopted(Struct, frozen=True):
    """What came of it. documents: in the ledger; None where that was carried over before.

    aside: where the state from before is; None if nothing was left to be put there.
    """

    database: str
    documents: int | None
    aside: Path | None


def adopt(config: Config, show: Show) -> Adopted:
    """Make the state of a machine alone that of the first node; the caller has its lock.

    Raises StateError where that is not possible, and RetryableError where the database is lost.
    """
    assert config.cluster is not None
    state_dir, dsn = config.service.state_dir, cluster_dsn(config)
    path, database = ledger_path(state_dir), described(PostgresPlace(dsn))
    note = read_note(state_dir)
    if not path.exists():
        if note is None:
            raise StateError(str(path), "there is no ledger that could be carried over")
        write_note(state_dir, database)
        return Adopted(database, None, None)
    tables = carrying()
    found = tables.look(dsn)
    documents = None
    if note is None or not note.adopting or found.name != note.adopting:
        with idle_cluster(dsn):
            pass
        if found.is_used:
            raise tables.in_use()
        documents = _carry(config, dsn, tables, note, show)
    aside = _put_aside(state_dir, path)
    # Only now: the folder has its name by the note.
    write_note(state_dir, database)
    return Adopted(database, documents, aside)


def _carry(config: Config, dsn: str, tables: ModuleType, note: NodeNote | None, show: Show) -> int:
    """Carry all of it over, and return how many documents the ledger has."""
    from pipeline.cluster.carried import keep_cursors  # noqa: PLC0415 - of an extra

    assert config.cluster is not None
    state_dir, node = config.service.state_dir, config.cluster.name
    path = ledger_path(state_dir)
    tables.ensure_sound(path)
    if left := run_briefly(partial(_finish, state_dir, path)):
        raise StateError(
            str(Path(left[0].path).parent),
            f"{left[0].label} can't become visible there ({len(left):,} documents in all), and only"
            " this machine can finish it",
            "Let the folder take files (synqup check tells why it does not); then call this again",
        )
    _prepare(config, dsn)
    refuse_others(state_dir, config.shared_dir)
    name = note.adopting if note is not None and note.adopting else secrets.token_hex(16)
    write_note(state_dir, described(PostgresPlace(dsn)), name)
    copy_files(state_dir, config.shared_dir)
    cursors = partial(keep_cursors, [source.name for source in config.sources])
    documents: int = tables.carry(path, dsn, name, node, cursors, show)
    return documents


async def _finish(state_dir: Path, path: Path) -> list[Unfinished]:
    """Bring what is staged to its end, as a start does; what could not be."""
    async with open_ledger(path, LEDGER_TIMEOUT) as ledger:
        try:
            flow = Flow(state_dir, ledger)
            try:
                await flow.recover()
            finally:
                flow.close()
        except OSError as error:
            raise StateError(
                str(state_dir),
                f"the state folder can't be used ({os_reason(error)})",
                "Repair its disk, or let this account write there",
            ) from None
        return await ledger.unfinished()


def _prepare(config: Config, dsn: str) -> None:
    """Make the tables where they are missing, and see that the shared folder is theirs."""
    from pipeline.cluster.schema import prepare  # noqa: PLC0415 - of an extra

    assert config.cluster is not None
    with idle_cluster(dsn) as database:
        prepare(database)
    open_store(PostgresPlace(dsn)).close()
    with node_turns(config.cluster):
        compare_shared_folder(config.cluster)


def _put_aside(state_dir: Path, path: Path) -> Path:
    """Move what was carried over into a folder of its own; the ledger last: it says "not yet"."""
    note = read_note(state_dir)
    since = note.since if note is not None else ""
    aside = state_dir / f"{BEFORE}{re.sub('[^0-9T]', '', since)}"
    try:
        close_file(path)
        make_folder(aside, 0o700)
        for one in (*(state_dir / name for name in FOLDERS), path):
            if one.exists():
                one.rename(aside / one.name)
        flush_folder(aside)
        flush_folder(state_dir)
    except OSError as error:
        raise StateError(
            str(state_dir),
            f"all is carried over, and what was here can't be put aside ({os_reason(error)})",
            "Let this account write there; then call this again",
        ) from None
    return aside
