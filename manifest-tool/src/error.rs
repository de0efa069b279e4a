//! All errors of the tool, with message, hint, code and exit code (docs/errors.md, docs/manifest-tool.md).

mod codes;
mod faults;
mod hints;
mod made;
mod rows;

use std::path::PathBuf;

use server_client::UrlError;
use suit_manifest::Reason;
use suit_manifest::author::NotationError;
use suit_manifest::vocabulary::Rule;
use trust::blocks::VerifyingKeyError;
use trust::blocks::encryption::AgreementKeyError;
use trust::host::{ClockFault, KeyFileError, TokenFileError};

use crate::blocks::{AuthenticationView, Shortfall};
use crate::bundle::MemberFault;
use crate::ceremony::CeremonyError;
use crate::commands::provision::LineFault;
use crate::encryption::ReleaseFault;
use crate::files::Kept;
use crate::image::ImageError;
use crate::keys::HolderError;
use crate::kind::Kind;
use crate::master_key::MasterFault;
use crate::personalize::FolderFault;
use crate::private_key::KeyFault;
use crate::server::Imported;
use crate::shares::ShareFault;
use crate::x509;

pub use faults::{ImageDifference, PassphraseFault};
pub use rows::RefusedRow;
pub(crate) use rows::refused_rows;

/// What was done with a file when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileAction {
    Read,
    /// Created, written or synchronised.
    Write,
}

impl FileAction {
    const fn past(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "written",
        }
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Command line.
    #[error("{message}")]
    Usage { message: String },
    /// An output file exists and has other content.
    #[error("{} already exists", .0.display())]
    FileExists(PathBuf),
    /// An output file exists, and holds what no other output replaces.
    #[error("{} already exists, and is {kept}", path.display())]
    FileKept { path: PathBuf, kept: Kept },
    /// An output is in the folder of a ledger.
    #[error("{} is in the ledger {}, where nothing else is written", path.display(), ledger.display())]
    InsideLedger { path: PathBuf, ledger: PathBuf },
    /// Two outputs, or an input and an output, are the same file.
    #[error("{} is used twice, as input and output or as two outputs", .0.display())]
    SameFile(PathBuf),

