-- What production and owners say of a device, and who said what.
ALTER TABLE devices ADD COLUMN line TEXT;
ALTER TABLE devices ADD COLUMN owner TEXT;
-- Life cycle of its identity (NIST SP 800-57 part 1 section 7).
ALTER TABLE devices ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
    CHECK (state IN ('pre-activation', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed'));
-- Its identity credential, a CWT that verified when it came.
ALTER TABLE devices ADD COLUMN credential BLOB;
-- Values by which its symmetric keys are compared, never keys: name=hex, by name, with a space between.
ALTER TABLE devices ADD COLUMN key_checks TEXT;
ALTER TABLE devices ADD COLUMN registered_at INTEGER;
ALTER TABLE devices ADD COLUMN registered_by TEXT;
ALTER TABLE devices ADD COLUMN seen_by TEXT;
ALTER TABLE device_events ADD COLUMN reporter TEXT;

-- The credential of each issuing key, the one that was issued last: devices are verified through it.
CREATE TABLE issuers (
    kid        BLOB    NOT NULL PRIMARY KEY CHECK (length(kid) = 8),
    issued_at  INTEGER NOT NULL,
    bytes      BLOB    NOT NULL,
    stored_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX devices_by_line ON devices (line) WHERE line IS NOT NULL;
CREATE INDEX devices_by_owner ON devices (owner) WHERE owner IS NOT NULL;
CREATE INDEX devices_by_state ON devices (state) WHERE state <> 'active';
