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
    Minimum, RevocationRequest, Signer as _, SoftwareKey, read_unverified_credential, sign_revocation,
};
use trust::{Anchor, Credential, Kid, MAX_GENERATION, RevocationList, Revoked, RevokedId, Role, TrustStore};

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
struct MinimumArgument {
    class: Class,
    sequence: NonZeroU64,
}

impl FromStr for MinimumArgument {
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
    minimums: Vec<MinimumArgument>,
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
        let anchors = [Anchor::root(root.public_key())];
        let held = previous
            .as_ref()
            .map(|(path, bytes)| {
                RevocationList::verify(bytes, &anchors).map_err(|error| Error::refused_record(path, error))
            })
            .transpose()?;
        let mut request = RevocationRequest::following(self.issuer.clone(), now(None)?, held.as_slice())
            .map_err(|error| Error::author("the revocation list", None, error.into()))?;
        request.sequence = self.sequence.unwrap_or(request.sequence);
        // Under which generations a bare kid or cti was certified is not known: it stays revoked.
        let mut bare = |id| request.revoke(Role::Release, MAX_GENERATION, id);
        self.kids.iter().for_each(|kid| bare(RevokedId::Key(Kid(kid.0))));
        self.ctis.iter().for_each(|cti| bare(RevokedId::Credential(cti.0)));
        for path in &self.credentials {
            let Revoked { role, generation, id } = own_credential(path, &root)?;
            request.revoke(role, generation, id);
        }
        self.raise_minimums(&mut request)?;

        let cwt = sign_revocation(&request, &root)
            .map_err(|error| Error::author("the revocation list", None, error))?;
        let list = RevocationList::verify(&cwt, &anchors).map_err(|_| Error::Internal("what was signed"))?;
        if let (Some((path, _)), Some(held)) = (&previous, &held) {
            list.replaces(held).map_err(|error| Error::refused_record(path, error))?;
        }
        let report = RevokeReport { out: self.out.clone(), list: RevocationView::new(&list) };
        write(&self.out, &cwt, Existing::from(self.force))?;
        Ok(report)
    }

    /// Each class once, in the place of what was carried on for it. A minimum does not fall: devices may have refused
    /// what lies below it already.
    fn raise_minimums(&self, request: &mut RevocationRequest) -> Result<(), Error> {
        let Some(vendor) = self.vendor.as_ref().map(Vendor::id) else { return Ok(()) };
        for wanted in &self.minimums {
            let (class, sequence) = (wanted.class.id(vendor).into_bytes(), wanted.sequence.get());
            let same = |least: &&Minimum| (least.vendor, least.class) == (vendor.into_bytes(), Some(class));
            if let Some(least) = request.minimum_sequences.iter().find(same)
                && sequence < least.sequence
            {
                let message = format!("the minimum of {} is {} already", uuid(&class), least.sequence);
                return Err(Error::usage(message));
            }
            request.raise_minimum(Minimum { vendor: vendor.into_bytes(), class: Some(class), sequence });
        }
        Ok(())
    }
}

/// A credential that this root issued, as an entry; revoking that of another would do nothing.
fn own_credential(path: &Path, root: &SoftwareKey) -> Result<Revoked, Error> {
    let bytes = read(path, MAX_RECORD_FILE_LEN)?;
    let refused = |error| Error::refused_record(path, error);
    let role = read_unverified_credential(&bytes).map_err(refused)?.role();
    let anchors = [Anchor::root(root.public_key())];
    let credential = Credential::verify(&bytes, &TrustStore::new(&anchors), role).map_err(refused)?;
    Ok(RevokedId::Credential(*credential.cti()).revoked(role, credential.generation()))
}

impl Report for RevokeReport {
    fn lines(&self) -> String {
        let mut rows = vec![("revocation list", self.out.display().to_string())];
        rows.extend(self.list.rows());
        table(&rows)
    }
}
