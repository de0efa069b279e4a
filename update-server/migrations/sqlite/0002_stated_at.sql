-- Of what time version and sequence are: a report that was kept back and arrives late does not undo a newer one.
-- 0 is before every report.
ALTER TABLE devices ADD COLUMN stated_at INTEGER NOT NULL DEFAULT 0;
