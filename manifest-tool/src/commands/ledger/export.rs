//! `ledger export`.

use std::path::PathBuf;

use device_lists::guarded;
use serde::Serialize;

use super::FolderArguments;
use super::show::{EntryView, entries};
use crate::error::Error;
use crate::files::{OverwriteArguments, write};
use crate::output::{Report, table};

/// Write the entries as a table, or a record as a file
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct Export {
    #[command(flatten)]
    ledger: FolderArguments,
    /// Table of the entries to write (RFC 4180)
    #[arg(long, value_name = "FILE", group = "what")]
    csv: Option<PathBuf>,
    /// Number of the entry whose record is written to --out
    #[arg(long, value_name = "N", group = "what", requires = "out")]
    entry: Option<u64>,
    /// File for the record of --entry
    #[arg(long, value_name = "FILE", requires = "entry", conflicts_with = "csv")]
    out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Exported {
    out: PathBuf,
    entries: usize,
}

impl Export {
    pub fn run(&self) -> Result<Exported, Error> {
        let ledger = self.ledger.read()?;
        let existing = self.overwrite.existing();
        if let (Some(number), Some(out)) = (self.entry, &self.out) {
            let record = ledger.entry(number).and_then(|stored| stored.record.as_ref());
            let record = record.ok_or_else(|| Error::usage(format!("entry {number} has no record")))?;
            write(out, record, existing)?;
            return Ok(Exported { out: out.clone(), entries: 1 });
        }
        let Some(out) = &self.csv else { return Err(Error::Internal("nothing to export")) };
        let entries = entries(&ledger);
        let mut lines = vec!["number,time,kind,subject,by,remark,digest\r\n".to_owned()];
        lines.extend(entries.iter().map(line));
        write(out, lines.concat().as_bytes(), existing)?;
        Ok(Exported { out: out.clone(), entries: entries.len() })
    }
}

fn line(entry: &EntryView) -> String {
    let cells = [
        entry.number.to_string(),
        entry.time.clone(),
        entry.kind.to_owned(),
        entry.subject.clone(),
        entry.by.clone().unwrap_or_default(),
        entry.remark.unwrap_or_default().to_owned(),
        entry.digest.clone(),
    ];
    cells.map(|text| cell(&text)).join(",") + "\r\n"
}

/// RFC 4180, without formulas.
fn cell(text: &str) -> String {
    let text = guarded(text);
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into_owned()
    }
}

impl Report for Exported {
    fn lines(&self) -> String {
        table(&[("written", self.out.display().to_string()), ("entries", self.entries.to_string())])
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_no_formula_and_no_second_cell() {
        for (text, wanted) in [
            ("ci 2026", "ci 2026"),
            ("a,b", "\"a,b\""),
            ("say \"yes\"", "\"say \"\"yes\"\"\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
        ] {
            assert_eq!(cell(text), wanted);
        }
    }
}
