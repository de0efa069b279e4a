//! In which roles ledgers know keys. One key, one role: whoever steals a key that has two has both, and what takes one role
//! back leaves the other.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Hex, Ledger, Purpose};
use trust::{Anchor, PublicKey, Rights, Role};

use super::evidence::Evidence;
use super::findings::{Finding, some};

/// The role of a root in words; it is that of no credential.
pub const ROOT: &str = "root";
/// That of a recovery root.
pub const RECOVERY_ROOT: &str = "recovery root";

/// A key in one of its roles.
#[derive(Clone, Copy)]
pub struct KnownKey<'l> {
    pub kid: Hex<8>,
    pub role: &'static str,
    /// Its name, or the serial of a device; empty where the ledger says none.
    pub name: &'l str,
    /// The ledger that says so.
    pub ledger: &'l Ledger,
}

/// A role that a ledger knows a key in, other than this one.
pub fn other_role<'l>(ledger: &'l Ledger, kid: trust::Kid, role: Role) -> Option<KnownKey<'l>> {
    keys_of(ledger).into_iter().find(|known| known.kid.0 == kid.0 && known.role != role.name())
}

/// The keys that a ledger knows, and those before it: roots, recovery roots, certified keys, devices, anchors of devices.
pub fn keys_of(ledger: &Ledger) -> Vec<KnownKey<'_>> {
    ledger.line().flat_map(own_keys).collect()
}

/// An anchor of devices that a ledger knows as something else: a root given as a recovery root, or the other way round, makes
/// devices that take nothing.
///
/// What earlier devices got as anchors does not count: it may have been wrong.
pub fn anchor_in_other_role<'l>(ledger: &'l Ledger, anchor: &Anchor) -> Option<KnownKey<'l>> {
    let role = role_of(anchor.rights());
    ledger.line().flat_map(signing_keys).find(|known| known.kid.0 == anchor.kid().0 && known.role != role)
}

/// The role of an anchor.
pub fn role_of(rights: Rights) -> &'static str {
    if rights == Rights::SUCCESSION { RECOVERY_ROOT } else { ROOT }
}

/// Those that sign: roots, and what they certified.
fn signing_keys(ledger: &Ledger) -> Vec<KnownKey<'_>> {
    let key = |kid, role, name| KnownKey { kid, role, name, ledger };
    let open = ledger.opened();
    let purpose = match open.purpose {
        Purpose::Root | Purpose::OwnerRoot => ROOT,
        Purpose::RecoveryRoot => RECOVERY_ROOT,
        Purpose::Issuing => Role::Identity.name(),
    };
    // A domain has the name of its first root.
    let mut keys = vec![key(open.kid, purpose, open.name.as_str()), key(open.domain, ROOT, "")];
    keys.extend(ledger.credentials().filter_map(|(_, entry)| {
        let facts = &entry.facts;
        Some(key(facts.kid, facts.role()?.name(), &facts.name))
    }));
    // The names of successors are found among those of the ledger.
    keys.extend(ledger.successions().flat_map(|named| {
        let grantor = named.facts.number().is_of_recovery().then_some(named.grantor);
        let grantor = grantor.map(|grantor| key(Hex(grantor.kid().0), RECOVERY_ROOT, ""));
        std::iter::once(key(named.facts.kid, ROOT, "")).chain(grantor)
    }));
    keys
}

fn own_keys(ledger: &Ledger) -> Vec<KnownKey<'_>> {
    let key = |kid, role, name| KnownKey { kid, role, name, ledger };
    let mut keys = signing_keys(ledger);
    let mut anchors = BTreeSet::new();
    for (stored, batch) in ledger.batches() {
        let devices = stored.devices.iter();
        keys.extend(devices.filter_map(|line| Some(key(line.kid?, Role::Device.name(), &line.serial))));
        // Once a batch: to read a key takes a while, and a batch has many devices.
        for anchor in &batch.anchors {
            let is_recovery = anchor.rights == Rights::SUCCESSION.bits();
            let kid = PublicKey::from_cose_key(&anchor.public_key.0).map(|anchor| anchor.kid().0);
            anchors.extend(kid.map(|kid| (kid, if is_recovery { RECOVERY_ROOT } else { ROOT })));
        }
    }
    keys.extend(anchors.into_iter().map(|(kid, role)| key(Hex(kid), role, "")));
    keys
}

/// Keys in two roles, and devices that cannot be told apart, over all of these ledgers.
pub fn of_all(ledgers: &[Ledger], evidence: &Evidence) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut keys: BTreeMap<Hex<8>, BTreeMap<&str, KnownKey<'_>>> = BTreeMap::new();
    for known in ledgers.iter().flat_map(keys_of) {
        let roles = keys.entry(known.kid).or_default();
        let first = roles.entry(known.role).or_insert(known);
        if first.name.is_empty() {
            *first = known;
        }
    }
    for (kid, roles) in keys.iter().filter(|(_, roles)| roles.len() > 1) {
        let roles: Vec<String> = roles.values().map(in_words).collect();
        found.push(Finding::new(
            "key-in-two-roles",
            format!("the key {kid} has two roles: {}", roles.join("; ")),
            "Generate a key of its own for each role, and revoke this one in the lesser of them (manifest-tool revoke --kid).",
        ));
    }
    of_devices(ledgers, evidence, &mut found);
    found.extend(of_anchors(ledgers, evidence));
    found
}

