-- Whether an event is stored already is asked with each one: without this, of all events of the device.
CREATE INDEX events_of_device_by_time ON device_events (serial, at);
-- The newest time is asked each minute.
CREATE INDEX devices_by_last_seen ON devices (last_seen);
CREATE INDEX releases_by_published_at ON releases (published_at);
