//! `rotate`: another key takes over from a release key. Its credential permits sequence numbers that the old key cannot
//! have used; releases that are to be offered on are signed again, and a list revokes the old key if it is not trusted.

use std::path::{Path, PathBuf};

use ledger::{CredentialEntry, KeyState, Ledger, Status, Stored};
use serde::Serialize;
use suit_manifest::Reason;
use suit_manifest::author::{inspect, sign, to_be_signed};
use trust::author::{Unsigned, prepare_credential, read_unverified_credential};
use trust::host::read_unverified_revocation;
use trust::{
    Anchor, DEFAULT_SEQUENCE_CEILING, Kid, MAX_SEQUENCE_CEILING, PublicKey, RevokedId, Role, TrustStoreBuf,
    UnixTime,
};

use super::credential::again::{Again, Issuance, MakingArguments, Successor, scopes};
use super::credential::check_new_key;
use super::credential::left::{self, Left};
use super::list::{NewList, PreviousArguments, PublishedArguments, blank};
use super::sign::explain;
use super::{ReleaseKeyArguments, SigningKeyArguments};
use crate::describe::{CredentialView, RevocationView};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, check_outputs, make_folder, read, write_all};
use crate::kind::Kind;
use crate::output::{Output, Report, table};
use crate::public_key;
use crate::recording::check_right;
use crate::step::{MAX_STEP, StepArguments};
use crate::verification::Verification;

/// Let another key take over from a release key
#[derive(clap::Args, Clone, Debug)]
pub struct Rotate {
    /// Release key that is replaced, by its name or kid in the ledger
    #[arg(value_name = "NAME")]
    old: String,
    #[command(flatten)]
    key: SigningKeyArguments,
    /// Public key that takes over [default: that of --release-key]
    #[arg(long = "for", value_name = "PUBLIC", required_unless_present = "release_key")]
    subject_key: Option<PathBuf>,
    /// Name of the key that takes over, at most 64 bytes
    #[arg(long, value_parser = super::name())]
    subject: String,
    /// Who holds it, for the ledger
    #[arg(long, value_name = "PERSON")]
    holder: Option<String>,
    /// Where it is kept, in words, for the ledger
    #[arg(long, value_name = "TEXT")]
    kept: Option<String>,
    /// Signed release on offer: what becomes of it is shown (repeatable)
    #[arg(long = "envelope", value_name = "R.suit")]
    envelopes: Vec<PathBuf>,
    #[command(flatten)]
    release_key: ReleaseKeyArguments,
    /// Revocation list to write, which revokes the replaced key
    #[arg(long, value_name = "FILE")]
    list_out: Option<PathBuf>,
    #[command(flatten)]
    published: PublishedArguments,
    #[command(flatten)]
    making: MakingArguments,
}

#[derive(Debug, Serialize)]
pub struct Rotated {
    replaced: String,
    replaced_kid: String,
    /// Devices that took a release of a thief of the replaced key may refuse numbers up to this one.
    sequence_above: u64,
    credentials: Vec<RotatedCredential>,
    list_out: Option<PathBuf>,
    list: Option<RevocationView>,
    releases: Vec<ReleaseView>,
    ledger_entry: Option<u64>,
    /// An earlier run had begun it.
    went_on: bool,
}

#[derive(Debug, Serialize)]
struct RotatedCredential {
    out: PathBuf,
    #[serde(flatten)]
    credential: CredentialView,
}

/// What becomes of a release.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    /// Another key signed it.
    Unaffected,
    /// It is good as long as the credential of the replaced key.
    StaysValid,
    /// The new key signed it too: the signature is replaced.
    SignedAgain,
    /// The replaced key is revoked: nobody takes it any more.
    HasToBeSignedAgain,
}

impl Fate {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Unaffected => "signed by another key: stays valid",
            Self::StaysValid => "stays valid until the credential of the replaced key ends, or is revoked",
            Self::SignedAgain => "signed again by the new key",
            Self::HasToBeSignedAgain => "REFUSED from now on: sign it again with the new key",
        }
    }
}

#[derive(Debug, Serialize)]
struct ReleaseView {
    path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<PathBuf>,
    sequence: u64,
    fate: Fate,
}

struct Release {
    path: PathBuf,
    envelope: Vec<u8>,
    sequence: u64,
    fate: Fate,
    /// Where it goes if it is signed again, and the credential that permits it.
    again: Option<(PathBuf, usize)>,
}

