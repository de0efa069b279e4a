//! `extract`: take an integrated image out of an envelope, into a file of its own.

use std::path::PathBuf;

use serde::Serialize;
use suit_manifest::author::take_out;

use crate::bundle::{Bundle, MemberFault, PayloadView, images_of};
use crate::error::Error;
use crate::files::{OverwriteArguments, must_differ, write_all};
use crate::output::{Output, Report, table};
use crate::verification::match_image;

/// Take an integrated image out of an envelope
#[derive(clap::Args, Clone, Debug)]
pub struct Extract {
    /// Envelope with an image in it
    #[arg(value_name = "FILE")]
    envelope: PathBuf,
    /// Member to take out, such as #image [default: the only one]
    #[arg(long, value_name = "URI")]
    uri: Option<String>,
    /// Image to write
    #[arg(long, value_name = "I.bin")]
    image_out: PathBuf,
    /// Envelope without it to write
    #[arg(long, value_name = "R.suit")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct Extracted {
    envelope: PathBuf,
    image_file: PathBuf,
    #[serde(flatten)]
    payload: PayloadView,
    /// Whether the manifest names these very bytes; `false`: it could not be compared, or names no image there.
    image_matches: bool,
}

impl Extract {
    pub fn run(&self, output: Output) -> Result<Extracted, Error> {
        for out in [&self.out, &self.image_out] {
            must_differ(out, &[&self.envelope])?;
        }
        let bundle = Bundle::read(&self.envelope)?;
        let tree = bundle.tree()?;
        let member = match (&self.uri, tree.integrated.as_slice()) {
            (_, []) => return Err(bundle.fault(MemberFault::NothingIntegrated)),
            (None, [only]) => only,
            (None, several) => {
                let uris: Vec<_> = several.iter().map(|member| format!("{:?}", member.uri)).collect();
                return Err(bundle.fault(MemberFault::Ambiguous(uris.join(", "))));
            }
            (Some(uri), _) => {
                let absent = || bundle.fault(MemberFault::Absent(format!("{uri:?}")));
                tree.integrated(uri).ok_or_else(absent)?
            }
        };
        let content = member.content.bytes;
        let release = bundle.release()?;
        let unmatched = match images_of(&release) {
            Ok(named) => match named.iter().find(|image| image.uri == member.uri) {
                Some(image) => {
                    match_image(&bundle.name_of(member.uri), content, image)?;
                    None
                }
                None => Some("the manifest fetches no image from there".to_owned()),
            },
            Err(error) => {
                Some(format!("our devices would refuse the manifest: {}", error.reason().message()))
            }
        };
        let rest = take_out(bundle.bytes(), &[member.uri]).map_err(|error| bundle.not_changed(error))?;
        write_all(&[(&self.image_out, content), (&self.out, &rest)], self.overwrite.existing())?;
        if let Some(why) = &unmatched {
            output.warn(&format!("the bytes were not compared with a digest: {why}"));
        }
        Ok(Extracted {
            envelope: self.out.clone(),
            image_file: self.image_out.clone(),
            payload: PayloadView::of(member),
            image_matches: unmatched.is_none(),
        })
    }
}

impl Report for Extracted {
    fn lines(&self) -> String {
        let matches = if self.image_matches { "yes" } else { "NOT compared" };
        table(&[
            ("envelope", self.envelope.display().to_string()),
            ("image file", self.image_file.display().to_string()),
            ("member", self.payload.words()),
            ("image matches", matches.to_owned()),
        ])
    }
}
