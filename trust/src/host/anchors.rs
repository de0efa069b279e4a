//! The anchors of a program: roots, each of a domain of its own, and the recovery roots of these domains
//! (docs/records.md, Anchors and domains).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::key_file::{KeyFileError, open_public_key};
use crate::{Anchor, Domain, KID_LEN, Kid, PublicKey, TrustStoreBuf};

/// The file of a recovery root, as a command line names it: `FILE`, or `DOMAIN=FILE` where there are several roots. DOMAIN
/// is 16 lowercase hexadecimal digits, the kid of the domain's first root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryFile {
    /// Its domain, if it was named.
    pub domain: Option<Domain>,
    /// The public key.
    pub path: PathBuf,
}

impl From<OsString> for RecoveryFile {
    fn from(text: OsString) -> Self {
        let named = text.to_str().and_then(|text| {
            let (domain, path) = text.split_once('=')?;
            Some(Self { domain: Some(domain_of_hex(domain)?), path: path.into() })
        });
        named.unwrap_or_else(|| Self { domain: None, path: text.into() })
    }
}

/// The domain that 16 lowercase hexadecimal digits name.
#[must_use]
pub fn domain_of_hex(text: &str) -> Option<Domain> {
    let mut kid = [0; KID_LEN];
    let (digits, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if digits.len() != KID_LEN {
        return None;
    }
    for (byte, digits) in kid.iter_mut().zip(digits) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(Domain(Kid(kid)))
}

const fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(text.wrapping_sub(b'a').wrapping_add(10)),
        _ => None,
    }
}

/// Why files are not the anchors of a program.
#[derive(Debug)]
pub struct AnchorsError {
    /// The file at fault.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: AnchorFault,
}

/// What is wrong with the file of an anchor.
#[derive(Debug)]
pub enum AnchorFault {
    /// It is no public key.
    File(KeyFileError),
    /// A recovery root whose domain was not named, beside several roots or none.
    DomainNeeded,
    /// A recovery root of a domain without a root here.
    NoSuchDomain(Domain),
    /// A second recovery root of a domain.
    SecondRecovery,
    /// A recovery root whose key is another anchor already.
    Repeated,
}

impl AnchorFault {
    /// An imperative sentence for the reader.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File(error) => error.hint(),
            Self::DomainNeeded => {
                "Name its domain: --recovery-anchor DOMAIN=FILE, where DOMAIN is the kid of the first root."
            }
            Self::NoSuchDomain(_) => {
                "Give the first root of the domain with --anchor too, or correct DOMAIN."
            }
            Self::SecondRecovery => {
                "Give one recovery root for each domain: the one that production gave its devices."
            }
            Self::Repeated => {
                "Give the public key of the recovery root: it is another key than that of any root."
            }
        }
    }
}

impl std::error::Error for AnchorsError {}

impl std::fmt::Display for AnchorsError {
    /// One sentence, without a full stop.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot use the anchor {}: {}", super::printable(&self.path.to_string_lossy()), self.fault)
    }
}

impl std::fmt::Display for AnchorFault {
    /// One sentence about "it", without a full stop.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::DomainNeeded => {
                f.write_str("it is a recovery root, and of which of the domains it is was not said")
            }
            Self::NoSuchDomain(domain) => {
                f.write_str("it is a recovery root of the domain ")?;
                domain.0.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str(", whose first root is no anchor here")
            }
            Self::SecondRecovery => f.write_str("its domain has a recovery root already"),
            Self::Repeated => f.write_str("its key is an anchor already"),
        }
    }
}

/// Reads anchors from files: the key in each of `roots` is the first root of a domain of its own, and that in each of
/// `recoveries` the recovery root of one of these domains. A root that is in several files counts once.
///
/// # Errors
/// [`AnchorsError`]
pub fn open_anchors<'p>(
    roots: impl IntoIterator<Item = &'p Path>,
    recoveries: &[RecoveryFile],
) -> Result<TrustStoreBuf, AnchorsError> {
    let open = |path: &Path| {
        let failed = |error| AnchorsError { path: path.to_owned(), fault: AnchorFault::File(error) };
        open_public_key(path).map_err(failed)
    };
    let roots = roots.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let recoveries = recoveries.iter().map(|file| Ok((file, open(&file.path)?)));
    join_anchors(roots, recoveries.collect::<Result<Vec<_>, _>>()?)
}

/// The same of keys that were read already.
///
/// # Errors
/// [`AnchorsError`], without [`AnchorFault::File`]
pub fn join_anchors<'p>(
    roots: impl IntoIterator<Item = PublicKey>,
    recoveries: impl IntoIterator<Item = (&'p RecoveryFile, PublicKey)>,
) -> Result<TrustStoreBuf, AnchorsError> {
    let roots = TrustStoreBuf::new(roots.into_iter().map(Anchor::root));
    let domains: Vec<Domain> = roots.domains().collect();
    let mut anchors = roots.anchors().to_vec();
    for (RecoveryFile { domain, path }, key) in recoveries {
        let fails = |fault| Err(AnchorsError { path: path.clone(), fault });
        let domain = match (domain, domains.as_slice()) {
            (Some(domain), _) if domains.contains(domain) => *domain,
            (Some(domain), _) => return fails(AnchorFault::NoSuchDomain(*domain)),
            (None, [only]) => *only,
            (None, _) => return fails(AnchorFault::DomainNeeded),
        };
        let recovery = Anchor::recovery(key, domain);
        if anchors.contains(&recovery) {
            continue;
        }
        if anchors.iter().any(|anchor| anchor.key() == recovery.key()) {
            return fails(AnchorFault::Repeated);
        }
        if anchors.iter().any(|anchor| anchor.is_recovery() && anchor.domain() == domain) {
            return fails(AnchorFault::SecondRecovery);
        }
        anchors.push(recovery);
    }
    Ok(TrustStoreBuf::new(anchors))
}

#[cfg(test)]
mod tests;