struct Planned {
    out: PathBuf,
    again: Again,
    unsigned: Unsigned,
    left: Option<Left>,
}

impl Rotate {
    pub fn run(&self, output: Output) -> Result<Rotated, Error> {
        let mut recorder = self.making.ledger.open(self.key.file().as_deref(), &[self.published.option()])?;
        let now = self.making.now(&recorder)?;
        let ledger = recorder
            .ledger()
            .ok_or_else(|| Error::usage("the key goes by name: pass the ledger of --key as --ledger"))?;
        check_right(Some(ledger), "certify release keys", |ledger| ledger.may_certify(Role::Release))?;
        let old = find(ledger, &self.old, now)?;
        let wants_list = self.list_out.is_some();
        let left_list = if wants_list { left::list(ledger, Role::Release, Kid(old.kid.0))? } else { None };
        if wants_list {
            self.published.check(Some(ledger))?;
            if old.status == Status::Revoked && left_list.is_none() {
                return Err(Error::usage(format!("{} is revoked already: omit --list-out", old.name)));
            }
        } else if self.published.option().1 {
            return Err(Error::usage("--published and --none-published are for --list-out"));
        }
        self.making.time.warn();
        let release_key = self.release_key.open()?;
        let new = self.new_key(release_key.as_ref().map(|key| key.public_key()))?;
        if new.kid().0 == old.kid.0 {
            return Err(Error::usage("the key that takes over is the one that is replaced"));
        }
        check_new_key(ledger, &new, Role::Release, self.subject_key.as_deref())?;
        let used = old.ceiling().unwrap_or(DEFAULT_SEQUENCE_CEILING);
        let planned = self.plan(ledger, &old, new, used, now)?;
        let is_revoked = self.list_out.is_some() || old.status == Status::Revoked;
        let releases = self.releases(Kid(old.kid.0), is_revoked, release_key.is_some(), &planned)?;
        let list = match left_list {
            Some((unsigned, left)) => Some((unsigned, Some(left))),
            None => wants_list.then(|| list(ledger, &old, now)).transpose()?.map(|list| (list, None)),
        };
        let of_list = list.iter().filter_map(|(_, left)| left.as_ref());
        let left: Vec<&Left> = planned.iter().filter_map(|made| made.left.as_ref()).chain(of_list).collect();

        let existing = self.making.overwrite.existing();
        let again = releases.iter().filter_map(|release| release.again.as_ref()).map(|(out, _)| out);
        let outputs: Vec<&Path> = planned
            .iter()
            .map(|made| &made.out)
            .chain(again)
            .chain(&self.list_out)
            .map(PathBuf::as_path)
            .collect();
        let inputs: Vec<&Path> = self
            .envelopes
            .iter()
            .chain(&self.subject_key)
            .map(PathBuf::as_path)
            .chain(self.published.path())
            .collect();
        for out in &outputs {
            self.key.must_differ_from(out, &inputs)?;
            self.release_key.must_differ_from(out)?;
        }
        // Files of an earlier run may be there already; another content is refused when they are written.
        make_folder(&self.making.out_dir)?;
        if left.is_empty() {
            let kinds = planned.iter().map(|_| Kind::Credential);
            let again = releases.iter().filter(|release| release.again.is_some()).map(|_| Kind::Envelope);
            let kinds = kinds.chain(again).chain([Kind::RevocationList]).map(Some);
            check_outputs(&outputs.iter().copied().zip(kinds).collect::<Vec<_>>(), existing)?;
        }
        let mut rotated = Rotated {
            replaced: old.name.to_owned(),
            replaced_kid: old.kid.to_string(),
            sequence_above: used,
            credentials: planned.iter().map(Planned::view).collect::<Result<_, _>>()?,
            list_out: self.list_out.clone(),
            list: list.as_ref().map(|(list, _)| view_of_list(list)).transpose()?,
            releases: releases.iter().map(Release::view).collect(),
            ledger_entry: None,
            went_on: !left.is_empty(),
        };
        let signer = self.key.open()?;
        recorder.check_left(&signer.public_key(), &left)?;
        self.making.confirm.ask(output, &rotated.lines(), "Sign this?")?;

        let mut files = Vec::new();
        for Planned { out, again, unsigned, left } in &planned {
            let record = (unsigned, left.as_ref());
            let made = recorder.go_on(record, |event| again.in_ledger(event), now, signer.as_ref())?;
            files.push((out.clone(), made));
        }
        let mut trusted = TrustStoreBuf::new([Anchor::root(signer.public_key())]);
        if let (Some(out), Some((list, left))) = (&self.list_out, &list) {
            let made = recorder.go_on((list, left.as_ref()), |event| event, now, signer.as_ref())?;
            trusted.add_list(made.clone()).map_err(|_| Error::Internal("the new list does not verify"))?;
            files.push((out.clone(), made));
        }
        for release in &releases {
            let (Some((out, place)), Some(key)) = (&release.again, &release_key) else { continue };
            let (_, credential) = files.get(*place).ok_or(Error::Internal("a credential is missing"))?;
            let signed = sign(&release.envelope, key.as_ref(), credential)
                .map_err(|error| explain(&release.path, &release.path, error))?;
            let judge = Verification { trusted: &trusted, now, device: None, sequence_floor: 0 };
            judge.of(&signed).map_err(|error| Error::refused_manifest(&release.path, error))?;
            files.push((out.clone(), signed));
        }
        let written: Vec<_> = files.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice())).collect();
        write_all(&written, existing)?;
        // Last: whatever no head covers belongs to a run that did not end.
        rotated.ledger_entry = recorder.close(now, signer.as_ref())?;
        Ok(rotated)
    }

    fn new_key(&self, of_release_key: Option<PublicKey>) -> Result<PublicKey, Error> {
        let given = self.subject_key.as_deref().map(public_key::open).transpose()?;
        match (given, of_release_key) {
            (Some(given), Some(key)) if given != key => {
                Err(Error::usage("--for is not the public half of --release-key"))
            }
            (Some(key), _) | (None, Some(key)) => Ok(key),
            (None, None) => Err(Error::usage("pass the public key that takes over as --for")),
        }
    }

    /// A credential for each scope of the old key. A thief of it may have used each number up to its ceiling.
    fn plan(
        &self,
        ledger: &Ledger,
        old: &KeyState<'_>,
        key: PublicKey,
        used: u64,
        now: UnixTime,
    ) -> Result<Vec<Planned>, Error> {
        let ceiling = used.saturating_add(MAX_STEP).min(MAX_SEQUENCE_CEILING);
        if ceiling <= used {
            let message = format!("{} may sign every sequence number: none is left above it", old.name);
            return Err(Error::usage(message));
        }
        // What an earlier run certified that did not end does not count: this run certifies it.
        let of_this = |stored: &Stored, entry: &CredentialEntry| {
            entry.facts.kid.0 == key.kid().0 && left::is_left_entry(ledger, stored)
        };
        let of_role = |(stored, entry): (&Stored, &CredentialEntry)| {
            let counts = entry.facts.role() == Some(Role::Release) && !of_this(stored, entry);
            counts.then_some(entry.facts.generation)
        };
        let newest = ledger.line().flat_map(Ledger::credentials).filter_map(of_role).max().unwrap_or(0);
        let successor = Successor {
            key,
            name: self.subject.clone(),
            holder: self.holder.clone(),
            kept: self.kept.clone(),
            generation: newest.saturating_add(1),
            ceiling,
        };
        let expires = self.making.expires();
        let issuance = Issuance { ledger, issued_at: now, expires };
        let plan = |(place, entry): (usize, &CredentialEntry)| {
            let again = Again::new(old, entry, issuance)?.for_successor(successor.clone());
            let unsigned = prepare_credential(&again.request, ledger.key())
                .map_err(|error| Error::author("the credential", None, error))?;
            let (unsigned, left) = match left::credential(ledger, &unsigned, expires.is_some())? {
                Some((unsigned, left)) => (unsigned, Some(left)),
                None => (unsigned, None),
            };
            Ok(Planned { out: self.making.out_dir.join(again.file_name(place)), again, unsigned, left })
        };
        scopes(old).into_iter().enumerate().map(plan).collect()
    }

    fn releases(
        &self,
        old: Kid,
        is_revoked: bool,
        signs_again: bool,
        planned: &[Planned],
    ) -> Result<Vec<Release>, Error> {
        let blanks = planned.iter().map(|made| blank(&made.unsigned)).collect::<Result<Vec<_>, _>>()?;
        let release = |path: &PathBuf| {
            let envelope = read(path, MAX_ENVELOPE_FILE_LEN)?;
            let refused = |error| Error::refused_manifest(path, error);
            let inspection = inspect(&envelope).map_err(refused)?;
            let credential =
                inspection.credential().ok_or_else(|| Error::refused(path, Reason::SignatureMissing, 0))?;
            let claims =
                read_unverified_credential(credential).map_err(|error| Error::refused_record(path, error))?;
            let sequence = inspection.manifest().sequence_number();
            let is_old = claims.key().kid() == old;
            let fate = match (is_old, signs_again, is_revoked) {
                (false, _, _) => Fate::Unaffected,
                (true, true, _) => Fate::SignedAgain,
                (true, false, true) => Fate::HasToBeSignedAgain,
                (true, false, false) => Fate::StaysValid,
            };
            let again = match fate {
                Fate::SignedAgain => {
                    let name = path.file_name();
                    let name = name.ok_or_else(|| Error::usage("--envelope requires files with names"))?;
                    Some((self.making.out_dir.join(name), choose(path, &envelope, &blanks)?))
                }
                Fate::Unaffected | Fate::StaysValid | Fate::HasToBeSignedAgain => None,
            };
            Ok(Release { path: path.clone(), envelope, sequence, fate, again })
        };
        self.envelopes.iter().map(release).collect()
    }
}

