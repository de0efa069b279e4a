//! What a loader trusts, as it reports it (`FD02`, docs/can-protocol.md): its anchors, and the numbers of each of their
//! domains. Kids, rights and domains are opaque here.

use crate::uds::Nrc;
use crate::uds::server::Answer;

/// First byte of the report. In version 1 a domain has no numbers of its root.
pub const VERSION: u8 = 2;
/// Bytes of an entry for an anchor.
pub const ANCHOR_LEN: usize = 17;
/// Bytes of an entry for a domain.
pub const DOMAIN_LEN: usize = 20;
/// Bytes of it in version 1.
const DOMAIN_LEN_1: usize = 16;
/// Bytes before the first anchor: version, number of anchors.
pub const HEAD_LEN: usize = 2;

/// One anchor of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct AnchorEntry {
    /// kid of its key.
    pub kid: [u8; 8],
    /// Its rights, a bit set.
    pub rights: u8,
    /// Its domain.
    pub domain: [u8; 8],
}

/// One domain of a device's anchors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct DomainEntry {
    /// Its name.
    pub domain: [u8; 8],
    /// list-sequence of the newest revocation list that the device took; 0: none.
    pub list_sequence: u64,
    /// recovery-epoch of its root.
    pub recovery_epoch: u16,
    /// succession-sequence of its root within that epoch.
    pub succession_sequence: u16,
}

/// Why bytes are no report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AnchorReportError {
    /// Too short, or not whole entries.
    Length,
    /// A later version than [`VERSION`], or 0.
    Version(u8),
}

impl core::error::Error for AnchorReportError {}

impl core::fmt::Display for AnchorReportError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length => f.write_str("the report of the anchors has a wrong length"),
            Self::Version(version) => {
                write!(f, "the report of the anchors has the unknown version {version}")
            }
        }
    }
}

/// A report, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnchorReport<'a> {
    anchors: &'a [[u8; ANCHOR_LEN]],
    domains: &'a [u8],
    domain_len: usize,
}

impl<'a> AnchorReport<'a> {
    /// Reads a report.
    ///
    /// # Errors
    /// [`AnchorReportError`]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, AnchorReportError> {
        let (version, rest) = bytes.split_first().ok_or(AnchorReportError::Length)?;
        let domain_len = match *version {
            1 => DOMAIN_LEN_1,
            VERSION => DOMAIN_LEN,
            other => return Err(AnchorReportError::Version(other)),
        };
        let (count, rest) = rest.split_first().ok_or(AnchorReportError::Length)?;
        let len = usize::from(*count).checked_mul(ANCHOR_LEN).ok_or(AnchorReportError::Length)?;
        let (anchors, domains) = rest.split_at_checked(len).ok_or(AnchorReportError::Length)?;
        match anchors.as_chunks() {
            (anchors, []) if domains.len().is_multiple_of(domain_len) => {
                Ok(Self { anchors, domains, domain_len })
            }
            _ => Err(AnchorReportError::Length),
        }
    }

    /// The anchors.
    pub fn anchors(&self) -> impl Iterator<Item = AnchorEntry> + use<'a> {
        self.anchors.iter().filter_map(|entry| {
            let (kid, rest) = entry.split_first_chunk()?;
            let (rights, domain) = rest.split_first()?;
            Some(AnchorEntry { kid: *kid, rights: *rights, domain: *domain.first_chunk()? })
        })
    }

    /// The domains.
    pub fn domains(&self) -> impl Iterator<Item = DomainEntry> + use<'a> {
        self.domains.chunks(self.domain_len).filter_map(|entry| {
            let (domain, rest) = entry.split_first_chunk()?;
            let (sequence, rest) = rest.split_first_chunk()?;
            let [e0, e1, s0, s1] = *rest.first_chunk().unwrap_or(&[0; 4]);
            Some(DomainEntry {
                domain: *domain,
                list_sequence: u64::from_be_bytes(*sequence),
                recovery_epoch: u16::from_be_bytes([e0, e1]),
                succession_sequence: u16::from_be_bytes([s0, s1]),
            })
        })
    }

    /// The root of a domain.
    #[must_use]
    pub fn root_of(&self, domain: [u8; 8]) -> Option<AnchorEntry> {
        self.anchors().find(|anchor| anchor.domain == domain && anchor.is_root())
    }
}

/// The first bytes of a report of that many anchors.
#[must_use]
pub const fn head(anchors: u8) -> [u8; HEAD_LEN] {
    [VERSION, anchors]
}

impl AnchorEntry {
    /// Whether it is the root of its domain: it governs it and names its successor, by the rights of docs/records.md.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        const GOVERNANCE_AND_SUCCESSION: u8 = 6;
        self.rights & GOVERNANCE_AND_SUCCESSION == GOVERNANCE_AND_SUCCESSION
    }

    /// Appends it to an answer.
    ///
    /// # Errors
    /// [`Nrc::RESPONSE_TOO_LONG`]; part of it is appended then.
    pub fn append_to(&self, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        answer.append(&self.kid)?;
        answer.append(&[self.rights])?;
        answer.append(&self.domain)
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; ANCHOR_LEN] {
        entry(|answer| self.append_to(answer))
    }
}

impl DomainEntry {
    /// Appends it to an answer.
    ///
    /// # Errors
    /// [`Nrc::RESPONSE_TOO_LONG`]; part of it is appended then.
    pub fn append_to(&self, answer: &mut Answer<'_>) -> Result<(), Nrc> {
        answer.append(&self.domain)?;
        answer.append(&self.list_sequence.to_be_bytes())?;
        // Two numbers of two bytes, put together.
        let numbers = u32::from(self.recovery_epoch) << 16 | u32::from(self.succession_sequence);
        answer.append(&numbers.to_be_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; DOMAIN_LEN] {
        entry(|answer| self.append_to(answer))
    }
}

/// An entry, which fills `N` bytes.
fn entry<const N: usize>(append: impl FnOnce(&mut Answer<'_>) -> Result<(), Nrc>) -> [u8; N] {
    let mut bytes = [0; N];
    let fits = append(&mut Answer::new(&mut bytes));
    debug_assert!(fits.is_ok(), "its fields add up to the length of an entry");
    bytes
}

#[cfg(test)]
mod tests;
