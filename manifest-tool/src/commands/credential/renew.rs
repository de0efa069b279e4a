//! `credential renew`: credentials are made again for the same keys and scopes, and take the place of the older ones in
//! signed releases. After a succession they are those of the new root.

use std::path::{Path, PathBuf};

use ledger::{Ledger, Status};
use serde::Serialize;
use suit_manifest::author::{inspect, recertify};
use trust::author::{Unsigned, prepare_credential, read_unverified_credential};
use trust::{Anchor, Kid, TrustStoreBuf, UnixTime};

use super::again::{Again, Issuance, MakingArguments, find, role_of, scopes};
use super::certify;
use super::left::{self, Left, is_left};
use crate::commands::SigningKeyArguments;
use crate::commands::list::blank;
use crate::commands::sign::explain;
use crate::describe::{CredentialView, kid};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, check_outputs, make_folder, read, write_all};
use crate::kind::Kind;
use crate::output::{Output, Report, table};
use crate::recording::check_right;
use crate::time::display;
use crate::verification::Verification;

const NO_LEDGER: &str = "the keys go by name: pass the ledger of --key as --ledger";

/// Certify keys again for the same scope, also under a new root
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").multiple(true).required(true))]
pub struct Renew {
    /// Key, by its name or kid in the ledger or in those before (repeatable)
    #[arg(value_name = "NAME", group = "which")]
    names: Vec<String>,
    /// Each key that was good under the root before, and that this one has not certified yet
    #[arg(long, group = "which")]
    all: bool,
    /// Signed release: its key is certified again, and it gets the new credential (repeatable)
    #[arg(long = "envelope", value_name = "R.suit", group = "which")]
    envelopes: Vec<PathBuf>,
    #[command(flatten)]
    key: SigningKeyArguments,
    #[command(flatten)]
    making: MakingArguments,
}

#[derive(Debug, Serialize)]
pub struct Renewed {
    credentials: Vec<RenewedCredential>,
    envelopes: Vec<RenewedEnvelope>,
    ledger_entry: Option<u64>,
    /// An earlier run had begun it.
    went_on: bool,
}

#[derive(Debug, Serialize)]
struct RenewedCredential {
    out: PathBuf,
    #[serde(flatten)]
    credential: CredentialView,
}

#[derive(Debug, Serialize)]
struct RenewedEnvelope {
    out: PathBuf,
    manifest_digest: String,
    sequence: u64,
    subject: String,
}

/// A credential that waits for its signature.
struct Planned {
    out: PathBuf,
    again: Again,
    unsigned: Unsigned,
    left: Option<Left>,
}

/// A release, and which of the credentials it gets.
struct Release {
    path: PathBuf,
    out: PathBuf,
    envelope: Vec<u8>,
    place: usize,
}

