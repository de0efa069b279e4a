//! `integrate`: put images into an envelope (draft-ietf-suit-manifest-37 sections 5.5 and 7.5). The manifest is signed:
//! only an image that it fetches from a URI that begins with "#" can be integrated.

use std::path::PathBuf;

use serde::Serialize;

use crate::bundle::{Bundle, MemberFault, PayloadView, images_of, is_integrated};
use crate::error::Error;
use crate::files::{OverwriteArguments, must_differ, read, write};
use crate::image::MAX_PAYLOAD_LEN;
use crate::output::{Output, Report, table};
use crate::verification::match_image;

/// Put images into an envelope whose manifest fetches them from there
#[derive(clap::Args, Clone, Debug)]
pub struct Integrate {
    /// Envelope of `create --integrated`, signed
    #[arg(value_name = "R.suit")]
    envelope: PathBuf,
    /// Image that the manifest names (repeatable)
    #[arg(long = "image", value_name = "I.bin", required = true)]
    images: Vec<PathBuf>,
    /// Envelope to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

#[derive(Debug, Serialize)]
pub struct IntegratedReport {
    envelope: PathBuf,
    bytes: usize,
    integrated: Vec<PayloadView>,
    /// URIs of images that the manifest fetches from the envelope, and that are not in it.
    missing: Vec<String>,
}

impl Integrate {
    pub fn run(&self, output: Output) -> Result<IntegratedReport, Error> {
        let inputs: Vec<_> = [&self.envelope].into_iter().chain(&self.images).map(PathBuf::as_path).collect();
        must_differ(&self.out, &inputs)?;
        let bundle = Bundle::read(&self.envelope)?;
        let tree = bundle.tree()?;
        let release = bundle.release()?;
        let refused = |error| Error::refused_manifest(&self.envelope, error);
        let named = images_of(&release).map_err(refused)?;
        // Section 5.5: the URI says where the image is, and it is signed.
        if let Some(other) = named.iter().find(|image| !is_integrated(image.uri)) {
            return Err(bundle.fault(MemberFault::OtherUri(other.uri.to_owned())));
        }
        let mut payloads: Vec<(&str, Vec<u8>)> = Vec::new();
        for path in &self.images {
            let image = read(path, MAX_PAYLOAD_LEN)?;
            let found = named.iter().find(|named| match_image(path, &image, named).is_ok());
            let Some(found) = found else {
                let first = named.first().ok_or(Error::Internal("a release without an image"))?;
                return Err(match_image(path, &image, first).err().unwrap_or(Error::Internal("it matches")));
            };
            let is_there = payloads.iter().any(|(uri, _)| *uri == found.uri);
            if is_there || tree.integrated(found.uri).is_some() {
                return Err(bundle.fault(MemberFault::There(found.uri.to_owned())));
            }
            payloads.push((found.uri, image));
        }
        let members: Vec<(&str, &[u8])> =
            payloads.iter().map(|(uri, image)| (*uri, image.as_slice())).collect();
        let made = suit_manifest::author::integrate(bundle.bytes(), &members)
            .map_err(|error| bundle.not_changed(error))?;
        write(&self.out, &made, self.overwrite.existing())?;
        if tree.blocks.is_empty() {
            output.warn("the envelope is not signed, and `sign` takes none with an image in it: sign first");
        }
        let is_missing =
            |uri: &str| tree.integrated(uri).is_none() && !members.iter().any(|(there, _)| *there == uri);
        let missing = named.iter().map(|image| image.uri).filter(|uri| is_missing(uri));
        Ok(IntegratedReport {
            envelope: self.out.clone(),
            bytes: made.len(),
            integrated: members.iter().map(|(uri, image)| PayloadView::new(uri, image)).collect(),
            missing: missing.map(str::to_owned).collect(),
        })
    }
}

impl Report for IntegratedReport {
    fn lines(&self) -> String {
        let mut rows = vec![("envelope", format!("{}, {} bytes", self.envelope.display(), self.bytes))];
        rows.extend(self.integrated.iter().map(|payload| ("integrated", payload.words())));
        rows.extend(self.missing.iter().map(|uri| ("still missing", format!("{uri:?}"))));
        table(&rows)
    }
}
