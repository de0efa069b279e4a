//! `sign --no-credential`: a signature for devices of others, which know the key itself. Any envelope of the drafts is signed, but
//! what devices of ours run: for that the credential says what the key may sign.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::Reason;
use suit_manifest::author::tree::EnvelopeTree;
use suit_manifest::author::{bare, digest_name, inspect, sign_alone};
use trust::blocks::{BlockSigner, CoseStructure, Keys};

use crate::blocks::{AuthenticationView, held, judge_all};
use crate::bundle::Bundle;
use crate::describe::kid;
use crate::encryption::ReleaseFault;
use crate::error::Error;
use crate::output::{Report, table};

/// An envelope that was signed for those who know the key.
#[derive(Debug, Serialize)]
pub struct SignedAlone {
    envelope: PathBuf,
    /// Of the key that signed.
    kid: String,
    curve: &'static str,
    manifest_digest: String,
    digest_algorithm: String,
    sequence: u64,
    /// All of them, the new one last.
    blocks: Vec<AuthenticationView>,
    #[serde(skip)]
    rows: Vec<(&'static str, String)>,
}

/// The envelope with a signature by this key: beside the blocks that are there, or in the place of the signatures.
///
/// # Errors
/// [`Error::Release`] for what devices of ours run, for a MAC that a signature would replace, and for a second signature of one
/// key; [`Error::Refused`] for what cannot be told, because its sequences are severed; those of [`sign_alone`]
pub(super) fn signed(path: &Path, signer: &BlockSigner, adds: bool) -> Result<Vec<u8>, Error> {
    let bundle = Bundle::read(path)?;
    let tree = bundle.tree()?;
    let refused = |fault| Err(Error::Release { path: path.to_owned(), fault });
    let public = [signer.public()];
    let verdicts = judge_all(&tree, &Keys { public: &public, device: None, allow_eddsa: false });
    let has_mac = verdicts
        .iter()
        .any(|verdict| matches!(verdict.structure, Some(CoseStructure::Mac0 | CoseStructure::Mac)));
    // Whoever adds the credential, which nothing signs, would have a release of it; and whoever likes takes blocks, text and
    // whatever else stands there away. What is severed and away says nothing.
    let judged = bare(bundle.bytes()).map_err(|error| bundle.not_changed(error))?;
    match inspect(&judged).and_then(|inspection| inspection.images().map(drop)) {
        Ok(()) if has_mac => return refused(ReleaseFault::OfDevice),
        Ok(()) if signer.is_verified_by_devices() => return refused(ReleaseFault::Ours),
        Ok(()) => {}
        // On another curve it is no signature of ours, whatever stands beside it.
        Err(_) if !signer.is_verified_by_devices() => {}
        Err(error) if error.reason() == Reason::MemberSevered => {
            return Err(Error::refused_manifest(path, error));
        }
        Err(_) => {}
    }
    if !adds && has_mac {
        return refused(ReleaseFault::OfDevice);
    }
    if adds && verdicts.iter().any(|verdict| verdict.keys().next().is_some()) {
        return refused(ReleaseFault::SignedByKey);
    }
    sign_alone(bundle.bytes(), |payload| signer.sign1_detached(payload), adds)
        .map_err(|error| bundle.not_changed(error))
}

impl SignedAlone {
    /// What stands in the signed envelope; the signature is verified.
    pub(super) fn of(path: &Path, envelope: &[u8], signer: &BlockSigner) -> Result<Self, Error> {
        let read = |error| Error::refused_manifest(path, error);
        let tree = EnvelopeTree::read(envelope).map_err(read)?;
        let public = [signer.public()];
        let verdicts = judge_all(&tree, &Keys { public: &public, device: None, allow_eddsa: false });
        held(&verdicts, Some(1)).map_err(|_| Error::Internal("the signature does not hold"))?;
        Ok(Self {
            envelope: path.to_owned(),
            kid: kid(signer.public().kid()),
            curve: signer.public().curve_name(),
            manifest_digest: hex::encode(tree.digest.bytes()),
            digest_algorithm: digest_name(tree.digest.algorithm()),
            sequence: tree.manifest.sequence_number,
            rows: verdicts.iter().map(AuthenticationView::judged).flat_map(|view| view.rows()).collect(),
            blocks: AuthenticationView::claimed(&tree),
        })
    }
}

impl Report for SignedAlone {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("envelope", format!("{} (signed)", self.envelope.display())),
            ("signed by", format!("{}, a key of {}", self.kid, self.curve)),
            ("manifest", format!("{} {}", self.digest_algorithm, self.manifest_digest)),
            ("sequence", self.sequence.to_string()),
        ];
        rows.extend(self.rows.iter().cloned());
        rows.push(("NOT for", "devices of ours: they ask for a credential, on Ed25519".to_owned()));
        table(&rows)
    }
}