impl Renew {
    pub fn run(&self, output: Output) -> Result<Renewed, Error> {
        let mut recorder = self.making.ledger.open(self.key.file().as_deref(), &[])?;
        let now = self.making.now(&recorder)?;
        let ledger = recorder.ledger().ok_or_else(|| Error::usage(NO_LEDGER))?;
        let root = *ledger.key();
        let mut releases = self.read_releases()?;
        let planned = self.plan(ledger, &mut releases, now)?;
        for release in &releases {
            let inputs: Vec<&Path> = self.envelopes.iter().map(PathBuf::as_path).collect();
            self.key.must_differ_from(&release.out, &inputs)?;
        }
        let existing = self.making.overwrite.existing();
        let of_credentials = planned.iter().map(|made| (made.out.as_path(), Some(Kind::Credential)));
        let outputs =
            of_credentials.chain(releases.iter().map(|made| (made.out.as_path(), Some(Kind::Envelope))));
        // Files of an earlier run may be there already; another content is refused when they are written.
        let left: Vec<&Left> = planned.iter().filter_map(|made| made.left.as_ref()).collect();
        make_folder(&self.making.out_dir)?;
        if left.is_empty() {
            check_outputs(&outputs.collect::<Vec<_>>(), existing)?;
        }
        self.making.time.warn();
        let signer = self.key.open()?;
        recorder.check_left(&signer.public_key(), &left)?;
        let preview = report(&planned, &releases, None)?;
        self.making.confirm.ask(output, &preview.lines(), "Sign these credentials?")?;

        let mut files = Vec::new();
        for Planned { out, again, unsigned, left } in &planned {
            let record = (unsigned, left.as_ref());
            let made = recorder.go_on(record, |event| again.in_ledger(event), now, signer.as_ref())?;
            files.push((out.clone(), made));
        }
        let mut trusted = TrustStoreBuf::new([Anchor::root(root)]);
        let list = recorder.ledger().and_then(Ledger::newest_list).map(|list| list.as_bytes().to_vec());
        if let Some(list) = list {
            trusted.add_list(list).map_err(|_| Error::Internal("the list of the ledger does not verify"))?;
        }
        for release in &releases {
            let credential = files.get(release.place).map(|(_, credential)| credential.clone());
            let credential = credential.ok_or(Error::Internal("a credential is missing"))?;
            let renewed = recertify(&release.envelope, &credential)
                .map_err(|error| explain(&release.path, &release.path, error))?;
            // As a device does that has the new root.
            let judge = Verification { trusted: &trusted, now, device: None, sequence_floor: 0 };
            judge.of(&renewed).map_err(|error| Error::refused_manifest(&release.path, error))?;
            files.push((release.out.clone(), renewed));
        }
        let written: Vec<_> = files.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice())).collect();
        write_all(&written, existing)?;
        // Last: whatever no head covers belongs to a run that did not end.
        let ledger_entry = recorder.close(now, signer.as_ref())?;
        report(&planned, &releases, ledger_entry)
    }

    fn read_releases(&self) -> Result<Vec<Release>, Error> {
        let release = |path: &PathBuf| {
            let name =
                path.file_name().ok_or_else(|| Error::usage("--envelope requires files with names"))?;
            let envelope = read(path, MAX_ENVELOPE_FILE_LEN)?;
            Ok(Release { path: path.clone(), out: self.making.out_dir.join(name), envelope, place: 0 })
        };
        self.envelopes.iter().map(release).collect()
    }

    /// The credentials that are to be made. Each is held against what devices know and against the releases that get it,
    /// before any is signed.
    fn plan(&self, ledger: &Ledger, releases: &mut [Release], now: UnixTime) -> Result<Vec<Planned>, Error> {
        let mut names = self.names.clone();
        if self.all {
            let mut own = ledger.keys(now);
            // What an earlier run certified that did not end is certified by this one.
            own.retain(|key| key.credentials.iter().any(|(number, _)| !is_left(ledger, *number)));
            let before = ledger.before().map(|before| before.keys(now)).unwrap_or_default();
            let lives = before.iter().filter(|key| matches!(key.status, Status::Good | Status::NotYet));
            let new = lives.filter(|key| own.iter().all(|known| known.kid != key.kid));
            names.extend(new.map(|key| key.kid.to_string()));
        }
        for release in releases.iter() {
            names.push(kid(signer_of(release)?));
        }
        let expires = self.making.expires();
        let issuance = Issuance { ledger, issued_at: now, expires };
        let mut planned: Vec<Planned> = Vec::new();
        let mut kids = Vec::new();
        for name in &names {
            let (_, key) = find(ledger, name, now)?;
            if kids.contains(&key.kid) {
                continue;
            }
            kids.push(key.kid);
            let role = role_of(&key)?;
            check_right(Some(ledger), certify(role), |ledger| ledger.may_certify(role))?;
            for (place, old) in scopes(&key).into_iter().enumerate() {
                let again = Again::new(&key, old, issuance)?;
                let unsigned = prepare_credential(&again.request, ledger.key())
                    .map_err(|error| Error::author("the credential", None, error))?;
                let (unsigned, left) = match left::credential(ledger, &unsigned, expires.is_some())? {
                    Some((unsigned, left)) => (unsigned, Some(left)),
                    None => (unsigned, None),
                };
                planned.push(Planned {
                    out: self.making.out_dir.join(again.file_name(place)),
                    again,
                    unsigned,
                    left,
                });
            }
        }
        if planned.is_empty() {
            return Err(Error::usage("no key is left to be certified again"));
        }
        check_list(ledger, &planned)?;
        let blanks = planned.iter().map(|made| blank(&made.unsigned)).collect::<Result<Vec<_>, _>>()?;
        for release in releases {
            release.place = choose(release, &planned, &blanks)?;
        }
        Ok(planned)
    }
}

