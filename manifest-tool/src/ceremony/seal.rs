//! The end of a ceremony: the root signs the last line of the transcript, through its ledger, and everything that anybody
//! may have goes into one bundle. Each part can be done again after an interruption.

use std::path::{Path, PathBuf};

use ledger::{CeremonyEntry, Event as Entry, HEAD_FILE, Hex, Ledger};
use serde::Serialize;
use trust::TranscriptEnd;
use trust::author::prepare_transcript_end;
use trust::host::{Existing, folder_of};

use super::bundle::{Bundle, MAX_BUNDLE_LEN, make_folder};
use super::fault::CeremonyError;
use super::room::{REHEARSAL_FOLDER, Room};
use super::steps::KeyRef;
use super::transcript::{Event, LedgerState, MAX_TRANSCRIPT_LEN, TRANSCRIPT_FILE};
use super::{BUNDLE_FILE, LEDGERS, PAGE_FILE, PLAN_FILE, SEAL_FILE, cannot_write, page};
use crate::error::{Error, FileAction};
use crate::files::{MAX_RECORD_FILE_LEN, read, write, write_copy};
use crate::output::{Report, table};

/// Name of the step in answers.
const SEAL: &str = "seal";

/// A ceremony that has ended.
#[derive(Debug, Serialize)]
pub struct Sealed {
    folder: PathBuf,
    purpose: String,
    rehearsal: bool,
    lines: u64,
    /// SHA-256 of the last line of the transcript.
    transcript: String,
    bundle: PathBuf,
    bundle_sha256: String,
    bundle_copies: Vec<PathBuf>,
    page: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
}

