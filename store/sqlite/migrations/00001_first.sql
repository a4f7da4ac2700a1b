-- Times are microseconds since 1970 in UTC; NULL is "not set".
-- The id of an event is such a time too, made unique by counting up, so that
-- rows arrive in the order of their keys and no page is written at random.

-- +goose Up
CREATE TABLE meta (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    epoch     INTEGER NOT NULL,
    probed_at INTEGER NOT NULL
) STRICT;
INSERT INTO meta (id, epoch, probed_at) VALUES (1, 0, 0);

-- A source is stored once for each way in which its events arrive.
CREATE TABLE sources (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    environment TEXT NOT NULL,
    origin      TEXT NOT NULL,
    authentic   INTEGER NOT NULL,
    UNIQUE (name, environment, origin, authentic)
) STRICT;

-- Keys have no index: the writer finds them by a set of fingerprints in memory.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY,
    source      INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    key         BLOB NOT NULL,
    body_hash   BLOB NOT NULL,
    conflict    INTEGER NOT NULL,
    type        TEXT NOT NULL,
    foreign_id  TEXT NOT NULL,
    quarantine  TEXT NOT NULL,
    duplicates  INTEGER NOT NULL DEFAULT 0,
    last_seen   INTEGER
) STRICT;
CREATE INDEX events_received ON events (received_at);

CREATE TABLE bodies (
    event INTEGER PRIMARY KEY,
    body  BLOB NOT NULL
) STRICT;

CREATE TABLE pending (
    event    INTEGER PRIMARY KEY,
    failures INTEGER NOT NULL DEFAULT 0,
    cause    TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE decisions (
    event    INTEGER PRIMARY KEY,
    state    TEXT NOT NULL,
    incident INTEGER,
    failures INTEGER NOT NULL,
    doc      TEXT
) STRICT;
CREATE INDEX decisions_incident ON decisions (incident, event) WHERE incident IS NOT NULL;
CREATE INDEX decisions_parked ON decisions (event) WHERE state = 'parked';

CREATE TABLE incidents (
    id          INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    key         TEXT NOT NULL,
    source      TEXT NOT NULL,
    state       TEXT NOT NULL,
    opened_at   INTEGER NOT NULL,
    resolved_at INTEGER,
    version     INTEGER NOT NULL,
    doc         TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_open ON incidents (environment, key) WHERE state = 'open';
CREATE INDEX incidents_ended ON incidents (environment, key, resolved_at) WHERE state = 'resolved';
CREATE INDEX incidents_resolved ON incidents (resolved_at) WHERE state = 'resolved';

CREATE TABLE members (
    row        INTEGER PRIMARY KEY,
    incident   INTEGER NOT NULL,
    id         TEXT NOT NULL,
    class      TEXT NOT NULL,
    open       INTEGER NOT NULL,
    due        INTEGER,
    opened_at  INTEGER,
    settled_at INTEGER,
    event      INTEGER,
    doc        TEXT NOT NULL,
    UNIQUE (incident, id, class)
) STRICT;
CREATE INDEX members_listed ON members (incident, due IS NULL, due, opened_at, row) WHERE open = 1;
CREATE INDEX members_event ON members (event) WHERE open = 1 AND event IS NOT NULL;

-- Only open members have handles.
CREATE TABLE handles (
    environment TEXT NOT NULL,
    handle      TEXT NOT NULL,
    member      INTEGER NOT NULL,
    PRIMARY KEY (environment, handle, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX handles_member ON handles (member);

CREATE TABLE recoveries (
    environment TEXT NOT NULL,
    handle      TEXT NOT NULL,
    type        TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    event       TEXT NOT NULL,
    PRIMARY KEY (environment, handle, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX recoveries_received ON recoveries (received_at);

CREATE TABLE notices (
    key        TEXT PRIMARY KEY,
    touched_at INTEGER NOT NULL,
    doc        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notices_touched ON notices (touched_at);

CREATE TABLE timers (
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    due_at  INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due_at);

CREATE TABLE timeline (
    id       INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    event    TEXT NOT NULL,
    delivery TEXT NOT NULL,
    run      TEXT NOT NULL,
    kind     TEXT NOT NULL,
    text     TEXT NOT NULL,
    by       TEXT NOT NULL
) STRICT;
CREATE INDEX timeline_incident ON timeline (incident, id);

-- turn is where an unfinished delivery stands for its notifier: 0 behind an
-- earlier one, 1 waiting for next_at, 2 ready, 3 being sent; NULL is finished.
-- listed marks what planning must see: what is unsent, and the last sent of
-- each notifier and alarm.
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    order_key   TEXT NOT NULL,
    incident    INTEGER NOT NULL,
    notifier    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    rank        INTEGER NOT NULL,
    alarm       INTEGER NOT NULL,
    state       TEXT NOT NULL,
    turn        INTEGER,
    listed      INTEGER NOT NULL,
    queued_at   INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    fallback_at INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    first_try   INTEGER,
    settled_at  INTEGER,
    unclear     INTEGER NOT NULL DEFAULT 0,
    error       TEXT NOT NULL DEFAULT '',
    answer      TEXT NOT NULL DEFAULT '',
    ref         TEXT NOT NULL DEFAULT '',
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_token INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER,
    destination TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    text        TEXT NOT NULL,
    snapshot    TEXT NOT NULL
) STRICT;
CREATE INDEX deliveries_unfinished ON deliveries (notifier, order_key, id, queued_at) WHERE turn IS NOT NULL;
CREATE INDEX deliveries_heads ON deliveries (notifier, order_key) WHERE turn > 0;
CREATE INDEX deliveries_later ON deliveries (notifier, next_at) WHERE turn = 1;
CREATE INDEX deliveries_ready ON deliveries (notifier, rank, id) WHERE turn = 2;
CREATE INDEX deliveries_sending ON deliveries (notifier, lease_until) WHERE turn = 3;
CREATE INDEX deliveries_dead ON deliveries (notifier, id) WHERE state = 'dead';
CREATE INDEX deliveries_edits ON deliveries (incident, notifier) WHERE turn IS NOT NULL AND kind = 'update';
CREATE INDEX deliveries_listed ON deliveries (incident, id) WHERE listed = 1;
CREATE INDEX deliveries_threads ON deliveries (incident, notifier, id) WHERE ref <> '';
CREATE INDEX deliveries_incident ON deliveries (incident, id);

CREATE TABLE runs (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    remediation    TEXT NOT NULL,
    workflow       TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    partner        TEXT NOT NULL,
    incident       INTEGER NOT NULL,
    event          INTEGER NOT NULL,
    state          TEXT NOT NULL,
    key            TEXT NOT NULL,
    ordinal        INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    started_at     INTEGER,
    next_at        INTEGER NOT NULL,
    lease_epoch    INTEGER NOT NULL DEFAULT 0,
    lease_token    INTEGER NOT NULL DEFAULT 0,
    lease_until    INTEGER,
    doc            TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_key ON runs (key) WHERE key <> '';
CREATE INDEX runs_queued ON runs (next_at) WHERE state = 'queued';
CREATE INDEX runs_started ON runs (id) WHERE state = 'started';
CREATE INDEX runs_ordinal ON runs (workflow, transaction_id, ordinal);
CREATE INDEX runs_by_transaction ON runs (remediation, transaction_id, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX runs_by_partner ON runs (remediation, partner, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX runs_by_time ON runs (remediation, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX runs_incident ON runs (incident, id);
CREATE INDEX runs_event ON runs (event);

PRAGMA application_id = 1146307154; -- "DSBR"
PRAGMA user_version = 1;
