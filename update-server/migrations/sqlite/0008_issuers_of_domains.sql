-- Two roots may certify one issuing key: each domain keeps its own credential of it. When one was issued is read from it.
CREATE TABLE issuers_of_domains (
    domain     BLOB    NOT NULL CHECK (length(domain) = 8),
    kid        BLOB    NOT NULL CHECK (length(kid) = 8),
    bytes      BLOB    NOT NULL,
    stored_at  INTEGER NOT NULL,
    PRIMARY KEY (domain, kid)
) STRICT;
-- Which domain those are of that are here already, only their signers tell: the server finds out at its start.
INSERT INTO issuers_of_domains (domain, kid, bytes, stored_at)
SELECT x'0000000000000000', kid, bytes, stored_at FROM issuers;
DROP TABLE issuers;
ALTER TABLE issuers_of_domains RENAME TO issuers;
CREATE INDEX issuers_by_kid ON issuers (kid);
