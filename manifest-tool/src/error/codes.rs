//! Code and exit code of each error, as docs/errors.md and docs/manifest-tool.md list them.

use suit_manifest::Reason;
use suit_manifest::author::NotationError;

use super::{Error, FileAction};
use crate::image::ImageError;

impl Error {
    /// Stable name, as docs/errors.md and docs/manifest-tool.md list them.
    pub fn code(&self) -> &str {
        match self {
            Self::Usage { .. } => "usage",
            Self::FileExists(_) | Self::FileKept { .. } => "file-exists",
            Self::InsideLedger { .. } => "inside-ledger",
            Self::SameFile(_) => "same-file",
            Self::Step { .. } => "step-too-large",
            Self::MinimumAboveCeiling { .. } => "minimum-above-ceiling",
            Self::BelowLowestGeneration { .. } => "generation-below-lowest",
            Self::KeyHasRole { .. } | Self::DeviceKeyHasRole { .. } | Self::AnchorHasRole { .. } => {
                "key-has-role"
            }
            Self::ConfirmationNeeded => "confirmation-needed",
            Self::Declined => "declined",
            Self::RequestOld { .. } => "request-expired",
            Self::NoChain(_) => "no-chain",
            Self::KeyLacksRight { .. } => Reason::AnchorRights.slug(),
            Self::NotOfIssuingKey { .. } => Reason::RoleMismatch.slug(),
            Self::KeyWasRevoked { .. } => Reason::KeyRevoked.slug(),
            Self::File { action: FileAction::Read, .. } => "file-read",
            Self::File { action: FileAction::Write, .. } => "file-write",
            Self::FileTooLong { .. } => "file-too-long",
            Self::FileUnknown(..) => "file-unknown",
            Self::NoNotation { fault, .. } => match fault {
                NotationError::NotExact => "no-notation",
                NotationError::TooLong | NotationError::TooMany => "notation-too-long",
            },
            Self::Output(_) => "output",
            Self::Clock(_) => "clock",
            Self::PassphraseNeeded | Self::NewPassphraseNeeded => "passphrase-needed",
            Self::PassphraseUnusable(_) => "passphrase-unusable",
            Self::PassphraseWrong(_) => "passphrase-wrong",
            Self::PassphraseWeak(_) => "passphrase-weak",
            Self::PrivateKey { .. } => "private-key-invalid",
            Self::MasterKey { .. } => "master-key-invalid",
            Self::Exposed(_) => "secret-readable",
            Self::KeyCheck { .. } => "key-check-differs",
            Self::PublicKey { .. } | Self::VerifyingKey { .. } | Self::AgreementKey { .. } => {
                Reason::KeyInvalid.slug()
            }
            Self::Blocks { shortfall, .. } => shortfall.code(),
            Self::KeyOperation { .. } => "key-operation",
            Self::Holder(error) => error.code(),
            Self::SignatureForeign => "signature-foreign",
            Self::SignatureForm { .. } => "signature-form",
            Self::OtherBytes { .. } => "tbs-mismatch",
            Self::Share { fault, .. } | Self::Shares(fault) => fault.code(),
            Self::BackupOfAnotherKey { .. } => "backup-other-key",
            Self::DevicesFile { fault, .. } => fault.code(),
            Self::LineLog { .. } => "line-log",
            Self::NoLineLog(_) => "line-log-absent",
            Self::DeviceKnown { .. } => "device-known",
            Self::BatchDiffers { .. } => "batch-differs",
            Self::NoSuchDevice { .. } => "no-such-device",
            Self::DevicesReturn { .. } => "devices-return",
            Self::Certificate { fault, .. } => fault.code(),
            Self::CredentialOfAnotherKey(_) => Reason::KeyMismatch.slug(),
            Self::Author { .. } => "not-possible",
            Self::Recipients { .. } => "recipients-too-many",
            Self::Release { fault, .. } => fault.code(),
            Self::Description { .. } => "description-invalid",
            Self::Folder { fault, .. } => fault.code(),
            Self::Image {
                source:
                    ImageError::NotFirmware
                    | ImageError::NotFirmwareAtBase
                    | ImageError::BigEndian
                    | ImageError::OtherMachine(_),
                ..
            } => "image-not-firmware",
            Self::Image { .. } => "image-unusable",
            Self::Refused { reason, .. } | Self::ReportKey { reason, .. } => reason.slug(),
            Self::NoRecipient(_) => Reason::DeviceKeyUnknown.slug(),
            Self::OtherRelease { .. } => "report-of-another-release",
            Self::Member { fault, .. } => fault.code(),
            Self::ImageMismatch { .. } => Reason::ImageDigestMismatch.slug(),
            Self::ServerUrl(_) => "server-url",
            Self::TokenFile { .. } => "token-invalid",
            Self::Authorities(_) => "ca-invalid",
            Self::Http { .. } => "server-unreachable",
            Self::LaterPart { cause, .. } => cause.code(),
            Self::ServerRefused { code, .. } => code.as_deref().unwrap_or("server-refused"),
            Self::ServerAnswer { .. } => "server-answer",
            Self::Ledger(error) | Self::Published { source: error, .. } => error.code(),
            Self::Devices { .. } => "devices-malformed",
            Self::Reported(_) => "reported",
            Self::Ceremony(error) => error.code(),
            Self::Internal(_) => "internal",
        }
    }

