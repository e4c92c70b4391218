-- A ledger as version 6 made it. It stays as it is.

PRAGMA journal_mode = WAL;
BEGIN;

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
CREATE INDEX documents_open ON documents (source, state)
    WHERE acknowledged_at IS NULL AND (state = 'delivered' OR state = 'duplicate' OR state = 'skipped' OR state = 'quarantined');
CREATE INDEX documents_staged ON documents (source) WHERE state = 'staged';
CREATE INDEX documents_kept ON documents (changed_at) WHERE state IN ('quarantined', 'waiting');
CREATE TABLE sources (
    name TEXT PRIMARY KEY, polled_at REAL, error TEXT NOT NULL DEFAULT '', error_at REAL,
    poll INTEGER NOT NULL DEFAULT 0, unreadable INTEGER NOT NULL DEFAULT 0,
    cursor TEXT NOT NULL DEFAULT '', paused_at REAL, paused_by TEXT NOT NULL DEFAULT ''
) STRICT;

INSERT INTO sources (name, polled_at, error, error_at, poll, unreadable, cursor) VALUES
    ('box', 9.0, 'no answer', 10.0, 4, 2, 'page 7'),
    ('other', 8.0, '', NULL, 1, 0, '');

INSERT INTO documents (source, id, revision, label, state, seen_at, changed_at, poll)
    VALUES ('box', 'seen', '', 'invoice seen', 'seen', 1.0, 2.0, 3);
INSERT INTO documents (source, id, revision, label, state, company, kind, path, name_hash, staged,
    companions, sha256, size, checksum, identity, number_hash, seen_at, changed_at, verified_at,
    poll)
    VALUES ('box', 'staged', '', 'invoice staged', 'staged', 'BE0123456749', 'sales',
    '/books/staged.xml', 4833491836641230907, '/books/.synqup/a1b2', 'pdf',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 1001, 'Digest', 11, 21,
    1.0, 2.0, 2.5, 4);
INSERT INTO documents (source, id, revision, label, state, company, kind, path, name_hash, sha256,
    size, checksum, identity, number_hash, warnings, seen_at, changed_at, verified_at,
    delivered_at, acknowledged_at, poll, marks)
    VALUES ('box', 'delivered', '', 'invoice delivered', 'delivered', 'BE0123456749', 'sales',
    '/books/7.xml', 2476608513348285535,
    'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 1002, 'structure', 12, 22,
    'no customer', 1.0, 3.0, 2.5, 3.0, 4.0, 3, 'fIt5OU2aCq8PhYxd');
INSERT INTO documents (source, id, revision, label, state, company, kind, path, name_hash, sha256,
    size, checksum, identity, number_hash, seen_at, changed_at, verified_at, delivered_at, poll)
    VALUES ('box', 'delivered', '~1', 'invoice delivered', 'delivered', 'BE0123456749',
    'purchase', '/books/7-2.xml', 4244632185570843067,
    'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 1003, 'Digest', 13, 22,
    1.0, 3.0, 2.5, 3.0, 4);
INSERT INTO documents (source, id, revision, label, state, reason, seen_at, changed_at, poll)
    VALUES ('box', 'duplicate', '', 'invoice duplicate', 'duplicate',
    'the same as invoice delivered', 1.0, 2.0, 3);
INSERT INTO documents (source, id, revision, label, state, reason, seen_at, changed_at,
    acknowledged_at, poll)
    VALUES ('box', 'skipped', '', 'statement skipped', 'skipped', 'delivery.others', 1.0, 2.0,
    4.0, 4);
INSERT INTO documents (source, id, revision, label, state, reason, seen_at, changed_at, poll)
    VALUES ('box', 'quarantined', '', 'invoice quarantined', 'quarantined', 'it is no XML', 1.0,
    2.0, 3);
INSERT INTO documents (source, id, revision, label, state, reason, seen_at, changed_at, poll)
    VALUES ('box', 'waiting', 'r', 'invoice waiting', 'waiting', 'the folder is full', 1.0, 2.0,
    4);

CREATE TABLE notes (
    company TEXT NOT NULL, reference TEXT NOT NULL, identity INTEGER NOT NULL,
    source TEXT NOT NULL, id TEXT NOT NULL, revision TEXT NOT NULL,
    party TEXT NOT NULL, says TEXT NOT NULL, accepted INTEGER, reason TEXT NOT NULL,
    noted_at REAL NOT NULL,
    PRIMARY KEY (company, reference, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX notes_refused ON notes (company, noted_at) WHERE accepted = 0;
INSERT INTO notes (company, reference, identity, source, id, revision, party, says, accepted,
    reason, noted_at)
    VALUES ('BE0123456749', 'F-7', 31, 'box', 'skipped', '', 'Customer', 'rejected', 0,
    'prices are incorrect', 2.0);

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
INSERT INTO actions (number, at, who, action, subject, reason, result)
    VALUES (1, 5.0, 'jan', 'redeliver', 'delivered', '', '1 document will be delivered again');
INSERT INTO orders (number, action, verb, source, id, revision, company, kind, folder, ended_at,
    done, result)
    VALUES (1, 1, 'redeliver', 'box', 'delivered', '', '', '', '', 6.0, 1, '/books/7-2.xml'),
    (2, 1, 'redeliver', 'box', 'delivered', '~1', '', '', '', NULL, NULL, '');
UPDATE sources SET paused_at = 7.0, paused_by = 'jan' WHERE name = 'other';
UPDATE documents SET details = 'F-7' || char(10) || 'Customer' WHERE id = 'delivered';
UPDATE documents SET node = 'n1' WHERE id = 'staged';

CREATE TABLE volumes (
    folder TEXT PRIMARY KEY, place TEXT NOT NULL, uuid TEXT NOT NULL
) STRICT;
CREATE INDEX volumes_place ON volumes (place);
CREATE TABLE retired (mark TEXT PRIMARY KEY) STRICT;
INSERT INTO volumes VALUES ('/books', '/books/.synqup', '0b7d7a0e-6d0c-4c55-9a0c-1a53a5a7cf52');

PRAGMA user_version = 6;
COMMIT;
