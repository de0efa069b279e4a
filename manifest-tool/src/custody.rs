//! What is known about the custody of keys, beside their ledgers: releases, devices, provisioning blocks, key files. The
//! commands `custody`, `doctor` and `today` judge it by the same rules.

pub mod evidence;
pub mod findings;
pub mod kept;
pub mod roles;
pub mod scopes;

use ledger::{BackupKind, Event, Hex, Ledger, Time};
use trust::{Role, UnixTime};

pub const DAY: u64 = 24 * 60 * 60;
/// How long a check of a backup counts, seconds.
pub const CHECK_PERIOD: u64 = 365 * DAY;
/// How long before its end a credential is due to be renewed, seconds.
pub const EXPIRY_NOTICE: u64 = 90 * DAY;

/// A backup of a ledger's key, and when it was checked last.
pub struct BackupState<'l> {
    pub entry: u64,
    pub form: BackupKind,
    pub holders: &'l [String],
    pub kept: &'l str,
    pub made: Time,
    pub checked: Option<Time>,
}

impl BackupState<'_> {
    /// Until when its last check counts.
    pub fn good_until(&self) -> Option<UnixTime> {
        self.checked.map(|Time(UnixTime(checked))| UnixTime(checked.saturating_add(CHECK_PERIOD)))
    }
}

/// The backups that a ledger names, in their order.
pub fn backups(ledger: &Ledger) -> Vec<BackupState<'_>> {
    let mut found: Vec<BackupState<'_>> = Vec::new();
    for stored in ledger.entries() {
        match &stored.entry.event {
            Event::Backup(backup) => found.push(BackupState {
                entry: stored.entry.number,
                form: backup.form,
                holders: &backup.holders,
                kept: &backup.kept,
                made: stored.entry.time,
                checked: None,
            }),
            Event::BackupCheck(check) => {
                let of = found.iter_mut().find(|backup| backup.entry == check.backup);
                of.into_iter().for_each(|backup| backup.checked = Some(stored.entry.time));
            }
            _ => {}
        }
    }
    found
}

/// Serials of devices that this ledger and a copy that was joined to it made, each after they had parted.
pub fn made_in_both_copies(ledger: &Ledger) -> Vec<&str> {
    let mut twice = Vec::new();
    for (number, joined) in ledger.joined() {
        let Some(Event::Merge(merge)) = ledger.entry(*number).map(|stored| &stored.entry.event) else {
            continue;
        };
        let theirs = joined.iter().flat_map(|stored| &stored.devices).map(|line| line.serial.as_str());
        let theirs: std::collections::BTreeSet<&str> = theirs.collect();
        let own = ledger.entries().iter().filter(|stored| {
            (merge.common..*number).contains(&stored.entry.number.saturating_sub(1))
                && !ledger.is_void(stored.entry.number)
        });
        let own = own.flat_map(|stored| &stored.devices).map(|line| line.serial.as_str());
        twice.extend(own.filter(|serial| theirs.contains(serial)));
    }
    twice.sort_unstable();
    twice.dedup();
    twice
}

/// The people who can use the ledger's key, or make it again: its holder, and those of its backups. Whoever has so many
/// shares that those of all others do not suffice is needed for it: then the others count for nothing.
pub fn custodians(ledger: &Ledger) -> Vec<&str> {
    let holder = ledger.custody(ledger.opened().kid).0;
    let mut people: Vec<&str> = holder.into_iter().collect();
    for backup in backups(ledger) {
        people.extend(backup.holders.iter().map(String::as_str).filter(|person| {
            let others = backup.holders.iter().filter(|other| holder != Some(other.as_str()));
            let without_holder = others.count() as u64;
            match backup.form {
                ledger::BackupKind::Copy => true,
                // Without the holder of the key the others have to be enough.
                ledger::BackupKind::Shares { threshold, .. } => {
                    holder == Some(person) || without_holder >= u64::from(threshold)
                }
            }
        }));
    }
    people.sort_unstable();
    people.dedup();
    people
}

/// The name of a vendor or class, where an entry of the ledger says it.
pub fn name_of<'l>(ledger: &'l Ledger, id: &str) -> Option<&'l str> {
    ledger.credentials().find_map(|(_, entry)| entry.names.get(id)).map(String::as_str)
}

/// A vendor or class for a reader.
pub fn shown_id(ledger: &Ledger, id: &str) -> String {
    name_of(ledger, id).map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
}

/// Roles whose credentials have to end: identity and device keys stay in devices, which have no clock.
pub fn has_to_end(role: &str) -> bool {
    matches!(Role::from_name(role), Some(Role::Release | Role::Service | Role::Operator))
}

/// A key as an argument of a command.
pub fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The folder of a ledger as an argument of a command.
pub fn folder(ledger: &Ledger) -> String {
    quoted(&ledger.folder().display().to_string())
}

/// Whether a release key's kid is that of a credential for the role *release*.
pub fn is_release_key(ledger: &Ledger, kid: Hex<8>) -> bool {
    ledger.credentials().any(|(_, entry)| entry.facts.kid == kid && entry.facts.role() == Some(Role::Release))
}
