//! `revoke`: the root takes back credentials and keys, and sets minimum sequence numbers. A list is whole: what the
//! previous one said is carried on.

use super::SigningKeyArguments;
use crate::describe::{RevocationView, uuid};
use crate::error::Error;
use crate::files::{Existing, MAX_RECORD_FILE_LEN, read, write};
use crate::identifiers::{Class, IdentifierError, Vendor};
use crate::output::{Report, table};
use crate::time::now;
use serde::Serialize;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use trust::author::{
    RevocationRequest, Signer as _, SoftwareKey, read_unverified_credential, sign_revocation,
};
use trust::{Anchor, Credential, Kid, RevocationList, Revoked, TrustStore};

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

/// `--minimum`: the sequence number below which a class of devices should take no release any more.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Minimum {
    class: Class,
    sequence: NonZeroU64,
}

impl FromStr for Minimum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (class, sequence) = text.rsplit_once('=').ok_or("a minimum is CLASS=SEQUENCE")?;
        let sequence = sequence.parse().map_err(|_| "a sequence number is above zero")?;
        Ok(Self { class: class.parse().map_err(|error: IdentifierError| error.to_string())?, sequence })
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
    /// Class of devices, UUID or name, that take no release below this sequence number any more; several can be given
    #[arg(long = "minimum", value_name = "CLASS=SEQUENCE", group = "what", requires = "vendor")]
    minimums: Vec<Minimum>,
    /// Vendor of the classes of --minimum: UUID or domain
    #[arg(long, requires = "minimums")]
    vendor: Option<Vendor>,
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
    #[serde(flatten)]
    list: RevocationView,
}

impl Revoke {
    /// Signs the list.
    pub fn run(&self) -> Result<RevokeReport, Error> {
        let inputs: Vec<&Path> =
            self.credentials.iter().chain(&self.previous).map(PathBuf::as_path).collect();
        self.key.must_differ_from(&self.out, &inputs)?;
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
        self.raise_minimums(&mut request.minimum_sequences)?;
        drop_repeats(&mut request.kids);
        drop_repeats(&mut request.ctis);

        let cwt = sign_revocation(&request, &root)
            .map_err(|error| Error::author("the revocation list", None, error))?;
        let anchors = [Anchor::root(root.public_key())];
        let list = RevocationList::verify(&cwt, &anchors).map_err(|_| Error::Internal("what was signed"))?;
        let report = RevokeReport { out: self.out.clone(), list: RevocationView::new(&list) };
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
        let list = RevocationList::verify(bytes, &[Anchor::root(root.public_key())]).map_err(refused)?;
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

    /// Each class once, in the place of what was carried on for it. A minimum does not fall: devices may have refused
    /// what lies below it already.
    fn raise_minimums(&self, minimums: &mut Vec<([u8; 16], [u8; 16], u64)>) -> Result<(), Error> {
        let Some(vendor) = self.vendor.as_ref().map(Vendor::id) else { return Ok(()) };
        for wanted in &self.minimums {
            let (class, sequence) = (wanted.class.id(vendor).into_bytes(), wanted.sequence.get());
            let same =
                |least: &&mut ([u8; 16], [u8; 16], u64)| (least.0, least.1) == (vendor.into_bytes(), class);
            match minimums.iter_mut().find(same) {
                Some(least) if sequence < least.2 => {
                    let message = format!("the minimum of {} is {} already", uuid(&class), least.2);
                    return Err(Error::usage(message));
                }
                Some(least) => least.2 = sequence,
                None => minimums.push((vendor.into_bytes(), class, sequence)),
            }
        }
        Ok(())
    }
}

/// cti of a credential that this root issued; revoking that of another would do nothing.
fn own_credential(path: &Path, root: &SoftwareKey) -> Result<[u8; 16], Error> {
    let bytes = read(path, MAX_RECORD_FILE_LEN)?;
    let refused = |error| Error::refused_record(path, error);
    let role = read_unverified_credential(&bytes).map_err(refused)?.role();
    let anchors = [Anchor::root(root.public_key())];
    let credential = Credential::verify(&bytes, &TrustStore::new(&anchors), role).map_err(refused)?;
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
        let mut rows = vec![("revocation list", self.out.display().to_string())];
        rows.extend(self.list.rows());
        table(&rows)
    }
}
