//! What the steps do. Each first looks for what it made before an interruption.

mod backup;
mod certify;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use ledger::{Context, Hex, Ledger, Open, Purpose, Writer};
use trust::PublicKey;
use trust::author::Signer as _;
use trust::host::folder_of;

use super::answers::say;
use super::bundle::{Bundle, make_folder};
use super::fault::CeremonyError;
use super::plan::{Duty, Origin};
use super::room::{BUNDLE_FACT, Done, Room, shown};
use super::steps::{KeyRef, Step, Work};
use super::transcript::FileDigest;
use super::words::Fingerprint;
use super::{IN, slug};
use crate::error::Error;
use crate::files::read;
use crate::recording::{close, tool};
use crate::{private_key, public_key};

/// Longest file of a key that is read to see how it is protected.
const MAX_KEY_FILE_LEN: u64 = trust::host::MAX_KEY_FILE_LEN;

impl Room {
    pub(super) fn work(&mut self, step: &Step) -> Result<Done, Error> {
        match step.work {
            Work::Present => self.present(step),
            Work::TakeIn => self.take_in(step),
            Work::Make(key) => self.make(step, key),
            Work::Open(key) => self.open(step, key),
            Work::Begin(key) => self.begin_ledger(step, key),
            Work::Certify(place) => self.certify(step, place),
            Work::FirstList => self.first_list(step),
            Work::BackUp(key) => self.back_up(step, key),
        }
    }

    /// What a step makes: nothing of it may be there when the step begins for the first time.
    pub(super) fn made_by(&self, step: &Step) -> Result<Vec<PathBuf>, Error> {
        let out = |name: &str, end: &str| self.folder.join(self.out_name(name, end));
        Ok(match step.work {
            Work::Present => vec![],
            Work::TakeIn => vec![self.folder.join(IN)],
            Work::Make(key) | Work::Open(key) => {
                let public = out(&self.key(key)?.name, "cose");
                self.key_file(key)?.into_iter().chain([public]).collect()
            }
            Work::Begin(key) => vec![self.ledger_folder(key)?.join("000001-open.json")],
            Work::Certify(place) => vec![out(&self.key(KeyRef::Certified(place))?.name, "cwt")],
            Work::FirstList => vec![out("list", "cwt")],
            Work::BackUp(key) => self.backups_of(key)?,
        })
    }

    fn present(&mut self, step: &Step) -> Result<Done, Error> {
        let words = super::plan::page::text(&self.plan);
        say(&words);
        for person in self.plan.people.clone() {
            let duty = person.duties.first().copied().unwrap_or(Duty::Witness);
            self.confirm(&step.id, (duty, vec![person.name]), "I am present and have read the plan", None)?;
        }
        Ok(Done::default())
    }

    fn take_in(&mut self, step: &Step) -> Result<Done, Error> {
        let needed = || {
            self.plan.keys.iter().filter_map(|certified| match &certified.key.origin {
                Origin::ComesIn(file, _) => Some(file.clone()),
                Origin::Made(_) | Origin::Kept(..) => None,
            })
        };
        let names = || needed().collect::<Vec<_>>().join(", ");
        let path = self.bundle.clone().ok_or_else(|| CeremonyError::NothingCameIn(names()))?;
        let (bundle, digest) = Bundle::open(&path)?;
        let missing = needed().find(|file| bundle.file(file).is_none());
        if let Some(missing) = missing {
            return Err(CeremonyError::NothingCameIn(missing).into());
        }
        // Before anything is written: each key is the one of the plan.
        let mut keys = Vec::new();
        for (place, certified) in self.plan.keys.iter().enumerate() {
            let Origin::ComesIn(file, _) = &certified.key.origin else { continue };
            let public = public_key::decode(Path::new(file), bundle.file(file).unwrap_or_default())?;
            self.check_key(KeyRef::Certified(place), &public)?;
            keys.push((certified.key.name.clone(), Fingerprint::of_key(&public)));
        }
        let folder = self.folder.join(IN);
        bundle.unpack(&folder, trust::host::Existing::Keep).map_err(|error| match error {
            Error::FileExists(_) | Error::FileKept { .. } => CeremonyError::OtherBundle(path.clone()).into(),
            error => error,
        })?;
        let mut done = Done::default();
        done.fact(BUNDLE_FACT, digest.hex());
        for (name, content) in bundle.files() {
            let name = format!("{IN}/{name}");
            done.inputs.push(FileDigest { name, sha256: Hex(trust::sha256(content)) });
        }
        let witness = || (Duty::Witness, self.names_of(Duty::Witness));
        let witness = witness();
        for (name, fingerprint) in keys {
            say(&format!("  {name} came in"));
            let confirmed = format!("the fingerprint of {name} is the one that its holder gave");
            self.confirm(&step.id, witness.clone(), &confirmed, Some(&fingerprint))?;
            done.fact(&shown(&name), fingerprint.hex());
        }
        Ok(done)
    }

    fn make(&mut self, step: &Step, key: KeyRef) -> Result<Done, Error> {
        let name = self.key(key)?.name.clone();
        let path = self.key_file(key)?.ok_or(Error::Internal("a key that is made has no file"))?;
        let keeper = self.keeper(key)?;
        self.confirm(&step.id, keeper, &format!("{name} is to be made in {}", path.display()), None)?;
        make_folder(&folder_of(&path))?;
        let secrets = self.secrets.of(&name);
        let protection = self.protection.with(&secrets.passphrase);
        let signer = if path.symlink_metadata().is_ok() {
            // Made before an interruption. It is encrypted as it would be now, so whoever opens it has made it.
            let content = crate::files::read_secret(&path, MAX_KEY_FILE_LEN)?;
            let form = private_key::form(&content);
            if form.is_ok_and(|form| form.encryption.is_some() != protection.is_some()) {
                return Err(CeremonyError::AlreadyThere(path).into());
            }
            private_key::parse(&path, &content, &secrets.passphrase)?
        } else {
            private_key::generate(&path, protection, self.protection.derivation())?
        };
        let public = signer.public_key();
        self.keep_open(key, Rc::new(signer));
        let mut done = self.show_key(step, key, &public)?;
        done.fact("file", path.display().to_string());
        done.fact("encrypted", if protection.is_some() { "yes" } else { "NO" });
        Ok(done)
    }

