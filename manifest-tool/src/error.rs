//! Everything that can stop the tool, by whose fault it is, with the code, hint and exit code that people and
//! scripts see (docs/errors.md, docs/manifest-tool.md).

use std::path::{Path, PathBuf};

use suit_manifest::Reason;
use trust::host::{KeyFileError, ReadError};

use crate::image::ImageError;
use crate::passphrase::MAX_PASSPHRASE_LEN;
use crate::private_key::KeyFault;

/// What was done with a file when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileAction {
    /// Opened or read.
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

/// Why a command ended without doing what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // How it was called.
    /// The command line itself.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
    },
    /// An output file is there already, and holds something else.
    #[error("{} exists already", .0.display())]
    FileExists(PathBuf),
    /// Two outputs, or an input and an output, are the same file.
    #[error("{} is named twice", .0.display())]
    SameFile(PathBuf),

    /// A number that never falls would rise very far.
    #[error("the {what} {to} is more than {limit} above {from}")]
    Step { what: &'static str, from: u64, to: u64, limit: u64 },

    /// A minimum that no release key may sign.
    #[error(
        "the minimum {minimum} is above {ceiling}, the highest sequence number that a known credential permits"
    )]
    MinimumAboveCeiling { minimum: u64, ceiling: u64 },

    // Environment.
    /// A file could not be read or written.
    #[error("{} could not be {}: {source}", path.display(), action.past())]
    File {
        /// What was tried.
        action: FileAction,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is longer than what it is taken for can be.
    #[error("{} is longer than {limit} bytes", path.display())]
    FileTooLong {
        /// The file.
        path: PathBuf,
        /// Longest that is read, bytes.
        limit: u64,
    },
    /// Not a file of ours, nor a SUIT envelope.
    #[error(
        "{} is not an envelope, credential, revocation list, provisioning block, public key or image",
        .0.display()
    )]
    FileUnknown(PathBuf),
    /// Standard output is gone.
    #[error("the result could not be printed: {0}")]
    Output(std::io::Error),
    /// The system clock cannot be used.
    #[error("the system clock stands before 1970")]
    Clock,

    // Keys and credentials.
    /// No passphrase was given, and there is no terminal to ask on.
    #[error("a passphrase is needed")]
    PassphraseNeeded,
    /// The two entries differ, or it is empty, or longer than the limit.
    #[error("the passphrase {0}")]
    PassphraseUnusable(PassphraseFault),
    /// The key did not decrypt.
    #[error("{} does not open with this passphrase", .0.display())]
    PassphraseWrong(PathBuf),
    /// Not a private key that can be used.
    #[error("{} is not an Ed25519 private key in PKCS#8 PEM: {fault}", path.display())]
    PrivateKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        fault: KeyFault,
    },
    /// A passphrase that is guessed too soon.
    #[error("the passphrase is too weak: {0}")]
    PassphraseWeak(String),
    /// Not a public key that can be used.
    #[error("{} is not an Ed25519 public key: {source}", path.display())]
    PublicKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: KeyFileError,
    },
    /// A key could not be generated, encrypted or used.
    #[error("the key could not be {doing}: {source}")]
    KeyOperation {
        /// What was tried.
        doing: &'static str,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// One key for two roles: whoever steals it has both.
    #[error("{} certifies this key for the role {role} already", path.display())]
    KeyHasRole { path: PathBuf, role: &'static str },
    /// The credential is for another key than the one that signs.
    #[error("the credential {} certifies another key than the one that signs", .0.display())]
    CredentialOfAnotherKey(PathBuf),

    // What was to be made.
    /// A record or envelope would not be accepted by anyone.
    #[error("{what} cannot be made like this: {source}")]
    Author {
        /// What was to be made.
        what: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No image comes out of the input.
    #[error("no image can be made of {}: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ImageError,
    },

    // Refused.
    /// A file is refused, with the reason of the table in docs/errors.md.
    #[error("{} is refused at byte {position}: {}", path.display(), reason.message())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: Reason,
        /// Where reading stopped, byte offset in the file.
        position: u32,
    },
    /// The manifest is good, and the image is not the one it names.
    #[error("{} is not the image of this manifest: it {difference}", path.display())]
    ImageMismatch {
        /// The image.
        path: PathBuf,
        /// In which way.
        difference: ImageDifference,
    },

    // The server.
    /// Not the URL of a server.
    #[error("{0:?} is not the URL of a server")]
    ServerUrl(String),
    /// The token file holds no token.
    #[error("{} holds no bearer token", .0.display())]
    Token(PathBuf),
    /// The file of `--ca` holds no certificate.
    #[error("{} contains no certificate in PEM", .0.display())]
    Authorities(PathBuf),
    /// The server could not be reached, or stopped answering.
    #[error("{step} failed: {source}")]
    Http {
        /// What was tried.
        step: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server said no.
    #[error("{step} was refused by the server: {detail} (HTTP {status})")]
    ServerRefused {
        /// What was tried.
        step: String,
        /// HTTP status.
        status: u16,
        /// Slug of docs/errors.md, if the server gave one.
        code: Option<String>,
        /// What the server said.
        detail: String,
        /// What the server said to do about it.
        hint: Option<String>,
    },
    /// The server answered something that is not in its interface.
    #[error("{step} got an answer that is not understood: {detail}")]
    ServerAnswer {
        /// What was tried.
        step: String,
        /// What is wrong with it.
        detail: String,
    },

    /// A bug of this program.
    #[error("manifest-tool failed inside: {0}")]
    Internal(&'static str),
}

/// Why a passphrase cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PassphraseFault {
    #[error("is empty")]
    Empty,
    #[error("is longer than {MAX_PASSPHRASE_LEN} bytes")]
    TooLong,
    #[error("is not UTF-8")]
    NotUtf8,
    /// The two entries at the terminal.
    #[error("and its repetition differ")]
    Differs,
}

impl PassphraseFault {
    const fn hint(self) -> &'static str {
        match self {
            Self::Empty | Self::TooLong => "Give one line of 1 to 1024 bytes.",
            Self::NotUtf8 => "Save the passphrase file as UTF-8.",
            Self::Differs => "Run the command again and enter the same passphrase twice.",
        }
    }
}

