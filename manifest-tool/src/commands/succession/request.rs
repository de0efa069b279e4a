//! `succession request`: the new root asks, and proves so that it has its key.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;
use suit_manifest::Reason;
use trust::author::{SuccessionRequest, prepare_succession_request};
use trust::{Rights, read_unverified_succession_request, verify_succession_request};

use super::history::{Copies, HistoryArguments};
use crate::commands::SigningKeyArguments;
use crate::commands::list::blank;
use crate::describe::{SuccessionView, rights_of};
use crate::error::Error;
use crate::files::{OverwriteArguments, Wanted, check_outputs, write};
use crate::kind::Kind;
use crate::output::{Report, table};
use crate::time::IssueTime;
use crate::two_steps::{Hand, ToBeSigned, TwoStepArguments};

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
    #[arg(long, value_name = "FILE", required_unless_present = "tbs_out", conflicts_with = "tbs_out")]
    out: Option<PathBuf>,
    #[command(flatten)]
    two_steps: TwoStepArguments,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Requested {
    out: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
    #[serde(flatten)]
    succession: SuccessionView,
    /// kid of the root that it is going to replace.
    replaces: String,
}

impl Request {
    pub fn run(&self) -> Result<Requested, Error> {
        let outputs: Vec<PathBuf> = self.out.iter().cloned().chain(self.two_steps.outputs()).collect();
        let kinds = self.out.iter().map(|_| Some(Kind::SuccessionRequest)).chain(std::iter::repeat(None));
        let outputs: Vec<Wanted<'_>> = outputs.iter().map(PathBuf::as_path).zip(kinds).collect();
        for (out, _) in &outputs {
            self.key.must_differ_from(out, &self.history.paths())?;
        }
        let history = self.history.sources(Copies::Newest)?.verify()?;
        let (root, number) = (history.root()?, history.number());
        let path = self.key.file().unwrap_or_else(|| Path::new("the key of --key").to_owned());
        let (next, most) = if self.by_recovery {
            (number.named_by_recovery(), history.first()?.rights())
        } else {
            (number.named_by_root(), root.rights())
        };
        let number = next.ok_or_else(|| Error::refused(&path, Reason::SuccessionOrder, 0))?;
        let rights = self.rights.map_or(most, |RightsArgument(rights)| rights);
        if !most.include(rights) {
            return Err(Error::refused(&path, Reason::SuccessionRights, 0));
        }
        let issued_at = self.time.after(None)?;
        self.time.warn();
        let existing = self.overwrite.existing();
        check_outputs(&outputs, existing)?;
        let hand = self.two_steps.open(&self.key)?;
        history.check_new(&hand.public_key(), &self.name, &path)?;
        let iss = self.name.clone();
        let request = SuccessionRequest { iss, issued_at, domain: history.domain, number, rights };
        let made = |error| Error::author("the request", Some(&path), error);
        let unsigned = prepare_succession_request(&request, &hand.public_key()).map_err(made)?;
        let blank = blank(&unsigned)?;
        let claims = read_unverified_succession_request(&blank)
            .map_err(|_| Error::Internal("the new request cannot be read back"))?;
        let succession = SuccessionView::of_request(&claims);
        let to_be_signed = match (&hand, &self.out) {
            (Hand::Later(later), _) => {
                Some(later.write_record(&unsigned, None, &succession.rows(), existing)?)
            }
            (Hand::Now(signer), Some(out)) => {
                let request = unsigned.sign(signer.as_ref()).map_err(made)?;
                verify_succession_request(&request)
                    .map_err(|_| Error::Internal("the new request does not verify"))?;
                write(out, &request, existing)?;
                None
            }
            (Hand::Now(_), None) => return Err(Error::Internal("nothing is to be written")),
        };
        let replaces = hex::encode(root.kid().0);
        Ok(Requested { out: self.out.clone(), to_be_signed, succession, replaces })
    }
}

impl Report for Requested {
    fn lines(&self) -> String {
        let mut rows = Vec::new();
        rows.extend(self.out.as_ref().map(|out| ("request", out.display().to_string())));
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        rows.extend(self.succession.rows());
        rows.push(("replaces the root", self.replaces.clone()));
        rows.push((
            "next step",
            "compare the thumbprint at the desk of the grantor: succession grant".to_owned(),
        ));
        table(&rows)
    }
}
