//! `compose`: an unsigned envelope of a description in TOML, with whatever the documents of SUIT offer.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::author::AuthorError;
use suit_manifest::author::tree::EnvelopeTree;

use crate::description::Description;
use crate::error::Error;
use crate::files::{OverwriteArguments, must_differ, write};
use crate::lint::{Code, Finding, findings};
use crate::output::{Output, Report, table};

/// Make an unsigned envelope of a description in TOML, with whatever SUIT offers
#[derive(clap::Args, Clone, Debug)]
pub struct Compose {
    /// Description (docs/compose.md); files in it are relative to it
    #[arg(value_name = "DESCRIPTION.toml")]
    description: PathBuf,
    /// Unsigned envelope to write
    #[arg(long, value_name = "U.suit")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Composed {
    envelope: PathBuf,
    bytes: usize,
    manifest_digest: String,
    sequence: u64,
    components: usize,
    /// Files that went in, or that digests and sizes are of.
    files: Vec<PathBuf>,
    /// What `lint` says of it: what our devices do not run.
    findings: Vec<Finding>,
}

impl Compose {
    pub fn run(&self, output: Output) -> Result<Composed, Error> {
        let Description { composition, files } = Description::open(&self.description)?;
        let inputs: Vec<&Path> =
            [&self.description].into_iter().chain(&files).map(PathBuf::as_path).collect();
        must_differ(&self.out, &inputs)?;
        let envelope = composition.compose().map_err(|error| match error {
            AuthorError::Refused(error) => {
                let described = format!("the envelope that {} describes", self.description.display());
                Error::refused_manifest(Path::new(&described), error)
            }
            other => Error::Author { what: "the envelope", source: Box::new(other) },
        })?;
        let tree = EnvelopeTree::read(&envelope)
            .map_err(|_| Error::Internal("the composed envelope cannot be read back"))?;
        // That nobody has signed it is no finding here.
        let is_of_content = |finding: &Finding| finding.code != Code::Unsigned;
        let findings: Vec<Finding> = findings(&envelope, None).into_iter().filter(is_of_content).collect();
        write(&self.out, &envelope, self.overwrite.existing())?;
        for finding in &findings {
            output.warn(&finding.line());
        }
        Ok(Composed {
            envelope: self.out.clone(),
            bytes: envelope.len(),
            manifest_digest: hex::encode(tree.digest.bytes()),
            sequence: tree.manifest.sequence_number,
            components: tree.manifest.components.len(),
            files,
            findings,
        })
    }
}

impl Report for Composed {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("envelope", format!("{} (unsigned), {} bytes", self.envelope.display(), self.bytes)),
            ("manifest", self.manifest_digest.clone()),
            ("sequence", self.sequence.to_string()),
            ("components", self.components.to_string()),
        ];
        rows.extend(self.files.iter().map(|path| ("file", path.display().to_string())));
        table(&rows)
    }
}
