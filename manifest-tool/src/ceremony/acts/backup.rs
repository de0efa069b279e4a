//! Backups of a root: copies of its encrypted file, and shares on paper. Each is proved to hold the key before the ledger
//! says so.

use std::path::PathBuf;

use ledger::{Backup, BackupCheck, BackupKind, Event, Hex};
use trust::author::Signer as _;
use trust::host::{MAX_KEY_FILE_LEN, folder_of};

use crate::ceremony::bundle::make_folder;
use crate::ceremony::cannot_write;
use crate::ceremony::room::{Done, Room};
use crate::ceremony::steps::{KeyRef, Step};
use crate::error::Error;
use crate::files::{read_secret, write_secret};
use crate::private_key;
use crate::shares::page::MAX_PAGE_LEN;
use crate::shares::{Share, page, split};
use crate::time::display;

impl Room {
    /// The files that the backups of a root are.
    pub(super) fn backups_of(&self, key: KeyRef) -> Result<Vec<PathBuf>, Error> {
        let root = self.plan.root_of(key).ok_or(Error::Internal("a step is about no root"))?;
        let mut files: Vec<PathBuf> = root.copies.iter().map(|path| self.place(path)).collect();
        if let Some(shares) = &root.shares {
            files.extend(page::files(&self.place(&shares.folder), shares.holders.len()));
        }
        Ok(files)
    }

    pub(super) fn back_up(&mut self, step: &Step, key: KeyRef) -> Result<Done, Error> {
        let root = self.plan.root_of(key).ok_or(Error::Internal("a step is about no root"))?.clone();
        let name = root.key.name.clone();
        let keeper = self.keeper(key)?;
        self.confirm(&step.id, keeper, &format!("backups of {name} are to be made"), None)?;
        let path = self.key_file(key)?.ok_or(Error::Internal("a key without a file has a backup"))?;
        let secrets = self.secrets.of(&name);
        let mut done = Done::default();
        for place in &root.copies {
            let (wanted, copy) = (read_secret(&path, MAX_KEY_FILE_LEN)?, self.place(place));
            make_folder(&folder_of(&copy))?;
            if copy.symlink_metadata().is_err() {
                write_secret(&copy, &wanted)?;
            }
            // It opens with the passphrase, and is the key: typed once more, so that nobody has forgotten it by now.
            let opened = private_key::open(&copy, &secrets.passphrase)?;
            self.check_key(key, &opened.public_key())?;
            done.fact("copy", copy.display().to_string());
            let holders = vec![root.key.holder.clone()];
            let kept = place.clone();
            self.record_backup(step, key, Backup { form: BackupKind::Copy, holders, kept })?;
        }
        if let Some(shares) = &root.shares {
            let (seed, opened) = private_key::open_seed(&path, &secrets.passphrase)?;
            self.check_key(key, &opened.public_key())?;
            let folder = self.place(&shares.folder);
            make_folder(&folder)?;
            let count = shares.holders.len();
            let shares_count =
                u8::try_from(count).map_err(|_| Error::Internal("a plan has too many shares"))?;
            let files = page::files(&folder, count);
            let split = match self.recorded_split(step, key)? {
                Some(recorded) if pages_are_of(&files, recorded) => recorded,
                _ => {
                    // Those of an interrupted split are of no use beside these.
                    for old in files.iter().filter(|old| old.symlink_metadata().is_ok()) {
                        std::fs::remove_file(old).map_err(|source| cannot_write(old, source))?;
                    }
                    let made = split(&seed, &opened.public_key(), shares.threshold, shares_count)?;
                    let holders: Vec<Option<&str>> =
                        shares.holders.iter().map(|name| Some(name.as_str())).collect();
                    let pages = page::all(&made, &self.marked(&name), &holders, &display(self.now()?))?;
                    for (path, content) in files.iter().zip(&pages) {
                        write_secret(path, content.as_bytes())?;
                    }
                    made.first().map(Share::split).ok_or(Error::Internal("a split has no share"))?
                }
            };
            done.fact("shares", format!("{count}, of which {} make the key", shares.threshold));
            let form = BackupKind::Shares {
                threshold: shares.threshold,
                shares: shares_count,
                split: Some(Hex(split)),
            };
            let (holders, kept) = (shares.holders.clone(), shares.kept.clone());
            self.record_backup(step, key, Backup { form, holders, kept })?;
        }
        let mut recorder = self.recorder(key)?;
        let signer = self.signer(key)?;
        recorder.close(self.now()?, signer.as_ref())?;
        Ok(done)
    }

    /// The split that an interrupted run of this step has recorded: its pages were written before.
    fn recorded_split(&mut self, step: &Step, key: KeyRef) -> Result<Option<[u8; 2]>, Error> {
        let before = self.transcript.begun(&step.id).flatten().unwrap_or(0);
        let recorder = self.recorder(key)?;
        let entries = recorder.ledger().map(ledger::Ledger::entries).unwrap_or_default();
        let split =
            entries.iter().rev().filter(|stored| stored.entry.number > before).find_map(
                |stored| match &stored.entry.event {
                    Event::Backup(Backup { form: BackupKind::Shares { split, .. }, .. }) => *split,
                    _ => None,
                },
            );
        Ok(split.map(|Hex(split)| split))
    }

    /// Has the ledger say that a backup was made, and that it was proved; once.
    fn record_backup(&mut self, step: &Step, key: KeyRef, backup: Backup) -> Result<(), Error> {
        let before = self.transcript.begun(&step.id).flatten().unwrap_or(0);
        let mut recorder = self.recorder(key)?;
        let find = |recorder: &crate::recording::Recorder, wanted: &Event| {
            let ledger = recorder.ledger()?;
            let is_it =
                |stored: &&ledger::Stored| stored.entry.number > before && stored.entry.event == *wanted;
            ledger.entries().iter().find(is_it).map(|stored| stored.entry.number)
        };
        let event = Event::Backup(backup);
        let number = match find(&recorder, &event) {
            Some(number) => number,
            None => recorder.note(event, self.now()?)?,
        };
        let check = Event::BackupCheck(BackupCheck { backup: number });
        if find(&recorder, &check).is_none() {
            recorder.note(check, self.now()?)?;
        }
        Ok(())
    }
}

/// Whether each page is there, whole, and of this split.
fn pages_are_of(files: &[PathBuf], split: [u8; 2]) -> bool {
    files.iter().all(|path| {
        let Ok(page) = read_secret(path, MAX_PAGE_LEN) else { return false };
        Share::parse(&page).is_ok_and(|share| share.split() == split && share.check_words(&page).is_ok())
    })
}