/// Devices that trust a key as what it is not.
fn of_anchors(ledgers: &[Ledger], evidence: &Evidence) -> Option<Finding> {
    let mut roles: BTreeMap<[u8; 8], BTreeSet<&str>> = BTreeMap::new();
    for known in ledgers.iter().flat_map(Ledger::line).flat_map(signing_keys) {
        roles.entry(known.kid.0).or_default().insert(known.role);
    }
    let is_wrong = |kid: &[u8; 8], wanted: &[&str]| {
        roles.get(kid).is_some_and(|roles| !wanted.iter().any(|wanted| roles.contains(wanted)))
    };
    let wrong = evidence.devices.iter().filter(|device| {
        let reported = device.anchors.iter().filter_map(|kid| {
            let mut bytes = [0; 8];
            hex::decode_to_slice(kid, &mut bytes).is_ok().then_some(bytes)
        });
        device.given.iter().any(|anchor| is_wrong(&anchor.kid().0, &[role_of(anchor.rights())]))
            || reported.into_iter().any(|kid| is_wrong(&kid, &[ROOT, RECOVERY_ROOT]))
    });
    let serials: Vec<&str> = wrong.map(|device| device.serial.as_str()).collect();
    (!serials.is_empty()).then(|| {
        Finding::new(
            "anchor-wrong",
            format!("devices trust a key as a root or recovery root that is something else: {}", some(&serials)),
            "They take no release, or follow the wrong key: make each of them again (manifest-tool provision --again) with the right anchors.",
        )
    })
}

fn in_words(known: &KnownKey<'_>) -> String {
    let KnownKey { role, name, ledger, .. } = known;
    let name = if name.is_empty() { String::new() } else { format!(" {name}") };
    format!("{role}{name} ({})", ledger.folder().display())
}

/// Who made a device, and with which key.
type Making = (Hex<8>, Option<Hex<8>>);

fn of_devices(ledgers: &[Ledger], evidence: &Evidence, found: &mut Vec<Finding>) {
    let mut spellings: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let mut of_key: BTreeMap<Hex<8>, BTreeSet<&str>> = BTreeMap::new();
    let mut makings: BTreeMap<&str, BTreeSet<Making>> = BTreeMap::new();
    for ledger in ledgers {
        for (_, _, line) in ledger.devices() {
            let serial = line.serial.as_str();
            spellings.entry(serial.to_ascii_lowercase()).or_default().insert(serial);
            line.kid.into_iter().for_each(|kid| {
                of_key.entry(kid).or_default().insert(serial);
            });
            makings.entry(serial).or_default().insert((ledger.opened().kid, line.kid));
        }
    }
    for device in &evidence.devices {
        let serial = device.serial.as_str();
        spellings.entry(serial.to_ascii_lowercase()).or_default().insert(serial);
    }
    let mut note = |code, what: &str, serials: Vec<&str>, hint: &str| {
        if !serials.is_empty() {
            found.push(Finding::new(code, format!("{what}: {}", some(&serials)), hint));
        }
    };
    let alike = spellings.into_values().filter(|serials| serials.len() > 1).flatten().collect();
    note(
        "serial-alike",
        "serials differ in case alone",
        alike,
        "Find the devices: people and sticks do not tell them apart. Make one of each again under another serial.",
    );
    let one_key = of_key.into_values().filter(|serials| serials.len() > 1).flatten().collect();
    note(
        "device-key-twice",
        "devices have one key under several serials",
        one_key,
        "Find the devices: one may be a copy of the other. Revoke the key (manifest-tool revoke --kid) and give each its own.",
    );
    // Another issuing key may have made a device again, with its key.
    let is_again = |makings: &BTreeSet<Making>| {
        let keys: BTreeSet<_> = makings.iter().map(|(_, key)| key).collect();
        keys.len() == 1 && !keys.contains(&None)
    };
    let lines =
        |makings: &BTreeSet<Making>| makings.iter().map(|(line, _)| line).collect::<BTreeSet<_>>().len();
    let twice = makings.into_iter().filter(|(_, makings)| lines(makings) > 1 && !is_again(makings));
    note(
        "serial-twice",
        "two lines made devices with one serial",
        twice.map(|(serial, _)| serial).collect(),
        "Find the devices: two may answer to one serial. Revoke the key of the one that is wrong (manifest-tool revoke --kid), \
         and make it again under another serial.",
    );
}
