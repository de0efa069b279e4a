//! `diff`: in what two envelopes differ. Nothing is verified.

use std::path::{Path, PathBuf};

use serde::Serialize;
use similar::{Algorithm, DiffOp, capture_diff_slices};
use suit_manifest::author::{Outline, inspect, outline, take_out};
use trust::author::read_unverified_credential;
use trust::host::printable;

use crate::describe::{CredentialView, ManifestView};
use crate::error::Error;
use crate::files::{MAX_BUNDLE_FILE_LEN, read};
use crate::output::Report;

/// The exit code when they differ.
const DIFFERENT: u8 = 6;
/// Between the name of an element and those of its parts.
const STEP: &str = " / ";

/// Show in what two envelopes differ
#[derive(clap::Args, Clone, Debug)]
pub struct Diff {
    /// Envelope of any tool
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The same
    #[arg(value_name = "NEW")]
    new: PathBuf,
}

/// Something that one of them has otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Difference {
    what: String,
    /// `null`: it is not there.
    old: Option<String>,
    new: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Differing {
    /// Byte for byte.
    equal: bool,
    /// What releases of ours say about themselves: sequence, version, vendor, class, images, signer.
    release: Vec<Difference>,
    /// Every element that differs, down to the last command.
    elements: Vec<Difference>,
}

impl Diff {
    pub fn run(&self) -> Result<Differing, Error> {
        let (old, new) = (File::read(&self.old)?, File::read(&self.new)?);
        let equal = old.bytes == new.bytes;
        let mut elements = of_lines(&old.elements, &new.elements);
        if elements.is_empty() && !equal {
            // An outline need not show an empty map of texts.
            let length = |file: &File| Some(format!("{} bytes", file.bytes.len()));
            elements.push(Difference { what: "encoding".to_owned(), old: length(&old), new: length(&new) });
        }
        Ok(Differing { equal, release: of_rows(&old.release, &new.release), elements })
    }
}

/// A line: where it stands, and its value.
type Line = (String, String);

struct File {
    bytes: Vec<u8>,
    release: Vec<Line>,
    elements: Vec<Line>,
}

impl File {
    fn read(path: &Path) -> Result<Self, Error> {
        let bytes = read(path, MAX_BUNDLE_FILE_LEN)?;
        let Some(outline) = outline(&bytes) else {
            return Err(match inspect(&bytes) {
                Ok(_) => Error::Internal("the envelope has no outline"),
                Err(error) => Error::refused_manifest(path, error),
            });
        };
        let mut elements = Vec::new();
        flatten(&outline, "", &mut elements);
        Ok(Self { release: release_rows(&bytes), elements, bytes })
    }
}

/// What a release says about itself; nothing of an envelope that our devices would refuse.
fn release_rows(bytes: &[u8]) -> Vec<Line> {
    let release = take_out(bytes, &[]).unwrap_or_default();
    let Ok(inspection) = inspect(&release) else { return Vec::new() };
    let Ok(view) = ManifestView::of_inspection(&inspection) else { return Vec::new() };
    let mut rows = view.rows();
    let claims = inspection.credential().and_then(|cwt| read_unverified_credential(cwt).ok());
    let signed = match (&claims, inspection.sign1()) {
        (Some(claims), _) => {
            let credential = CredentialView::new(claims);
            rows.push(("credential", credential.cti.clone()));
            format!("{} ({})", credential.subject, credential.kid)
        }
        (None, Some(_)) => "somebody, without a credential of ours".to_owned(),
        (None, None) => "nobody".to_owned(),
    };
    rows.push(("signed by", signed));
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn flatten(outline: &Outline, path: &str, lines: &mut Vec<Line>) {
    let separator = if path.is_empty() { "" } else { STEP };
    let path = format!("{path}{separator}{}", outline.name);
    lines.push((path.clone(), outline.value.clone()));
    outline.parts.iter().for_each(|part| flatten(part, &path, lines));
}

/// Rows that each have at most once.
fn of_rows(old: &[Line], new: &[Line]) -> Vec<Difference> {
    let value = |rows: &[Line], name: &str| {
        rows.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let added = new.iter().filter(|(name, _)| value(old, name).is_none());
    let names = old.iter().chain(added).map(|(name, _)| name);
    let all =
        names.map(|name| Difference { what: name.clone(), old: value(old, name), new: value(new, name) });
    all.filter(|row| row.old != row.new).collect()
}

/// What was taken from one list and put into the other; a value that changed in its place is one difference.
fn of_lines(old: &[Line], new: &[Line]) -> Vec<Difference> {
    let mut all = Vec::new();
    let gone = |(what, value): &Line| Difference { what: what.clone(), old: Some(value.clone()), new: None };
    let come = |(what, value): &Line| Difference { what: what.clone(), old: None, new: Some(value.clone()) };
    for change in capture_diff_slices(Algorithm::Myers, old, new) {
        let (taken, put) = match change {
            DiffOp::Equal { .. } => continue,
            DiffOp::Delete { old_index, old_len, .. } => (old_index..old_index + old_len, 0..0),
            DiffOp::Insert { new_index, new_len, .. } => (0..0, new_index..new_index + new_len),
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                (old_index..old_index + old_len, new_index..new_index + new_len)
            }
        };
        let (taken, put) = (old.get(taken).unwrap_or_default(), new.get(put).unwrap_or_default());
        let mut left = put.iter().collect::<Vec<_>>();
        for line in taken {
            match left.iter().position(|(what, _)| *what == line.0) {
                // What stands before it was put there.
                Some(at) => {
                    all.extend(left.drain(..at).map(come));
                    let (what, value) = left.remove(0);
                    all.push(Difference {
                        what: what.clone(),
                        old: Some(line.1.clone()),
                        new: Some(value.clone()),
                    });
                }
                None => all.push(gone(line)),
            }
        }
        all.extend(left.into_iter().map(come));
    }
    all
}

impl Report for Differing {
    fn lines(&self) -> String {
        if self.equal {
            return "they are equal".to_owned();
        }
        let mut lines = Vec::new();
        for difference in &self.release {
            lines.push(difference.line());
        }
        if !self.release.is_empty() && !self.elements.is_empty() {
            lines.push(String::new());
        }
        lines.extend(self.elements.iter().map(Difference::line));
        lines.join("\n")
    }

    fn exit(&self) -> u8 {
        if self.equal { 0 } else { DIFFERENT }
    }
}

impl Difference {
    fn line(&self) -> String {
        let mark = |value: &String| if value.is_empty() { "there".to_owned() } else { value.clone() };
        let line = match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("{}: {} -> {}", self.what, mark(old), mark(new)),
            (Some(old), None) => format!("- {}: {}", self.what, mark(old)),
            (None, Some(new)) => format!("+ {}: {}", self.what, mark(new)),
            (None, None) => self.what.clone(),
        };
        printable(&line)
    }
}