    /// A number that never falls would rise too far.
    #[error("the {what} {to} is more than {limit} above {from}")]
    Step { what: &'static str, from: u64, to: u64, limit: u64 },

    /// No release key may sign a release that reaches the minimum.
    #[error(
        "the minimum {minimum} is above {ceiling}, the highest sequence number that a known credential permits"
    )]
    MinimumAboveCeiling { minimum: u64, ceiling: u64 },
    /// A list contains no id below the lowest generation of its role.
    #[error("{id} is not revoked: its generation {generation} is below {lowest}, the lowest of the list")]
    BelowLowestGeneration { id: String, generation: u64, lowest: u64 },

    /// Nobody said yes, and nobody can be asked.
    #[error("confirmation required, but there is no terminal")]
    ConfirmationNeeded,
    /// The answer was no.
    #[error("nothing was signed: the answer was no")]
    Declined,
    /// A request that lay around: it was made for another day.
    #[error("the request {} is of {issued}, more than {days} days ago", path.display())]
    RequestOld { path: PathBuf, issued: String, days: u64 },
    /// No chain can be made.
    #[error("there is no succession chain: {0}")]
    NoChain(&'static str),

    // Environment.
    /// A file could not be read or written.
    #[error("{} could not be {}: {source}", path.display(), action.past())]
    File {
        action: FileAction,
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is longer than what it is taken for can be.
    #[error("{} is longer than {limit} bytes", path.display())]
    FileTooLong {
        path: PathBuf,
        /// Longest that is read, bytes.
        limit: u64,
    },
    /// Not a file that `inspect` shows, and what it is, if it is one of ours.
    #[error(
        "{} is not an envelope, signed record, provisioning block, public key or image.{}",
        .0.display(), instead(*.1)
    )]
    FileUnknown(PathBuf, Option<Kind>),
    /// Not in the one encoding that diagnostic notation leads back to, or beyond a limit.
    #[error("{} has no exact notation: {fault}", path.display())]
    NoNotation { path: PathBuf, fault: NotationError },
    /// Standard output is gone.
    #[error("the result could not be printed: {0}")]
    Output(std::io::Error),
    /// The system clock cannot be right.
    #[error("{}", .0.message())]
    Clock(ClockFault),

    // Keys and credentials.
    /// No passphrase was given, and there is no terminal to ask on.
    #[error("a passphrase is required, and there is no terminal to prompt on")]
    PassphraseNeeded,
    /// The same for a new key, beside one that is opened.
    #[error("a passphrase for the new key file is required, and there is no terminal to prompt on")]
    NewPassphraseNeeded,
    /// The two entries differ, or it is empty, or longer than the limit.
    #[error("the passphrase {0}")]
    PassphraseUnusable(PassphraseFault),
    /// The key did not decrypt.
    #[error("{} does not open with this passphrase", .0.display())]
    PassphraseWrong(PathBuf),
    /// Not a private key that can be used.
    #[error("{} is no private key that can be used here: {fault}", path.display())]
    PrivateKey { path: PathBuf, fault: KeyFault },
    /// A passphrase that is guessed too soon.
    #[error("the passphrase is too weak: {0}")]
    PassphraseWeak(String),
    /// Not a master key that can be used.
    #[error("{} is not a master key: {fault}", path.display())]
    MasterKey { path: PathBuf, fault: MasterFault },
    /// Others may have read the file of a symmetric key.
    #[error("other users of this machine can read or change {}", .0.display())]
    Exposed(PathBuf),
    /// A list has the key-check value of another key.
    #[error("the key of {serial} has the key-check value {found}, and the list {listed}")]
    KeyCheck { serial: String, found: String, listed: String },
    /// Not a public key that can be used.
    #[error("{} is not an Ed25519 public key: {source}", path.display())]
    PublicKey { path: PathBuf, source: KeyFileError },
    /// The same of a key on either curve.
    #[error("{} is not a public key of Ed25519 or P-256: {source}", path.display())]
    VerifyingKey { path: PathBuf, source: VerifyingKeyError },
    /// Not a key of the half that is wanted, or not one to agree with.
    #[error("{} is not a key to agree with: {source}", path.display())]
    AgreementKey { path: PathBuf, source: AgreementKeyError },
    /// A key could not be generated, encrypted or used.
    #[error("the key could not be {doing}: {source}")]
    KeyOperation { doing: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    /// A token, an agent, a program or the environment does not give what the key is needed for.
    #[error(transparent)]
    Holder(HolderError),
    /// What came back from outside is not a signature of the key.
    #[error("the signature that came back does not verify under the public key of the signer")]
    SignatureForeign,
    /// A file that was to hold a signature.
    #[error("{} ({len} bytes) is not a signature of Ed25519", path.display())]
    SignatureForm {
        path: PathBuf,
        /// Of the file, bytes.
        len: usize,
    },
    /// What was signed is not what the envelope needs.
    #[error("{} are not the bytes to be signed for {}", tbs.display(), envelope.display())]
    OtherBytes { tbs: PathBuf, envelope: PathBuf },
    /// A share cannot be used.
    #[error("{name} is refused as a share: {fault}")]
    Share { name: String, fault: ShareFault },
    /// Shares do not make a key.
    #[error("the shares make no key: {0}")]
    Shares(ShareFault),
    /// What was made again is the key of somebody else.
    #[error("the backup holds the key {found}, not {wanted}")]
    BackupOfAnotherKey { found: String, wanted: String },
    /// One key for two roles: whoever steals it has both.
    #[error("{} already knows this key in the role {role}", path.display())]
    KeyHasRole { path: PathBuf, role: &'static str },
    /// The same of a device that is to be made.
    #[error("the key of {serial} ({kid}) is known in {} in the role {role}", path.display())]
    DeviceKeyHasRole { serial: String, kid: String, path: PathBuf, role: &'static str },
    /// The same of what devices are to trust.
    #[error("the key {kid} is given as a {wanted}, and {} knows it in the role {role}", path.display())]
    AnchorHasRole { kid: String, wanted: &'static str, path: PathBuf, role: &'static str },
    /// The key that signs is there for something else.
    #[error("devices do not let {name} ({kid}) {act}")]
    KeyLacksRight {
        /// Name of the key that signs.
        name: String,
        kid: String,
        /// What it may not do.
        act: &'static str,
    },
    /// A credential of another kind than this argument asks for.
    #[error("{} is a credential of the role {role}, not of an issuing key (role identity)", path.display())]
    NotOfIssuingKey { path: PathBuf, role: &'static str },
    /// A key that this root, or one before, took back.
    #[error("{name} ({kid}) was revoked, and is not certified again")]
    KeyWasRevoked { name: String, kid: String },
    /// A line of a file of devices gives no device.
    #[error("line {line} of {}: {fault}", path.display())]
    DevicesFile { path: PathBuf, line: u64, fault: LineFault },
    /// A line of the log of a production line, or of its list, says nothing of a device.
    #[error("line {line} of {}: {why}", path.display())]
    LineLog { path: PathBuf, line: u64, why: String },
    /// A folder of devices without the log of a production line.
    #[error("there is no log of the production line: {}", .0.display())]
    NoLineLog(PathBuf),
    /// A ledger or a credential has a device already.
    #[error("{what} is in {place} already")]
    DeviceKnown { what: String, place: String },
    /// A batch that somebody began is not what this command would sign.
    #[error(
        "the credential of {serial} in the batch of entry {entry} is not the one that this command would make"
    )]
    BatchDiffers { serial: String, entry: u64 },
    /// A serial that names no key.
    #[error("the device {serial} {what}")]
    NoSuchDevice { serial: String, what: String },
    /// Revoked devices would leave the list, and one credential for their issuing key brings them back.
    #[error(
        "the lowest generation {lowest} takes {} revoked devices from the list whose issuing key is not revoked: {}",
        .devices.len(),
        .devices.join(", ")
    )]
    DevicesReturn { lowest: u64, devices: Vec<String> },
    /// No X.509 certificate can be made of it.
    #[error("{}: {fault}", path.display())]
    Certificate { path: PathBuf, fault: x509::Fault },
    /// The credential is for another key than the one that signs.
    #[error("the credential {} certifies another key than the signing key", .0.display())]
    CredentialOfAnotherKey(PathBuf),

    // What was to be made.
    /// A record or envelope would not be accepted by anyone.
    #[error("cannot make {what}: {source}")]
    Author {
        /// What was to be made.
        what: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More devices than an envelope has room for.
    #[error("{given} devices are to read the image, and the envelope has room for {fit}")]
    Recipients { given: usize, fit: usize },
    /// A description of an envelope is not understood.
    #[error("line {line} of {}: {what}", path.display())]
    Description { path: PathBuf, line: usize, what: String },
    /// A release is not encrypted.
    #[error("{} {fault}", path.display())]
    Release { path: PathBuf, fault: ReleaseFault },
    /// The folder of personal envelopes is of another run.
    #[error("{} {fault}", path.display())]
    Folder { path: PathBuf, fault: FolderFault },
    /// No image comes out of the input.
    #[error("cannot make an image from {}: {source}", path.display())]
    Image { path: PathBuf, source: ImageError },

    // Refused.
    /// A file is refused, with the reason of the table in docs/errors.md.
    #[error("{} is refused at byte {position}: {}{}", path.display(), reason.message(), instead(*found))]
    Refused {
        path: PathBuf,
        reason: Reason,
        /// Where reading stopped, byte offset in the file.
        position: u32,
        /// The section that asks for it, where the file is read as an envelope.
        rule: Option<Rule>,
        /// What the file is instead.
        found: Option<Kind>,
    },
    /// The key at hand is not the one that made a report.
    #[error("{} is refused at byte {position}: {}", path.display(), reason.message())]
    ReportKey {
        path: PathBuf,
        reason: Reason,
        /// Byte offset in the file.
        position: u32,
        /// Of a master key, and not out of a block.
        is_derived: bool,
    },
    /// The blocks of an envelope do not hold under the keys that were given.
    #[error("{} is refused: {shortfall}", path.display())]
    Blocks { path: PathBuf, shortfall: Shortfall, blocks: Vec<AuthenticationView> },
    /// No recipient of an encrypted image has the key at hand.
    #[error("{} is not encrypted for the key of --decryption-key", .0.display())]
    NoRecipient(PathBuf),
    /// A report verifies, and the release at hand is not the one that it is about.
    #[error("{} verifies, and is not about {}: it is about {}", report.display(), envelope.display(),
        manifest.as_ref().map_or_else(|| "no manifest, since none authenticated".to_owned(), |digest| format!("the manifest {digest}")))]
    OtherRelease { report: PathBuf, envelope: PathBuf, manifest: Option<String> },
    /// An envelope does not have, or cannot take, a member.
    #[error("{} {fault}", path.display())]
    Member { path: PathBuf, fault: MemberFault },
    /// The manifest is good, and the image or table is not the one it names.
    #[error("{} is not what this manifest names: it {difference}", path.display())]
    ImageMismatch { path: PathBuf, difference: ImageDifference },

    // The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),

    /// A copy of the ledger does not go with a published list.
    #[error("{}: {source}", path.display())]
    Published {
        /// Of the list.
        path: PathBuf,
        source: ledger::Error,
    },

    // Ceremonies.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),

    // The server.
    #[error("--server is not the URL of a server: {0}")]
    ServerUrl(UrlError),
    /// The token file holds no token.
    #[error("{} cannot be used as a token file: {source}", path.display())]
    TokenFile { path: PathBuf, source: TokenFileError },
    /// The file of `--ca` holds no certificate.
    #[error("{} contains no certificate in PEM", .0.display())]
    Authorities(PathBuf),
    /// The server could not be reached, or stopped answering.
    #[error("{step} failed: {cause}")]
    Http { step: String, cause: String },
    /// The server said no.
    #[error("{step} was refused by the server: {detail} (HTTP {status})")]
    ServerRefused {
        step: String,
        status: u16,
        /// Slug of docs/errors.md, if the server gave one.
        code: Option<String>,
        /// What the server said.
        detail: String,
        /// What the server said to do about it.
        hint: Option<String>,
        /// The rows of a list that it refused.
        rows: Vec<RefusedRow>,
    },
    /// A part of a list failed, and the server keeps those before it.
    #[error("{cause}; of those sent before, {} devices are registered", done.devices)]
    LaterPart {
        /// What it did with the parts before.
        done: Imported,
        cause: Box<Error>,
    },
    /// The server answered something that is not in its interface.
    #[error("{step} got an unexpected answer: {detail}")]
    ServerAnswer {
        step: String,
        /// What is wrong with it.
        detail: String,
    },

    /// A file that is not the answer of a server about its devices.
    #[error("{} is not the answer of GET /v1/devices: {reason}", path.display())]
    Devices { path: PathBuf, reason: String },
    /// The report says what is wrong: nothing is printed after it.
    #[error("see the report")]
    Reported(u8),

    /// A bug of this program.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// The end of a message about a file of another kind.
