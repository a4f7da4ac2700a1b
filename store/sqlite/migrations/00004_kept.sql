-- What bodies are kept as.

-- +goose Up

-- hash is the SHA-256 of a body that is not what was received, because values
-- in it were blanked or all of it is withheld; NULL where it is.
ALTER TABLE bodies ADD COLUMN hash BLOB;

-- What cannot be mapped has a bound of its own, and is looked for.
CREATE INDEX events_quarantined ON events (id) WHERE quarantine <> '';

PRAGMA user_version = 4;
