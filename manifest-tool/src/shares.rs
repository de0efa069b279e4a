//! Shares of a private key: any `threshold` of them make the key again, fewer say nothing about it (Shamir 1979, over
//! GF(256), one polynomial a byte; decision 0072). A share is 49 bytes, as 36 words or as the text of a QR code:
//!
//! | bytes | |
//! |---|---|
//! | 1 | [`FORMAT`] |
//! | 8 | kid of the key |
//! | 2 | of the split: random |
//! | 1 | threshold |
//! | 1 | x, 1 to 255 |
//! | 32 | y |
//! | 4 | start of SHA-256 over all of that |

pub mod page;

use std::path::Path;

use blahaj::Sharks;
use trust::author::{Signer as _, SoftwareKey};
use trust::host::contains;
use trust::{Kid, PublicKey};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::memory;
use crate::wordlist::{self, BITS_A_WORD, index_of};

/// Form of a share.
const FORMAT: u8 = 1;
/// Length of a share, bytes.
pub const SHARE_LEN: usize = 49;
const CHECKED_LEN: usize = SHARE_LEN - 4;
/// Words of a share.
pub const SHARE_WORDS: usize = (SHARE_LEN * 8).div_ceil(BITS_A_WORD);
/// Most shares of a key.
pub const MAX_SHARES: u8 = 16;
/// Fewest shares that make a key: one alone would be a copy without a passphrase.
pub const MIN_THRESHOLD: u8 = 2;
/// What is before the bytes in hex, in the QR code and on the page.
const MARK: &str = "ANCHORAGE-SHARE:";

type Seed = Zeroizing<[u8; 32]>;

/// Why shares make no key. No message repeats what stands in a share.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShareFault {
    #[error("it has {0} words, and a share has {SHARE_WORDS}")]
    Words(usize),
    #[error("word {0} is not in the list of words")]
    Word(usize),
    #[error("it is no text with a share")]
    Text,
    #[error("it has more than one share")]
    Several,
    #[error("it has format {0}, and this version reads format {FORMAT}")]
    Format(u8),
    #[error("its checksum does not hold: a word or digit is wrong")]
    Checksum,
    #[error("the words on its page are not those of its text: the page is damaged")]
    WordsDiffer,
    #[error("it is a share of another key than the one before it")]
    OtherKey,
    #[error("it is of another split of the key than the one before it")]
    OtherSplit,
    #[error("it is the same share as one before it")]
    Twice,
    #[error("{given} shares are there, and {needed} are needed")]
    TooFew { given: usize, needed: u8 },
    #[error("together they do not make the key {0}: one of them is forged")]
    WrongKey(String),
}

impl ShareFault {
    /// Stable name (docs/manifest-tool.md).
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Words(_) | Self::Word(_) | Self::Text | Self::Several | Self::Format(_) => {
                "share-malformed"
            }
            Self::Checksum | Self::WordsDiffer => "share-damaged",
            Self::OtherKey | Self::OtherSplit => "share-mixed",
            Self::Twice => "share-twice",
            Self::TooFew { .. } => "shares-too-few",
            Self::WrongKey(_) => "shares-forged",
        }
    }

    /// An imperative sentence for the maker.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Words(_) | Self::Word(_) | Self::Text => {
                "Type the words of the page in their order, or scan its QR code into a file."
            }
            Self::Several => "Pass one file a share.",
            Self::Format(_) => "Use the version of manifest-tool that made the share, or a later one.",
            Self::Checksum => "Compare each word with the page, or scan its QR code; else use another share.",
            Self::WordsDiffer => {
                "The key can be made of it still (key recover), but not by its words: make new shares (key backup)."
            }
            Self::OtherKey | Self::OtherSplit => {
                "Use shares that were made together: their pages have the same date, key and split."
            }
            Self::Twice => "Use different shares: their pages have different numbers.",
            Self::TooFew { .. } => "Pass more shares of the same split.",
            Self::WrongKey(_) => "Try other shares of the same split, and find out who changed one of these.",
        }
    }
}

/// Whether a file is a share, or the page of one, damaged or not.
#[must_use]
pub fn is_share(file: &[u8]) -> bool {
    let is_marked = contains(file, MARK.as_bytes());
    is_marked || matches!(Share::parse(file), Ok(_) | Err(ShareFault::Checksum))
}

/// One share. Its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Share(Zeroizing<[u8; SHARE_LEN]>);

