//! What an auditor would find. Each finding has a stable code, and a command or a step that mends it.

use std::path::Path;

use ledger::{KeyState, Ledger, Purpose, Status, Successor, Time};
use serde::Serialize;
use trust::{PublicKey, Role, UnixTime};

use super::evidence::Evidence;
use super::{BackupState, EXPIRY_NOTICE, backups, custodians, folder, has_to_end, quoted, shown_id};
use crate::time::display;

/// The public half of the key pair that is in the source of the loader: anybody can sign with it (bootloader/keys).
pub const DEVELOPMENT_ANCHOR: [u8; 32] = [
    0x85, 0x78, 0x41, 0x4d, 0xb4, 0x85, 0x99, 0x29, 0x62, 0xce, 0xd4, 0x42, 0x4e, 0x2e, 0x1e, 0x16, 0xbd,
    0xd7, 0xb9, 0xa8, 0x9b, 0x4f, 0xac, 0x15, 0x78, 0x0c, 0xb0, 0x30, 0xc5, 0x52, 0x6a, 0xfa,
];

/// Something that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Stable name (docs/custody-questions.md).
    pub code: &'static str,
    /// What is wrong, with what.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// When it has to be done; absent: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
}

impl Finding {
    pub fn new(code: &'static str, message: String, hint: impl Into<String>) -> Self {
        Self { code, message, hint: hint.into(), due: None }
    }

    pub fn due(self, due: UnixTime) -> Self {
        Self { due: Some(display(due)), ..self }
    }
}

/// What one ledger shows.
pub fn of_ledger(ledger: &Ledger, others: &[Ledger], evidence: &Evidence, now: UnixTime) -> Vec<Finding> {
    let mut found = Vec::new();
    of_state(ledger, &mut found);
    // A root that was succeeded signs nothing any more, and what it certified counts no more.
    if let Some(successor) = ledger.successor() {
        of_successor(ledger, &successor, others, &mut found);
        return found;
    }
    of_joined(ledger, &mut found);
    of_releases(ledger, evidence, now, &mut found);
    of_imports(ledger, others, &mut found);
    of_backups(ledger, now, &mut found);
    of_recovery(ledger, others, evidence, &mut found);
    of_devices_before(ledger, &mut found);
    if is_development(ledger.key()) {
        found.push(development(format!("the ledger {} is that of the development key", folder(ledger))));
    }
    for key in ledger.keys(now).iter().filter(|key| key.status == Status::Good) {
        of_key(ledger, key, evidence, &mut found);
    }
    found
}

/// Entries that nobody vouches for yet.
fn of_state(ledger: &Ledger, found: &mut Vec<Finding>) {
    let name = &ledger.opened().name;
    if let Some(begun) = ledger.begun() {
        let number = begun.entry.number;
        found.push(Finding::new(
            "ledger-begun",
            format!("entry {number} of the ledger of {name} was begun and is not signed"),
            if ledger.successor().is_some() {
                format!("manifest-tool ledger void {} --reason TEXT: its root was succeeded", folder(ledger))
            } else {
                format!(
                    "manifest-tool ledger finish {0} --key KEY, or ledger void {0} --reason TEXT",
                    folder(ledger)
                )
            },
        ));
    }
    let uncovered = ledger.uncovered().len();
    // The root that was replaced is lost or stolen: nobody signs a head of its ledger any more.
    let is_lost = ledger.successor().is_some_and(|successor| successor.grantor != *ledger.key());
    if uncovered > 0 && !is_lost {
        found.push(Finding::new(
            "ledger-uncovered",
            format!("{uncovered} entries of the ledger of {name} are not under a signed head"),
            format!("manifest-tool ledger finish {} --key KEY", folder(ledger)),
        ));
    }
}

/// A closed ledger answers for the past only: that of its successor has to be looked at too.
fn of_successor(ledger: &Ledger, successor: &Successor<'_>, others: &[Ledger], found: &mut Vec<Finding>) {
    let is_of = |other: &Ledger| other.opened().kid == successor.facts.kid;
    if others.iter().flat_map(Ledger::line).any(is_of) {
        return;
    }
    let name = &successor.facts.name;
    found.push(Finding::new(
        "successor-ledger-missing",
        format!(
            "the ledger of {} is closed, and that of its successor {name} ({}) was not given",
            ledger.opened().name,
            successor.facts.kid
        ),
        format!(
            "Pass the ledger of {} too; begin it if there is none: manifest-tool ledger init DIR --key KEY --continues {}",
            quoted(name),
            folder(ledger)
        ),
    ));
}

