//! Reports of devices (docs/can-protocol.md, Reports): the server keeps what a device said under its own key, for its maker.
//!
//! The MAC is for who has that key; no server has it. Everything else is read with the code of the host that asked.

use suit_manifest::Reason;
use suit_manifest::report::{MAX_REPORT_NONCE_LEN, MIN_REPORT_NONCE_LEN, ReportTree, show_report};
use trust::Kid;

use super::registry::{Registry, RegistryError, Reporter};
use super::{Digest, Malformed, Serial};
use crate::store::{ReportInsertion, StoreError, StoredReport};

/// Longest report that is taken, bytes: as long as a host takes from a device.
pub const MAX_REPORT_LEN: u64 = 4096;

/// The nonce of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(Vec<u8>);

impl std::str::FromStr for Nonce {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let is_lowercase = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        hex::decode(text)
            .ok()
            .filter(|bytes| {
                is_lowercase && (MIN_REPORT_NONCE_LEN..=MAX_REPORT_NONCE_LEN).contains(&bytes.len())
            })
            .map(Self)
            .ok_or(Malformed { expected: "a nonce has 8 to 64 bytes in lowercase hexadecimal digits" })
    }
}

/// Why a report was not kept.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is no report in a COSE_Mac0.
    #[error("{0}")]
    Refused(suit_manifest::Error),
    #[error("the question has the nonce {asked}, the report {found}")]
    Nonce { asked: String, found: String },
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        Self::Registry(error.into())
    }
}

/// A report that answers the question with its nonce. **Nobody has verified its MAC.**
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedReport {
    bytes: Vec<u8>,
    digest: Digest,
    manifest_digest: Option<Vec<u8>>,
    device_key: Option<Kid>,
}

impl ReceivedReport {
    /// Reads what came.
    ///
    /// # Errors
    /// [`ReportError::Refused`] and [`ReportError::Nonce`]
    pub fn read(bytes: Vec<u8>, Nonce(asked): &Nonce) -> Result<Self, ReportError> {
        let (device_key, report) = show_report(&bytes).map_err(ReportError::Refused)?;
        if report.nonce != Some(asked) {
            let found = report.nonce.map_or_else(|| "none".to_owned(), hex::encode);
            return Err(ReportError::Nonce { asked: hex::encode(asked), found });
        }
        let manifest_digest = report.manifest_digest().map(<[u8]>::to_vec);
        Ok(Self { digest: Digest::of(&bytes), manifest_digest, device_key, bytes })
    }

    /// As it came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 of the bytes, under which it is kept.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The manifest that it is about; `None` if none authenticated.
    pub fn manifest_digest(&self) -> Option<&[u8]> {
        self.manifest_digest.as_deref()
    }

    /// kid of the key that its container names.
    pub fn device_key(&self) -> Option<Kid> {
        self.device_key
    }
}

/// The outcome of a report that this version does not read.
const UNREADABLE: &str = "unreadable";

/// What a stored report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportWords {
    pub nonce: Option<String>,
    pub outcome: &'static str,
    /// Why it is no success, or cannot be read, as a slug of docs/errors.md.
    pub reason: Option<Reason>,
    pub summary: String,
}

impl ReportWords {
    fn of(report: &ReportTree<'_>) -> Self {
        Self {
            nonce: report.nonce.map(hex::encode),
            outcome: report.outcome().name(),
            reason: report.reason(),
            summary: report.summary(),
        }
    }

    fn unreadable(refused: suit_manifest::Error) -> Self {
        let summary = format!("This server cannot read the report that it stored: {refused}");
        Self { nonce: None, outcome: UNREADABLE, reason: Some(refused.reason()), summary }
    }
}

impl Registry {
    /// Keeps a report of a device that is registered. It changes nothing that the registry says of the device.
    ///
    /// # Errors
    /// There is no such device, or the database failed.
    pub async fn keep_report(
        &self,
        serial: &Serial,
        report: ReceivedReport,
        at: Option<u64>,
        (reporter, now): (&Reporter, u64),
    ) -> Result<ReportInsertion, ReportError> {
        let kept = self.store().insert_report(serial.as_str(), report, at, (reporter, now)).await?;
        kept.ok_or_else(|| RegistryError::UnknownDevice(serial.as_str().to_owned()).into())
    }

    /// The reports of a device, the last received first, and what each says.
    ///
    /// # Errors
    /// There is no such device, or the database failed.
    pub async fn reports(&self, serial: &Serial) -> Result<Vec<(StoredReport, ReportWords)>, ReportError> {
        let stored = self.store().reports(serial.as_str()).await?;
        if stored.is_empty() && self.store().device(serial.as_str()).await?.is_none() {
            return Err(RegistryError::UnknownDevice(serial.as_str().to_owned()).into());
        }
        Ok(stored.into_iter().map(with_words).collect())
    }

    /// One report of a device, as it came.
    ///
    /// # Errors
    /// The database failed.
    pub async fn report(&self, serial: &Serial, digest: Digest) -> Result<Option<Vec<u8>>, ReportError> {
        Ok(self.store().report(serial.as_str(), digest).await?)
    }
}

/// What it was taken by may have read more than this version does: one that cannot be read hides no other.
fn with_words(stored: StoredReport) -> (StoredReport, ReportWords) {
    let words = match show_report(&stored.bytes) {
        Ok((_, report)) => ReportWords::of(&report),
        Err(refused) => {
            tracing::warn!(digest = %stored.digest, %refused, "a stored report cannot be read");
            ReportWords::unreadable(refused)
        }
    };
    (stored, words)
}

#[cfg(test)]
mod tests;