impl Room {
    /// Whether the end is signed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.transcript.end().is_some() && self.folder.join(SEAL_FILE).exists()
    }

    /// Whether it was a rehearsal that has ended: its keys are gone.
    #[must_use]
    pub fn is_thrown_away(&self) -> bool {
        self.rehearsal && self.is_sealed() && !self.folder.join(REHEARSAL_FOLDER).exists()
    }

    /// How many steps were done, and the files that everybody may have.
    #[must_use]
    pub fn made(&self) -> (usize, Vec<String>) {
        let outputs = self.transcript.outputs().into_iter().map(|file| file.name);
        (self.plan.steps().len(), outputs.collect())
    }

    /// Ends the ceremony.
    pub fn seal(&mut self) -> Result<Sealed, Error> {
        if let Some(step) = self.plan.steps().iter().find(|step| self.transcript.done(&step.id).is_none()) {
            return Err(CeremonyError::Unfinished(step.id.clone()).into());
        }
        if self.transcript.end().is_none() {
            self.end()?;
        }
        let record = self.sign_end()?;
        write(&self.folder.join(SEAL_FILE), &record, Existing::Keep)?;
        let html = page::html(&self.plan, &self.transcript, &record)?;
        let page = self.folder.join(PAGE_FILE);
        write(&page, html.as_bytes(), Existing::Replace)?;
        self.copy_ledgers()?;
        let (bundle, copies) = self.write_bundle()?;
        Ok(Sealed {
            folder: self.folder.clone(),
            purpose: self.plan.purpose.clone(),
            rehearsal: self.rehearsal,
            lines: self.transcript.lines().len() as u64,
            transcript: hex::encode(self.transcript.digest()),
            bundle_sha256: hex::encode(trust::sha256(&read(&bundle, MAX_BUNDLE_LEN)?)),
            bundle,
            bundle_copies: copies,
            page,
            ledger_entry: self.entry_of_end()?,
        })
    }

    fn end(&mut self) -> Result<(), Error> {
        let mut ledgers = Vec::new();
        for (key, _) in self.plan.ledgers() {
            let ledger = Ledger::open(&self.ledger_folder(key)?)?;
            let last = ledger.entries().last().ok_or(Error::Internal("a ledger has no entry"))?;
            let (name, kid) = (self.ledger_name(key)?, Hex(ledger.key().kid().0));
            ledgers.push(LedgerState { name, kid, entries: last.entry.number, digest: Hex(last.digest) });
        }
        let (keeper, lines) = (self.keeper(KeyRef::Root)?, self.transcript.lines().len());
        self.begin_answers(SEAL);
        let confirmed = format!("the transcript, of {lines} lines so far, is whole and is to be signed");
        self.confirm(SEAL, keeper, &confirmed, None)?;
        let outputs = self.transcript.outputs();
        self.note(Event::End { outputs, ledgers })
    }

    /// How many entries the root's ledger had at the end.
    fn entries_at_end(&self) -> u64 {
        let ledgers = self.transcript.end().map(|(_, ledgers)| ledgers).unwrap_or_default();
        ledgers.first().map_or(0, |state| state.entries)
    }

    fn is_this_end(&self) -> impl Fn(&Entry) -> bool + use<> {
        let digest = Hex(self.transcript.digest());
        move |event| matches!(event, Entry::Ceremony(entry) if entry.facts.transcript == digest)
    }

    fn entry_of_end(&self) -> Result<Option<u64>, Error> {
        let is_it = self.is_this_end();
        let ledger = Ledger::open(&self.ledger_folder(KeyRef::Root)?)?;
        let found = ledger.entries().iter().find(|stored| is_it(&stored.entry.event));
        Ok(found.map(|stored| stored.entry.number))
    }

    /// The signed end, once.
    fn sign_end(&mut self) -> Result<Vec<u8>, Error> {
        let is_it = self.is_this_end();
        if let Some(record) = self.signed_after(self.entries_at_end(), KeyRef::Root, is_it)? {
            return Ok(record);
        }
        let root = self.signer(KeyRef::Root)?;
        let now = self.now()?;
        let (lines, digest) = (self.transcript.lines().len() as u64, self.transcript.digest());
        let made = |error| Error::author("the end of the transcript", None, error);
        let end = TranscriptEnd { lines, digest, issued_at: now };
        let unsigned = prepare_transcript_end(&end, &root.public_key()).map_err(made)?;
        let purpose = self.marked(&self.plan.purpose);
        let mut recorder = self.recorder(KeyRef::Root)?;
        let with_purpose = |event| match event {
            Entry::Ceremony(entry) => {
                Entry::Ceremony(CeremonyEntry { purpose: Some(purpose.clone()), ..entry })
            }
            event => event,
        };
        let record = recorder.sign(&unsigned, with_purpose, now, root.as_ref())?;
        recorder.close(now, root.as_ref())?;
        Ok(record)
    }

    /// Copies of the ledgers go out: office, server and auditor keep them.
    fn copy_ledgers(&self) -> Result<(), Error> {
        for (key, _) in self.plan.ledgers() {
            self.copy_ledger(key, &self.folder.join(LEDGERS).join(self.ledger_name(key)?))?;
        }
        Ok(())
    }

    fn copy_ledger(&self, key: KeyRef, to: &Path) -> Result<(), Error> {
        for (name, content) in ledger_files(&self.ledger_folder(key)?)? {
            let path = to.join(name);
            make_folder(&folder_of(&path))?;
            write_copy(&path, &content, Existing::Replace)?;
        }
        Ok(())
    }

    /// Begins copies of the root's ledger and list that people keep up to date; the list comes last. Copies that are there are
    /// newer.
    pub fn begin_copies(&self, ledger: &Path, list: &Path) -> Result<(), Error> {
        if list.exists() {
            return Ok(());
        }
        self.copy_ledger(KeyRef::Root, ledger)?;
        write(
            list,
            &read(&self.folder.join(self.out_name("list", "cwt")), MAX_RECORD_FILE_LEN)?,
            Existing::Keep,
        )
    }

    fn write_bundle(&self) -> Result<(PathBuf, Vec<PathBuf>), Error> {
        let mut names = vec![PLAN_FILE.to_owned(), TRANSCRIPT_FILE.to_owned(), SEAL_FILE.to_owned()];
        names.push(PAGE_FILE.to_owned());
        names.extend(self.transcript.files().into_iter().map(|file| file.name));
        let mut files = Vec::new();
        for name in names {
            let content = read(&self.folder.join(&name), MAX_TRANSCRIPT_LEN)?;
            files.push((name, content));
        }
        for (key, _) in self.plan.ledgers() {
            let name = self.ledger_name(key)?;
            let copy = ledger_files(&self.folder.join(LEDGERS).join(&name))?;
            files.extend(
                copy.into_iter().map(|(file, content)| (format!("{LEDGERS}/{name}/{file}"), content)),
            );
        }
        let mark = if self.rehearsal { "REHEARSAL-" } else { "" };
        let path = self.folder.join(format!("{mark}{BUNDLE_FILE}"));
        let bundle =
            Bundle::new(files).map_err(|fault| CeremonyError::Bundle { path: path.clone(), fault })?;
        bundle.write(&path, Existing::Replace)?;
        let mut copies = Vec::new();
        for folder in &self.plan.bundle_copies {
            let folder = self.place(folder);
            make_folder(&folder)?;
            let copy = folder.join(path.file_name().unwrap_or_default());
            bundle.write(&copy, Existing::Replace)?;
            copies.push(copy);
        }
        Ok((path, copies))
    }

    /// Deletes the keys, ledgers and backups of a rehearsal.
    pub fn throw_away(&self) -> Result<(), Error> {
        if !self.rehearsal {
            return Err(Error::Internal("a ceremony in earnest throws nothing away"));
        }
        let folder = self.folder.join(REHEARSAL_FOLDER);
        match std::fs::remove_dir_all(&folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(cannot_write(&folder, source))
            }
            _ => Ok(()),
        }
    }
}

/// The files of a ledger; others in its folder are not part of it.
fn ledger_files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, before)) = folders.pop() {
        let failed = |source| Error::File { action: FileAction::Read, path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_numbered = name.len() > 6 && name.bytes().take(6).all(|byte| byte.is_ascii_digit());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() && is_numbered {
                folders.push((entry.path(), format!("{before}{name}/")));
            } else if kind.is_file() && (is_numbered || name == HEAD_FILE) {
                files.push((format!("{before}{name}"), read(&entry.path(), MAX_BUNDLE_LEN)?));
            }
        }
    }
    files.sort();
    Ok(files)
}

impl Report for Sealed {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("ceremony", self.folder.display().to_string()),
            ("purpose", self.purpose.clone()),
            ("transcript", format!("{} lines, the last of SHA-256 {}", self.lines, self.transcript)),
        ];
        if self.rehearsal {
            rows.push(("REHEARSAL", "nothing of it is real; its keys are deleted".to_owned()));
        }
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        rows.push(("to print", self.page.display().to_string()));
        rows.push(("what goes out", self.bundle.display().to_string()));
        rows.push(("SHA-256", self.bundle_sha256.clone()));
        rows.extend(self.bundle_copies.iter().map(|copy| ("copy of it", copy.display().to_string())));
        table(&rows)
    }
}
