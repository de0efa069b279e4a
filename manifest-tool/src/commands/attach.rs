//! `attach`: the second step of signing with a key that no program of ours reaches. The signature is verified before
//! anything is written; with a ledger, the begun entry is finished, or the head is set.

use std::path::{Path, PathBuf};

use ledger::Writer;
use serde::Serialize;
use suit_manifest::Reason;
use trust::author::{AuthorError, MAX_SIGNED_LEN, RecordKind, Unsigned};
use trust::{ErrorKind, LedgerHead, PublicKey};

use super::sign::Release;
use crate::error::Error;
use crate::files::{OverwriteArguments, Wanted, check_outputs, must_differ, read, write};
use crate::kind::Kind;
use crate::output::{Report, table};
use crate::public_key;
use crate::recording::{close_by, last_time, ledger_folder};
use crate::time::IssueTime;
use crate::two_steps::{
    Attached, Hand, MAX_SIGNATURE_FILE_LEN, ToBeSigned, TwoStepArguments, kind_name, parse_signature,
};

/// Attach a signature to what a command with --tbs-out wrote
#[derive(clap::Args, Clone, Debug)]
pub struct Attach {
    /// Bytes that were signed
    #[arg(long, value_name = "FILE")]
    tbs: PathBuf,
    /// Signature: 64 bytes as they are, in hex or base64, or the blob of an SSH agent
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,
    /// Public key that signed [default: that of the ledger, or of the credential]
    #[arg(long, value_name = "PUBLIC", conflicts_with = "envelope")]
    signer: Option<PathBuf>,
    /// Ledger in which the record was begun [env: ANCHORAGE_LEDGER]
    #[arg(long, value_name = "DIR", conflicts_with = "envelope")]
    ledger: Option<PathBuf>,
    /// Make the record without a ledger, although ANCHORAGE_LEDGER is set
    #[arg(long, conflicts_with_all = ["ledger", "envelope"])]
    no_ledger: bool,
    /// Envelope that was to be signed
    #[arg(long, value_name = "U.suit", requires = "credential")]
    envelope: Option<PathBuf>,
    /// Credential of the key that signed the envelope
    #[arg(long, value_name = "FILE", requires = "envelope")]
    credential: Option<PathBuf>,
    /// Record or signed envelope to write; the head of a ledger goes into the ledger
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    head: TwoStepArguments,
    #[command(flatten)]
    time: IssueTime,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct AttachReport {
    attached: &'static str,
    out: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger_entry: Option<u64>,
    /// Entries of the ledger after its signed head.
    #[serde(skip_serializing_if = "Option::is_none")]
    uncovered: Option<usize>,
    /// The head, if --tbs-out asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_signed: Option<ToBeSigned>,
}

impl Attach {
    pub fn run(&self) -> Result<AttachReport, Error> {
        let inputs = [Some(&self.tbs), Some(&self.signature), self.signer.as_ref(), self.envelope.as_ref()];
        let inputs = inputs.into_iter().chain([self.credential.as_ref()]).flatten();
        let inputs: Vec<&Path> = inputs.map(PathBuf::as_path).collect();
        let outputs: Vec<PathBuf> = self.out.iter().cloned().chain(self.head.outputs()).collect();
        outputs.iter().try_for_each(|out| must_differ(out, &inputs))?;
        let message = read(&self.tbs, MAX_SIGNED_LEN as u64)?;
        let file = read(&self.signature, MAX_SIGNATURE_FILE_LEN)?;
        let signature = parse_signature(&file)
            .ok_or_else(|| Error::SignatureForm { path: self.signature.clone(), len: file.len() })?;
        if let (Some(envelope), Some(credential)) = (&self.envelope, &self.credential) {
            return self.release(&message, &signature, envelope, credential);
        }
        let folder = if self.no_ledger { None } else { ledger_folder(self.ledger.as_deref()) };
        let writer = folder.map(|folder| Writer::open(&folder)).transpose()?;
        let key = self.key(writer.as_ref())?;
        let unsigned = Unsigned::from_to_be_signed(&message, &key).map_err(|error| self.explain(error))?;
        let record = unsigned.attach(&signature).map_err(|error| Error::author("the record", None, error))?;
        match writer {
            Some(writer) => self.in_ledger(writer, &unsigned, &message, record),
            None => self.alone(unsigned.kind(), &record),
        }
    }

    fn key(&self, writer: Option<&Writer>) -> Result<PublicKey, Error> {
        match (&self.signer, writer) {
            (Some(path), None) => public_key::open(path),
            (Some(path), Some(writer)) => {
                let key = public_key::open(path)?;
                writer.check_key(&key)?;
                Ok(key)
            }
            (None, Some(writer)) => Ok(*writer.ledger().key()),
            (None, None) => Err(Error::usage("--signer, --ledger or --envelope is required")),
        }
    }

