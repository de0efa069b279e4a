//! `revoke`: the root takes back credentials and keys. A list is whole: what the previous one said is carried on.

use super::SigningKeyArguments;
use crate::describe::{kid, revoked};
use crate::error::Error;
use crate::files::{Existing, MAX_RECORD_FILE_LEN, must_differ, read, write};
use crate::output::{Report, table};
use crate::time::now;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use trust::author::{
    RevocationRequest, Signer as _, SoftwareKey, read_unverified_credential, sign_revocation,
};
use trust::{Credential, Kid, RevocationList, Revoked, TrustStore};

/// Bytes in hex, of a fixed number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct HexBytes<const N: usize>([u8; N]);

/// Not that many bytes in hex.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} hexadecimal digits are needed")]
struct HexError(usize);

impl<const N: usize> FromStr for HexBytes<N> {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HexError(2 * N))?;
        Ok(Self(bytes))
    }
}

/// Sign a revocation list with the root key
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").multiple(true).required(true))]
pub struct Revoke {
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Name of the issuer
    #[arg(long)]
    issuer: String,
    /// List to go on from: its entries stay revoked
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// list-sequence; by default that of the previous list plus 1, or 1
    #[arg(long)]
    sequence: Option<u64>,
    /// Credential to revoke; several can be given
    #[arg(long = "credential", value_name = "FILE", group = "what")]
    credentials: Vec<PathBuf>,
    /// kid of a key to revoke, under whatever credential; several can be given
    #[arg(long = "kid", value_name = "HEX", group = "what")]
    kids: Vec<HexBytes<8>>,
    /// cti of a credential to revoke; several can be given
    #[arg(long = "cti", value_name = "HEX", group = "what")]
    ctis: Vec<HexBytes<16>>,
    /// Revocation list to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write over another file
    #[arg(long)]
    force: bool,
}

/// What `revoke` did.
#[derive(Debug, Serialize)]
pub struct RevokeReport {
    out: PathBuf,
    kid: String,
    list_sequence: u64,
    revoked: Vec<String>,
}

impl Revoke {
    /// Signs the list.
    pub fn run(&self) -> Result<RevokeReport, Error> {
        let mut inputs: Vec<&Path> = vec![&self.key.key];
        inputs.extend(self.credentials.iter().map(PathBuf::as_path));
        must_differ(&self.out, &inputs)?;
        let previous = match &self.previous {
            Some(path) => Some((path, read(path, MAX_RECORD_FILE_LEN)?)),
            None => None,
        };
        let root = self.key.open()?;
        let mut request = RevocationRequest {
            iss: self.issuer.clone(),
            issued_at: now(None)?,
            sequence: self.sequence.unwrap_or(1),
            kids: Vec::new(),
            ctis: Vec::new(),
            minimum_sequences: Vec::new(),
        };
        if let Some((path, bytes)) = &previous {
            self.carry_on(&mut request, path, bytes, &root)?;
        }
        request.kids.extend(self.kids.iter().map(|kid| Kid(kid.0)));
        request.ctis.extend(self.ctis.iter().map(|cti| cti.0));
        for path in &self.credentials {
            request.ctis.push(own_credential(path, &root)?);
        }
        drop_repeats(&mut request.kids);
        drop_repeats(&mut request.ctis);

        let cwt = sign_revocation(&request, &root)
            .map_err(|error| Error::author("the revocation list", None, error))?;
        let anchors = [root.public_key()];
        let list = RevocationList::verify(&cwt, &anchors).map_err(|_| Error::Internal("what was signed"))?;
        let report = RevokeReport {
            out: self.out.clone(),
            kid: kid(list.issuer_kid()),
            list_sequence: list.sequence(),
            revoked: list.entries().map(revoked).collect(),
        };
        write(&self.out, &cwt, Existing::from(self.force))?;
        Ok(report)
    }

    /// Takes over what the previous list of the same root says; the new one must be newer.
    fn carry_on(
        &self,
        request: &mut RevocationRequest,
        path: &Path,
        bytes: &[u8],
        root: &SoftwareKey,
    ) -> Result<(), Error> {
        let refused = |error| Error::refused_record(path, error);
        let list = RevocationList::verify(bytes, &[root.public_key()]).map_err(refused)?;
        let next = list.sequence().checked_add(1);
        let next = next.ok_or(refused(trust::Error::new(trust::ErrorKind::OutOfRange, 0)))?;
        request.sequence = self.sequence.unwrap_or(next);
        if request.sequence < next {
            return Err(refused(trust::Error::new(trust::ErrorKind::RevocationSequence, 0)));
        }
        for entry in list.entries() {
            match entry {
                Revoked::Key(kid) => request.kids.push(kid),
                Revoked::Credential(cti) => request.ctis.push(*cti),
            }
        }
        request.minimum_sequences =
            list.minimum_sequences().map(|least| (*least.vendor, *least.class, least.sequence)).collect();
        Ok(())
    }
}

/// cti of a credential that this root issued; revoking that of another would do nothing.
fn own_credential(path: &Path, root: &SoftwareKey) -> Result<[u8; 16], Error> {
    let bytes = read(path, MAX_RECORD_FILE_LEN)?;
    let refused = |error| Error::refused_record(path, error);
    let role = read_unverified_credential(&bytes).map_err(refused)?.role();
    let store = TrustStore { anchors: &[root.public_key()], revocations: &[], now: None };
    let credential = Credential::verify(&bytes, &store, role).map_err(refused)?;
    Ok(*credential.cti())
}

fn drop_repeats<T: PartialEq + Copy>(entries: &mut Vec<T>) {
    let mut seen = Vec::new();
    entries.retain(|entry| {
        let first = !seen.contains(entry);
        seen.push(*entry);
        first
    });
}

impl Report for RevokeReport {
    fn lines(&self) -> String {
        table(&[
            ("revocation list", self.out.display().to_string()),
            ("signed by", self.kid.clone()),
            ("list-sequence", self.list_sequence.to_string()),
            ("revoked", self.revoked.join(", ")),
        ])
    }
}
