//! The program as people and CI run it: real processes, real files.

mod cli {
    mod flow;
    mod foreign;
    mod inspect;
    mod keys;
    mod openssl;
    mod publish;
    mod refusals;
    mod revocation;
    mod usage;
    mod workshop;
}
