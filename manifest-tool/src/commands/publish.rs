//! `publish`: revocation lists, image and release to an update-server (docs/server-api.md). Running it again does
//! no harm: what is there already is not sent, or is taken as sent.

mod server;

use crate::describe::ManifestView;
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, MAX_RECORD_FILE_LEN, read};
use crate::image::MAX_IMAGE_LEN;
use crate::output::{Output, Report, table};
use crate::verification::match_image;
use serde::Serialize;
use server::{Outcome, Server};
use std::path::PathBuf;
use suit_manifest::author::inspect;

/// Send a release to an update-server
#[derive(clap::Args, Clone, Debug)]
pub struct Publish {
    /// Signed envelope
    #[arg(value_name = "R.suit")]
    envelope: PathBuf,
    /// Image of the release
    #[arg(long, value_name = "I.bin")]
    image: PathBuf,
    /// URL of the server, as https://updates.example.com
    #[arg(long, value_name = "URL")]
    server: String,
    /// File that holds the bearer token
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Revocation list to send first; several can be given
    #[arg(long, value_name = "FILE")]
    revocations: Vec<PathBuf>,
}

/// What `publish` did.
#[derive(Debug, Serialize)]
pub struct Published {
    server: String,
    /// `created`, or `present` when the server had it already.
    release: Outcome,
    image_upload: Outcome,
    revocations: Vec<Outcome>,
    envelope_url: Option<String>,
    #[serde(flatten)]
    manifest: ManifestView,
}

impl Publish {
    /// Sends everything, the release last: nothing is offered before its image is there.
    pub fn run(&self, output: Output) -> Result<Published, Error> {
        let envelope = read(&self.envelope, MAX_ENVELOPE_FILE_LEN)?;
        let refused = |error| Error::refused_manifest(&self.envelope, error);
        let inspection = inspect(&envelope).map_err(refused)?;
        if inspection.sign1().is_none() {
            return Err(Error::Refused {
                path: self.envelope.clone(),
                reason: suit_manifest::Reason::SignatureMissing,
                position: 0,
            });
        }
        let manifest = ManifestView::of_inspection(&inspection).map_err(refused)?;
        let image = read(&self.image, MAX_IMAGE_LEN)?;
        match_image(&self.image, &image, &inspection.image_reference().map_err(refused)?)?;
        let lists = self.revocations.iter().map(|path| read(path, MAX_RECORD_FILE_LEN));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;

        let server = Server::new(&self.server, &self.token_file)?;
        if server.sends_the_token_in_clear() {
            output.warn("the token goes over the network unencrypted: use https");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| Error::Internal("no runtime"))?;
        runtime.block_on(async {
            let mut revocations = Vec::new();
            for list in lists {
                revocations.push(server.put_revocations(list).await?);
            }
            let image_upload = server.put_image(&manifest.image.sha256, image, output).await?;
            let (release, envelope_url) = server.post_release(envelope.clone()).await?;
            Ok(Published {
                server: self.server.clone(),
                release,
                image_upload,
                revocations,
                envelope_url,
                manifest,
            })
        })
    }
}

impl Report for Published {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("server", self.server.clone()),
            ("release", self.release.to_string()),
            ("image", self.image_upload.to_string()),
        ];
        rows.extend(self.revocations.iter().map(|outcome| ("revocation list", outcome.to_string())));
        rows.extend(self.manifest.rows());
        table(&rows)
    }
}
