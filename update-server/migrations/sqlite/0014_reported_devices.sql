-- How many devices one token made known for which nobody has vouched is asked with each new one.
CREATE INDEX devices_reported_by ON devices (registered_by) WHERE vouched = 0;
