//! Verifying a ceremony afterwards, with the anchor alone: the chain of the transcript, the signature over its end, that
//! each step of the plan was done and confirmed by people of the plan, and that each file is the one of the transcript.

use std::path::Path;

use ledger::{Event as Entry, Hex, Ledger};
use serde::Serialize;
use trust::host::Existing;
use trust::{PublicKey, TranscriptEnd};

use super::bundle::{Bundle, MAX_BUNDLE_LEN};
use super::fault::CeremonyError;
use super::plan::{MAX_PLAN_LEN, Plan};
use super::transcript::{Event, FileDigest, Transcript};
use super::{LEDGERS, PLAN_FILE, SEAL_FILE};
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::output::{Report, table};
use crate::time::display;

/// What a ceremony proves.
#[derive(Debug, Serialize)]
pub struct Verified {
    purpose: String,
    rehearsal: bool,
    people: Vec<String>,
    lines: u64,
    transcript: String,
    sealed: u64,
    root: String,
    answers: Vec<String>,
    files: usize,
    ledgers: usize,
}

/// Verifies the folder of a ceremony, or its bundle.
pub fn verify(path: &Path, root: &PublicKey, rehearsal: bool) -> Result<Verified, Error> {
    if !path.is_file() {
        return verify_folder(path, path, root, rehearsal);
    }
    let (bundle, _) = Bundle::open(path)?;
    let failed = |source| super::cannot_write(path, source);
    let folder = tempfile::tempdir().map_err(failed)?;
    bundle.unpack(folder.path(), Existing::Keep)?;
    verify_folder(folder.path(), path, root, rehearsal)
}

fn file_fault(name: impl Into<String>, detail: &'static str) -> Error {
    CeremonyError::File { path: name.into(), detail }.into()
}

fn verify_folder(folder: &Path, shown: &Path, root: &PublicKey, rehearsal: bool) -> Result<Verified, Error> {
    let transcript = Transcript::open(folder)?.ok_or_else(|| CeremonyError::Absent(shown.to_owned()))?;
    let not_sealed = || Error::from(CeremonyError::NotSealed(shown.to_owned()));
    let (_, ledgers) = transcript.end().ok_or_else(not_sealed)?;
    let seal_path = folder.join(SEAL_FILE);
    if !seal_path.exists() {
        return Err(not_sealed());
    }
    let seal = read(&seal_path, MAX_RECORD_FILE_LEN)?;
    let end = TranscriptEnd::verify(&seal, root).map_err(|error| Error::refused_record(&seal_path, error))?;
    if (end.lines, end.digest) != (transcript.lines().len() as u64, transcript.digest()) {
        return Err(file_fault(SEAL_FILE, "the root signed the end of another transcript"));
    }
    let (plan_digest, is_rehearsal) =
        transcript.opened().ok_or_else(|| CeremonyError::Absent(shown.to_owned()))?;
    if is_rehearsal && !rehearsal {
        return Err(CeremonyError::Rehearsal(shown.to_owned()).into());
    }
    let plan_path = folder.join(PLAN_FILE);
    let content = read(&plan_path, MAX_PLAN_LEN)?;
    if trust::sha256(&content) != plan_digest.0 {
        return Err(file_fault(PLAN_FILE, "it is another plan"));
    }
    let plan = Plan::parse(&plan_path, content)?;
    check_steps(&plan, &transcript)?;
    let files = transcript.files();
    for FileDigest { name, sha256 } in &files {
        // Names of the transcript are ours, but who knows who wrote it: none leads elsewhere.
        super::bundle::check_name(name)
            .map_err(|_| file_fault(name, "it has the name of no file of a ceremony"))?;
        if trust::sha256(&read(&folder.join(name), MAX_BUNDLE_LEN)?) != sha256.0 {
            return Err(file_fault(name, "its digest is another one"));
        }
    }
    for (place, state) in ledgers.iter().enumerate() {
        let name = format!("{LEDGERS}/{}", state.name);
        super::bundle::check_name(&name)
            .map_err(|_| file_fault(&name, "it has the name of no ledger of a ceremony"))?;
        let ledger = Ledger::open(&folder.join(&name))?;
        let at_end = ledger.entry(state.entries).map(|stored| Hex(stored.digest));
        if Hex(ledger.key().kid().0) != state.kid || at_end != Some(state.digest) {
            return Err(file_fault(name, "it is another ledger than at the end of the ceremony"));
        }
        if place == 0 && !records(&ledger, &end, &seal) {
            return Err(file_fault(name, "it does not record this ceremony under its signed head"));
        }
    }
    Ok(Verified {
        purpose: plan.purpose.clone(),
        rehearsal: is_rehearsal,
        people: plan.people.iter().map(|person| person.name.clone()).collect(),
        lines: end.lines,
        transcript: hex::encode(end.digest),
        sealed: end.issued_at.0,
        root: crate::describe::kid(root.kid()),
        answers: answers(&transcript),
        files: files.len(),
        ledgers: ledgers.len(),
    })
}

