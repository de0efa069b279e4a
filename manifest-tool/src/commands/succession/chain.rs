//! `succession chain`: the object that brings devices to the present root.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use suit_manifest::Reason;
use trust::{Held, SuccessionNumber, TrustStoreBuf};

use super::history::{Copies, History, HistoryArguments};
use crate::describe::kid;
use crate::error::Error;
use crate::files::{OverwriteArguments, must_differ, write};
use crate::output::{Report, table};

/// Make the succession chain that devices take
#[derive(clap::Args, Clone, Debug)]
pub struct Chain {
    #[command(flatten)]
    history: HistoryArguments,
    /// Leave out what devices have whose root has this number, such as 0.1 [default: whole, for every device]
    #[arg(long, value_name = "NUMBER", default_value = "0.0")]
    after: NumberArgument,
    /// Succession chain to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

/// Recovery-epoch and succession-sequence, with a point between them.
#[derive(Clone, Copy, Debug)]
struct NumberArgument(SuccessionNumber);

impl FromStr for NumberArgument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('.').and_then(|(epoch, sequence)| {
            Some(SuccessionNumber {
                recovery_epoch: epoch.parse().ok()?,
                succession_sequence: sequence.parse().ok()?,
            })
        });
        numbers.map(Self).ok_or("a number is recovery-epoch and succession-sequence, such as 0.1")
    }
}

#[derive(Debug, Serialize)]
pub struct Chained {
    out: PathBuf,
    bytes: usize,
    domain: String,
    root: String,
    number: String,
    /// Numbers of its successions.
    successions: Vec<String>,
    list_sequence: u64,
}

impl Chain {
    pub fn run(&self) -> Result<Chained, Error> {
        must_differ(&self.out, &self.history.paths())?;
        let history = self.history.sources(Copies::Any)?.verify()?;
        let NumberArgument(after) = self.after;
        let refused = |error: trust::Error| Error::refused(&self.out, Reason::from(error), 0);
        let list = history.store.list_of(history.domain);
        let Some(list) = list else {
            return Err(Error::NoChain("the present root has not signed a revocation list yet"));
        };
        let chain = history.store.chain_after(history.domain, after).map_err(refused)?;
        let chain = chain.ok_or(Error::NoChain("no succession has a higher number"))?;
        // As a device does that is at this number.
        let device_takes = device_at(&history, after).map_err(refused)?.add_chain(&chain).map_err(refused)?;
        if device_takes != Held::Newest {
            return Err(Error::Internal("a device would not take the new chain"));
        }
        write(&self.out, &chain, self.overwrite.existing())?;
        let numbers = history.store.successions().map(|(_, number, _)| number);
        let epoch = history.number().recovery_epoch;
        let mut numbers: Vec<_> = numbers
            .filter(|number| *number > after && (number.recovery_epoch == epoch || number.is_of_recovery()))
            .collect();
        numbers.sort();
        Ok(Chained {
            out: self.out.clone(),
            bytes: chain.len(),
            domain: kid(history.domain.0),
            root: kid(history.root()?.kid()),
            number: history.number().to_string(),
            successions: numbers.iter().map(SuccessionNumber::to_string).collect(),
            list_sequence: list.sequence(),
        })
    }
}

/// A device that knows the successions up to a number.
fn device_at(history: &History, number: SuccessionNumber) -> Result<TrustStoreBuf, trust::Error> {
    let mut device = TrustStoreBuf::new(history.store.given().iter().copied());
    for (_, _, record) in history.store.successions().filter(|(_, known, _)| *known <= number) {
        device.add_succession(record.to_vec())?;
    }
    Ok(device)
}

impl Report for Chained {
    fn lines(&self) -> String {
        table(&[
            ("succession chain", format!("{} ({} bytes)", self.out.display(), self.bytes)),
            ("domain", self.domain.clone()),
            ("root", format!("{}, number {}", self.root, self.number)),
            ("successions", self.successions.join(", ")),
            ("list", format!("list-sequence {}", self.list_sequence)),
        ])
    }
}
