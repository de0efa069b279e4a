//! The transcript as a page to print and to sign: one HTML file, with nothing from elsewhere.

use super::plan::Plan;
use super::transcript::{Event, Transcript};
use super::words::Fingerprint;
use crate::error::Error;
use crate::html::{document, escape, table};
use crate::time::display;

/// The page.
pub fn html(plan: &Plan, transcript: &Transcript, seal: &[u8]) -> Result<String, Error> {
    let is_rehearsal = transcript.opened().is_some_and(|(_, rehearsal)| rehearsal);
    let mut body = String::new();
    if is_rehearsal {
        body +=
            "<p><strong>REHEARSAL: the keys were thrown away, and nothing of this is real.</strong></p>\n";
    }
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let end = Fingerprint(transcript.digest());
    let plan_print = plan.fingerprint();
    let mut head = vec![
        row("purpose", plan.purpose.clone()),
        row("company", plan.vendor.clone()),
        row("plan", plan_print.groups()),
        row("plan, in words", plan_print.words().join(" ")),
        row("lines of the transcript", transcript.lines().len().to_string()),
        row("last line", end.groups()),
        row("last line, in words", end.words().join(" ")),
        row("signed end (seal.cwt)", Fingerprint::of(seal).groups()),
    ];
    for line in transcript.lines() {
        if let Event::Session { tool, executable, answers } = &line.event {
            let value = format!("{}: {tool}, SHA-256 {executable}; answered by {answers}", line.time);
            head.push(row("program", value));
        }
    }
    body += &table(&head, false);
    body += "<h2>Present</h2>\n";
    let mut people = vec![vec!["name".to_owned(), "role".to_owned(), "signature".to_owned()]];
    for person in &plan.people {
        let duties: Vec<&str> = person.duties.iter().map(|duty| duty.name()).collect();
        people.push(vec![person.name.clone(), duties.join(", "), String::new()]);
    }
    body += &table(&people, true);
    body += "<h2>What happened</h2>\n";
    let mut rows = vec![["line", "time", "step", "what"].map(str::to_owned).to_vec()];
    for line in transcript.lines() {
        if let Some((step, what)) = words(&line.event) {
            rows.push(vec![line.line.to_string(), display(line.time.0), step, what]);
        }
    }
    body += &table(&rows, true);
    body += "<h2>Files</h2>\n";
    let files = transcript.files();
    let mut rows = vec![["file", "SHA-256"].map(str::to_owned).to_vec()];
    rows.extend(files.iter().map(|file| vec![file.name.clone(), file.sha256.to_string()]));
    body += &table(&rows, true);
    let verify = "Verify it at any time, with the root's public key: manifest-tool ceremony verify ceremony.tar --anchor ROOT.cose";
    body += &format!("<p>{}</p>\n", escape(verify));
    let mark = if is_rehearsal { "REHEARSAL: " } else { "" };
    Ok(document(&format!("{mark}Transcript of a ceremony"), &body))
}

/// An event in words; the files stand in a table of their own.
fn words(event: &Event) -> Option<(String, String)> {
    Some(match event {
        Event::Open { purpose, .. } => (String::new(), format!("begins: {purpose}")),
        Event::Session { .. } => return None,
        Event::Begin { step, title, .. } => (step.clone(), title.clone()),
        Event::Confirmed { step, person, role, confirmed, word } => {
            let word = word
                .as_ref()
                .map(|word| format!("; typed word {} of the fingerprint: {}", word.place, word.word));
            (
                step.clone(),
                format!("{person} ({role}) confirmed: {}{}", confirmed.trim(), word.unwrap_or_default()),
            )
        }
        Event::NotConfirmed { step, asked } => (step.clone(), format!("NOT CONFIRMED: {}", asked.trim())),
        Event::Done { step, facts, .. } => {
            let facts: Vec<String> =
                facts.iter().map(|fact| format!("{}: {}", fact.what, fact.value)).collect();
            (step.clone(), format!("done. {}", facts.join("; ")))
        }
        Event::End { ledgers, .. } => {
            let ledgers: Vec<String> =
                ledgers.iter().map(|state| format!("{} ({} entries)", state.name, state.entries)).collect();
            (String::new(), format!("ends. Ledgers: {}", ledgers.join(", ")))
        }
    })
}
