-- What a release installs: the firmware of a device, or its configuration table. Each has sequence numbers of its own. What
-- is here already is firmware: nothing else was taken.
-- SQLite changes no UNIQUE of a table that is there: the table is made anew. What refers to it is looked at when all is done.
PRAGMA defer_foreign_keys = ON;
CREATE TABLE releases_before AS SELECT * FROM releases;
DROP TABLE releases;
CREATE TABLE releases (
    manifest_digest  BLOB    NOT NULL PRIMARY KEY CHECK (length(manifest_digest) = 32),
    vendor           BLOB    NOT NULL CHECK (length(vendor) = 16),
    class            BLOB    NOT NULL CHECK (length(class) = 16),
    target           TEXT    NOT NULL CHECK (target IN ('firmware', 'table')),
    sequence         BLOB    NOT NULL CHECK (length(sequence) = 8),
    published_at     INTEGER NOT NULL,
    withdrawn_at     INTEGER,
    withdrawn_reason TEXT,
    -- Of two publishers of one sequence number, one wins.
    UNIQUE (vendor, class, target, sequence)
) STRICT;
INSERT INTO releases (manifest_digest, vendor, class, target, sequence, published_at, withdrawn_at, withdrawn_reason)
SELECT manifest_digest, vendor, class, 'firmware', sequence, published_at, withdrawn_at, withdrawn_reason
FROM releases_before;
DROP TABLE releases_before;
-- The newest time is asked each minute.
CREATE INDEX releases_by_published_at ON releases (published_at);
