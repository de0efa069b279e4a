-- How many events of a device one token reported is asked with each one.
CREATE INDEX events_of_a_token ON device_events (serial, reporter, id, kind);