/// In which way an image is not the one that a manifest names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageDifference {
    /// Bytes it has, bytes the manifest names.
    Size(u64, u64),
    /// Its SHA-256.
    Digest,
}

impl std::fmt::Display for ImageDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size(is, named) => write!(f, "has {is} bytes, the manifest names {named}"),
            Self::Digest => f.write_str("has another SHA-256"),
        }
    }
}

impl Error {
    /// A file cannot be used as a public key, or cannot be read.
    pub fn public_key(path: &Path, source: KeyFileError) -> Self {
        match source {
            KeyFileError::Read(error) => Self::file_read(path, error),
            source => Self::PublicKey { path: path.to_owned(), source },
        }
    }

    /// A file cannot be read.
    pub fn file_read(path: &Path, error: ReadError) -> Self {
        match error {
            ReadError::Io(source) => Self::File { action: FileAction::Read, path: path.to_owned(), source },
            ReadError::TooLong(limit) => Self::FileTooLong { path: path.to_owned(), limit },
        }
    }

    /// A file is refused by the trust chain.
    pub fn refused_record(path: &Path, error: trust::Error) -> Self {
        Self::Refused { path: path.to_owned(), reason: error.into(), position: error.position }
    }

    /// A file is refused as an envelope or manifest.
    pub fn refused_manifest(path: &Path, error: suit_manifest::Error) -> Self {
        Self::Refused { path: path.to_owned(), reason: error.reason(), position: error.position }
    }