fn instead(found: Option<Kind>) -> String {
    found.map(|kind| format!(" The file is {kind}.")).unwrap_or_default()
}

impl Error {
    /// The rows of a list that a server refused.
    pub(crate) fn rows(&self) -> &[RefusedRow] {
        let refusal = if let Self::LaterPart { cause, .. } = self { cause } else { self };
        if let Self::ServerRefused { rows, .. } = refusal { rows } else { &[] }
    }

    /// What a server did with the parts of a list before the one that failed.
    pub(crate) fn registered(&self) -> Option<&Imported> {
        if let Self::LaterPart { done, .. } = self { Some(done) } else { None }
    }

    /// The blocks of a refused envelope.
    pub(crate) fn blocks(&self) -> &[AuthenticationView] {
        if let Self::Blocks { blocks, .. } = self { blocks } else { &[] }
    }

    /// Byte offset in the refused file, where there is one.
    pub fn position(&self) -> Option<u32> {
        if let Self::Blocks { shortfall, .. } = self {
            return shortfall.position();
        }
        if let Self::Refused { position, .. } | Self::ReportKey { position, .. } = self {
            return Some(*position);
        }
        None
    }

    /// The section that asks for the refusal of an envelope.
    pub fn rule(&self) -> Option<String> {
        if let Self::Refused { rule, .. } = self { rule.map(|rule| rule.to_string()) } else { None }
    }
}
