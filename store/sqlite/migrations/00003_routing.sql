-- What holds, digests, silences and reloads are kept in, and what history is
-- searched by.

-- +goose Up

-- held marks an open incident of which a notifier is not told now.
ALTER TABLE incidents ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
CREATE INDEX incidents_held ON incidents (id) WHERE held = 1;

-- An item is open while ended_at is NULL; one that ended is only counted.
CREATE TABLE digest_items (
    digest      TEXT NOT NULL,
    incident    INTEGER NOT NULL,
    name        TEXT NOT NULL,
    notifier    TEXT NOT NULL,
    environment TEXT NOT NULL,
    partner     TEXT NOT NULL,
    severity    INTEGER NOT NULL,
    line        TEXT NOT NULL,
    opened_at   INTEGER NOT NULL,
    ended_at    INTEGER,
    PRIMARY KEY (digest, incident)
) STRICT, WITHOUT ROWID;
CREATE INDEX digest_items_open ON digest_items (digest, severity DESC, opened_at, incident) WHERE ended_at IS NULL;
CREATE INDEX digest_items_incident ON digest_items (incident);

CREATE TABLE digests (
    digest  TEXT PRIMARY KEY,
    told_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- ends_at is the end that somebody brought forward, else until.
CREATE TABLE silences (
    id      TEXT PRIMARY KEY,
    from_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    doc     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX silences_ends ON silences (ends_at);

-- A load that was refused has a problem; the last one without is in force.
CREATE TABLE config_loads (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    hash    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    by      TEXT NOT NULL,
    problem TEXT NOT NULL
) STRICT;
CREATE INDEX config_loads_hash ON config_loads (hash, id);
CREATE INDEX config_loads_good ON config_loads (id) WHERE problem = '';

CREATE TABLE config_docs (
    hash TEXT PRIMARY KEY,
    doc  BLOB NOT NULL
) STRICT;

-- People search by a transaction or a reference, and most members are settled.
CREATE INDEX members_id ON members (id);
CREATE INDEX members_reference ON members (json_extract(doc, '$.Reference'));

PRAGMA user_version = 3;
