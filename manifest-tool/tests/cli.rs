//! The program as people and CI run it: real processes, real files.

mod cli {
    mod custody;
    mod fake_server;
    mod flow;
    mod foreign;
    mod inspect;
    mod keys;
    mod memory;
    mod numbers;
    mod openssl;
    mod pipes;
    mod publish;
    mod refusals;
    mod revocation;
    mod server;
    mod terminal;
    mod usage;
    mod workshop;
}
