//! `succession request`: the new root asks, and proves so that it has its key.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;
use suit_manifest::Reason;
use trust::author::{SuccessionRequest, request_succession};
use trust::{Rights, verify_succession_request};

use super::history::HistoryArguments;
use crate::commands::SigningKeyArguments;
use crate::describe::{SuccessionView, rights_of};
use crate::error::Error;
use crate::files::{OverwriteArguments, check_outputs, write};
use crate::output::{Report, table};
use crate::time::IssueTime;

/// Rights by name, with commas between them.
#[derive(Clone, Copy, Debug)]
struct RightsArgument(Rights);

impl FromStr for RightsArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        rights_of(text).map(Self)
    }
}

/// Ask to be the next root of a domain, with the new root's key
#[derive(clap::Args, Clone, Debug)]
pub struct Request {
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Name of the new root, at most 64 bytes; no other key of the domain has had it
    #[arg(long, value_parser = crate::commands::name())]
    name: String,
    #[command(flatten)]
    history: HistoryArguments,
    /// Ask the recovery root, since the present root is lost, stolen or forked
    #[arg(long)]
    by_recovery: bool,
    /// Rights of the new root: governance,succession and perhaps firmware and boot [default: those of the present root; of
    /// the first root with --by-recovery]
    #[arg(long, value_name = "RIGHTS")]
    rights: Option<RightsArgument>,
    #[command(flatten)]
    time: IssueTime,
    /// Request to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Requested {
    out: PathBuf,
    #[serde(flatten)]
    succession: SuccessionView,
    /// kid of the root that it is going to replace.
    replaces: String,
}

impl Request {
    pub fn run(&self) -> Result<Requested, Error> {
        self.key.must_differ_from(&self.out, &self.history.paths())?;
        let history = self.history.sources()?.verify()?;
        let (root, number) = (history.root()?, history.number());
        let (next, most) = if self.by_recovery {
            (number.named_by_recovery(), history.first()?.rights())
        } else {
            (number.named_by_root(), root.rights())
        };
        let number = next.ok_or_else(|| Error::refused(&self.out, Reason::SuccessionOrder, 0))?;
        let rights = self.rights.map_or(most, |RightsArgument(rights)| rights);
        if !most.include(rights) {
            return Err(Error::refused(&self.out, Reason::SuccessionRights, 0));
        }
        let issued_at = self.time.after(None)?;
        self.time.warn();
        let existing = self.overwrite.existing();
        check_outputs(&[&self.out], existing)?;
        let signer = self.key.open()?;
        let path = self.key.file().unwrap_or_else(|| Path::new("the key of --key").to_owned());
        history.check_new(&signer.public_key(), &path)?;
        let iss = self.name.clone();
        let request = SuccessionRequest { iss, issued_at, domain: history.domain, number, rights };
        let request = request_succession(&request, signer.as_ref())
            .map_err(|error| Error::author("the request", Some(&self.out), error))?;
        let claims = verify_succession_request(&request)
            .map_err(|_| Error::Internal("the new request cannot be read back"))?;
        let succession = SuccessionView::of_request(&claims);
        write(&self.out, &request, existing)?;
        Ok(Requested { out: self.out.clone(), succession, replaces: hex::encode(root.kid().0) })
    }
}

impl Report for Requested {
    fn lines(&self) -> String {
        let mut rows = vec![("request", self.out.display().to_string())];
        rows.extend(self.succession.rows());
        rows.push(("replaces the root", self.replaces.clone()));
        rows.push((
            "next step",
            "compare the thumbprint at the desk of the grantor: succession grant".to_owned(),
        ));
        table(&rows)
    }
}
