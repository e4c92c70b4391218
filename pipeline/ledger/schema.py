"""Schema of the ledger: its tables, its version, and the migration from each older version.

To change the schema, make the change in SCHEMA and add to MIGRATIONS, under the number of the
version that was the latest so far, the SQL statements that make the same change to an existing
ledger (no BEGIN or COMMIT: `migration` runs all steps in one transaction). Then store a dump of a
ledger of the new version, with rows in each state, as `ledger_versions/NUMBER.sql` beside
`test_migration.py`, which fails without it, and when a migrated ledger and a new one differ.
"""

from __future__ import annotations

from pipeline.ledger.models import ENDED

#: SQL: whether a document is in a state that its source is told of. For each row that it writes,
#: SQLite would make a table of a list of more than two values: "state IN (…)" in the index takes
#: 40 % of all that the ledger does.
IS_FINAL = f"({' OR '.join(f'state = {state.value!r}' for state in ENDED)})"

#: The documents that their sources have yet to be told of, which are few.
_OPEN = f"""
CREATE INDEX documents_open ON documents (source, state)
    WHERE acknowledged_at IS NULL AND {IS_FINAL};
"""

#: What documents say of others (`pipeline.note`), by the number of the one that it is said of.
_NOTES = """
CREATE TABLE notes (
    company TEXT NOT NULL, reference TEXT NOT NULL, identity INTEGER NOT NULL,
    source TEXT NOT NULL, id TEXT NOT NULL, revision TEXT NOT NULL,
    party TEXT NOT NULL, says TEXT NOT NULL, accepted INTEGER, reason TEXT NOT NULL,
    noted_at REAL NOT NULL,
    PRIMARY KEY (company, reference, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX notes_refused ON notes (company, noted_at) WHERE accepted = 0;
"""

#: What people have asked for (`actions`), and each document of which it was asked (`orders`).
#: AUTOINCREMENT: the number of an order is the id of what it delivers, and is never used again.
_ACTIONS = """
CREATE TABLE actions (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', result TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT, action INTEGER NOT NULL, verb TEXT NOT NULL,
    source TEXT NOT NULL, id TEXT NOT NULL, revision TEXT NOT NULL,
    company TEXT NOT NULL, kind TEXT NOT NULL, folder TEXT NOT NULL,
    ended_at REAL, done INTEGER, result TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX orders_open ON orders (number) WHERE ended_at IS NULL;
CREATE INDEX orders_document ON orders (source, id);
CREATE INDEX orders_action ON orders (action);
"""

#: Of several nodes that share a ledger (`takeover`): where the temporary files of each folder lie,
#: and the processes whose leftovers were removed.
_NODES = """
CREATE TABLE volumes (
    folder TEXT PRIMARY KEY, place TEXT NOT NULL, uuid TEXT NOT NULL
) STRICT;
CREATE INDEX volumes_place ON volumes (place);
CREATE TABLE retired (mark TEXT PRIMARY KEY) STRICT;
"""

#: The SQL that brings a ledger of this version to the next one. A new ledger gets SCHEMA at once.
MIGRATIONS = {
    1: """
ALTER TABLE documents ADD COLUMN poll INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN poll INTEGER NOT NULL DEFAULT 0;
""",
    2: f"""
ALTER TABLE documents ADD COLUMN marks TEXT NOT NULL DEFAULT '';
ALTER TABLE sources ADD COLUMN unreadable INTEGER NOT NULL DEFAULT 0;
{_NOTES}
""",
    3: f"""
ALTER TABLE sources ADD COLUMN cursor TEXT NOT NULL DEFAULT '';
DROP INDEX documents_open;
{_OPEN}
""",
    4: f"""
ALTER TABLE documents ADD COLUMN details TEXT NOT NULL DEFAULT '';
ALTER TABLE sources ADD COLUMN paused_at REAL;
ALTER TABLE sources ADD COLUMN paused_by TEXT NOT NULL DEFAULT '';
{_ACTIONS}
""",
    5: f"""
ALTER TABLE documents ADD COLUMN node TEXT NOT NULL DEFAULT '';
{_NODES}
""",
}

#: The version of SCHEMA, which the file holds as its user_version.
VERSION = max(MIGRATIONS) + 1

SCHEMA = f"""
CREATE TABLE documents (
    source TEXT NOT NULL, id TEXT NOT NULL, revision TEXT NOT NULL,
    label TEXT NOT NULL, state TEXT NOT NULL,
    company TEXT NOT NULL DEFAULT '', kind TEXT NOT NULL DEFAULT '',
    path TEXT NOT NULL DEFAULT '', name_hash INTEGER,
    staged TEXT NOT NULL DEFAULT '', companions TEXT NOT NULL DEFAULT '',
    sha256 TEXT NOT NULL DEFAULT '', size INTEGER, checksum TEXT NOT NULL DEFAULT '',
    identity INTEGER, number_hash INTEGER,
    reason TEXT NOT NULL DEFAULT '', warnings TEXT NOT NULL DEFAULT '',
    seen_at REAL NOT NULL, changed_at REAL NOT NULL, verified_at REAL,
    delivered_at REAL, acknowledged_at REAL, poll INTEGER NOT NULL DEFAULT 0,
    marks TEXT NOT NULL DEFAULT '', details TEXT NOT NULL DEFAULT '',
    node TEXT NOT NULL DEFAULT '', PRIMARY KEY (source, id, revision)
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_name ON documents (name_hash) WHERE name_hash IS NOT NULL;
CREATE INDEX documents_identity ON documents (identity) WHERE identity IS NOT NULL;
CREATE INDEX documents_number ON documents (number_hash) WHERE number_hash IS NOT NULL;
{_OPEN}
CREATE INDEX documents_staged ON documents (source) WHERE state = 'staged';
CREATE INDEX documents_kept ON documents (changed_at) WHERE state IN ('quarantined', 'waiting');
CREATE TABLE sources (
    name TEXT PRIMARY KEY, polled_at REAL, error TEXT NOT NULL DEFAULT '', error_at REAL,
    poll INTEGER NOT NULL DEFAULT 0, unreadable INTEGER NOT NULL DEFAULT 0,
    cursor TEXT NOT NULL DEFAULT '', paused_at REAL, paused_by TEXT NOT NULL DEFAULT ''
) STRICT;
{_NOTES}
{_ACTIONS}
{_NODES}
PRAGMA user_version = {VERSION};
"""
