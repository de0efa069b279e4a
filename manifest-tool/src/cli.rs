//! The command line: its commands, their output and their exit codes (docs/errors.md).

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{Parser, Subcommand};
use trust::host::{parse_command_line, report_usage, usage_message};

use crate::commands::{
    attach, ceremony, compose, create, credential, custody, diff, doctor, encrypt, extract, inspect,
    integrate, key, ledger, lint, personalize, provision, publish, recertify, register, report, revoke,
    rotate, setup, sever, sign, succession, verify, withdraw,
};
use crate::error::Error;
use crate::output::{Output, Report};

/// Keys, credentials, SUIT manifests, revocation, provisioning and publishing
#[derive(Parser, Debug)]
#[command(name = "manifest-tool", version, max_term_width = 100)]
struct CommandLine {
    /// Print one JSON object on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make keys and show their public halves
    #[command(subcommand)]
    Key(KeyCommand),
    /// Issue and show credentials
    #[command(subcommand)]
    Credential(CredentialCommand),
    /// Make an unsigned envelope and its image
    Create(create::Create),
    /// Make an unsigned envelope of a description in TOML, with whatever SUIT offers
    Compose(compose::Compose),
    /// Encrypt the image of an unsigned release, for some devices alone
    Encrypt(Box<encrypt::Encrypt>),
    /// Make an envelope for each device, authenticated by its own key
    Personalize(Box<personalize::Personalize>),
    /// Sign an envelope with a release key
    Sign(sign::Sign),
    /// Attach a signature to what a command with --tbs-out wrote
    Attach(attach::Attach),
    /// Replace the credential in signed envelopes by a newer one for the same key
    Recertify(recertify::Recertify),
    /// Verify a signed release as a device does
    Verify(verify::Verify),
    /// Show an envelope, record, block, public key or image without verifying it
    Inspect(inspect::Inspect),
    /// Show what is wrong with an envelope, and what our devices could not run of it
    Lint(lint::Lint),
    /// Show in what two envelopes differ
    Diff(diff::Diff),
    /// Leave severable members of an envelope away
    Sever(sever::Sever),
    /// Put images into an envelope whose manifest fetches them from there
    Integrate(integrate::Integrate),
    /// Take an integrated image out of an envelope
    Extract(extract::Extract),
    /// Show or verify what a device says of its last attempt to install
    #[command(subcommand)]
    Report(report::Command),
    /// Sign a revocation list with the root key
    Revoke(Box<revoke::Revoke>),
    /// Let another key take over from a release key
    Rotate(Box<rotate::Rotate>),
    /// Replace the root of a domain
    #[command(subcommand)]
    Succession(succession::Command),
    /// Keep the record of what a key signed
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Answer what owners and auditors ask about keys
    #[command(subcommand)]
    Custody(custody::Command),
    /// Find what an auditor would find in ledgers, keys, devices and programs
    Doctor(doctor::Doctor),
    /// Show what is due: checks of backups, credentials that end, copies of ledgers
    Today(doctor::Today),
    /// Set up root, recovery root, release key, ledgers, first list and shares
    Setup(Box<setup::Setup>),
    /// Carry out a key ceremony
    #[command(subcommand)]
    Ceremony(Box<ceremony::Command>),
    /// Make a device's provisioning block
    Provision(Box<provision::Provision>),
    /// Send a release, revocation lists, or both to an update-server
    Publish(publish::Publish),
    /// Enter the devices of a production line in an update-server's registry
    Register(register::Register),
    /// Withdraw a release: the server keeps it but no longer offers it
    Withdraw(withdraw::Withdraw),
    /// Mark a device as out of service in the server's registry
    Retire(withdraw::Retire),
}

#[derive(Subcommand, Debug)]
enum KeyCommand {
    /// Make an Ed25519 key
    Generate(key::Generate),
    /// Make a master key, of which the update keys of devices are derived
    Master(key::Master),
    /// Write or show the public half of a key
    Public(key::Public),
    /// Write a private key to another file under a new passphrase
    Passphrase(key::Passphrase),
    /// Write a private key of another program (PKCS#8 DER, OpenSSH) to a PKCS#8 PEM file
    Import(key::Import),
    /// Write a private key in the form of another program
    Convert(key::Convert),
    /// Show what a key is, and how it is protected
    Info(key::Info),
    /// Make an encrypted copy of a private key, or shares of it
    Backup(key::Backup),
    /// Prove that a backup holds a key, without writing the key
    BackupCheck(key::BackupCheck),
    /// Make a private key again, from shares or an encrypted copy
    Recover(key::Recover),
}

