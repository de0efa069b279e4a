//! The room: the folder of a ceremony, its plan, its transcript and the people. A step that was interrupted is begun anew;
//! what it had made already is found again, and nothing is made twice (docs/ceremony.md).

mod keys;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ledger::{Hex, Ledger};
use trust::UnixTime;
use trust::author::Signer;
use trust::host::{Existing, folder_of, is_temporary_name, lock_own};

pub(super) use self::keys::Open;
use super::answers::{Answers, Question, say};
use super::bundle::{Bundle, make_folder};
use super::fault::CeremonyError;
use super::plan::{Duty, Plan};
use super::secrets::KeySecrets;
use super::steps::{KeyRef, Step, Work};
use super::transcript::{Event, FORMAT, Fact, FileDigest, Transcript, Word};
use super::words::Fingerprint;
use super::{OUT, PLAN_FILE, executable};
use crate::commands::key::Protection;
use crate::error::Error;
use crate::files::write;
use crate::recording::tool;
use crate::time::IssueTime;

/// Held by the program that works in the folder.
const LOCK_FILE: &str = ".lock";
/// Where the keys, ledgers and backups of a rehearsal lie; it goes when the rehearsal has ended.
pub(super) const REHEARSAL_FOLDER: &str = "rehearsal";

/// The fact that names the bundle that came in.
pub(super) const BUNDLE_FACT: &str = "bundle";

/// The fact that is the fingerprint of a key.
pub(super) fn shown(name: &str) -> String {
    format!("fingerprint of {name}")
}

/// How a ceremony is carried out.
pub struct Options {
    pub rehearsal: bool,
    /// What comes in.
    pub bundle: Option<PathBuf>,
    pub answers: Answers,
    pub secrets: KeySecrets,
    /// Of the keys that are made.
    pub protection: Protection,
    pub time: IssueTime,
}

/// A ceremony that goes on.
pub struct Room {
    pub(super) folder: PathBuf,
    pub(super) plan: Plan,
    pub(super) rehearsal: bool,
    pub(super) transcript: Transcript,
    pub(super) bundle: Option<PathBuf>,
    pub(super) secrets: KeySecrets,
    pub(super) protection: Protection,
    answers: Answers,
    time: IssueTime,
    signers: BTreeMap<KeyRef, Rc<dyn Signer>>,
    /// Whether the transcript says that this program took it up.
    in_session: bool,
    _lock: File,
}

/// What a step read, made and found.
#[derive(Default)]
pub(super) struct Done {
    pub(super) inputs: Vec<FileDigest>,
    pub(super) outputs: Vec<FileDigest>,
    pub(super) facts: Vec<Fact>,
}

impl Done {
    pub(super) fn fact(&mut self, what: &str, value: impl Into<String>) {
        self.facts.push(Fact { what: what.to_owned(), value: value.into() });
    }
}

impl Room {
    /// Begins a ceremony, or takes it up again.
    pub fn enter(plan: &Path, folder: &Path, options: Options) -> Result<Self, Error> {
        let plan = Plan::open(plan)?;
        make_folder(folder)?;
        let lock = lock(folder)?;
        let Options { rehearsal, bundle, answers, secrets, protection, time } = options;
        let transcript = match Transcript::open(folder)? {
            Some(transcript) => {
                check_same(folder, &transcript, &plan, rehearsal)?;
                transcript
            }
            None => {
                for name in [OUT, super::IN, super::SEAL_FILE] {
                    if folder.join(name).exists() {
                        return Err(CeremonyError::AlreadyThere(folder.join(name)).into());
                    }
                }
                Transcript::new(folder)
            }
        };
        secrets.check(&plan)?;
        let signers = BTreeMap::new();
        let folder = folder.to_owned();
        let room = Self {
            folder,
            plan,
            rehearsal,
            transcript,
            bundle,
            secrets,
            protection,
            answers,
            time,
            signers,
            in_session: false,
            _lock: lock,
        };
        room.sweep()?;
        Ok(room)
    }

    /// What is refused before anything happened leaves no line.
    fn open_session(&mut self) -> Result<(), Error> {
        if self.in_session {
            return Ok(());
        }
        self.in_session = true;
        if self.transcript.lines().is_empty() {
            write(&self.folder.join(PLAN_FILE), &self.plan.content, Existing::Keep)?;
            let purpose = format!("{}{}", self.mark(), self.plan.purpose);
            let (plan, rehearsal) = (Hex(self.plan.fingerprint().0), self.rehearsal);
            self.note(Event::Open { format: FORMAT, purpose, plan, rehearsal })?;
        }
        let (executable, answers) = (Hex(executable()?), self.answers.name());
        self.note(Event::Session { tool: tool(), executable, answers })
    }

    /// The time of what happens now: not before the last line.
    pub(super) fn now(&self) -> Result<UnixTime, Error> {
        self.time.after(self.transcript.lines().last().map(|line| line.time.0))
    }

    pub(super) fn note(&mut self, event: Event) -> Result<(), Error> {
        self.open_session()?;
        let now = self.now()?;
        self.transcript.append(event, now)
    }

    /// How many entries the ledger has to which a step writes.
    fn entries_before(&self, step: &Step) -> Result<Option<u64>, Error> {
        let key = match step.work {
            Work::Certify(_) | Work::FirstList | Work::BackUp(KeyRef::Root) => KeyRef::Root,
            Work::BackUp(key) => key,
            Work::Present | Work::TakeIn | Work::Make(_) | Work::Open(_) | Work::Begin(_) => return Ok(None),
        };
        Ok(Some(Ledger::open(&self.ledger_folder(key)?)?.entries().len() as u64))
    }

