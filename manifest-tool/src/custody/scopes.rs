//! Vendors and classes that ledgers and credentials know. A slip in either makes what no device or no release matches, and
//! nobody notices; a new product has a new class all the same. So what is new is said, and not refused (decision 0086).

use std::collections::{BTreeMap, BTreeSet};

use ledger::Ledger;
use serde::Serialize;
use uuid::Uuid;

use super::findings::some;
use crate::commands::credential::CredentialFile;
use crate::error::Error;
use crate::identifiers::Vendor;
use crate::output::warning;

/// A vendor or class that is known nowhere, while others are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Unfamiliar {
    /// `vendor` or `class`
    what: &'static str,
    id: String,
    /// Those that are known.
    known: Vec<String>,
}

impl Unfamiliar {
    fn new(what: &'static str, id: Uuid, known: impl IntoIterator<Item = String>) -> Self {
        Self { what, id: id.to_string(), known: known.into_iter().collect() }
    }

    fn warn(&self) {
        let Self { what, id, known } = self;
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        warning(&format!(
            "the {what} {id} is new; known so far: {}. Check its spelling: a device takes releases of its own vendor and class alone",
            some(&known)
        ));
    }
}

/// Warns of what is unfamiliar in a vendor and its classes, and returns it.
pub(crate) fn check(
    ledgers: &[&Ledger],
    credentials: &[&CredentialFile],
    vendor: Uuid,
    classes: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<Unfamiliar>, Error> {
    let unfamiliar = known(ledgers, credentials)?.unfamiliar(vendor, classes);
    unfamiliar.iter().for_each(Unfamiliar::warn);
    Ok(unfamiliar)
}

/// What is known.
#[derive(Default)]
struct Known {
    /// With the domain of which a vendor id is made, if some ledger says it.
    vendors: BTreeMap<Uuid, Option<String>>,
    classes: BTreeMap<Uuid, BTreeSet<Uuid>>,
}

fn known(ledgers: &[&Ledger], credentials: &[&CredentialFile]) -> Result<Known, Error> {
    let mut known = Known::default();
    for ledger in ledgers.iter().flat_map(|ledger| ledger.line()) {
        let domain = ledger.opened().vendor.as_ref();
        if let Some(vendor) = domain.and_then(|domain| domain.parse::<Vendor>().ok()) {
            known.vendors.insert(vendor.id(), vendor.domain().map(str::to_owned));
        }
        for (_, entry) in ledger.credentials() {
            known.add(&entry.facts.vendor, entry.facts.classes.iter().map(String::as_str));
        }
        for (stored, batch) in ledger.batches() {
            known.add(&batch.vendor, stored.devices.iter().map(|line| line.class.as_str()));
        }
    }
    for file in credentials {
        let claims = file.claims()?;
        let vendor = Uuid::from_bytes(*claims.scope().vendor());
        known.vendors.entry(vendor).or_default();
        let classes = claims.scope().classes().map(|class| Uuid::from_bytes(*class));
        known.classes.entry(vendor).or_default().extend(classes);
    }
    Ok(known)
}

impl Known {
    fn add<'a>(&mut self, vendor: &str, classes: impl Iterator<Item = &'a str>) {
        // The ledger has compared them with what was signed.
        let Ok(vendor) = vendor.parse::<Uuid>() else { return };
        self.vendors.entry(vendor).or_default();
        self.classes
            .entry(vendor)
            .or_default()
            .extend(classes.filter_map(|class| class.parse::<Uuid>().ok()));
    }

    fn unfamiliar(&self, vendor: Uuid, classes: impl IntoIterator<Item = Uuid>) -> Vec<Unfamiliar> {
        if !self.vendors.is_empty() && !self.vendors.contains_key(&vendor) {
            let known = self.vendors.iter().map(|(id, domain)| match domain {
                Some(domain) => format!("{id} ({domain})"),
                None => id.to_string(),
            });
            // The ids of classes are made of that of their vendor.
            return vec![Unfamiliar::new("vendor", vendor, known)];
        }
        let Some(known) = self.classes.get(&vendor).filter(|known| !known.is_empty()) else {
            return Vec::new();
        };
        let new: BTreeSet<Uuid> = classes.into_iter().filter(|class| !known.contains(class)).collect();
        let known = || known.iter().map(Uuid::to_string);
        new.into_iter().map(|class| Unfamiliar::new("class", class, known())).collect()
    }
}
