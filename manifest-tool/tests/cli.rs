//! The program as people and CI run it: real processes, real files.

mod cli {
    mod adopted;
    mod agent;
    mod backups;
    mod ceremony;
    mod ceremony_cuts;
    mod ceremony_faults;
    mod conversions;
    mod crafted;
    mod custody;
    mod cuts;
    mod fake_server;
    mod flow;
    mod foreign;
    mod holders;
    mod identity;
    mod inspect;
    mod interrupted;
    mod keys;
    mod ledger;
    mod memory;
    mod memory_of_secrets;
    mod numbers;
    mod openssl;
    mod page;
    mod pipes;
    mod publish;
    mod questions;
    mod refusals;
    mod register;
    mod revocation;
    mod revoked_devices;
    mod rotation;
    mod server;
    mod setup;
    mod slips;
    mod succession;
    mod succession_at_work;
    mod succession_records;
    mod terminal;
    mod token;
    mod trusted;
    mod two_steps;
    mod usage;
    mod workshop;
}
