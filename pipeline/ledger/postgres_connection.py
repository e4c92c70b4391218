"""PostgreSQL connection: the words of PostgreSQL for the statements of the ledger, with deadlines.

A connection that has gone silent never ends by itself. So each statement has a limit at the server,
and a longer one here, for a server that does not answer at all; the operating system, where it can,
gives up what the other end has not even received.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import RawCursor
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from pipeline.ledger.postgres_errors import ConnectionLost, Unsuitable
from pipeline.ledger.postgres_text import BoolDumper, TextDumper, TextLoader

#: Seconds: to connect to one host; for a session that holds a transaction open and does nothing; to
#: wait for a lock, which is longer; for a statement; and until an answer is given up here.
CONNECT_TIMEOUT = 4
IDLE_TIMEOUT = 5.0
LOCK_TIMEOUT = 6.5
STATEMENT_TIMEOUT = 7.5
ANSWER_TIMEOUT = 8.5
#: Seconds between two looks at the clock.
_INTERVAL = 0.1
#: What the operating system watches; the dsn may say otherwise.
_KEEPALIVE = {
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": int(ANSWER_TIMEOUT * 1000),
}
#: Texts between quotes, which have no parameters, and the parameters.
_PARAMETERS = re.compile(r"'(?:[^']|'')*'|\?(\d*)")


class PostgresDialect:
    """PostgreSQL's words; see Dialect."""

    like = "ILIKE"

    def indexed(self, index: str) -> str:  # noqa: ARG002 - as Dialect
        """It has no word for that, and finds the index."""
        return ""

    def among(self, column: str) -> str:
        """See Dialect."""
        return f"{column} = ANY(CAST(? AS bigint[]))"

    def listed(self, values: Sequence[int]) -> list[int]:
        """See Dialect."""
        return list(values)

    def contains(self, text: str, part: str) -> str:
        """See Dialect."""
        return f"strpos({text}, {part}) > 0"

    def folded(self, text: str) -> str:
        """See Dialect. Letters beyond Latin are folded by the language of the database."""
        plain = f"regexp_replace(normalize({text}, NFKD), '[\u0300-\u036f]', '', 'g')"
        return f"""replace(lower({plain} COLLATE "default"), '\u00df', 'ss')"""

    def day(self, seconds: str) -> str:
        """See Dialect."""
        moment = f"to_timestamp({seconds}) AT TIME ZONE 'UTC'"
        within = f"{seconds} >= -62135596800 AND {seconds} < 253402300800"
        return f"CASE WHEN {within} THEN to_char({moment}, 'YYYY-MM-DD') END"

    def columns(self, table: str) -> str:
        """See Dialect."""
        return (
            "SELECT attname FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped"  # noqa: S608 - one of our own
            f" AND attrelid = to_regclass('{table}')"
        )

    def floor(self, number: str) -> str:
        """See Dialect."""
        return f"CAST(floor({number}) AS bigint)"


POSTGRES = PostgresDialect()


class _Link(psycopg.Connection[TupleRow]):
    """A connection of psycopg that gives up what it gets no answer to."""

    limit = ANSWER_TIMEOUT

    def wait(self, gen: PQGen[RV], interval: float = _INTERVAL, timeout: float | None = None) -> RV:
        """See psycopg. Raises ConnectionLost where the answer does not come in time."""
        limit = self.limit if timeout is None else timeout
        until = time.monotonic() + limit
        try:
            return super().wait(gen, interval, limit)
        except psycopg.OperationalError as error:
            if time.monotonic() < until:
                raise
            self.pgconn.finish()
            raise ConnectionLost(f"no answer within {limit:g} s") from error


class PostgresConnection:
    """See Connection. It commits each statement by itself, unless a transaction was begun."""

    dialect = POSTGRES

    def __init__(self, link: _Link) -> None:
        self._link = link

    @property
    def is_usable(self) -> bool:
        """Whether it is connected, with nothing under way."""
        status = self._link.pgconn.transaction_status
        return status in {
            psycopg.pq.TransactionStatus.IDLE,
            psycopg.pq.TransactionStatus.INTRANS,
            psycopg.pq.TransactionStatus.INERROR,
        }

    @property
    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._link.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE

    @property
    def backend(self) -> int:
        """The process of the server, as the other end has told when it was connected."""
        return self._link.pgconn.backend_pid

    def set_limit(self, seconds: float) -> None:
        """Wait so long for an answer, from now on."""
        self._link.limit = seconds

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> psycopg.Cursor[TupleRow]:
        """See Connection."""
        # Without parameters there may be several statements, which can't be prepared.
        prepare = None if parameters else False
        return self._link.execute(translated(sql), parameters or None, prepare=prepare)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]], /) -> psycopg.Cursor[TupleRow]:
        """See Connection."""
        cursor = self._link.cursor()
        cursor.executemany(translated(sql), rows)
        return cursor

    def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Append rows to a table by one statement, however many there are; how many came."""
        cursor = self._link.cursor()
        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)
        return cursor.rowcount

    def close(self) -> None:
        """Close it, whatever state it is in."""
        self._link.close()


def connect(dsn: str, name: str = "synqup") -> PostgresConnection:
    """Connect to a database. Raises what psycopg does; Unsuitable for what is no dsn.

    name: under which the server's own views show it.
    """
    try:
        said = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # Its message repeats the dsn, with the password.
        raise Unsuitable(
            "the dsn of [cluster] is no connection string of PostgreSQL",
            "Write it like postgresql://USER:PASSWORD@HOST/DATABASE",
        ) from None
    settings: dict[str, Any] = {"application_name": name, **_KEEPALIVE, **said}
    conninfo = make_conninfo(**(settings | {"client_encoding": "UTF8"}))
    link = _Link.connect(conninfo, autocommit=True, cursor_factory=RawCursor)
    link.adapters.register_dumper(str, TextDumper)
    link.adapters.register_dumper(bool, BoolDumper)
    for kind in ("text", "varchar", "name"):
        link.adapters.register_loader(kind, TextLoader)
    connection = PostgresConnection(link)
    try:
        connection.execute(_limits(STATEMENT_TIMEOUT))
    except BaseException:
        connection.close()
        raise
    return connection


def named(dsn: str) -> str:
    """What people call the database of a connection string: never with its password."""
    try:
        said = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the database of [cluster]"
    name, host = said.get("dbname") or said.get("service"), said.get("host")
    return f"database {name or 'of PostgreSQL'}" + (f" on {host}" if host else "")


def limit_statements(connection: PostgresConnection, seconds: float) -> None:
    """Let each statement take so long, at the server and here."""
    connection.set_limit(seconds + ANSWER_TIMEOUT - STATEMENT_TIMEOUT)
    connection.execute(_limits(seconds))


@lru_cache(1024)
def translated(sql: str) -> bytes:
    """A statement with PostgreSQL's names of its parameters ($1)."""
    last = 0

    def name(found: re.Match[str]) -> str:
        nonlocal last
        if found[1] is None:
            return found[0]
        number = int(found[1]) if found[1] else last + 1
        last = max(last, number)
        return f"${number}"

    return _PARAMETERS.sub(name, sql).encode()


def _limits(statement: float) -> str:
    """The settings of a session that end what takes too long."""
    limits = {
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": statement,
    }
    return "; ".join(f"SET {name} = {int(1000 * limit)}" for name, limit in limits.items())
