//! The plan of a ceremony: a TOML file that somebody writes days before, that everybody reads, and that fits onto one page.
//! What is read here is checked once; nothing of it is doubtful afterwards (docs/ceremony.md).

mod file;
pub mod page;
mod reader;

use std::path::Path;

use trust::{MAX_NAME_LEN, Role};

use self::reader::Reader;
use super::words::Fingerprint;
use crate::error::Error;
use crate::files::read;
use crate::identifiers::Class;
use crate::time::Time;

/// Longest plan, bytes.
pub const MAX_PLAN_LEN: u64 = 16 * 1024;
/// Most people in the room.
pub const MAX_PEOPLE: usize = 12;
/// Most keys that are certified.
pub const MAX_KEYS: usize = 16;
/// Most copies of a key.
const MAX_COPIES: usize = 4;
/// Version of the form of plans.
const FORMAT: u32 = 1;
/// What is put before each name of a rehearsal; a name of a plan leaves room for it.
pub const REHEARSAL: &str = "REHEARSAL ";
/// Longest name in a plan, bytes.
const MAX_PLAN_NAME_LEN: usize = MAX_NAME_LEN - REHEARSAL.len();

/// What a person in the room does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Duty {
    /// Types what has to be typed.
    Operator,
    /// Compares fingerprints, and watches.
    Witness,
    /// Holds a root.
    Custodian,
}

impl Duty {
    const ALL: [Self; 3] = [Self::Operator, Self::Witness, Self::Custodian];

    /// Its name in plans and transcripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Witness => "witness",
            Self::Custodian => "custodian",
        }
    }
}

/// Somebody who is present.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    pub name: String,
    pub duties: Vec<Duty>,
}

/// Where a key is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It is made in this ceremony, in this file.
    Made(String),
    /// It was there before; where `--key` would find it, and its fingerprint.
    Kept(String, Fingerprint),
    /// Its public half comes in with the bundle, by this name, and has this fingerprint.
    ComesIn(String, Fingerprint),
}

/// A key, who holds it and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    pub name: String,
    pub holder: String,
    pub kept: String,
    pub origin: Origin,
}

/// Shares of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shares {
    pub threshold: u8,
    /// One share each.
    pub holders: Vec<String>,
    pub kept: String,
    /// Where the pages are written for printing.
    pub folder: String,
}

/// A root or recovery root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Root {
    pub key: Key,
    /// Folder of its ledger; none: beside the key.
    pub ledger: Option<String>,
    /// Files for copies of its encrypted key.
    pub copies: Vec<String>,
    pub shares: Option<Shares>,
}

/// A key that the root certifies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certified {
    pub key: Key,
    pub role: Role,
    /// None: those of the plan.
    pub classes: Vec<Class>,
    pub expires: Option<Time>,
}

/// A plan that can be carried out.
#[derive(Clone, Debug)]
pub struct Plan {
    pub purpose: String,
    /// Domain name of the company.
    pub vendor: String,
    pub people: Vec<Person>,
    pub root: Root,
    pub recovery: Option<Root>,
    pub keys: Vec<Certified>,
    /// Whether an empty list is signed, which begins the lists of the root.
    pub first_list: bool,
    /// Folders that get a copy of the bundle that goes out.
    pub bundle_copies: Vec<String>,
    /// The file.
    pub content: Vec<u8>,
}

impl Plan {
    /// Reads and checks a plan.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(path, read(path, MAX_PLAN_LEN)?)
    }

    /// Checks the content of a plan; `path` is for messages.
    pub fn parse(path: &Path, content: Vec<u8>) -> Result<Self, Error> {
        let plan = Reader { path }.read(content)?;
        page::check(path, &plan)?;
        Ok(plan)
    }

    /// What identifies it: the SHA-256 of the file.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.content)
    }

    /// The people with a duty.
    pub fn with(&self, duty: Duty) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(move |person| person.duties.contains(&duty))
    }

    /// Root and recovery root.
    pub fn roots(&self) -> impl Iterator<Item = &Root> {
        std::iter::once(&self.root).chain(&self.recovery)
    }
}
