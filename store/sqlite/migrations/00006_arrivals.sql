-- What finds events by their time of arrival without an index of it.

-- +goose Up

-- An event's row is its time of arrival, but for the time that it waited and for
-- clocks that were set back. skew is how far, at most, the two are apart: what
-- arrived at a time is within so many microseconds of rows beside it.
ALTER TABLE meta ADD COLUMN skew INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET skew = coalesce((SELECT max(abs(id - received_at)) FROM events), 0);
DROP INDEX events_received;

PRAGMA user_version = 6;