    /// A wrong command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into() }
    }

    /// A record could not be made: a refusal where the format has one, a key failure where the signer has one.
    pub(crate) fn author(
        what: &'static str,
        credential: Option<&Path>,
        error: trust::author::AuthorError,
    ) -> Self {
        use trust::author::AuthorError;
        match (error, credential) {
            (AuthorError::Signer(source), _) => {
                Self::KeyOperation { doing: "used", source: Box::new(source) }
            }
            (AuthorError::NotTheSignersCredential, Some(path)) => {
                Self::CredentialOfAnotherKey(path.to_owned())
            }
            (AuthorError::Refused(error), Some(path)) => Self::refused_record(path, error),
            (error, _) => Self::Author { what, source: Box::new(error) },
        }
    }

    /// Stable name, as docs/errors.md and docs/manifest-tool.md list them.
    pub fn code(&self) -> &str {
        match self {
            Self::Usage { .. } => "usage",
            Self::FileExists(_) => "file-exists",
            Self::SameFile(_) => "same-file",
            Self::Step { .. } => "step-too-large",
            Self::MinimumAboveCeiling { .. } => "minimum-above-ceiling",
            Self::KeyHasRole { .. } => "key-has-role",
            Self::File { action: FileAction::Read, .. } => "file-read",
            Self::File { action: FileAction::Write, .. } => "file-write",
            Self::FileTooLong { .. } => "file-too-long",
            Self::FileUnknown(_) => "file-unknown",
            Self::Output(_) => "output",
            Self::Clock => "clock",
            Self::PassphraseNeeded => "passphrase-needed",
            Self::PassphraseUnusable(_) => "passphrase-unusable",
            Self::PassphraseWrong(_) => "passphrase-wrong",
            Self::PassphraseWeak(_) => "passphrase-weak",
            Self::PrivateKey { .. } => "private-key-invalid",
            Self::PublicKey { .. } => Reason::KeyInvalid.slug(),
            Self::KeyOperation { .. } => "key-operation",
            Self::CredentialOfAnotherKey(_) => Reason::KeyMismatch.slug(),
            Self::Author { .. } => "not-possible",
            Self::Image { source: ImageError::NotFirmware, .. } => "image-not-firmware",
            Self::Image { .. } => "image-unusable",
            Self::Refused { reason, .. } => reason.slug(),
            Self::ImageMismatch { .. } => Reason::ImageDigestMismatch.slug(),
            Self::ServerUrl(_) => "server-url",
            Self::Token(_) => "token-invalid",
            Self::Authorities(_) => "ca-invalid",
            Self::Http { .. } => "server-unreachable",
            Self::ServerRefused { code, .. } => code.as_deref().unwrap_or("server-refused"),
            Self::ServerAnswer { .. } => "server-answer",
            Self::Internal(_) => "internal",
        }
    }

    /// What to do about it, one sentence.
    pub fn hint(&self) -> &str {
        match self {
            Self::Usage { .. } => "See manifest-tool help, or the help of the command.",
            Self::FileExists(_) => {
                "Choose another name; --force replaces regular files, but never a private key."
            }
            Self::MinimumAboveCeiling { .. } => {
                "Pass the credential with the higher ceiling as --known; --allow-unreachable-minimum stops all releases."
            }
            Self::KeyHasRole { .. } => "Generate a key of its own for each role.",
            Self::Step { .. } => {
                "Check the number: it can never fall again. Pass --allow-large-step if it is intended."
            }
            Self::SameFile(_) => "Give each input and output a file of its own.",
            Self::File { .. } => {
                "Check that the path is right and permits it, and that the disk is not full."
            }
            Self::FileTooLong { .. } | Self::FileUnknown(_) => "Check that it is the file that you meant.",
            Self::Output(_) => "The files that were asked for have been written; read them.",
            Self::Clock => "Set the clock, or give the time with --now.",
            Self::PassphraseNeeded => {
                "Give --passphrase-file, or set ANCHORAGE_PASSPHRASE_FILE, or call it from a terminal."
            }
            Self::PassphraseUnusable(fault) => fault.hint(),
            Self::PassphraseWrong(_) => "Check the passphrase, and that the file is the key that was meant.",
            Self::PrivateKey { fault, .. } => fault.hint(),
            Self::PassphraseWeak(_) => {
                "Choose five or more random words; pass --weak-passphrase for a key that only tests use."
            }
            Self::PublicKey { source, .. } => source.hint(),
            Self::KeyOperation { .. } => "Try again; if the key is in a token, check the token.",
            Self::CredentialOfAnotherKey(_) => "Sign with the key for which the credential was issued.",
            Self::Author { .. } => "Change what the message names.",
            Self::Image { source, .. } => source.hint(),
            Self::Refused { reason, .. } => reason.hint(),
            Self::ImageMismatch { .. } => "Give the image that manifest-tool create wrote for this manifest.",
            Self::ServerUrl(_) => "Give one like https://updates.example.com.",
            Self::Authorities(_) => "Give the certificate of the authority that signed the server's, in PEM.",
            Self::Token(_) => "Put the server's bearer token into it, a line of printable ASCII.",
            Self::Http { .. } => "Check the URL, the network and that the server is up, and run it again.",
            Self::ServerRefused { hint: Some(hint), .. } => hint,
            Self::ServerRefused { status: 401 | 403, .. } => "Check the token.",
            Self::ServerRefused { code: Some(code), .. } => {
                let known = Reason::ALL.iter().find(|reason| reason.slug() == code);
                known.map_or("See docs/server-api.md.", |reason| reason.hint())
            }
            Self::ServerRefused { .. } => "See the server's log.",
            Self::ServerAnswer { .. } => "Check that the URL is that of an update-server of this version.",
            Self::Internal(_) => "Please report it.",
        }
    }

    /// Exit code of the program, docs/errors.md.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Usage { .. }
            | Self::FileExists(_)
            | Self::SameFile(_)
            | Self::Step { .. }
            | Self::MinimumAboveCeiling { .. }
            | Self::ServerUrl(_)
            | Self::Author { .. } => 2,
            Self::File { .. } | Self::Output(_) | Self::Clock | Self::Http { .. } => 3,
            Self::PassphraseNeeded
            | Self::PassphraseUnusable(_)
            | Self::PassphraseWrong(_)
            | Self::PassphraseWeak(_)
            | Self::PrivateKey { .. }
            | Self::PublicKey { .. }
            | Self::KeyOperation { .. }
            | Self::Authorities(_)
            | Self::KeyHasRole { .. }
            | Self::Token(_) => 4,
            Self::CredentialOfAnotherKey(_) => Reason::KeyMismatch.exit_code(),
            Self::FileTooLong { .. }
            | Self::FileUnknown(_)
            | Self::Image { .. }
            | Self::ImageMismatch { .. } => 5,
            // The table gives what only devices refuse the code of a remote refusal; here it is ours.
            Self::Refused { reason, .. } if reason.exit_code() == 7 => 5,
            Self::Refused { reason, .. } => reason.exit_code(),
            Self::ServerRefused { .. } | Self::ServerAnswer { .. } => 7,
        }
    }

    /// Byte offset in the refused file, where there is one.
    pub fn position(&self) -> Option<u32> {
        if let Self::Refused { position, .. } = self { Some(*position) } else { None }
    }
}