    /// Shows a key, has its fingerprint compared, and writes its public half.
    fn show_key(&mut self, step: &Step, key: KeyRef, public: &PublicKey) -> Result<Done, Error> {
        let name = self.key(key)?.name.clone();
        let (fingerprint, witness) = (Fingerprint::of_key(public), self.names_of(Duty::Witness));
        let confirmed = format!("the fingerprint of {name} is on paper");
        self.confirm(&step.id, (Duty::Witness, witness), &confirmed, Some(&fingerprint))?;
        let mut done = Done::default();
        let out = self.out_name(&name, "cose");
        done.outputs.push(self.put_out(&out, &public.to_cose_key())?);
        done.fact(&shown(&name), fingerprint.hex());
        done.fact("kid", crate::describe::kid(public.kid()));
        Ok(done)
    }

    /// A root that was there before. A rehearsal makes one for the day in its place, with a ledger.
    fn open(&mut self, step: &Step, key: KeyRef) -> Result<Done, Error> {
        let name = self.key(key)?.name.clone();
        if self.rehearsal {
            let mut done = self.make(step, key)?;
            self.begin_ledger_of(key)?;
            done.fact("stands for", name);
            return Ok(done);
        }
        let keeper = self.keeper(key)?;
        self.confirm(&step.id, keeper, &format!("{name} is to be opened"), None)?;
        let signer = self.signer(key)?;
        let ledger = Ledger::open(&self.ledger_folder(key)?)?;
        let refused = |detail| Err(CeremonyError::Ledger { name: name.clone(), detail }.into());
        if *ledger.key() != signer.public_key() {
            return refused("it is the ledger of another key");
        }
        if ledger.successor().is_some() {
            return refused("the root has retired");
        }
        if ledger.begun().is_some() {
            return refused("an entry waits for its signature");
        }
        let mut done = self.show_key(step, key, &signer.public_key())?;
        done.fact("entries of the ledger", ledger.entries().len().to_string());
        Ok(done)
    }

    fn begin_ledger(&mut self, step: &Step, key: KeyRef) -> Result<Done, Error> {
        let name = self.key(key)?.name.clone();
        let (keeper, folder) = (self.keeper(key)?, self.ledger_folder(key)?);
        self.confirm(
            &step.id,
            keeper,
            &format!("the ledger of {name} is to begin in {}", folder.display()),
            None,
        )?;
        self.begin_ledger_of(key)?;
        let mut done = Done::default();
        done.fact("ledger", folder.display().to_string());
        Ok(done)
    }

    fn begin_ledger_of(&mut self, key: KeyRef) -> Result<(), Error> {
        let signer = self.signer(key)?;
        let public = signer.public_key();
        let root = self.signer(KeyRef::Root)?.public_key();
        let about = self.key(key)?.clone();
        let open = Open {
            name: self.marked(&about.name),
            purpose: match key {
                KeyRef::Root => Purpose::Root,
                KeyRef::Recovery => Purpose::RecoveryRoot,
                KeyRef::Certified(_) => Purpose::Issuing,
            },
            kid: Hex(public.kid().0),
            public_key: Hex(public.to_cose_key()),
            domain: Hex(root.kid().0),
            vendor: Some(self.vendor()),
            holder: about.holder,
            kept: about.kept,
            continues: None,
        };
        let folder = self.ledger_folder(key)?;
        let now = self.now()?;
        let context = Context { now, by: Some(self.operator()), tool: tool(), unwitnessed: false };
        let mut writer = match Writer::open(&folder) {
            Err(ledger::Error::Absent(_)) => {
                make_folder(&folder)?;
                Writer::create(&folder, open, &context)?
            }
            // Begun before an interruption, by nobody else: the step looked before it began.
            Ok(writer) if *writer.ledger().opened() == open => writer,
            Ok(_) => return Err(CeremonyError::AlreadyThere(folder).into()),
            Err(error) => return Err(error.into()),
        };
        if !writer.ledger().uncovered().is_empty() {
            close(&mut writer, now, signer.as_ref())?;
        }
        Ok(())
    }

    /// Domain of the company, or that of rehearsals: no device has an id that is made of it.
    pub(super) fn vendor(&self) -> String {
        if self.rehearsal { "rehearsal.invalid".to_owned() } else { self.plan.vendor.clone() }
    }

    /// The public half of a key of the plan, from what came in or was made; it is still the one that was compared.
    pub(super) fn public_key(&self, key: KeyRef) -> Result<(PathBuf, PublicKey), Error> {
        let about = self.key(key)?;
        let path = match &about.origin {
            Origin::ComesIn(file, _) => self.folder.join(IN).join(file),
            Origin::Made(_) | Origin::Kept(..) => self.folder.join(self.out_name(&about.name, "cose")),
        };
        let public = public_key::decode(&path, &read(&path, MAX_KEY_FILE_LEN)?)?;
        self.check_key(key, &public)?;
        Ok((path, public))
    }

    /// The name of the folder of a ledger's copy.
    pub(super) fn ledger_name(&self, key: KeyRef) -> Result<String, Error> {
        Ok(slug(&self.key(key)?.name))
    }
}