/// None of them is made that a list of the root revokes at once.
fn check_list(ledger: &Ledger, planned: &[Planned]) -> Result<(), Error> {
    let lists = ledger.lists_in_force();
    for made in planned {
        let blank = blank(&made.unsigned)?;
        let refused = |error| Error::refused_record(&made.out, error);
        let claims = read_unverified_credential(&blank).map_err(refused)?;
        for list in &lists {
            claims.check_list(list).map_err(|kind| refused(trust::Error::new(kind, 0)))?;
        }
    }
    Ok(())
}

/// The key that signed a release.
fn signer_of(release: &Release) -> Result<Kid, Error> {
    let inspection =
        inspect(&release.envelope).map_err(|error| Error::refused_manifest(&release.path, error))?;
    let credential = inspection.credential().map(read_unverified_credential);
    let missing = || Error::refused(&release.path, suit_manifest::Reason::SignatureMissing, 0);
    let claims =
        credential.ok_or_else(missing)?.map_err(|error| Error::refused_record(&release.path, error))?;
    Ok(claims.key().kid())
}

/// The first credential of the key that permits the release; else why the last one does not.
fn choose(release: &Release, planned: &[Planned], blanks: &[Vec<u8>]) -> Result<usize, Error> {
    let signer = signer_of(release)?;
    let mut refusal = Error::Internal("the key of a release was not planned for");
    for (place, (made, blank)) in planned.iter().zip(blanks).enumerate() {
        if made.again.request.key.kid() != signer {
            continue;
        }
        match recertify(&release.envelope, blank) {
            Ok(_) => return Ok(place),
            Err(error) => refusal = explain(&release.path, &release.path, error),
        }
    }
    Err(refusal)
}

fn report(planned: &[Planned], releases: &[Release], ledger_entry: Option<u64>) -> Result<Renewed, Error> {
    let unreadable = |_| Error::Internal("the new credential cannot be read back");
    let credentials = planned.iter().map(|made| {
        let blank = blank(&made.unsigned)?;
        let credential = CredentialView::new(&read_unverified_credential(&blank).map_err(unreadable)?);
        Ok(RenewedCredential { out: made.out.clone(), credential })
    });
    let envelopes = releases.iter().map(|release| {
        let inspection =
            inspect(&release.envelope).map_err(|error| Error::refused_manifest(&release.path, error))?;
        let subject = planned.get(release.place).map(|made| made.again.request.sub.clone());
        Ok(RenewedEnvelope {
            out: release.out.clone(),
            manifest_digest: hex::encode(inspection.digest()),
            sequence: inspection.manifest().sequence_number(),
            subject: subject.unwrap_or_default(),
        })
    });
    Ok(Renewed {
        credentials: credentials.collect::<Result<_, Error>>()?,
        envelopes: envelopes.collect::<Result<_, Error>>()?,
        ledger_entry,
        went_on: planned.iter().any(|made| made.left.is_some()),
    })
}

impl Report for Renewed {
    fn lines(&self) -> String {
        let mut rows = Vec::new();
        for RenewedCredential { out, credential } in &self.credentials {
            let end = credential
                .expires
                .map_or("without an end".to_owned(), |end| format!("until {}", display(UnixTime(end))));
            let CredentialView { subject, kid, role, .. } = credential;
            rows.push(("credential", format!("{}: {subject} ({kid}), {role}, {end}", out.display())));
        }
        for made in &self.envelopes {
            let RenewedEnvelope { out, sequence, subject, .. } = made;
            rows.push(("release", format!("{} (sequence {sequence}), signed by {subject}", out.display())));
        }
        if self.went_on {
            rows.push(("begun", "in an earlier run, which was interrupted".to_owned()));
        }
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        table(&rows)
    }
}