/// That a ledger is closed, and by whom, in words.
pub fn closed(ledger: &Ledger) -> Option<String> {
    let Successor { entry, facts, .. } = ledger.successor()?;
    Some(format!("closed by entry {entry}: {} ({}) is root {}", facts.name, facts.kid, facts.number()))
}

fn of_backups(ledger: &Ledger, now: UnixTime, found: &mut Vec<Finding>) {
    let (open, ledger_folder) = (ledger.opened(), folder(ledger));
    let backups = backups(ledger);
    let newest = backups.iter().max_by_key(|backup| backup.good_until());
    match newest {
        None => found.push(Finding::new(
            "backup-missing",
            format!("the ledger knows no backup of {}", open.name),
            format!(
                "manifest-tool key backup KEY --shares 3 --threshold 2 --out-dir DIR --ledger {ledger_folder} \
                 --holder PERSON --holder PERSON --holder PERSON --kept TEXT"
            ),
        )),
        Some(backup) if backup.good_until().is_none_or(|end| end <= now) => {
            let checked = match backup.checked {
                Some(checked) => format!("since {checked}"),
                None => "at all".to_owned(),
            };
            found.push(Finding::new(
                "backup-unchecked",
                format!("no backup of {} was checked {checked}", open.name),
                check_command(ledger, backup),
            ));
        }
        Some(_) => {}
    }
    let people = custodians(ledger);
    if people.len() < 2 {
        let people = people.first().copied().unwrap_or("nobody");
        found.push(Finding::new(
            "one-custodian",
            format!("only {people} can use {} or make it again", open.name),
            format!(
                "Give shares of a backup to other people (manifest-tool key backup), or record who else holds the key: \
                 manifest-tool ledger note {} --ledger {ledger_folder}",
                quoted(&open.name)
            ),
        ));
    }
}

/// How a backup is checked.
pub fn check_command(ledger: &Ledger, backup: &BackupState<'_>) -> String {
    let what = match backup.form {
        ledger::BackupKind::Copy => "--copy FILE",
        ledger::BackupKind::Shares { .. } => "--type",
    };
    format!("manifest-tool key backup-check {what} --ledger {}", folder(ledger))
}

/// Whoever loses a root without a recovery root replaces its devices.
fn of_recovery(ledger: &Ledger, others: &[Ledger], evidence: &Evidence, found: &mut Vec<Finding>) {
    let open = ledger.opened();
    if !matches!(open.purpose, Purpose::Root | Purpose::OwnerRoot) {
        return;
    }
    let is_known = others
        .iter()
        .any(|other| other.opened().purpose == Purpose::RecoveryRoot && other.opened().domain == open.domain);
    if !is_known {
        found.push(Finding::new(
            "recovery-root-missing",
            format!("no ledger of a recovery root of {} was given", open.name),
            "Pass the ledger of the recovery root too. If there is none, make one for future devices: a stolen or lost root \
             can be replaced by nothing else.",
        ));
    }
    // Devices of the beginning have the first root in their blocks, and follow the successions.
    let kids: Vec<String> = ledger.line().map(|ledger| ledger.opened().kid.to_string()).collect();
    let without: Vec<&str> = evidence
        .devices
        .iter()
        .filter(|device| device.has_recovery_root == Some(false))
        .filter(|device| kids.iter().any(|kid| device.anchors.contains(kid)))
        .map(|device| device.serial.as_str())
        .collect();
    if !without.is_empty() {
        found.push(Finding::new(
            "device-without-recovery",
            format!(
                "{} devices of the domain of {} have no recovery root: {}",
                without.len(),
                open.name,
                some(&without)
            ),
            "Give new devices a recovery root (manifest-tool provision --recovery-anchor); these ones follow only successions that their root \
             signs.",
        ));
    }
}

/// Releases that are offered still, though the key that signed them was revoked.
fn of_releases(ledger: &Ledger, evidence: &Evidence, now: UnixTime, found: &mut Vec<Finding>) {
    let keys = ledger.keys(now);
    let revoked =
        |kid: &str| keys.iter().any(|key| key.status == Status::Revoked && key.kid.to_string() == kid);
    let releases = evidence.releases.iter().filter(|release| revoked(&release.release_kid));
    let names: Vec<&str> = releases.map(|release| release.name.as_str()).collect();
    if !names.is_empty() {
        found.push(Finding::new(
            "release-revoked",
            format!("devices that know the newest list refuse releases of a revoked key: {}", some(&names)),
            "Sign them with a good key and publish them again (manifest-tool rotate does both), or withdraw them.",
        ));
    }
}

