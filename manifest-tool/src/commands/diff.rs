//! `diff`: in what two envelopes differ. Nothing is verified.

mod lines;

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::author::{Outline, inspect, outline, take_out};
use trust::author::read_unverified_credential;
use trust::host::printable;

use self::lines::Lines;
use crate::describe::{CredentialView, ManifestView, device_key_of};
use crate::error::Error;
use crate::files::{MAX_BUNDLE_FILE_LEN, read};
use crate::output::Report;

/// The exit code when they differ.
const DIFFERENT: u8 = 6;
/// Elements that differ which are shown.
const MAX_SHOWN: usize = 1000;

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
    /// Every element that differs, down to the last command; the first [`MAX_SHOWN`] of them.
    elements: Vec<Difference>,
    /// How many more there are.
    left_out: usize,
}

impl Diff {
    pub fn run(&self) -> Result<Differing, Error> {
        let (old, new) = (File::read(&self.old)?, File::read(&self.new)?);
        let equal = old.bytes == new.bytes;
        let (mut elements, left_out) = Lines::new(&old.outline, &new.outline).differences(MAX_SHOWN);
        if elements.is_empty() && !equal {
            // The same values in other bytes: a longer head, a wider float, an empty map of texts.
            let length = |file: &File| Some(format!("{} bytes", file.bytes.len()));
            elements.push(Difference { what: "encoding".to_owned(), old: length(&old), new: length(&new) });
        }
        Ok(Differing { equal, release: of_rows(&old.release, &new.release), elements, left_out })
    }
}

/// A row: its name, and its value.
type Row = (String, String);

struct File {
    bytes: Vec<u8>,
    release: Vec<Row>,
    outline: Outline,
}

impl File {
    fn read(path: &Path) -> Result<Self, Error> {
        let bytes = read(path, MAX_BUNDLE_FILE_LEN)?;
        match outline(&bytes) {
            Some(outline) => Ok(Self { release: release_rows(&bytes), outline, bytes }),
            None => Err(match inspect(&bytes) {
                Ok(_) => Error::Internal("the envelope has no outline"),
                Err(error) => Error::refused_manifest(path, error),
            }),
        }
    }
}

/// What a release says about itself; nothing of an envelope that our devices would refuse.
fn release_rows(bytes: &[u8]) -> Vec<Row> {
    let release = take_out(bytes, &[]).unwrap_or_default();
    let Ok(inspection) = inspect(&release) else { return Vec::new() };
    let Ok(view) = ManifestView::of_inspection(&inspection) else { return Vec::new() };
    let mut rows = view.rows();
    let claims = inspection.credential().and_then(|cwt| read_unverified_credential(cwt).ok());
    if let Some(key) = device_key_of(&inspection) {
        rows.push(("authenticated by", format!("key {key} of one device")));
    }
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

/// Rows that each have at most once.
fn of_rows(old: &[Row], new: &[Row]) -> Vec<Difference> {
    let value = |rows: &[Row], name: &str| {
        rows.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let added = new.iter().filter(|(name, _)| value(old, name).is_none());
    let names = old.iter().chain(added).map(|(name, _)| name);
    let all =
        names.map(|name| Difference { what: name.clone(), old: value(old, name), new: value(new, name) });
    all.filter(|row| row.old != row.new).collect()
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
        if self.left_out > 0 {
            lines.push(format!("and {} more elements that differ", self.left_out));
        }
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
