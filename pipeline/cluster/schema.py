"""Schema: the tables of the cluster in PostgreSQL, and those of its engine, made where missing.

All of it is done in one transaction that holds a lock: nodes that start at once wait for the first
of them. Times are the server's.
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
from procrastinate.schema import SchemaManager

from pipeline.cluster.database import Connection, Database
from pipeline.errors import StateError

#: The keys of advisory locks: of the schema, of the shares of sources; and, with the hash of its
#: name, of each node.
SCHEMA_LOCK, SHARES_LOCK, NODE_LOCK = 0x53796E01, 0x53796E02, 0x53796E03

#: The SQL that brings tables of one version to the next; the first makes them.
MIGRATIONS = {
    0: """
CREATE TABLE cluster_nodes (
    node text PRIMARY KEY,
    instance text NOT NULL, backend integer NOT NULL,
    host text NOT NULL, version text NOT NULL,
    started timestamptz NOT NULL DEFAULT now(), heartbeat timestamptz NOT NULL DEFAULT now(),
    digest text NOT NULL DEFAULT '', parts jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE cluster_sources (
    source text NOT NULL, node text NOT NULL REFERENCES cluster_nodes ON DELETE CASCADE,
    slices text[] NOT NULL,
    PRIMARY KEY (source, node)
);
CREATE TABLE cluster_units (
    source text NOT NULL, slice text NOT NULL,
    name text GENERATED ALWAYS AS (source || E'\\n' || slice) STORED UNIQUE,
    due timestamptz NOT NULL DEFAULT now(), wanted timestamptz, every double precision NOT NULL,
    sticky boolean NOT NULL DEFAULT false, node text NOT NULL DEFAULT '',
    token bigint NOT NULL DEFAULT 0, began timestamptz, ended timestamptz, completed timestamptz,
    poll bigint NOT NULL DEFAULT 0, cursor text NOT NULL DEFAULT '',
    unreadable bigint NOT NULL DEFAULT 0, failures integer NOT NULL DEFAULT 0,
    failed_since timestamptz, error jsonb, heeds_hints boolean NOT NULL DEFAULT true,
    PRIMARY KEY (source, slice)
);
CREATE INDEX cluster_units_due ON cluster_units (due);
CREATE TABLE cluster_pauses (source text PRIMARY KEY, until timestamptz NOT NULL);
CREATE TABLE cluster_shares (
    source text NOT NULL, node text NOT NULL REFERENCES cluster_nodes ON DELETE CASCADE,
    slots integer NOT NULL, joined timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, node)
);
""",
    # What people see of it (`view`, `sight`, `telling`), and who does what they ask for (`claims`).
    1: """
ALTER TABLE cluster_nodes ADD COLUMN ended timestamptz, ADD COLUMN configured timestamptz;
ALTER TABLE cluster_units ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN taken_from text NOT NULL DEFAULT '';
CREATE TABLE cluster_reports (
    node text PRIMARY KEY, at timestamptz NOT NULL, report jsonb NOT NULL
);
CREATE TABLE cluster_telling (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), holder text NOT NULL DEFAULT '',
    node text NOT NULL DEFAULT '', until timestamptz NOT NULL DEFAULT now(), state bytea
);
INSERT INTO cluster_telling DEFAULT VALUES;
CREATE TABLE cluster_orders (number bigint PRIMARY KEY, node text NOT NULL);
""",
    # Which nodes can't deliver what parts of sources hold (`units`).
    2: """
CREATE TABLE cluster_refusals (
    source text NOT NULL, slice text NOT NULL,
    node text NOT NULL REFERENCES cluster_nodes ON DELETE CASCADE, at timestamptz NOT NULL,
    PRIMARY KEY (source, slice, node),
    FOREIGN KEY (source, slice) REFERENCES cluster_units ON DELETE CASCADE
);
""",
    # By which a database is noticed that is older than it was (`generation`, `nodes`).
    3: """
CREATE TABLE cluster_generation (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), number bigint NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO cluster_generation DEFAULT VALUES;
ALTER TABLE cluster_nodes ADD COLUMN beats bigint NOT NULL DEFAULT 0;
""",
}
VERSION = max(MIGRATIONS) + 1

#: The engine's table changes many times a second and stays small: statistics that are not of now
#: make it ten times as slow.
_TUNE = """
ALTER TABLE procrastinate_jobs SET (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 500,
    autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 250,
    autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE procrastinate_events SET (
    autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.0, autovacuum_analyze_threshold = 1000
);
ALTER TABLE procrastinate_jobs ALTER COLUMN lock SET STATISTICS 100;
"""


def prepare(database: Database) -> None:
    """Make or migrate the tables. StateError if a newer program has made them, or it may not."""
    database.run(_prepare)


def _prepare(connection: Connection) -> None:
    # Many nodes may wait here for the one that makes the tables.
    connection.execute("SELECT set_config('lock_timeout', '60000', true)")
    connection.execute("SELECT set_config('statement_timeout', '60000', true)")
    connection.limit = 60.0
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
    connection.execute(
        "CREATE TABLE IF NOT EXISTS cluster_schema (one boolean PRIMARY KEY DEFAULT true CHECK"
        " (one), version integer NOT NULL, engine text NOT NULL DEFAULT '')"
    )
    row = connection.execute("SELECT version FROM cluster_schema").fetchone()
    found = row[0] if row else 0
    if found > VERSION:
        raise StateError(
            "the cluster's database",
            f"its tables are of version {found}, and this program knows {VERSION}",
            "Update this node to the version of the others",
        )
    for version in range(found, VERSION):
        # By their bytes, as the ledger's texts are compared, with which these are.
        execute(connection, re.sub(r"\btext\b(\[])?", r'text\1 COLLATE "C"', MIGRATIONS[version]))
    if found != VERSION:
        connection.execute(
            "INSERT INTO cluster_schema (version) VALUES (%s)"
            " ON CONFLICT (one) DO UPDATE SET version = excluded.version",
            (VERSION,),
        )
    _prepare_engine(connection)


def _prepare_engine(connection: Connection) -> None:
    """Make the engine's tables, or bring them to its version, by its own scripts."""
    folder = Path(SchemaManager.get_migrations_path())
    scripts = sorted(path.name for path in folder.glob("*.sql"))
    has_engine = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
    row = connection.execute("SELECT engine FROM cluster_schema").fetchone()
    if has_engine is None or has_engine[0] is None:
        execute(connection, SchemaManager.get_schema())
    elif row is not None and row[0]:
        for name in scripts:
            if name > row[0]:
                execute(connection, (folder / name).read_text("utf-8"))
    if scripts and (row is None or row[0] < scripts[-1]):
        connection.execute("UPDATE cluster_schema SET engine = %s", (scripts[-1],))
    execute(connection, _TUNE)


def execute(connection: Connection, script: str) -> None:
    """Execute several statements that take no parameters."""
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(script.encode())
