//! Credentials that are there already: of the command line, of a ledger, of the roots before.

use std::path::{Path, PathBuf};

use ledger::{Ledger, Status};
use suit_manifest::Reason;
use trust::author::read_unverified_credential;
use trust::{CredentialClaims, PublicKey, Role, UnixTime};

use crate::custody::roles::other_role;
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};

/// A credential of the command line, which is read once since it may be a pipe; or one of the ledger.
pub(crate) struct CredentialFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

/// What the command line says is in use: credentials, and ledgers.
pub(crate) struct InUse {
    pub(crate) credentials: Vec<CredentialFile>,
    pub(crate) ledgers: Vec<Ledger>,
}

impl InUse {
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let (folders, files): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path.is_dir());
        let ledgers = folders.iter().map(|folder| Ledger::open(folder)).collect::<Result<Vec<_>, _>>()?;
        let mut credentials = CredentialFile::read_all(&files)?;
        credentials.extend(ledgers.iter().flat_map(|ledger| of_ledger(Some(ledger))));
        Ok(Self { credentials, ledgers })
    }
}

impl CredentialFile {
    pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>, Error> {
        let read = |path: &PathBuf| Ok(Self { path: path.clone(), bytes: read(path, MAX_RECORD_FILE_LEN)? });
        paths.iter().map(read).collect()
    }

    /// Not verified.
    pub(crate) fn claims(&self) -> Result<CredentialClaims<'_>, Error> {
        read_unverified_credential(&self.bytes).map_err(|error| Error::refused_record(&self.path, error))
    }
}

/// The credentials that a ledger has, and those of the roots before.
pub(crate) fn of_ledger(ledger: Option<&Ledger>) -> impl Iterator<Item = CredentialFile> {
    ledger.into_iter().flat_map(Ledger::line).flat_map(|ledger| {
        ledger.credentials().filter_map(|(stored, _)| {
            Some(CredentialFile { path: ledger.folder().to_owned(), bytes: stored.record.clone()? })
        })
    })
}

/// The credential of an issuing key, and no other one. Not verified.
pub(crate) fn read_issuing<'a>(path: &Path, bytes: &'a [u8]) -> Result<CredentialClaims<'a>, Error> {
    let claims = read_unverified_credential(bytes).map_err(|error| Error::refused_record(path, error))?;
    if claims.role() != Role::Identity {
        return Err(Error::NotOfIssuingKey { path: path.to_owned(), role: claims.role().name() });
    }
    Ok(claims)
}

/// What a new credential permits that the newest one before of its key did not, in words. Scope and ceiling of a key are the
/// union over its credentials, so nobody notices a slip. A key in another role was refused before.
pub(crate) fn widened(new: &CredentialClaims<'_>, known: &[&CredentialFile]) -> Result<Vec<String>, Error> {
    let known = known.iter().map(|file| file.claims()).collect::<Result<Vec<_>, _>>()?;
    let of_key = known.iter().filter(|old| old.key() == new.key());
    let Some(old) = of_key.max_by_key(|old| old.issued_at()) else { return Ok(Vec::new()) };
    let uuid = |id: &[u8; 16]| uuid::Uuid::from_bytes(*id).to_string();
    let mut more = Vec::new();
    if new.scope().vendor() != old.scope().vendor() {
        more.push(format!("vendor {}", uuid(new.scope().vendor())));
    }
    let before: Vec<_> = old.scope().classes().collect();
    if !before.is_empty() && new.scope().classes().next().is_none() {
        more.push("every class".to_owned());
    }
    let classes = new.scope().classes().filter(|class| !before.is_empty() && !before.contains(class));
    more.extend(classes.map(|class| format!("class {}", uuid(class))));
    let before: Vec<_> = old.scope().serials().collect();
    if !before.is_empty() && new.scope().serials().next().is_none() {
        more.push("every serial".to_owned());
    }
    let serials = new.scope().serials().filter(|serial| !before.is_empty() && !before.contains(serial));
    more.extend(serials.map(|serial| format!("serial {serial}")));
    if new.sequence_ceiling() > old.sequence_ceiling() {
        more.push(format!(
            "sequence numbers up to {}, not {}",
            new.sequence_ceiling(),
            old.sequence_ceiling()
        ));
    }
    Ok(more)
}

/// A root certifies no key that a root before took back: its thief has it still.
pub(crate) fn check_not_taken_back(ledger: Option<&Ledger>, key: &PublicKey) -> Result<(), Error> {
    // Whether its credentials have expired is another matter.
    let in_force = UnixTime(0);
    for before in ledger.into_iter().flat_map(Ledger::line).skip(1) {
        let keys = before.keys(in_force);
        let known = keys.iter().find(|known| known.kid.0 == key.kid().0);
        if let Some(revoked) = known.filter(|known| known.status == Status::Revoked) {
            let (name, kid) = (revoked.name.to_owned(), revoked.kid.to_string());
            return Err(Error::KeyWasRevoked { name, kid });
        }
    }
    Ok(())
}

/// A key gets one role; a root of the line gets none, and a key that was taken back is not certified again.
pub(crate) fn check_new_key(
    ledger: &Ledger,
    key: &PublicKey,
    role: Role,
    path: Option<&Path>,
) -> Result<(), Error> {
    check_not_taken_back(Some(ledger), key)?;
    for ledger in ledger.line() {
        if ledger.key() == key {
            let path = path.unwrap_or(ledger.folder());
            return Err(Error::refused(path, Reason::CredentialForAnchor, 0));
        }
    }
    check_role(ledger, key, role)
}

/// A key has one role in a ledger and in those before it, as whatever they know it: root, recovery root, device, ...
pub(crate) fn check_role(ledger: &Ledger, key: &PublicKey, role: Role) -> Result<(), Error> {
    match other_role(ledger, key.kid(), role) {
        Some(known) => {
            let path = known.ledger.folder().to_owned();
            Err(Error::KeyHasRole { path, role: known.role })
        }
        None => Ok(()),
    }
}