impl Share {
    fn new(kid: Kid, split: [u8; 2], threshold: u8, share: &blahaj::Share) -> Result<Self, Error> {
        let point = Zeroizing::new(Vec::from(share));
        let head = [&[FORMAT][..], &kid.0, &split, &[threshold]].concat();
        let mut bytes = Zeroizing::new([0; SHARE_LEN]);
        let content = Zeroizing::new([&head[..], &point].concat());
        let checksum = trust::sha256(&content);
        if content.len() != CHECKED_LEN {
            return Err(Error::Internal("a share has another length"));
        }
        let ends = content.iter().chain(&checksum);
        bytes.iter_mut().zip(ends).for_each(|(byte, content)| *byte = *content);
        Ok(Self(bytes))
    }

    fn from_bytes(bytes: Zeroizing<[u8; SHARE_LEN]>) -> Result<Self, ShareFault> {
        let (content, checksum) = bytes.split_at(CHECKED_LEN);
        if trust::sha256(content).get(..4) != Some(checksum) {
            return Err(ShareFault::Checksum);
        }
        let share = Self(bytes);
        match share.0[0] {
            // x = 0 would be the key itself.
            FORMAT if share.number() == 0 || share.threshold() < MIN_THRESHOLD => Err(ShareFault::Text),
            FORMAT => Ok(share),
            other => Err(ShareFault::Format(other)),
        }
    }

    /// kid of the key.
    #[must_use]
    pub fn kid(&self) -> Kid {
        let mut kid = [0; 8];
        kid.copy_from_slice(&self.0[1..9]);
        Kid(kid)
    }

    /// The same for all shares that were made together.
    #[must_use]
    pub fn split(&self) -> [u8; 2] {
        [self.0[9], self.0[10]]
    }

    /// How many shares are needed.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.0[11]
    }

    /// Which share of the split it is, from 1.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.0[12]
    }

    fn point(&self) -> Result<blahaj::Share, ShareFault> {
        blahaj::Share::try_from(&self.0[12..CHECKED_LEN]).map_err(|_| ShareFault::Text)
    }

    /// The text of its QR code.
    #[must_use]
    pub fn code(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode_upper(self.0.as_slice()));
        Zeroizing::new(format!("{MARK}{}", *digits))
    }

    /// Its words.
    #[must_use]
    pub fn words(&self) -> Vec<&'static str> {
        wordlist::words(self.0.as_slice(), SHARE_WORDS)
    }

    /// Reads words, of which the first four letters suffice.
    ///
    /// # Errors
    /// [`ShareFault`]
    pub fn from_words(words: &[&str]) -> Result<Self, ShareFault> {
        if words.len() != SHARE_WORDS {
            return Err(ShareFault::Words(words.len()));
        }
        let mut bytes = Zeroizing::new([0u8; SHARE_LEN + 1]);
        for (place, word) in words.iter().enumerate() {
            let index = index_of(word).ok_or(ShareFault::Word(place + 1))?;
            for bit in (0..BITS_A_WORD).filter(|bit| index >> (BITS_A_WORD - 1 - bit) & 1 == 1) {
                let at = place * BITS_A_WORD + bit;
                bytes[at / 8] |= 1 << (7 - at % 8);
            }
        }
        let (share, rest) = bytes.split_at(SHARE_LEN);
        if rest != [0] {
            return Err(ShareFault::Checksum);
        }
        let mut whole = Zeroizing::new([0; SHARE_LEN]);
        whole.copy_from_slice(share);
        Self::from_bytes(whole)
    }

    /// Reads the page of a share, a file with its words, or what a scanner made of its QR code.
    ///
    /// # Errors
    /// [`ShareFault`]
    pub fn parse(file: &[u8]) -> Result<Self, ShareFault> {
        let text = std::str::from_utf8(file).map_err(|_| ShareFault::Text)?;
        let mut found: Option<Self> = None;
        for rest in text.split(MARK).skip(1) {
            let digits = rest.get(..2 * SHARE_LEN).ok_or(ShareFault::Text)?;
            let mut bytes = Zeroizing::new([0; SHARE_LEN]);
            hex::decode_to_slice(digits, bytes.as_mut()).map_err(|_| ShareFault::Text)?;
            let share = Self::from_bytes(bytes)?;
            if found.as_ref().is_some_and(|found| found.0 != share.0) {
                return Err(ShareFault::Several);
            }
            found = Some(share);
        }
        found.map_or_else(|| Self::from_words(&words_of(text)), Ok)
    }

    /// Whether the words on the page from which this share was read are its own: somebody will type them one day. A file without
    /// a page's words, such as what a scanner made, has none that differ.
    ///
    /// # Errors
    /// [`ShareFault::WordsDiffer`]
    pub fn check_words(&self, file: &[u8]) -> Result<(), ShareFault> {
        let text = std::str::from_utf8(file).map_err(|_| ShareFault::Text)?;
        let (words, own) = (words_of(text), self.words());
        let is_page = text.contains(MARK) && words.len() >= SHARE_WORDS;
        if is_page && !words.windows(SHARE_WORDS).any(|window| window == own) {
            return Err(ShareFault::WordsDiffer);
        }
        Ok(())
    }
}

