-- The table that a device has, beside what it runs, with a time of its own.
ALTER TABLE devices ADD COLUMN table_version TEXT;
ALTER TABLE devices ADD COLUMN table_sequence BLOB CHECK (length(table_sequence) = 8);
ALTER TABLE devices ADD COLUMN table_manifest_digest BLOB CHECK (length(table_manifest_digest) = 32);
ALTER TABLE devices ADD COLUMN table_release_kid BLOB CHECK (length(table_release_kid) = 8);
ALTER TABLE devices ADD COLUMN table_stated_at INTEGER NOT NULL DEFAULT 0;
-- What an update was of, as the release that it names says.
ALTER TABLE device_events ADD COLUMN target TEXT CHECK (target IN ('firmware', 'table', 'both'));
UPDATE device_events SET target = COALESCE((SELECT target FROM releases WHERE manifest_digest = release), 'firmware')
WHERE kind LIKE 'update-%';
-- The version before took a table that a device confirmed for what it runs. What ran before that is not known any more.
UPDATE devices SET table_version = version, table_sequence = sequence, table_manifest_digest = manifest_digest,
    table_release_kid = release_kid, table_stated_at = stated_at,
    version = NULL, sequence = NULL, manifest_digest = NULL, release_kid = NULL, stated_at = 0
WHERE manifest_digest IN (SELECT manifest_digest FROM releases WHERE target = 'table');
