-- A release of firmware and a table: its number is one of both series.
-- SQLite changes no constraint of a table that is there: the table is made anew. What refers to it is looked at when all is
-- done.
PRAGMA defer_foreign_keys = ON;
CREATE TABLE releases_before AS SELECT * FROM releases;
DROP TABLE releases;
CREATE TABLE releases (
    manifest_digest  BLOB    NOT NULL PRIMARY KEY CHECK (length(manifest_digest) = 32),
    vendor           BLOB    NOT NULL CHECK (length(vendor) = 16),
    class            BLOB    NOT NULL CHECK (length(class) = 16),
    target           TEXT    NOT NULL CHECK (target IN ('firmware', 'table', 'both')),
    sequence         BLOB    NOT NULL CHECK (length(sequence) = 8),
    published_at     INTEGER NOT NULL,
    withdrawn_at     INTEGER,
    withdrawn_reason TEXT
) STRICT;
INSERT INTO releases (manifest_digest, vendor, class, target, sequence, published_at, withdrawn_at, withdrawn_reason)
SELECT manifest_digest, vendor, class, target, sequence, published_at, withdrawn_at, withdrawn_reason
FROM releases_before;
DROP TABLE releases_before;
-- Of two publishers of one sequence number, one wins.
CREATE UNIQUE INDEX releases_of_firmware ON releases (vendor, class, sequence) WHERE target <> 'table';
CREATE UNIQUE INDEX releases_of_tables ON releases (vendor, class, sequence) WHERE target <> 'firmware';
-- The newest time is asked each minute.
CREATE INDEX releases_by_published_at ON releases (published_at);