/// A ledger under this root, of a key that this copy has not certified: the copy is old.
fn of_imports(ledger: &Ledger, others: &[Ledger], found: &mut Vec<Finding>) {
    if !matches!(ledger.opened().purpose, Purpose::Root | Purpose::OwnerRoot) {
        return;
    }
    let is_under = |other: &&Ledger| {
        other.opened().purpose == Purpose::Issuing && other.opened().domain == ledger.opened().domain
    };
    for other in others.iter().filter(is_under) {
        let is_known =
            |one: &Ledger| one.credentials().any(|(_, entry)| entry.facts.kid == other.opened().kid);
        // Any root of the domain may have certified it.
        let roots = others.iter().filter(|one| one.opened().domain == ledger.opened().domain);
        if !roots.flat_map(Ledger::line).any(is_known) {
            found.push(Finding::new(
                "issuing-key-unknown",
                format!(
                    "the ledger of {} has no credential of {} ({}), whose ledger was given",
                    ledger.opened().name,
                    other.opened().name,
                    other.opened().kid
                ),
                "Pass the newest copy of the root's ledger; if this is it, nothing that the issuing key certified is good.",
            ));
        }
    }
}

/// Two copies of the ledger went on: both made the same device, or the other one signed a list.
fn of_joined(ledger: &Ledger, found: &mut Vec<Finding>) {
    if ledger.has_lists_apart() {
        found.push(Finding::new(
            "lists-apart",
            format!(
                "a copy that was joined to the ledger of {} signed a revocation list that no list here continues",
                ledger.opened().name
            ),
            format!(
                "manifest-tool revoke --nothing-new --key KEY --ledger {} --reason TEXT --out NEW.list, then publish it",
                folder(ledger)
            ),
        ));
    }
    let devices = super::made_in_both_copies(ledger);
    if devices.is_empty() {
        return;
    }
    found.push(Finding::new(
        "device-in-both-copies",
        format!(
            "two copies of the ledger of {} made the same {} devices before they were joined: {}",
            ledger.opened().name,
            devices.len(),
            some(&devices)
        ),
        "Find the devices: two may answer to one serial. Revoke the key of the one that is wrong (manifest-tool revoke --kid), \
         and make it again under another serial.",
    ));
}

/// A device that a root before revoked is good again under its issuing key, which this one certifies.
fn of_devices_before(ledger: &Ledger, found: &mut Vec<Finding>) {
    let devices = ledger.devices_that_return();
    let Some(first) = devices.first() else { return };
    let ids: Vec<String> = devices.iter().map(|device| hex::encode(device.id.as_bytes())).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    found.push(Finding::new(
        "revoked-device-good",
        format!(
            "the newest list of {} lacks {} devices that a root before it revoked, and they are good again: {}",
            ledger.opened().name,
            ids.len(),
            some(&ids)
        ),
        format!(
            "Revoke each of them at once: manifest-tool revoke --kid {} --role device --generation {} --key KEY --ledger {} \
             --published NEWEST.list --out NEW.list",
            hex::encode(first.id.as_bytes()),
            first.generation,
            folder(ledger)
        ),
    ));
}

/// The first few of them.
pub(super) fn some(names: &[&str]) -> String {
    const SHOWN: usize = 10;
    let mut text = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}

fn of_key(ledger: &Ledger, key: &KeyState<'_>, evidence: &Evidence, found: &mut Vec<Finding>) {
    let issue = |what: &str| {
        format!(
            "Issue a credential {what} for the same key with --replaces: manifest-tool credential issue --ledger {}",
            folder(ledger)
        )
    };
    let name = format!("{} ({}, {})", key.name, key.kid, key.role);
    if has_to_end(key.role) && key.expires().is_none() {
        found.push(Finding::new(
            "credential-endless",
            format!("the credential of {name} has no end"),
            issue("with --expires"),
        ));
    }
    if let Some(scope) = broader(ledger, key, evidence) {
        found.push(Finding::new(
            "credential-broad",
            format!("the credential of {name} {scope}"),
            issue("with fewer classes (--class)"),
        ));
    }
    if key.holder.is_none() {
        found.push(Finding::new(
            "holder-unknown",
            format!("the ledger does not say who holds {name}"),
            format!(
                "manifest-tool ledger note {} --ledger {} --holder PERSON --kept TEXT --reason TEXT",
                quoted(key.name),
                folder(ledger)
            ),
        ));
    }
    let point = key.credentials.first().and_then(|(_, entry)| entry.facts.public_key.0.last_chunk::<32>());
    if point == Some(&DEVELOPMENT_ANCHOR) {
        found.push(development(format!("{name} is the development key")));
    }
}

