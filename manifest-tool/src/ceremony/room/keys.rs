//! What a plan names, in the folder of a ceremony or in that of a rehearsal: files, people, keys.

use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;

use ledger::Hex;
use trust::PublicKey;
use trust::author::{SIGNATURE_LEN, SignError, Signer};
use trust::host::{Existing, folder_of};

use super::{REHEARSAL_FOLDER, Room, shown};
use crate::ceremony::bundle::make_folder;
use crate::ceremony::fault::CeremonyError;
use crate::ceremony::plan::{Duty, Key, Origin, REHEARSAL};
use crate::ceremony::steps::KeyRef;
use crate::ceremony::transcript::FileDigest;
use crate::ceremony::words::Fingerprint;
use crate::ceremony::{OUT, slug};
use crate::error::Error;
use crate::files::write;
use crate::keys::{Location, Place};

/// A key that is open for the whole session.
pub(in crate::ceremony) struct Open(pub(in crate::ceremony) Rc<dyn Signer>);

impl Signer for Open {
    fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], SignError> {
        self.0.sign(message)
    }
}

impl Room {
    /// What stands before each name in a rehearsal.
    pub(in crate::ceremony) fn mark(&self) -> &'static str {
        if self.rehearsal { REHEARSAL } else { "" }
    }

    /// A name, marked in a rehearsal.
    pub(in crate::ceremony) fn marked(&self, name: &str) -> String {
        format!("{}{name}", self.mark())
    }

    /// The place of a file or folder of the plan. A rehearsal has its own for each.
    pub(in crate::ceremony) fn place(&self, path: &str) -> PathBuf {
        if !self.rehearsal {
            return self.folder.join(path);
        }
        let flat: String = path.chars().map(|letter| if letter == '/' { '_' } else { letter }).collect();
        self.folder.join(REHEARSAL_FOLDER).join(format!("REHEARSAL-{flat}"))
    }

    /// The name of a public output in the folder.
    pub(in crate::ceremony) fn out_name(&self, name: &str, end: &str) -> String {
        let mark = if self.rehearsal { "REHEARSAL-" } else { "" };
        format!("{OUT}/{mark}{}.{end}", slug(name))
    }

    /// Writes a public output, or finds it as it was written before.
    pub(in crate::ceremony) fn put_out(&self, name: &str, content: &[u8]) -> Result<FileDigest, Error> {
        let path = self.folder.join(name);
        make_folder(&folder_of(&path))?;
        write(&path, content, Existing::Keep)?;
        Ok(FileDigest { name: name.to_owned(), sha256: Hex(trust::sha256(content)) })
    }

    pub(in crate::ceremony) fn key(&self, key: KeyRef) -> Result<&Key, Error> {
        let found = match key {
            KeyRef::Certified(place) => self.plan.keys.get(place).map(|certified| &certified.key),
            root => self.plan.root_of(root).map(|root| &root.key),
        };
        found.ok_or(Error::Internal("a step is about a key that is not in the plan"))
    }

    /// The file of a key that is made, or that stands for one in a rehearsal.
    pub(in crate::ceremony) fn key_file(&self, key: KeyRef) -> Result<Option<PathBuf>, Error> {
        let key = self.key(key)?;
        Ok(match &key.origin {
            Origin::Made(path) => Some(self.place(path)),
            Origin::Kept(..) if self.rehearsal => Some(self.place(&format!("{}.pem", slug(&key.name)))),
            Origin::Kept(..) | Origin::ComesIn(..) => None,
        })
    }

    /// The folder of the ledger of a key.
    pub(in crate::ceremony) fn ledger_folder(&self, key: KeyRef) -> Result<PathBuf, Error> {
        if self.rehearsal {
            return Ok(self.place(&format!("ledger-{}", slug(&self.key(key)?.name))));
        }
        let path = self.plan.ledger_path(key).ok_or(Error::Internal("a key of the plan has no ledger"))?;
        Ok(self.folder.join(path))
    }

    /// The operator, who writes the entries of ledgers.
    pub(in crate::ceremony) fn operator(&self) -> String {
        self.plan.with(Duty::Operator).next().map(|person| person.name.clone()).unwrap_or_default()
    }

    pub(in crate::ceremony) fn names_of(&self, duty: Duty) -> Vec<String> {
        self.plan.with(duty).map(|person| person.name.clone()).collect()
    }

    /// Who answers for a key: the custodian of a root, else the operator.
    pub(in crate::ceremony) fn keeper(&self, key: KeyRef) -> Result<(Duty, Vec<String>), Error> {
        match key {
            KeyRef::Certified(_) => Ok((Duty::Operator, self.names_of(Duty::Operator))),
            root => Ok((Duty::Custodian, vec![self.key(root)?.holder.clone()])),
        }
    }

    pub(in crate::ceremony) fn keep_open(&mut self, key: KeyRef, signer: Rc<dyn Signer>) {
        self.signers.insert(key, signer);
    }

    /// The open key, which is opened once a session, and compared with the plan and the transcript.
    pub(in crate::ceremony) fn signer(&mut self, key: KeyRef) -> Result<Rc<dyn Signer>, Error> {
        if let Some(signer) = self.signers.get(&key) {
            return Ok(Rc::clone(signer));
        }
        let place = match (self.key_file(key)?, &self.key(key)?.origin) {
            (Some(file), _) => file.into_os_string(),
            (None, Origin::Kept(location, _)) => match Location::from(OsString::from(location)).place()? {
                // Like all paths of a plan, from the folder of the ceremony.
                Place::File(file) => self.folder.join(file).into_os_string(),
                _ => OsString::from(location),
            },
            _ => return Err(Error::Internal("a key that signs is not here")),
        };
        let secrets = self.secrets.of(&self.key(key)?.name);
        let signer: Rc<dyn Signer> = Rc::from(Location::from(place).open(&secrets)?);
        self.check_key(key, &signer.public_key())?;
        self.signers.insert(key, Rc::clone(&signer));
        Ok(signer)
    }

    /// Fails for another key than the plan expects, or than an earlier step made.
    pub(in crate::ceremony) fn check_key(&self, key: KeyRef, public: &PublicKey) -> Result<(), Error> {
        let name = self.key(key)?.name.clone();
        let found = Fingerprint::of_key(public);
        let expected = match &self.key(key)?.origin {
            Origin::ComesIn(_, fingerprint) => Some(fingerprint.hex()),
            Origin::Kept(_, fingerprint) if !self.rehearsal => Some(fingerprint.hex()),
            Origin::Kept(..) | Origin::Made(_) => None,
        };
        let made = self.plan.step_that_shows(key).and_then(|step| self.transcript.fact(&step, &shown(&name)));
        for wanted in expected.iter().map(String::as_str).chain(made) {
            if wanted != found.hex() {
                let (found, wanted) = (found.hex(), wanted.to_owned());
                return Err(CeremonyError::Fingerprint { what: name, found, wanted }.into());
            }
        }
        Ok(())
    }
}