    /// Why the bytes are not those of a record.
    fn explain(&self, error: AuthorError) -> Error {
        match error {
            AuthorError::Refused(error) if error.kind == ErrorKind::RecordType => Error::usage(format!(
                "{} are not the bytes of a record; for those of a release, pass --envelope and --credential",
                self.tbs.display()
            )),
            AuthorError::Refused(error) => Error::refused(&self.tbs, error.into(), error.position),
            AuthorError::Encoding => Error::refused(&self.tbs, Reason::RecordMalformed, 0),
            error @ (AuthorError::NeverValid
            | AuthorError::Signer(_)
            | AuthorError::NotTheSignersCredential) => Error::author("the record", None, error),
        }
    }

    fn out(&self) -> Result<&Path, Error> {
        self.out.as_deref().ok_or_else(|| Error::usage("--out is required for a record or a release"))
    }

    /// Refuses options that have no effect without a ledger.
    fn without_ledger(&self) -> Result<(), Error> {
        if self.head.is_given() || self.time.is_given() {
            return Err(Error::usage("--tbs-out and --now are for the head of a ledger: pass --ledger"));
        }
        Ok(())
    }

    fn alone(&self, kind: RecordKind, record: &[u8]) -> Result<AttachReport, Error> {
        self.without_ledger()?;
        if kind == RecordKind::LedgerHead {
            return Err(Error::usage("the head of a ledger goes into its ledger: pass --ledger"));
        }
        write(self.out()?, record, self.overwrite.existing())?;
        Ok(self.report(kind_name(kind)))
    }

    fn report(&self, attached: &'static str) -> AttachReport {
        AttachReport {
            attached,
            out: self.out.clone(),
            ledger_entry: None,
            uncovered: None,
            to_be_signed: None,
        }
    }

    fn in_ledger(
        &self,
        mut writer: Writer,
        unsigned: &Unsigned,
        message: &[u8],
        record: Vec<u8>,
    ) -> Result<AttachReport, Error> {
        let mut report = self.report(kind_name(unsigned.kind()));
        let key = *unsigned.signer();
        if unsigned.kind() == RecordKind::LedgerHead {
            if self.out.is_some() || self.head.is_given() {
                return Err(Error::usage("--out and --tbs-out are not for the head of a ledger"));
            }
            let head =
                LedgerHead::verify(&record, &key).map_err(|error| Error::refused_record(&self.tbs, error))?;
            writer.set_head(record)?;
            report.ledger_entry = Some(head.entries);
        } else {
            let out = self.out()?;
            let now = self.time.after(last_time(writer.ledger()))?;
            // The same once more, after a cut, ends with the same files.
            let entry = match writer.ledger().recorded(message) {
                Some(number) => number,
                None => {
                    let (number, begun) = writer.begun()?;
                    if begun.to_be_signed() != message {
                        writer.check_nothing_begun()?;
                    }
                    let outputs: Vec<PathBuf> = self.out.iter().cloned().chain(self.head.outputs()).collect();
                    let kinds = self.out.iter().map(|_| Some(Kind::from(unsigned.kind())));
                    let kinds = kinds.chain(std::iter::repeat(None));
                    let outputs: Vec<Wanted<'_>> = outputs.iter().map(PathBuf::as_path).zip(kinds).collect();
                    check_outputs(&outputs, self.overwrite.existing())?;
                    writer.finish(&record)?;
                    number
                }
            };
            report.ledger_entry = Some(entry);
            write(out, &record, self.overwrite.existing())?;
            if self.head.is_given() {
                let hand: Hand = self.head.later(key)?;
                report.to_be_signed = close_by(&mut writer, now, &hand, self.overwrite.existing())?;
            }
        }
        report.uncovered = Some(writer.ledger().uncovered().len());
        Ok(report)
    }

    fn release(
        &self,
        message: &[u8],
        signature: &[u8; 64],
        envelope: &Path,
        credential: &Path,
    ) -> Result<AttachReport, Error> {
        self.without_ledger()?;
        let out = self.out()?;
        let release = Release::read(envelope, credential)?;
        if release.to_be_signed()? != message {
            return Err(Error::OtherBytes { tbs: self.tbs.clone(), envelope: envelope.to_owned() });
        }
        let signer = Attached { key: *release.claims()?.key(), signature: *signature };
        write(out, &release.sign(&signer)?, self.overwrite.existing())?;
        Ok(self.report("release"))
    }
}

impl Report for AttachReport {
    fn lines(&self) -> String {
        let mut rows = vec![("attached", self.attached.to_owned())];
        rows.extend(self.out.as_ref().map(|out| ("written", out.display().to_string())));
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        rows.extend(self.uncovered.filter(|count| *count > 0).map(|count| {
            let next = "sign the head: manifest-tool ledger finish --tbs-out FILE";
            ("not under a signed head", format!("{count} entries; {next}"))
        }));
        rows.extend(self.to_be_signed.iter().flat_map(ToBeSigned::rows));
        table(&rows)
    }
}
