//! What is wrong with a passphrase, and with an image.

use crate::passphrase::MAX_PASSPHRASE_LEN;

/// Why a passphrase cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PassphraseFault {
    #[error("is empty")]
    Empty,
    #[error("is longer than {MAX_PASSPHRASE_LEN} bytes")]
    TooLong,
    #[error("is not UTF-8")]
    NotUtf8,
    /// Its first line is the same in every key file.
    #[error("is the first line of a PEM file")]
    Pem,
    /// The two entries at the terminal.
    #[error("and its repetition differ")]
    Differs,
}

impl PassphraseFault {
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Empty | Self::TooLong => "Use one line of 1 to 1024 bytes.",
            Self::NotUtf8 => "Save the passphrase file as UTF-8.",
            Self::Pem => "Pass a file that contains only the passphrase; check that no paths are swapped.",
            Self::Differs => "Run the command again and enter the same passphrase twice.",
        }
    }
}

/// In which way an image is not the one that a manifest names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageDifference {
    /// Bytes it has, bytes the manifest names.
    Size(u64, u64),
    Digest,
    /// It names none.
    NoneNamed,
    /// It was to be decrypted.
    Decrypted,
    /// It is for another option than the one that it was given as.
    Misplaced {
        given: &'static str,
        meant: &'static str,
    },
}

impl ImageDifference {
    /// What to do about it, one sentence.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Decrypted => {
                "Pass the encrypted image that encrypt or personalize wrote: the manifest names that one as what is sent."
            }
            Self::Misplaced { .. } => "Swap the files of these two options.",
            Self::Size(..) | Self::Digest | Self::NoneNamed => {
                "Pass the image that manifest-tool create wrote for this manifest, or encrypt and personalize if it is encrypted; of a \
                 plain table, the file it was made of, beside an image as --table."
            }
        }
    }
}

impl std::fmt::Display for ImageDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size(is, named) => write!(f, "has {is} bytes, the manifest names {named}"),
            Self::Digest => f.write_str("has another digest"),
            Self::NoneNamed => f.write_str("has no digest there, and nothing else has"),
            Self::Decrypted => f.write_str("is what decryption makes, and not what is encrypted"),
            Self::Misplaced { given, meant } => {
                write!(f, "is what {meant} is for, and was given as {given}")
            }
        }
    }
}
