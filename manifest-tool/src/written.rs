//! What this run wrote into a ledger: an error that comes after it comes too late, and says how to go on.

use std::path::PathBuf;
use std::sync::Mutex;

use ledger::Ledger;
use serde::Serialize;

/// Where this run set out to write.
struct Run {
    ledger: PathBuf,
    /// Number of the first entry with a record.
    first: u64,
}

static RUN: Mutex<Option<Run>> = Mutex::new(None);
static AGAIN: Mutex<Again> = Mutex::new(Again::Never);

/// When the same command goes on with what it left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    Never,
    /// When its record is signed.
    Signed,
    Always,
}

/// Entries of this run that stand, whatever failed after them or at their last step.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    ledger: PathBuf,
    /// Their numbers.
    entries: Vec<u64>,
    /// That of the one that waits for its signature.
    begun: Option<u64>,
}

/// The next entry of a ledger is about to be written.
pub fn expect(ledger: &Ledger) {
    let Ok(mut run) = RUN.lock() else { return };
    run.get_or_insert_with(|| Run {
        ledger: ledger.folder().to_owned(),
        first: ledger.entries().len() as u64 + 1,
    });
}

/// The same command goes on.
pub fn goes_on(when: Again) {
    if let Ok(mut again) = AGAIN.lock() {
        *again = when;
    }
}

impl Written {
    /// What of this run the ledger has now.
    pub fn by_this_run() -> Option<Self> {
        let run = RUN.lock().ok()?;
        let Run { ledger: folder, first } = run.as_ref()?;
        let ledger = Ledger::open(folder).ok()?;
        let entries =
            ledger.entries().iter().map(|stored| stored.entry.number).filter(|number| number >= first);
        let entries: Vec<u64> = entries.collect();
        let begun = ledger.begun().map(|stored| stored.entry.number);
        (!entries.is_empty()).then(|| Self { ledger: folder.clone(), entries, begun })
    }

    /// What stands, and what to do, in one sentence.
    pub fn sentence(&self) -> String {
        let ledger = super::custody::quoted(&self.ledger.display().to_string());
        let again = AGAIN.lock().map_or(Again::Never, |again| *again);
        let entries: Vec<String> = self.entries.iter().map(u64::to_string).collect();
        let stand = match entries.as_slice() {
            [entry] => format!("Entry {entry} of the ledger {ledger} stands"),
            entries => format!("The entries {} of the ledger {ledger} stand", entries.join(", ")),
        };
        match (again, self.begun) {
            (Again::Always, _) | (Again::Signed, None) => {
                format!("{stand}: run the same command again, and it goes on there.")
            }
            (_, Some(_)) => format!(
                "{stand}, and the last one waits for its signature: manifest-tool ledger finish {ledger} --key KEY --out FILE"
            ),
            (Again::Never, None) => {
                format!(
                    "{stand}, signed: manifest-tool ledger export {ledger} --entry N --out FILE writes what was signed."
                )
            }
        }
    }
}
