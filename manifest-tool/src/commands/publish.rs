//! `publish`: send successions, revocation lists, image and release to an update-server (docs/server-api.md). It can be run again:
//! the server already has what was sent.

use std::path::{Path, PathBuf};

use serde::Serialize;
use suit_manifest::ReleaseImages;
use suit_manifest::author::{TakenApart, inspect};
use trust::host::read_unverified_revocation;
use trust::{MAX_SUCCESSION_CHAIN_LEN, read_succession_file, read_unverified_succession};

use crate::bundle::Bundle;
use crate::describe::{ManifestView, kid};
use crate::error::Error;
use crate::files::{MAX_RECORD_FILE_LEN, read};
use crate::image::MAX_PAYLOAD_LEN;
use crate::output::{Output, Report, table};
use crate::server::{HandedOut, ListInForce, Outcome, RootInForce, Server, ServerArguments};
use crate::step::StepArguments;
use crate::verification::{by_option, match_file, match_image};

/// The server holds other bytes under the digest of the image (docs/server-api.md).
const IMAGE_DAMAGED: &str = "image-damaged";

/// The order in which a server prefers envelopes: docs/server-api.md.
const ANOTHER: &str = "the server hands out another envelope of this release: one with the text, or under a credential that \
                       was issued later";

/// Send successions, revocation lists and a release to an update-server
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").multiple(true).required(true))]
pub struct Publish {
    /// Signed envelope
    #[arg(value_name = "R.suit", group = "what")]
    envelope: Option<PathBuf>,
    /// Image of the release, if it is not in the envelope
    #[arg(long, value_name = "I.bin", requires = "envelope")]
    image: Option<PathBuf>,
    /// Image of the release for the second slot, if it has one of its own that is not in the envelope
    #[arg(long, value_name = "I2.bin", requires = "envelope")]
    second_image: Option<PathBuf>,
    /// Table of a release of firmware and a table, if it is not in the envelope
    #[arg(long, value_name = "T.bin", requires = "envelope")]
    table: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArguments,
    /// Succession or succession chain, sent before everything else, in the order of their numbers (repeatable)
    #[arg(long = "succession", value_name = "FILE", group = "what")]
    successions: Vec<PathBuf>,
    /// Revocation list, sent before the release (repeatable)
    #[arg(long, value_name = "FILE", group = "what")]
    revocations: Vec<PathBuf>,
    /// Accept a sequence number that is more than 1048576 above the highest of the server
    #[arg(long, requires = "envelope")]
    allow_large_step: bool,
}

#[derive(Debug, Serialize)]
pub struct Published {
    server: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    successions: Vec<RootInForce>,
    revocations: Vec<ListInForce>,
    #[serde(flatten)]
    release: Option<PublishedRelease>,
}

#[derive(Debug, Serialize)]
struct PublishedRelease {
    /// `created`, or `present` when the server had it already.
    release: Outcome,
    image_upload: Outcome,
    /// Of a release with an image for each slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_image_upload: Option<Outcome>,
    /// Of a release of firmware and a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    table_upload: Option<Outcome>,
    envelope_url: Option<String>,
    /// Hosts get this envelope, and not one that the server prefers.
    handed_out: bool,
    #[serde(flatten)]
    manifest: ManifestView,
}

/// A release whose parts belong together.
struct Release {
    envelope: Vec<u8>,
    images: Vec<Upload>,
    manifest: ManifestView,
}

/// A file of a release.
struct Upload {
    option: &'static str,
    /// Digest, hex.
    sha256: String,
    content: Vec<u8>,
}

impl Publish {
    /// Sends the release last: the server offers nothing whose image it lacks.
    pub fn run(&self, output: Output) -> Result<Published, Error> {
        let release = self.envelope.as_ref().map(|envelope| self.read(envelope)).transpose()?;
        let mut successions =
            self.successions.iter().map(|path| read_succession(path)).collect::<Result<Vec<_>, _>>()?;
        successions.sort_by_key(|(_, meant)| meant.number());
        let lists = self.revocations.iter().map(|path| read_list(path)).collect::<Result<Vec<_>, _>>()?;

        let step = StepArguments::of(self.allow_large_step);
        self.server.run(output, async |server| {
            if let Some(Release { manifest, .. }) = &release {
                for newest in server.newest_sequences(manifest).await? {
                    step.check("sequence number", newest, manifest.sequence)?;
                }
            }
            let mut roots = Vec::new();
            for (succession, meant) in successions {
                roots.push(server.put_succession(succession, &meant).await?);
            }
            let mut revocations = Vec::new();
            for (list, meant) in lists {
                revocations.push(server.put_revocations(list, &meant).await?);
            }
            let release = match release {
                Some(release) => Some(release.send(&server, output).await?),
                None => None,
            };
            Ok(Published { server: self.server.url().to_owned(), successions: roots, revocations, release })
        })
    }

