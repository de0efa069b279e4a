//! A plan as one page of text, to print and to read before the ceremony.

use std::path::Path;

use super::{Certified, Key, Origin, Plan, Root};
use crate::ceremony::fault::CeremonyError;
use crate::error::Error;
use crate::shares::page::WORDS_A_LINE;

/// Lines of a page: A4 at ten points.
pub const PAGE_LINES: usize = 66;
/// Columns of a page.
const PAGE_COLUMNS: usize = 100;

/// Fails for a plan that does not fit onto a page: nobody would read it in the room.
pub(super) fn check(path: &Path, plan: &Plan) -> Result<(), Error> {
    let lines = text(plan).lines().count();
    if lines > PAGE_LINES {
        let (path, limit) = (path.to_owned(), PAGE_LINES);
        return Err(CeremonyError::PlanTooLong { path, lines, limit }.into());
    }
    Ok(())
}

/// The page.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut rows: Vec<(&str, String)> = vec![
        ("purpose", plan.purpose.clone()),
        ("company", plan.vendor.clone()),
        ("plan", plan.fingerprint().groups()),
    ];
    let words = plan.fingerprint().words();
    // As on the pages of shares: lines that two people compare break at the same place.
    for (place, words) in words.chunks(WORDS_A_LINE).enumerate() {
        rows.push((if place == 0 { "in words" } else { "" }, words.join(" ")));
    }
    for person in &plan.people {
        let duties: Vec<&str> = person.duties.iter().map(|duty| duty.name()).collect();
        rows.push(("present", format!("{} ({})", person.name, duties.join(", "))));
    }
    rows.extend(root(&plan.root, "root"));
    rows.extend(plan.recovery.iter().flat_map(|recovery| root(recovery, "recovery root")));
    rows.extend(plan.keys.iter().flat_map(certified));
    for (place, step) in plan.steps().iter().enumerate() {
        rows.push((
            if place == 0 { "steps" } else { "" },
            format!("{:>2}. {} [{}]", place + 1, step.title, step.id),
        ));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 2;
    let mut lines = vec!["PLAN OF A CEREMONY".to_owned(), String::new()];
    for (name, value) in rows {
        for (place, part) in wrap(&value, PAGE_COLUMNS - width).into_iter().enumerate() {
            let name = if place == 0 { name } else { "" };
            lines.push(format!("{name:<width$}{part}").trim_end().to_owned());
        }
    }
    lines.join("\n")
}

fn key(kind: &'static str, key: &Key) -> Vec<(&'static str, String)> {
    let mut rows = vec![(kind, format!("{}: {} holds it, {}", key.name, key.holder, key.kept))];
    match &key.origin {
        Origin::Made(path) => rows.push(("", format!("made here, in {path}"))),
        Origin::Kept(place, fingerprint) => {
            rows.push(("", format!("kept in {place}")));
            rows.push(("expected", fingerprint.groups()));
        }
        Origin::ComesIn(file, fingerprint) => {
            rows.push(("", format!("comes in as {file}")));
            rows.push(("expected", fingerprint.groups()));
        }
    }
    rows
}

fn root(root: &Root, kind: &'static str) -> Vec<(&'static str, String)> {
    let mut rows = key(kind, &root.key);
    rows.extend(root.ledger.iter().map(|ledger| ("ledger", ledger.clone())));
    rows.extend(root.copies.iter().map(|copy| ("copy", copy.clone())));
    if let Some(shares) = &root.shares {
        let (count, holders) = (shares.holders.len(), shares.holders.join(", "));
        rows.push(("shares", format!("{} of {count}: {holders}, {}", shares.threshold, shares.kept)));
    }
    rows
}

fn certified(certified: &Certified) -> Vec<(&'static str, String)> {
    let mut rows = key(certified.role.name(), &certified.key);
    let expires = certified.expires.map(|end| format!(", until {}", crate::time::display(end.0)));
    let classes: Vec<&str> = certified.classes.iter().filter_map(|class| class.name()).collect();
    let classes = if classes.is_empty() { "any class".to_owned() } else { classes.join(", ") };
    rows.push(("", format!("certified for {classes}{}", expires.unwrap_or_default())));
    rows
}

/// Breaks at blanks.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in trust::host::printable(text).split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
