-- What approvals, polling, enrichment and the audit are kept in.

-- +goose Up

-- due_at is when somebody must look at the run next, NULL for nobody: it is
-- started, ended, or unclear and left to a person. lease_token counts every
-- change. unclear marks a run that is queued again although its call may have
-- been heard.
DROP INDEX runs_queued;
DROP INDEX runs_started;
DROP INDEX runs_key;
DROP INDEX runs_ordinal;
DROP INDEX runs_by_transaction;
DROP INDEX runs_by_partner;
DROP INDEX runs_by_time;
ALTER TABLE runs ADD COLUMN environment TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN due_at INTEGER;
ALTER TABLE runs ADD COLUMN unclear INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET environment = coalesce(json_extract(doc, '$.Environment'), ''),
    due_at = CASE WHEN state = 'queued' THEN next_at END;
ALTER TABLE runs DROP COLUMN next_at;
CREATE UNIQUE INDEX runs_key ON runs (environment, key) WHERE key <> '';
CREATE INDEX runs_due ON runs (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX runs_unfinished ON runs (state, id) WHERE state = 'proposed' OR state = 'awaiting'
    OR state = 'queued' OR state = 'started' OR state = 'unknown';
CREATE INDEX runs_ordinal ON runs (environment, workflow, transaction_id, ordinal);
CREATE INDEX runs_by_transaction ON runs (environment, remediation, transaction_id, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX runs_by_partner ON runs (environment, remediation, partner, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX runs_by_time ON runs (environment, remediation, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX runs_of_partner ON runs (environment, workflow, partner, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX runs_of_time ON runs (environment, workflow, started_at) WHERE started_at IS NOT NULL;

-- Consecutive runs for a partner that failed or are unclear; since is when the
-- last of them ended, or when one was let through.
CREATE TABLE breakers (
    environment TEXT NOT NULL,
    partner     TEXT NOT NULL,
    failures    INTEGER NOT NULL,
    since       INTEGER NOT NULL,
    PRIMARY KEY (environment, partner)
) STRICT, WITHOUT ROWID;

-- A row stops all runs of a remediation, or of all where scope is empty.
CREATE TABLE switches (
    scope TEXT PRIMARY KEY,
    by    TEXT NOT NULL,
    at    INTEGER NOT NULL,
    why   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE polls (
    name        TEXT PRIMARY KEY,
    watermark   INTEGER,
    due_at      INTEGER NOT NULL,
    failures    INTEGER NOT NULL DEFAULT 0,
    state       BLOB,
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_token INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE partners (
    environment TEXT NOT NULL,
    id          TEXT NOT NULL,
    next_at     INTEGER,
    seen_at     INTEGER NOT NULL,
    doc         TEXT NOT NULL,
    PRIMARY KEY (environment, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX partners_due ON partners (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX partners_seen ON partners (seen_at);

ALTER TABLE recoveries ADD COLUMN incident TEXT NOT NULL DEFAULT '';

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    why        TEXT NOT NULL,
    incident   TEXT NOT NULL,
    event      TEXT NOT NULL,
    run        TEXT NOT NULL,
    key        TEXT NOT NULL,
    request_id TEXT NOT NULL,
    result     TEXT NOT NULL,
    prev       TEXT NOT NULL,
    hash       TEXT NOT NULL
) STRICT;
CREATE INDEX audit_incident ON audit (incident, id);
CREATE INDEX audit_event ON audit (event, id);
CREATE INDEX audit_run ON audit (run, id);

-- +goose StatementBegin
CREATE TRIGGER audit_keeps_its_lines BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_keeps_all_lines BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
-- REPLACE would delete a line without asking the trigger above.
-- +goose StatementBegin
CREATE TRIGGER audit_replaces_no_line BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd

PRAGMA user_version = 2;
