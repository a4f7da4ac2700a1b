-- What bodies are kept as.

-- +goose Up

-- hash is the SHA-256 of a body that is not what was received, because values
-- in it were blanked or all of it is withheld; NULL where it is.
ALTER TABLE bodies ADD COLUMN hash BLOB;

PRAGMA user_version = 4;