/// The words of a text, without the tags of HTML; numbers of lines or words are none.
fn words_of(text: &str) -> Vec<&str> {
    let behind_tags = text.split('<').map(|part| part.split_once('>').map_or(part, |(_, behind)| behind));
    let is_word = |word: &&str| word.chars().any(char::is_alphabetic);
    behind_tags.flat_map(str::split_whitespace).filter(is_word).collect()
}

/// Splits a key: any `threshold` of the `count` shares make it again.
///
/// # Errors
/// [`Error::KeyOperation`] without randomness; [`Error::Internal`] if the shares would not make the key again
pub fn split(seed: &Seed, key: &PublicKey, threshold: u8, count: u8) -> Result<Vec<Share>, Error> {
    memory::lock();
    let mut split = [0; 2];
    getrandom::fill(&mut split)
        .map_err(|error| Error::KeyOperation { doing: "split", source: Box::new(error) })?;
    let points = Sharks(threshold).dealer(seed.as_slice()).take(count.into());
    let shares = points.map(|point| Share::new(key.kid(), split, threshold, &point));
    let shares = shares.collect::<Result<Vec<_>, _>>()?;
    // Each is part of a set that makes the key again, as it stands on its page.
    for window in shares.windows(threshold.into()) {
        let read = window.iter().map(|share| Share::from_words(&share.words()));
        let read: Vec<Share> = read.collect::<Result<_, _>>().map_err(Error::Shares)?;
        if *combine(&read).map_err(Error::Shares)?.0 != **seed {
            return Err(Error::Internal("the shares do not make the key again"));
        }
    }
    Ok(shares)
}

/// Which of the shares does not fit to those before it.
///
/// # Errors
/// Its place and the reason
pub fn check_together(shares: &[Share]) -> Result<(), (usize, ShareFault)> {
    for (place, share) in shares.iter().enumerate() {
        let before = shares.get(..place).unwrap_or_default();
        let Some(first) = before.first() else { continue };
        let fault = if first.kid() != share.kid() {
            ShareFault::OtherKey
        } else if (first.split(), first.threshold()) != (share.split(), share.threshold()) {
            ShareFault::OtherSplit
        } else if before.iter().any(|other| other.number() == share.number()) {
            ShareFault::Twice
        } else {
            continue;
        };
        return Err((place, fault));
    }
    Ok(())
}

/// Makes the key again, and proves that it is the one that the shares name. All shares count, also those beyond the
/// threshold.
///
/// # Errors
/// [`ShareFault`]
pub fn combine(shares: &[Share]) -> Result<(Seed, SoftwareKey), ShareFault> {
    memory::lock();
    check_together(shares).map_err(|(_, fault)| fault)?;
    let first = shares.first().ok_or(ShareFault::TooFew { given: 0, needed: MIN_THRESHOLD })?;
    let needed = first.threshold();
    if shares.len() < needed.into() {
        return Err(ShareFault::TooFew { given: shares.len(), needed });
    }
    let points = shares.iter().map(Share::point).collect::<Result<Vec<_>, _>>()?;
    let secret = Sharks(needed).recover(&points).map_err(|_| ShareFault::Text)?;
    let secret = Zeroizing::new(secret);
    let mut seed = Zeroizing::new([0; 32]);
    seed.iter_mut().zip(secret.iter()).for_each(|(byte, secret)| *byte = *secret);
    let wrong = || ShareFault::WrongKey(crate::describe::kid(first.kid()));
    let key = SoftwareKey::from_seed(&seed).map_err(|_| wrong())?;
    if key.public_key().kid() == first.kid() { Ok((seed, key)) } else { Err(wrong()) }
}

/// The fault of a file.
pub fn of_file(path: &Path, fault: ShareFault) -> Error {
    Error::Share { name: path.display().to_string(), fault }
}

#[cfg(test)]
mod tests;
