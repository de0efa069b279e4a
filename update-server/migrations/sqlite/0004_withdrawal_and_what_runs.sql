-- A withdrawn release stays, marked: its sequence number is taken, and devices may run it.
ALTER TABLE releases ADD COLUMN withdrawn_at INTEGER;
ALTER TABLE releases ADD COLUMN withdrawn_reason TEXT;

CREATE TABLE release_events (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    manifest_digest BLOB    NOT NULL REFERENCES releases (manifest_digest),
    kind            TEXT    NOT NULL,
    reason          TEXT,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_a_release ON release_events (manifest_digest, id);

-- What runs on a device beside version and sequence number: its manifest, the key that signed it, the kids of the
-- anchors that the device holds (8 bytes each).
ALTER TABLE devices ADD COLUMN manifest_digest BLOB CHECK (length(manifest_digest) = 32);
ALTER TABLE devices ADD COLUMN release_kid BLOB CHECK (length(release_kid) = 8);
ALTER TABLE devices ADD COLUMN anchors BLOB;
ALTER TABLE devices ADD COLUMN retired_at INTEGER;
ALTER TABLE devices ADD COLUMN retired_reason TEXT;
ALTER TABLE device_events ADD COLUMN release_kid BLOB CHECK (length(release_kid) = 8);
-- Of a device that was retired or restored: why, in the words of who did it.
ALTER TABLE device_events ADD COLUMN note TEXT;
