//! `ledger note`: who holds a key, and where it is.

use ledger::{Custody, Event, Writer};
use serde::Serialize;

use crate::error::Error;
use crate::output::{Report, table};
use crate::recording::{EntryArguments, ledger_folder};

/// Record that somebody else holds a key, or that it is kept elsewhere
#[derive(clap::Args, Clone, Debug)]
pub struct Note {
    /// Key, by its name or kid in the ledger
    #[arg(value_name = "NAME")]
    name: String,
    /// Ledger [env: ANCHORAGE_LEDGER]
    #[arg(long, value_name = "DIR")]
    ledger: Option<std::path::PathBuf>,
    /// Person who holds the key now [default: as before]
    #[arg(long, value_name = "PERSON")]
    holder: Option<String>,
    /// Where the key is kept now, in words [default: as before]
    #[arg(long, value_name = "TEXT")]
    kept: Option<String>,
    #[command(flatten)]
    entry: EntryArguments,
}

#[derive(Debug, Serialize)]
pub struct Noted {
    entry: u64,
    name: String,
    kid: String,
    holder: String,
    kept: String,
}

impl Note {
    pub fn run(&self) -> Result<Noted, Error> {
        let folder = ledger_folder(self.ledger.as_deref())
            .ok_or_else(|| Error::usage("pass --ledger, or set ANCHORAGE_LEDGER"))?;
        let mut writer = Writer::open(&folder)?;
        let ledger = writer.ledger();
        let context = self.entry.context(&[ledger])?;
        let open = ledger.opened();
        let (name, kid) = if self.name == open.name || self.name == open.kid.to_string() {
            (open.name.clone(), open.kid)
        } else {
            let key = ledger.key_named(&self.name, context.now)?;
            (key.name.to_owned(), key.kid)
        };
        let (holder, kept) = ledger.custody(kid);
        let part = |given: &Option<String>, held: Option<&str>, option: &str| {
            given.clone().or_else(|| held.map(str::to_owned)).ok_or_else(|| {
                Error::usage(format!("{option} is required: the ledger does not say it for {name} yet"))
            })
        };
        let holder = part(&self.holder, holder, "--holder")?;
        let kept = part(&self.kept, kept, "--kept")?;
        let custody = Custody {
            name: name.clone(),
            kid,
            holder: holder.clone(),
            kept: kept.clone(),
            reason: self.entry.reason(),
        };
        let entry = writer.append(Event::Custody(custody), &context)?;
        Ok(Noted { entry, name, kid: kid.to_string(), holder, kept })
    }
}

impl Report for Noted {
    fn lines(&self) -> String {
        table(&[
            ("key", format!("{} ({})", self.name, self.kid)),
            ("held by", self.holder.clone()),
            ("kept", self.kept.clone()),
            ("entry of the ledger", format!("{}, which the key signs at its next use", self.entry)),
        ])
    }
}
