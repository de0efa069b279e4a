//! The steps of a ceremony, as they follow from its plan: always the same ones in the same order, in a rehearsal too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use trust::Role;
use trust::host::folder_of;

use super::plan::{Origin, Plan, Root};
use crate::keys::{Location, Place};
use crate::recording::BESIDE;

/// A key of the plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KeyRef {
    Root,
    Recovery,
    /// By its place in the plan.
    Certified(usize),
}

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Everybody says that they are there.
    Present,
    /// What came in is read, and its fingerprints are compared.
    TakeIn,
    /// A key is made.
    Make(KeyRef),
    /// A key that was there before is opened, and its fingerprint is compared.
    Open(KeyRef),
    /// The ledger of a key begins.
    Begin(KeyRef),
    /// The root certifies a key.
    Certify(usize),
    /// The root signs its first list, which is empty.
    FirstList,
    /// Copies and shares of a key are made, and proved.
    BackUp(KeyRef),
}

/// A step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its name in transcripts and answers.
    pub id: String,
    pub work: Work,
    /// What it does, for the people in the room.
    pub title: String,
}

impl Plan {
    /// The root that a reference names, if it is one.
    #[must_use]
    pub fn root_of(&self, key: KeyRef) -> Option<&Root> {
        match key {
            KeyRef::Root => Some(&self.root),
            KeyRef::Recovery => self.recovery.as_ref(),
            KeyRef::Certified(_) => None,
        }
    }

    /// The step that made or showed a key, and noted its fingerprint.
    #[must_use]
    pub fn step_that_shows(&self, key: KeyRef) -> Option<String> {
        let shows = |step: &Step| match step.work {
            Work::Make(shown) | Work::Open(shown) => shown == key,
            Work::TakeIn => match key {
                KeyRef::Certified(place) => {
                    let certified = self.keys.get(place);
                    certified.is_some_and(|certified| matches!(certified.key.origin, Origin::ComesIn(..)))
                }
                KeyRef::Root | KeyRef::Recovery => false,
            },
            Work::Present | Work::Begin(_) | Work::Certify(_) | Work::FirstList | Work::BackUp(_) => false,
        };
        self.steps().into_iter().find(shows).map(|step| step.id)
    }

    /// The keys that have a ledger, and its folder as the plan says it.
    #[must_use]
    pub fn ledgers(&self) -> Vec<(KeyRef, PathBuf)> {
        let made_here = self.keys.iter().enumerate().filter(|(_, certified)| {
            certified.role == Role::Identity && matches!(certified.key.origin, Origin::Made(_))
        });
        let keys = [KeyRef::Root, KeyRef::Recovery].into_iter();
        let keys = keys.chain(made_here.map(|(place, _)| KeyRef::Certified(place)));
        keys.filter_map(|key| Some((key, self.ledger_path(key)?))).collect()
    }

    /// The folder of the ledger of a key: that of the plan, else beside the file of the key.
    #[must_use]
    pub fn ledger_path(&self, key: KeyRef) -> Option<PathBuf> {
        let (given, about) = match key {
            KeyRef::Certified(place) => (None, &self.keys.get(place)?.key),
            root => self.root_of(root).map(|root| (root.ledger.as_ref(), &root.key))?,
        };
        let beside = |file: &str| folder_of(Path::new(file)).join(BESIDE);
        match (given, &about.origin) {
            (Some(folder), _) => Some(PathBuf::from(folder)),
            (None, Origin::Made(file)) => Some(beside(file)),
            (None, Origin::Kept(location, _)) => match Location::from(OsString::from(location)).place() {
                Ok(Place::File(file)) => Some(beside(&file.display().to_string())),
                _ => None,
            },
            (None, Origin::ComesIn(..)) => None,
        }
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut add = |id: String, work, title: String| steps.push(Step { id, work, title });
        add("present".into(), Work::Present, "everybody says that they are present".into());
        if self.keys.iter().any(|certified| matches!(certified.key.origin, Origin::ComesIn(..))) {
            let title = "the bundle that came in is read, and its public keys are compared".into();
            add("take-in".into(), Work::TakeIn, title);
        }
        let roots = [(KeyRef::Root, "root"), (KeyRef::Recovery, "recovery-root")];
        for (key, word) in roots {
            let Some(root) = self.root_of(key) else { continue };
            let name = &root.key.name;
            match &root.key.origin {
                Origin::Made(_) => {
                    add(
                        format!("make-{word}"),
                        Work::Make(key),
                        format!("{name} is made, and its fingerprint compared"),
                    );
                    add(format!("begin-{word}"), Work::Begin(key), format!("the ledger of {name} begins"));
                }
                Origin::Kept(..) | Origin::ComesIn(..) => {
                    let title = format!("{name} is opened, and its fingerprint compared");
                    add(format!("open-{word}"), Work::Open(key), title);
                }
            }
        }
        for (place, certified) in self.keys.iter().enumerate() {
            let (key, name) = (KeyRef::Certified(place), &certified.key.name);
            let slug = super::slug(name);
            if matches!(certified.key.origin, Origin::Made(_)) {
                let title = format!("{name} is made, and its fingerprint compared");
                add(format!("make-{slug}"), Work::Make(key), title);
                if certified.role == Role::Identity {
                    add(format!("begin-{slug}"), Work::Begin(key), format!("the ledger of {name} begins"));
                }
            }
            let title =
                format!("{} certifies {name} for the role {}", self.root.key.name, certified.role.name());
            add(format!("certify-{slug}"), Work::Certify(place), title);
        }
        if self.first_list {
            let title = format!("{} signs its first revocation list, which is empty", self.root.key.name);
            add("first-list".into(), Work::FirstList, title);
        }
        for (key, word) in roots {
            let Some(root) = self.root_of(key) else { continue };
            if !root.copies.is_empty() || root.shares.is_some() {
                let title = format!("backups of {} are made, and proved", root.key.name);
                add(format!("back-up-{word}"), Work::BackUp(key), title);
            }
        }
        steps
    }
}
