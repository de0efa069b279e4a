//! Every command with every option that it has.

mod desk;
mod keys;
mod records;
mod releases;

/// A command: the shortest command line that it accepts, the options that have an effect beside it, and those that
/// need another one, or exclude it. A test finds each option of the tool in here.
pub(super) struct Options {
    pub(super) shortest: &'static str,
    pub(super) alone: &'static [&'static str],
    /// Option; what has to be there too.
    pub(super) needs: &'static [(&'static str, &'static str)],
    /// Option; what it cannot stand beside.
    pub(super) excludes: &'static [(&'static str, &'static str)],
}

const REWRITING: &[&str] = &[
    "--passphrase-file p",
    "--new-passphrase-file n",
    "--derivation scrypt",
    "--weak-passphrase",
    "--no-passphrase",
];
const IN_THE_ROOM: &[&str] = &[
    "--in b",
    "--answers a",
    "--passphrase-file p",
    "--pin-file p",
    "--now 2030-01-01T00:00:00Z",
    "--derivation scrypt",
    "--weak-passphrase",
    "--no-passphrase",
];
const MADE: &[(&str, &str)] =
    &[("--weak-passphrase", "--no-passphrase"), ("--derivation scrypt", "--no-passphrase")];
pub(super) const SERVER: &str = "--server http://h --token-file t";

// --passphrase-file and --pin-file beside --key: `commands.rs` judges them when it knows where the key is kept.
pub(super) const COMMANDS: [&[Options]; 4] =
    [keys::COMMANDS, records::COMMANDS, desk::COMMANDS, releases::COMMANDS];