/// The release key that is replaced, revoked or not, in the ledger or in those before.
fn find<'l>(ledger: &'l Ledger, name: &str, now: UnixTime) -> Result<KeyState<'l>, Error> {
    let (_, key) = ledger.key_in_line(name, now)?;
    if key.role == Role::Release.name() {
        return Ok(key);
    }
    Err(Error::usage(format!("{} is no release key but one of the role {}", key.name, key.role)))
}

/// The first credential that permits the release; else why the last one does not.
fn choose(path: &Path, envelope: &[u8], blanks: &[Vec<u8>]) -> Result<usize, Error> {
    let mut refusal = Error::Internal("no credential was planned");
    for (place, blank) in blanks.iter().enumerate() {
        match to_be_signed(envelope, blank) {
            Ok(_) => return Ok(place),
            Err(error) => refusal = explain(path, path, error),
        }
    }
    Err(refusal)
}

/// The list that revokes the old key under all of its credentials.
fn list(ledger: &Ledger, old: &KeyState<'_>, issued_at: UnixTime) -> Result<Unsigned, Error> {
    let issuer = ledger.opened().name.as_str();
    let step = StepArguments::of(false);
    let list = NewList { root: ledger.key(), issuer, sequence: None, step, issued_at, ledger: Some(ledger) };
    list.prepare(&PreviousArguments::NONE.held(Some(ledger))?, |request| {
        request.revoke(Role::Release, old.generation(), RevokedId::Key(Kid(old.kid.0)));
        Ok(())
    })
}