#[derive(Subcommand, Debug)]
enum CredentialCommand {
    /// Certify a key with the root key
    Issue(Box<credential::Issue>),
    /// Certify keys again for the same scope, also under a new root
    Renew(Box<credential::Renew>),
    /// Show a credential, and verify it if an anchor is given
    Inspect(credential::Inspect),
    /// Make the X.509 certificate of a root, an issuing key or a device
    Certificate(credential::Certificate),
}

impl Command {
    fn run(&self, output: Output) -> Result<(), Error> {
        match self {
            Self::Key(KeyCommand::Generate(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Master(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Public(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Passphrase(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Import(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Convert(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Info(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Backup(command)) => report(output, command.run()),
            Self::Key(KeyCommand::BackupCheck(command)) => report(output, command.run()),
            Self::Key(KeyCommand::Recover(command)) => report(output, command.run()),
            Self::Credential(CredentialCommand::Issue(command)) => report(output, command.run()),
            Self::Credential(CredentialCommand::Renew(command)) => report(output, command.run(output)),
            Self::Credential(CredentialCommand::Inspect(command)) => report(output, command.run()),
            Self::Credential(CredentialCommand::Certificate(command)) => report(output, command.run()),
            Self::Create(command) => report(output, command.run()),
            Self::Compose(command) => report(output, command.run(output)),
            Self::Encrypt(command) => report(output, command.run()),
            Self::Personalize(command) => report(output, command.run(output)),
            Self::Sign(command) => report(output, command.run(output)),
            Self::Attach(command) => report(output, command.run()),
            Self::Recertify(command) => report(output, command.run(output)),
            Self::Verify(command) => report(output, command.run(output)),
            Self::Inspect(command) => report(output, command.run()),
            Self::Diff(command) => report(output, command.run()),
            Self::Lint(command) => report(output, command.run()),
            Self::Sever(command) => report(output, command.run(output)),
            Self::Integrate(command) => report(output, command.run(output)),
            Self::Extract(command) => report(output, command.run(output)),
            Self::Report(report::Command::Show(command)) => report(output, command.run(output)),
            Self::Report(report::Command::Verify(command)) => report(output, command.run(output)),
            Self::Report(report::Command::Fetch(command)) => report(output, command.run(output)),
            Self::Revoke(command) => report(output, command.run()),
            Self::Rotate(command) => report(output, command.run(output)),
            Self::Succession(command) => command.run(output),
            Self::Ledger(command) => command.run(output),
            Self::Custody(command) => command.run(output),
            Self::Doctor(command) => report(output, command.run()),
            Self::Today(command) => report(output, command.run()),
            Self::Setup(command) => report(output, command.run(output)),
            Self::Ceremony(command) => command.run(output),
            Self::Provision(command) => report(output, command.run(output)),
            Self::Publish(command) => report(output, command.run(output)),
            Self::Register(command) => report(output, command.run(output)),
            Self::Withdraw(command) => report(output, command.run(output)),
            Self::Retire(command) => report(output, command.run(output)),
        }
    }
}

fn report(output: Output, result: Result<impl Report, Error>) -> Result<(), Error> {
    output.result(&result?)
}

/// Runs the command line (the program's name first); returns the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command_line = match parse_command_line::<CommandLine>(arguments.clone()) {
        Ok(command_line) => command_line,
        Err(error) => return usage(&arguments, &error),
    };
    let output = Output::new(command_line.json);
    match catch_unwind(AssertUnwindSafe(|| command_line.command.run(output))) {
        Ok(Ok(())) => 0,
        // Its report says everything.
        Ok(Err(Error::Reported(exit))) => exit,
        Ok(Err(error)) => output.failure(&error),
        // The panic hook has printed where.
        Err(_) => output.failure(&Error::Internal("a panic")),
    }
}

fn usage(arguments: &[OsString], error: &clap::Error) -> u8 {
    let json = arguments.iter().any(|argument| argument == "--json");
    if json && error.use_stderr() {
        return Output::new(true).failure(&Error::usage(usage_message(error)));
    }
    report_usage(error)
}

#[cfg(test)]
mod tests;
