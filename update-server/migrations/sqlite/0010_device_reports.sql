-- What devices report under keys of their own, as it came. This server has no such key, and verifies no MAC.
CREATE TABLE device_reports (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    serial          TEXT    NOT NULL REFERENCES devices (serial),
    digest          BLOB    NOT NULL CHECK (length(digest) = 32),
    bytes           BLOB    NOT NULL,
    -- Of the manifest that it is about, if one authenticated.
    manifest_digest BLOB,
    -- kid of the key that it names.
    device_key      BLOB    CHECK (length(device_key) = 8),
    at              INTEGER,
    received_at     INTEGER NOT NULL,
    reporter        TEXT    NOT NULL,
    -- What one token sent, no other one pushes out.
    UNIQUE (serial, digest, reporter)
) STRICT;
CREATE INDEX reports_of_a_token ON device_reports (serial, reporter, id);
CREATE INDEX reports_by_device_key ON device_reports (device_key) WHERE device_key IS NOT NULL;