fn view_of_list(unsigned: &Unsigned) -> Result<RevocationView, Error> {
    let list = blank(unsigned)?;
    let claims =
        read_unverified_revocation(&list).map_err(|_| Error::Internal("the new list does not read"))?;
    Ok(RevocationView::new(&claims))
}

impl Planned {
    fn view(&self) -> Result<RotatedCredential, Error> {
        let blank = blank(&self.unsigned)?;
        let claims = read_unverified_credential(&blank)
            .map_err(|_| Error::Internal("the new credential cannot be read back"))?;
        Ok(RotatedCredential { out: self.out.clone(), credential: CredentialView::new(&claims) })
    }
}

impl Release {
    fn view(&self) -> ReleaseView {
        let out = self.again.as_ref().map(|(out, _)| out.clone());
        ReleaseView { path: self.path.clone(), out, sequence: self.sequence, fate: self.fate }
    }
}

impl Report for Rotated {
    fn lines(&self) -> String {
        let mut rows = vec![("replaced", format!("{} ({})", self.replaced, self.replaced_kid))];
        for RotatedCredential { out, credential } in &self.credentials {
            rows.push(("credential", out.display().to_string()));
            rows.extend(credential.rows());
        }
        if let (Some(out), Some(list)) = (&self.list_out, &self.list) {
            rows.push(("revocation list", out.display().to_string()));
            rows.extend(list.rows());
        }
        for release in &self.releases {
            let ReleaseView { path, sequence, fate, .. } = release;
            rows.push(("release", format!("{} (sequence {sequence}): {}", path.display(), fate.in_words())));
        }
        let above = self.sequence_above;
        rows.push((
            "if it was stolen",
            format!("devices may have taken numbers up to {above}: give the next release a higher one"),
        ));
        if self.went_on {
            rows.push(("begun", "in an earlier run, which was interrupted".to_owned()));
        }
        rows.extend(self.ledger_entry.map(|entry| ("entry of the ledger", entry.to_string())));
        table(&rows)
    }
}