    /// Carries out each step that is not done.
    pub fn run(&mut self) -> Result<(), Error> {
        let steps = self.plan.steps();
        self.check_bundle(&steps)?;
        for (place, step) in steps.iter().enumerate() {
            let (number, count) = (place + 1, steps.len());
            if self.transcript.done(&step.id).is_some() {
                say(&format!("[{number}/{count}] {} (done before)", step.title));
                continue;
            }
            say(&format!("\n[{number}/{count}] {}{}", self.mark(), step.title));
            self.begin(step)?;
            let done = self.work(step)?;
            let Done { inputs, outputs, facts } = done;
            self.note(Event::Done { step: step.id.clone(), inputs, outputs, facts })?;
        }
        Ok(())
    }

    /// What comes in comes in once.
    fn check_bundle(&self, steps: &[Step]) -> Result<(), Error> {
        let Some(path) = &self.bundle else { return Ok(()) };
        let Some(step) = steps.iter().find(|step| step.work == Work::TakeIn) else {
            return Err(Error::usage("--in is given, and the plan takes nothing in"));
        };
        match self.transcript.fact(&step.id, BUNDLE_FACT) {
            Some(digest) if Bundle::open(path)?.1.hex() != digest => {
                Err(CeremonyError::OtherBundle(path.clone()).into())
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, step: &Step) -> Result<(), Error> {
        self.answers.begin(&step.id);
        let ledger = self.entries_before(step)?;
        if self.transcript.begun(&step.id).is_none() {
            for path in self.made_by(step)? {
                if path.symlink_metadata().is_ok() {
                    return Err(CeremonyError::AlreadyThere(path).into());
                }
            }
        }
        self.note(Event::Begin { step: step.id.clone(), title: step.title.clone(), ledger })
    }

    /// Answers of a step are given from the first one.
    pub(super) fn begin_answers(&mut self, step: &str) {
        self.answers.begin(step);
    }

    /// Has people with a duty confirm; with a fingerprint, by a word of it.
    pub(super) fn confirm(
        &mut self,
        step: &str,
        (duty, people): (Duty, Vec<String>),
        confirmed: &str,
        fingerprint: Option<&Fingerprint>,
    ) -> Result<(), Error> {
        if let Some(fingerprint) = fingerprint {
            say(&format!("  fingerprint: {}", fingerprint.groups()));
            say(&format!("  in words:    {}", fingerprint.words().join(" ")));
        }
        let who = people.join(" or ");
        let text = format!("  {confirmed}: {who} ({}), type your name", duty.name());
        let person = self.ask(step, text, people)?;
        let word = match fingerprint {
            None => None,
            Some(fingerprint) => {
                let words = fingerprint.words();
                // Not always the same one, and the same one for everybody who reads the transcript.
                let place = usize::from(self.transcript.digest()[0]) % words.len().max(1);
                let right = words.get(place).map(|word| (*word).to_owned());
                let number = place + 1;
                let text = format!(
                    "  {person}, compare the fingerprint with the paper, and type word {number} of it"
                );
                let word = self.ask(step, text, right.into_iter().collect())?;
                let place = u8::try_from(number).unwrap_or(u8::MAX);
                Some(Word { fingerprint: Hex(fingerprint.0), place, word })
            }
        };
        let (step, role, confirmed) = (step.to_owned(), duty.name().to_owned(), confirmed.to_owned());
        self.note(Event::Confirmed { step, person, role, confirmed, word })
    }

    fn ask(&mut self, step: &str, text: String, right: Vec<String>) -> Result<String, Error> {
        let question = Question { step: step.to_owned(), text, right };
        let answer = self.answers.ask(&question);
        if let Err(Error::Ceremony(CeremonyError::NotConfirmed { step, asked })) = &answer {
            self.note(Event::NotConfirmed { step: step.clone(), asked: asked.trim().to_owned() })?;
        }
        answer
    }

    /// Removes what interrupted writes left behind: temporary files in the folders of the ceremony.
    fn sweep(&self) -> Result<(), Error> {
        let mut folders = vec![self.folder.clone(), self.folder.join(OUT), self.folder.join(super::IN)];
        folders.extend(self.plan.bundle_copies.iter().map(|path| self.place(path)));
        for (key, _) in self.plan.ledgers() {
            folders.push(self.folder.join(super::LEDGERS).join(self.ledger_name(key)?));
        }
        for step in self.plan.steps() {
            folders.extend(self.made_by(&step)?.iter().flat_map(|path| [path.clone(), folder_of(path)]));
        }
        for folder in folders {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                if is_temporary_name(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_file())
                {
                    let path = entry.path();
                    let removed = std::fs::remove_file(&path);
                    removed.map_err(|source| super::cannot_write(&path, source))?;
                }
            }
        }
        Ok(())
    }
}

fn check_same(folder: &Path, transcript: &Transcript, plan: &Plan, rehearsal: bool) -> Result<(), Error> {
    let name = |rehearsal| if rehearsal { "rehearsal" } else { "ceremony" };
    match transcript.opened() {
        Some((digest, _)) if digest.0 != plan.fingerprint().0 => {
            Err(CeremonyError::OtherPlan(folder.to_owned()).into())
        }
        Some((_, found)) if found != rehearsal => {
            let (found, wanted) = (name(found), name(rehearsal));
            Err(CeremonyError::OtherMode { folder: folder.to_owned(), found, wanted }.into())
        }
        _ => Ok(()),
    }
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK_FILE);
    let locked = lock_own(&path).map_err(|source| super::cannot_write(&path, source))?;
    locked.ok_or_else(|| CeremonyError::InUse(folder.to_owned()).into())
}
