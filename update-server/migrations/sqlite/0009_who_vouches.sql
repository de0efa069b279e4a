-- Whether a publisher's token said which device this is. Until then it is known from reports only: whoever reported a serial
-- number first must not keep production out, and what reports say of vendor and class gives way.
ALTER TABLE devices ADD COLUMN vouched INTEGER NOT NULL DEFAULT 0 CHECK (vouched IN (0, 1));
-- Whether somebody said the state. Without anybody's word it reads 'active'.
ALTER TABLE devices ADD COLUMN state_set INTEGER NOT NULL DEFAULT 0 CHECK (state_set IN (0, 1));
-- Of what time anchors are, as stated_at is of what runs.
ALTER TABLE devices ADD COLUMN anchors_at INTEGER NOT NULL DEFAULT 0;

UPDATE devices SET anchors_at = stated_at WHERE anchors IS NOT NULL;
-- What only a publisher's token could say was said.
UPDATE devices SET vouched = 1
WHERE line IS NOT NULL OR owner IS NOT NULL OR key_checks IS NOT NULL OR credential IS NOT NULL OR state <> 'active';
UPDATE devices SET state_set = 1
WHERE state <> 'active' OR serial IN (SELECT serial FROM device_events WHERE kind = 'device-state');
