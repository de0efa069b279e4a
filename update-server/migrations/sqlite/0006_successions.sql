-- Every succession of a domain, by its number: the root before it counts no more, and devices need the whole row.
CREATE TABLE successions (
    domain              BLOB    NOT NULL CHECK (length(domain) = 8),
    recovery_epoch      INTEGER NOT NULL,
    succession_sequence INTEGER NOT NULL,
    bytes               BLOB    NOT NULL,
    stored_at           INTEGER NOT NULL,
    PRIMARY KEY (domain, recovery_epoch, succession_sequence)
) STRICT;

-- The number of the root that signed the list: list-sequence begins again under each root.
ALTER TABLE revocation_lists ADD COLUMN recovery_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE revocation_lists ADD COLUMN succession_sequence INTEGER NOT NULL DEFAULT 0;
