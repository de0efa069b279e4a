//! What signed records say.

use std::path::Path;

use serde::Serialize;
use trust::author::read_unverified_credential;
use trust::host::read_unverified_revocation;
use trust::{
    ErrorKind, LedgerHead, SuccessionFile, UnixTime, read_succession_file, read_unverified_succession,
    read_unverified_succession_request,
};

use super::Content;
use crate::describe::{CredentialView, RevocationView, SuccessionView, kid};
use crate::error::Error;
use crate::time;

/// A row of successions, and the list at its end.
#[derive(Debug, Serialize)]
pub(super) struct ChainView {
    successions: Vec<SuccessionView>,
    list: RevocationView,
}

#[derive(Debug, Serialize)]
pub(super) struct HeadView {
    /// kid of the key whose ledger it is.
    signer_kid: String,
    entries: u64,
    /// SHA-256 of the file of the last entry.
    digest: String,
    /// Seconds since the epoch.
    issued_at: u64,
}

/// Reads the records of one type.
type Reader = fn(&[u8]) -> Result<Content, trust::Error>;

/// The first reader that knows the type of the record decides.
pub(super) fn record(path: &Path, file: &[u8]) -> Result<Content, Error> {
    let readers: [Reader; 5] = [
        |file| Ok(Content::Credential(CredentialView::new(&read_unverified_credential(file)?))),
        |file| Ok(Content::RevocationList(RevocationView::new(&read_unverified_revocation(file)?))),
        |file| Ok(Content::Succession(SuccessionView::new(&read_unverified_succession(file)?))),
        |file| {
            let claims = read_unverified_succession_request(file)?;
            Ok(Content::SuccessionRequest(SuccessionView::of_request(&claims)))
        },
        |file| Ok(Content::LedgerHead(HeadView::read(file)?)),
    ];
    let mut refusal = trust::Error { kind: ErrorKind::RecordType, position: 0 };
    for read in readers {
        match read(file) {
            Err(error) if error.kind == ErrorKind::RecordType => refusal = error,
            Err(error) => return Err(Error::refused_record(path, error)),
            Ok(content) => return Ok(content),
        }
    }
    Err(Error::refused_record(path, refusal))
}

pub(super) fn chain(path: &Path, file: &[u8]) -> Result<ChainView, Error> {
    let refused = |error| Error::refused_record(path, error);
    let SuccessionFile { records, list } = read_succession_file(file).map_err(refused)?;
    let successions = records
        .into_iter()
        .map(|record| Ok(SuccessionView::new(&read_unverified_succession(record).map_err(refused)?)))
        .collect::<Result<_, Error>>()?;
    let list = list.ok_or(Error::Internal("a succession is no chain"))?;
    let list = RevocationView::new(&read_unverified_revocation(list).map_err(refused)?);
    Ok(ChainView { successions, list })
}

impl ChainView {
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let rows = self.successions.iter().map(|next| {
            let by = next.granted_by.as_deref().unwrap_or_default();
            ("succession", format!("{}: {} ({}), granted by {by}", next.number, next.name, next.kid))
        });
        rows.chain(self.list.rows()).collect()
    }
}

impl HeadView {
    fn read(file: &[u8]) -> Result<Self, trust::Error> {
        let (head, signer) = LedgerHead::read_unverified(file)?;
        Ok(Self {
            signer_kid: kid(signer),
            entries: head.entries,
            digest: hex::encode(head.digest),
            issued_at: head.issued_at.0,
        })
    }

    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        vec![
            ("ledger of", self.signer_kid.clone()),
            ("entries", self.entries.to_string()),
            ("last entry", self.digest.clone()),
            ("issued", time::display(UnixTime(self.issued_at))),
        ]
    }
}
