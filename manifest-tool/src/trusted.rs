//! What a verification on this computer trusts: the first roots that devices were given, their recovery roots, the
//! successions since, and the newest revocation list of each domain.

use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use trust::host::{AnchorFault, AnchorsError, RecoveryFile, join_anchors, read_unverified_revocation};
use trust::{
    Credential, MAX_SUCCESSION_CHAIN_LEN, Role, TrustStoreBuf, UnixTime, read_succession_file,
    read_unverified_succession,
};

use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::public_key;

/// Anchors, and what came after them.
#[derive(clap::Args, Clone, Debug)]
pub struct TrustArguments {
    /// Public key of a root that devices were given, the first of its domain (repeatable)
    #[arg(long = "anchor", value_name = "ANCHOR")]
    anchors: Vec<PathBuf>,
    /// Public key of the recovery root of a domain; DOMAIN=FILE beside several roots (repeatable)
    #[arg(long = "recovery-anchor", value_name = "[DOMAIN=]ANCHOR", requires = "anchors",
          value_parser = OsStringValueParser::new().map(RecoveryFile::from))]
    recovery_anchors: Vec<RecoveryFile>,
    #[command(flatten)]
    records: RecordArguments,
}

/// Records of roots that count under the anchors.
#[derive(clap::Args, Clone, Debug)]
pub struct RecordArguments {
    /// Succession since the anchor: a record or a chain (repeatable)
    #[arg(long = "succession", value_name = "FILE", requires = "anchors")]
    successions: Vec<PathBuf>,
    /// Revocation list; the newest of each root counts (repeatable)
    #[arg(long, value_name = "FILE", requires = "anchors")]
    revocations: Vec<PathBuf>,
}

impl TrustArguments {
    /// Everything, verified; `None` without an anchor.
    pub(crate) fn open(&self) -> Result<Option<TrustStoreBuf>, Error> {
        if self.anchors.is_empty() {
            return Ok(None);
        }
        let roots = self.anchors.iter().map(|path| public_key::open(path)).collect::<Result<Vec<_>, _>>()?;
        let recoveries = self.recovery_anchors.iter().map(|file| Ok((file, public_key::open(&file.path)?)));
        let recoveries = recoveries.collect::<Result<Vec<_>, Error>>()?;
        let mut trusted = join_anchors(roots, recoveries).map_err(anchor_error)?;
        self.records.add_to(&mut trusted)?;
        Ok(Some(trusted))
    }

    /// The files that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let recovery = self.recovery_anchors.iter().map(|recovery| &recovery.path);
        self.anchors.iter().chain(recovery).map(PathBuf::as_path).chain(self.records.files())
    }
}

impl RecordArguments {
    /// The files that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.successions.iter().chain(&self.revocations).map(PathBuf::as_path)
    }

    /// Whether there are any.
    pub(crate) fn are_given(&self) -> bool {
        self.files().next().is_some()
    }

    /// Verifies the records from the first root on. A list counts while its signer is the root: the next root states its
    /// minimums.
    pub(crate) fn add_to(&self, trusted: &mut TrustStoreBuf) -> Result<(), Error> {
        let mut records = Vec::new();
        let mut lists = Vec::new();
        for path in &self.revocations {
            let bytes = read(path, MAX_RECORD_FILE_LEN)?;
            read_unverified_revocation(&bytes).map_err(|error| Error::refused_record(path, error))?;
            lists.push((path, bytes));
        }
        for path in &self.successions {
            let bytes = read(path, MAX_SUCCESSION_CHAIN_LEN as u64)?;
            let file = read_succession_file(&bytes).map_err(|error| Error::refused_record(path, error))?;
            for record in file.records {
                let claims = read_unverified_succession(record);
                let claims = claims.map_err(|error| Error::refused_record(path, error))?;
                records.push((claims.domain(), claims.number(), path, record.to_vec()));
            }
            lists.extend(file.list.map(|list| (path, list.to_vec())));
        }
        records.sort_by_key(|&(domain, number, ..)| (domain, number));
        let mut fault = Ok(());
        let mut meet = |store: &mut TrustStoreBuf| {
            let due: Vec<_> = lists.extract_if(.., |(_, list)| store.is_due(list)).collect();
            for (path, list) in due {
                if let Err(error) = store.add_list(list)
                    && fault.is_ok()
                {
                    fault = Err(Error::refused_record(path, error));
                }
            }
        };
        let mut before = trusted.clone();
        let all = records.iter().map(|(.., record)| record.clone());
        if let Err(error) = trusted.add_successions(all, &mut meet) {
            // The file at fault is the first one that does not fit after those before it.
            let mut rows = records.into_iter();
            let at_fault = rows.find_map(|(_, _, path, record)| {
                before.add_succession(record).is_err_and(|other| other == error).then_some(path)
            });
            let path = at_fault.ok_or(Error::Internal("no succession is at fault"))?;
            return Err(Error::refused_record(path, error));
        }
        fault?;
        // Those of retired roots had their turn; what is left here is of no root, or of another domain.
        for (path, list) in lists {
            trusted.add_list(list).map_err(|error| Error::refused_record(path, error))?;
        }
        Ok(())
    }
}

/// Verifies a credential as servers and hosts do.
pub(crate) fn verify_credential(
    trusted: &TrustStoreBuf,
    path: &Path,
    credential: &[u8],
    role: Role,
    now: UnixTime,
) -> Result<(), Error> {
    let verified = trusted.with(Some(now), |store| Credential::verify(credential, store, role).map(drop));
    verified.map_err(|error| Error::refused_record(path, error))
}

fn anchor_error(AnchorsError { path, fault }: AnchorsError) -> Error {
    match fault {
        AnchorFault::File(error) => Error::public_key(&path, error),
        fault => {
            let path = trust::host::printable(&path.display().to_string());
            Error::usage(format!("--recovery-anchor {path}: {fault}. {}", fault.hint()))
        }
    }
}