/// Whether a ledger has this end, signed, under its head.
fn records(ledger: &Ledger, end: &TranscriptEnd, seal: &[u8]) -> bool {
    let is_it =
        |event: &Entry| matches!(event, Entry::Ceremony(entry) if entry.facts.transcript.0 == end.digest);
    let found = ledger.entries().iter().find(|stored| is_it(&stored.entry.event));
    let covered = ledger.head().map_or(0, |signed| signed.head.entries);
    found.is_some_and(|stored| stored.record.as_deref() == Some(seal) && stored.entry.number <= covered)
}

/// Each step of the plan was begun, confirmed by people with a role that the plan gives them, and done, in this order.
fn check_steps(plan: &Plan, transcript: &Transcript) -> Result<(), Error> {
    let lines = transcript.lines();
    let mut from = 0;
    for step in plan.steps() {
        let unfinished = || Error::from(CeremonyError::Unfinished(step.id.clone()));
        let done = lines
            .iter()
            .position(|line| matches!(&line.event, Event::Done { step: id, .. } if *id == step.id));
        let done = done.filter(|done| *done >= from).ok_or_else(unfinished)?;
        let part = lines.get(from..done).unwrap_or_default();
        let is_confirmed = |event: &Event| match event {
            Event::Confirmed { step: id, person, role, .. } => {
                *id == step.id
                    && plan.people.iter().any(|present| {
                        present.name == *person && present.duties.iter().any(|duty| duty.name() == role)
                    })
            }
            _ => false,
        };
        if !part.iter().any(|line| is_confirmed(&line.event)) {
            return Err(unfinished());
        }
        from = done;
    }
    Ok(())
}

/// Who answered, in each session.
fn answers(transcript: &Transcript) -> Vec<String> {
    let mut answers: Vec<String> = Vec::new();
    for line in transcript.lines() {
        if let Event::Session { answers: name, .. } = &line.event
            && !answers.contains(name)
        {
            answers.push(name.clone());
        }
    }
    answers
}

impl Report for Verified {
    fn lines(&self) -> String {
        let mut rows = vec![
            (
                "verified",
                if self.rehearsal { "yes, as a REHEARSAL: nothing of it is real" } else { "yes" }.to_owned(),
            ),
            ("purpose", self.purpose.clone()),
            ("root", self.root.clone()),
            ("sealed", display(trust::UnixTime(self.sealed))),
            ("transcript", format!("{} lines, the last of SHA-256 {}", self.lines, self.transcript)),
        ];
        rows.extend(self.people.iter().map(|person| ("present", person.clone())));
        rows.extend(self.answers.iter().map(|answers| ("answered by", answers.clone())));
        rows.push(("files", format!("{}, and {} ledgers", self.files, self.ledgers)));
        table(&rows)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ledger::Hex;
    use trust::UnixTime;

    use super::check_steps;
    use crate::ceremony::plan::Plan;
    use crate::ceremony::transcript::{Event, Transcript};

    const PLAN: &str = r#"
format = 1
purpose = "a root"
vendor = "example.com"
first-list = true
[[person]]
name = "Ada"
roles = ["operator", "custodian"]
[[person]]
name = "Bob"
roles = ["witness"]
[root]
name = "root"
holder = "Ada"
kept = "safe"
make = "root.pem"
"#;

    /// A root signs what its machine gives it: a transcript without a step, or without its people, proves nothing.
    #[test]
    fn each_step_of_the_plan_is_confirmed_by_its_people_and_done_in_order() {
        let plan = Plan::parse(Path::new("plan.toml"), PLAN.into()).unwrap();
        let ids: Vec<String> = plan.steps().into_iter().map(|step| step.id).collect();
        assert_eq!(ids, ["present", "make-root", "begin-root", "first-list"]);
        let judge = |steps: &[&str], person: &str, role: &str| {
            let folder = tempfile::tempdir().unwrap();
            let mut transcript = Transcript::new(folder.path());
            let open =
                Event::Open { format: 1, purpose: "a root".into(), plan: Hex([0; 32]), rehearsal: false };
            transcript.append(open, UnixTime(1)).unwrap();
            for step in steps {
                let (step, who) = ((*step).to_owned(), if *step == "make-root" { person } else { "Ada" });
                let (person, confirmed) = (who.to_owned(), "yes".to_owned());
                let role = if who == "Ada" { "custodian" } else { role }.to_owned();
                let event = Event::Confirmed { step: step.clone(), person, role, confirmed, word: None };
                if who != "nobody" {
                    transcript.append(event, UnixTime(1)).unwrap();
                }
                let (inputs, outputs, facts) = (vec![], vec![], vec![]);
                transcript.append(Event::Done { step, inputs, outputs, facts }, UnixTime(1)).unwrap();
            }
            check_steps(&plan, &transcript).map_err(|error| error.code().to_owned())
        };
        let all = ["present", "make-root", "begin-root", "first-list"];
        let unfinished = || Err("ceremony-unfinished".to_owned());
        assert_eq!(judge(&all, "Bob", "witness"), Ok(()));
        assert_eq!(judge(&all[..3], "Bob", "witness"), unfinished());
        assert_eq!(judge(&all[1..], "Bob", "witness"), unfinished());
        assert_eq!(
            judge(&["present", "begin-root", "make-root", "first-list"], "Bob", "witness"),
            unfinished()
        );
        for (person, role) in [("nobody", ""), ("Eve", "witness"), ("Bob", "custodian")] {
            assert_eq!(judge(&all, person, role), unfinished(), "{person} {role}");
        }
    }
}