/// In which way credentials of a key permit more than the key does.
fn broader(ledger: &Ledger, key: &KeyState<'_>, evidence: &Evidence) -> Option<String> {
    let role = Role::from_name(key.role)?;
    if !matches!(role, Role::Release | Role::Service) {
        return None;
    }
    let facts = || key.unrevoked().map(|entry| &entry.facts);
    if facts().any(|facts| facts.classes.is_empty() && facts.serials.is_empty()) {
        return Some("is for every class of the vendor".to_owned());
    }
    let kid = key.kid.to_string();
    let of_key: Vec<_> = evidence.releases.iter().filter(|release| release.release_kid == kid).collect();
    if role != Role::Release || of_key.is_empty() {
        return None;
    }
    let is_used = |class: &&String| of_key.iter().any(|release| release.class == **class);
    let unused: Vec<String> = facts()
        .flat_map(|facts| &facts.classes)
        .filter(|class| !is_used(class))
        .map(|class| shown_id(ledger, class))
        .collect();
    (!unused.is_empty())
        .then(|| format!("is also for classes of which no release was given: {}", unused.join(", ")))
}

/// Credentials that end within [`EXPIRY_NOTICE`], or ended, and were not renewed or revoked.
pub fn expiring(ledger: &Ledger, now: UnixTime) -> Vec<Finding> {
    if ledger.successor().is_some() {
        return Vec::new();
    }
    let limit = Time(UnixTime(now.0.saturating_add(EXPIRY_NOTICE)));
    let keys = ledger.keys(now);
    let is_due = |key: &&KeyState<'_>| matches!(key.status, Status::Good | Status::Expired);
    keys.iter()
        .filter(is_due)
        .filter_map(|key| {
            let end = key.expires().filter(|end| *end <= limit)?;
            let (code, word) =
                if end <= Time(now) { ("credential-expired", "ended") } else { ("credential-expiring", "ends") };
            let hint = format!(
                "manifest-tool credential issue --key KEY --ledger {} --for PUBLIC --role {} --vendor VENDOR --subject {} \
                 --out FILE, then manifest-tool recertify for releases",
                folder(ledger), key.role, quoted(key.name)
            );
            let message = format!("the credential of {} ({}, {}) {word} at {end}", key.name, key.kid, key.role);
            Some(Finding::new(code, message, hint).due(end.0))
        })
        .collect()
}

/// A ledger that does not read: nothing in it can be relied on.
pub fn unreadable(path: &Path, error: &ledger::Error) -> Finding {
    Finding::new("ledger-unverified", format!("{}: {error}", path.display()), error.hint())
}

/// A copy of the ledger that lacks what is published.
pub fn stale(published: &Path, error: &ledger::Error) -> Finding {
    Finding::new(error.code(), format!("{}: {error}", published.display()), error.hint())
}

pub(super) fn is_development(key: &PublicKey) -> bool {
    *key.as_bytes() == DEVELOPMENT_ANCHOR
}

pub(super) fn development(message: String) -> Finding {
    Finding::new(
        "development-anchor",
        message,
        "Make a root of your own (manifest-tool key generate), build and provision with it: the development key is public.",
    )
}

/// Devices and releases under the development anchor.
pub fn of_evidence(evidence: &Evidence) -> Vec<Finding> {
    let Ok(key) = PublicKey::from_bytes(&DEVELOPMENT_ANCHOR) else { return Vec::new() };
    let kid = crate::describe::kid(key.kid());
    let devices: Vec<&str> = evidence
        .devices
        .iter()
        .filter(|device| device.anchors.contains(&kid))
        .map(|device| device.serial.as_str())
        .collect();
    let releases: Vec<&str> = evidence
        .releases
        .iter()
        .filter(|release| [&release.issuer_kid, &release.release_kid].contains(&&kid))
        .map(|release| release.name.as_str())
        .collect();
    let mut found = Vec::new();
    if !devices.is_empty() {
        found.push(development(format!("devices trust the development anchor: {}", some(&devices))));
    }
    if !releases.is_empty() {
        found.push(development(format!("releases stand under the development anchor: {}", some(&releases))));
    }
    found
}

#[cfg(test)]
mod tests {
    /// The loader's build refuses this key too.
    #[test]
    fn the_development_anchor_is_that_of_the_loader() {
        let file = std::fs::read("../bootloader/keys/development-anchor.cose").unwrap();
        assert_eq!(file.last_chunk::<32>(), Some(&super::DEVELOPMENT_ANCHOR));
    }
}