    /// Exit code of the program, docs/errors.md.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Usage { .. }
            | Self::FileExists(_)
            | Self::FileKept { .. }
            | Self::InsideLedger { .. }
            | Self::SameFile(_)
            | Self::ConfirmationNeeded
            | Self::Declined
            | Self::NoChain(_)
            | Self::Step { .. }
            | Self::MinimumAboveCeiling { .. }
            | Self::BelowLowestGeneration { .. }
            | Self::ServerUrl(_)
            | Self::Recipients { .. }
            | Self::Author { .. } => 2,
            Self::File { .. } | Self::Output(_) | Self::Clock(_) | Self::Http { .. } => 3,
            Self::Ledger(error) | Self::Published { source: error, .. } => ledger_exit_code(error),
            Self::Reported(exit) => *exit,
            Self::Ceremony(error) => error.exit_code(),
            Self::PassphraseNeeded
            | Self::NewPassphraseNeeded
            | Self::PassphraseUnusable(_)
            | Self::PassphraseWrong(_)
            | Self::PassphraseWeak(_)
            | Self::PrivateKey { .. }
            | Self::MasterKey { .. }
            | Self::Exposed(_)
            | Self::KeyCheck { .. }
            | Self::PublicKey { .. }
            | Self::VerifyingKey { .. }
            | Self::AgreementKey { .. }
            | Self::KeyOperation { .. }
            | Self::Authorities(_)
            | Self::KeyHasRole { .. }
            | Self::DeviceKeyHasRole { .. }
            | Self::AnchorHasRole { .. }
            | Self::Certificate { .. }
            | Self::DeviceKnown { .. }
            | Self::BatchDiffers { .. }
            | Self::NoSuchDevice { .. }
            | Self::SignatureForeign
            | Self::TokenFile { .. } => 4,
            Self::Holder(error) => error.exit_code(),
            Self::CredentialOfAnotherKey(_) => Reason::KeyMismatch.exit_code(),
            Self::KeyLacksRight { .. } => Reason::AnchorRights.exit_code(),
            Self::NotOfIssuingKey { .. } => Reason::RoleMismatch.exit_code(),
            Self::KeyWasRevoked { .. } | Self::DevicesReturn { .. } => Reason::KeyRevoked.exit_code(),
            Self::DevicesFile { .. }
            | Self::LineLog { .. }
            | Self::NoLineLog(_)
            | Self::FileTooLong { .. }
            | Self::FileUnknown(..)
            | Self::NoNotation { .. }
            | Self::SignatureForm { .. }
            | Self::Devices { .. }
            | Self::OtherBytes { .. }
            | Self::Share { .. }
            | Self::Shares(_)
            | Self::BackupOfAnotherKey { .. }
            | Self::RequestOld { .. }
            | Self::Description { .. }
            | Self::Release { .. }
            | Self::Image { .. }
            | Self::Member { .. }
            | Self::NoRecipient(_)
            | Self::OtherRelease { .. }
            | Self::ImageMismatch { .. } => 5,
            Self::Folder { fault, .. } => fault.exit_code(),
            Self::Blocks { shortfall, .. } => shortfall.exit_code(),
            // The table gives what only devices refuse the code of a remote refusal; here it is ours.
            Self::Refused { reason, .. } if reason.exit_code() == 7 => 5,
            Self::Refused { reason, .. } | Self::ReportKey { reason, .. } => reason.exit_code(),
            Self::ServerRefused { .. } | Self::ServerAnswer { .. } => 7,
            Self::LaterPart { cause, .. } => cause.exit_code(),
        }
    }
}

/// By whom it has to be mended: the command line, the system, or who keeps the ledger.
fn ledger_exit_code(error: &ledger::Error) -> u8 {
    use ledger::Error as Ledger;
    match error {
        Ledger::Exists(_)
        | Ledger::Absent(_)
        | Ledger::NameTaken { .. }
        | Ledger::Unfit { .. }
        | Ledger::NoSuchKey(_)
        | Ledger::OwnKey(_)
        | Ledger::NameOfTwo { .. }
        | Ledger::Text { .. }
        | Ledger::NothingBegun
        | Ledger::NotForked { .. }
        | Ledger::OldHead { .. }
        | Ledger::NotSucceeded { .. }
        | Ledger::Batch(_)
        | Ledger::Full
        | Ledger::BatchesFull(_)
        | Ledger::Author(_) => 2,
        Ledger::File { .. } | Ledger::InUse(_) | Ledger::TimeGoesBack { .. } => 3,
        Ledger::OtherKey { .. } => 4,
        Ledger::Damaged { .. }
        | Ledger::Newer { .. }
        | Ledger::Begun { .. }
        | Ledger::SignedOnce { .. }
        | Ledger::Closed { .. }
        | Ledger::Succession { .. }
        | Ledger::Stale { .. }
        | Ledger::Older { .. }
        | Ledger::OtherHistory { .. }
        | Ledger::Forked(_) => 5,
    }
}
