-- What a start reads instead of every key.

-- +goose Up

-- A chunk holds the fingerprints of all events after the chunk before it and up
-- to last: 8 bytes of print and 8 of the event's row each, little-endian. An
-- event that retention has deleted since may still be in it.
CREATE TABLE prints (
    last   INTEGER PRIMARY KEY,
    crc    INTEGER NOT NULL,
    prints BLOB NOT NULL
) STRICT;

PRAGMA user_version = 5;