    /// Refuses before sending anything that the server would refuse. An image is a file, or in the envelope, out of which it is
    /// taken.
    fn read(&self, path: &Path) -> Result<Release, Error> {
        let bundle = Bundle::read(path)?;
        let refused = |error| Error::refused_manifest(path, error);
        let TakenApart { envelope, payloads } = bundle.taken_apart();
        let inspection = inspect(&envelope).map_err(refused)?;
        // A server verifies signatures; a MAC is a matter of the device.
        match (inspection.sign1(), inspection.block()) {
            (Some(_), _) => {}
            (None, Some(_)) => return Err(Error::refused(path, suit_manifest::Reason::CoseUnsupported, 0)),
            (None, None) => return Err(Error::refused(path, suit_manifest::Reason::SignatureMissing, 0)),
        }
        let manifest = ManifestView::of_inspection(&inspection).map_err(refused)?;
        manifest.warn_of_recipients();
        let named_images = inspection.images().map_err(refused)?;
        bundle.must_be_fetched(&payloads, &named_images)?;
        let by_option = by_option(&named_images);
        let ReleaseImages { first, second, table } = named_images;
        if second.is_none() && self.second_image.is_some() {
            return Err(Error::usage("the release has one image for both slots; omit --second-image"));
        }
        if table.is_none() && self.table.is_some() {
            return Err(Error::usage(
                "the release has no table beside an image: omit --table, and pass the table of a release of a table as --image",
            ));
        }
        let mut images = Vec::new();
        let places = [
            (Some(first), "--image", "the image is not in the envelope; pass --image", &self.image),
            (
                second,
                "--second-image",
                "the release has an image for the second slot; pass --second-image",
                &self.second_image,
            ),
            (table, "--table", "the release has a table beside the firmware; pass --table", &self.table),
        ];
        for (named, option, missing, file) in places {
            let Some(named) = named else { continue };
            let inside = payloads.iter().find(|(uri, _)| *uri == named.uri).map(|(_, payload)| *payload);
            let image = match (file, inside) {
                (Some(_), Some(_)) => {
                    return Err(Error::usage(format!(
                        "what the release installs is in the envelope; omit {option}"
                    )));
                }
                (Some(file), None) => {
                    let image = read(file, MAX_PAYLOAD_LEN)?;
                    match_file(file, &image, option, &by_option)?;
                    image
                }
                (None, Some(payload)) => {
                    match_image(&bundle.name_of(named.uri), payload, &named)?;
                    payload.to_vec()
                }
                (None, None) => return Err(Error::usage(missing)),
            };
            images.push(Upload { option, sha256: hex::encode(named.digest), content: image });
        }
        Ok(Release { envelope: envelope.to_vec(), images, manifest })
    }
}

/// Reads a list. No other file is sent: it could be a private key.
fn read_list(path: &Path) -> Result<(Vec<u8>, ListInForce), Error> {
    let bytes = read(path, MAX_RECORD_FILE_LEN)?;
    let list = read_unverified_revocation(&bytes).map_err(|error| Error::refused_record(path, error))?;
    let says = ListInForce { issuer_kid: kid(list.issuer_kid()), list_sequence: list.sequence() };
    Ok((bytes, says))
}

/// Reads a succession or a chain, and to which root it leads. No other file is sent: it could be a private key.
fn read_succession(path: &Path) -> Result<(Vec<u8>, RootInForce), Error> {
    let bytes = read(path, MAX_SUCCESSION_CHAIN_LEN as u64)?;
    let refused = |error| Error::refused_record(path, error);
    let file = read_succession_file(&bytes).map_err(refused)?;
    let last = file.records.last().ok_or(Error::Internal("a file of successions has no record"))?;
    let claims = read_unverified_succession(last).map_err(refused)?;
    let meant = RootInForce::new(&claims);
    Ok((bytes, meant))
}

impl Release {
    async fn send(self, server: &Server, output: Output) -> Result<PublishedRelease, Error> {
        let digest = &self.manifest.manifest_digest;
        let mut uploads = Vec::new();
        for Upload { option, sha256, content } in &self.images {
            uploads.push((*option, server.put_image(sha256, content, output).await?));
        }
        let posted = match server.post_release(self.envelope.clone(), digest).await {
            // The server found its own copy damaged.
            Err(error) if error.code() == IMAGE_DAMAGED => {
                for Upload { sha256, content, .. } in &self.images {
                    server.send_image(sha256, content, output).await?;
                }
                // What came just now was whole.
                let held = uploads.iter_mut().filter(|(_, outcome)| *outcome == Outcome::Present);
                held.for_each(|(_, outcome)| *outcome = Outcome::Repaired);
                server.post_release(self.envelope.clone(), digest).await
            }
            posted => posted,
        };
        let (release, envelope_url) = posted?;
        let handed_out = match server.hands_out(digest, &self.envelope).await? {
            HandedOut::This => true,
            HandedOut::Another => {
                output.warn(ANOTHER);
                false
            }
            HandedOut::Nothing(why) => {
                output.warn(&format!("the server has the release and offers it to no host: {why}"));
                false
            }
        };
        let of = |option| uploads.iter().find(|(name, _)| *name == option).map(|(_, outcome)| *outcome);
        Ok(PublishedRelease {
            release,
            image_upload: of("--image").ok_or(Error::Internal("a release has no image"))?,
            second_image_upload: of("--second-image"),
            table_upload: of("--table"),
            envelope_url,
            handed_out,
            manifest: self.manifest,
        })
    }
}

impl Report for Published {
    fn lines(&self) -> String {
        let mut rows = vec![("server", self.server.clone())];
        rows.extend(self.successions.iter().map(|root| ("root", format!("in force: {root}"))));
        rows.extend(self.revocations.iter().map(|list| ("revocation list", format!("in force: {list}"))));
        if let Some(release) = &self.release {
            rows.push(("image", release.image_upload.to_string()));
            let second = release.second_image_upload.as_ref();
            rows.extend(second.map(|outcome| ("second image", outcome.to_string())));
            rows.extend(release.table_upload.as_ref().map(|outcome| ("table", outcome.to_string())));
            rows.push(("release", release.release.to_string()));
            rows.extend(release.manifest.rows());
        }
        table(&rows)
    }
}
