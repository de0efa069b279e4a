-- Sequence numbers are unsigned 64-bit and neither SQLite nor PostgreSQL has such a type: they are
-- kept as 8 bytes, most significant first, which sort as the numbers do.
-- Times are seconds since the Unix epoch.

CREATE TABLE releases (
    manifest_digest BLOB    NOT NULL PRIMARY KEY CHECK (length(manifest_digest) = 32),
    vendor          BLOB    NOT NULL CHECK (length(vendor) = 16),
    class           BLOB    NOT NULL CHECK (length(class) = 16),
    sequence        BLOB    NOT NULL CHECK (length(sequence) = 8),
    published_at    INTEGER NOT NULL,
    -- Of two publishers of one sequence number, one wins.
    UNIQUE (vendor, class, sequence)
) STRICT;

-- One manifest may be signed again (a new release key after a revocation): every envelope is kept.
CREATE TABLE envelopes (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    sha256          BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
    manifest_digest BLOB    NOT NULL REFERENCES releases (manifest_digest),
    bytes           BLOB    NOT NULL,
    published_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX envelopes_of_release ON envelopes (manifest_digest, id);

-- The newest list of each domain, which bears the kid of its first root.
CREATE TABLE revocation_lists (
    domain          BLOB    NOT NULL PRIMARY KEY CHECK (length(domain) = 8),
    list_sequence   BLOB    NOT NULL CHECK (length(list_sequence) = 8),
    bytes           BLOB    NOT NULL,
    stored_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
    serial          TEXT    NOT NULL PRIMARY KEY,
    vendor          BLOB    NOT NULL CHECK (length(vendor) = 16),
    class           BLOB    NOT NULL CHECK (length(class) = 16),
    version         TEXT,
    sequence        BLOB    CHECK (length(sequence) = 8),
    identity        BLOB,
    last_seen       INTEGER NOT NULL
) STRICT;

CREATE TABLE device_events (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    serial          TEXT    NOT NULL REFERENCES devices (serial),
    kind            TEXT    NOT NULL,
    release         BLOB    CHECK (length(release) = 32),
    version         TEXT,
    sequence        BLOB    CHECK (length(sequence) = 8),
    reason          TEXT,
    at              INTEGER,
    received_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_device ON device_events (serial, id);
