//! `verify`: would a device with these anchors take this release, and is this its image?

use std::path::PathBuf;

use serde::Serialize;
use trust::host::{Serial, clock_warning};

use crate::describe::{CredentialView, ManifestView};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, read};
use crate::identifiers::{Class, Vendor, device_id};
use crate::image::MAX_IMAGE_LEN;
use crate::output::{Output, Report, table};
use crate::time::{Time, now};
use crate::trusted::TrustArguments;
use crate::verification::{Device, Verification, match_image};

/// Verify a signed release as a device does
#[derive(clap::Args, Clone, Debug)]
#[command(mut_arg("anchors", |anchors| anchors.required(true)))]
pub struct Verify {
    /// Signed envelope
    #[arg(value_name = "R.suit")]
    envelope: PathBuf,
    #[command(flatten)]
    trust: TrustArguments,
    /// Image to compare with the manifest; of a release with two, either
    #[arg(long, value_name = "I.bin")]
    image: Option<PathBuf>,
    /// Vendor of the target devices: UUID or domain
    #[arg(long, requires = "class")]
    vendor: Option<Vendor>,
    /// Class of the target devices: UUID or name
    #[arg(long, requires = "vendor")]
    class: Option<Class>,
    /// Serial of the target device
    #[arg(long, requires = "vendor")]
    serial: Option<Serial>,
    /// Refuse a release below this sequence number
    #[arg(long, value_name = "SEQUENCE", default_value_t = 0)]
    sequence_floor: u64,
    /// Time at which the credential must be valid, such as 2030-01-31T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Time>,
}

#[derive(Debug, Serialize)]
pub struct VerifyReport {
    verified: bool,
    image_verified: bool,
    /// Component slot whose image `--image` is, of a release with an image for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_slot: Option<u8>,
    #[serde(flatten)]
    manifest: ManifestView,
    credential: CredentialView,
}

impl Verify {
    pub fn run(&self, output: Output) -> Result<VerifyReport, Error> {
        let trusted = self.trust.open()?.ok_or(Error::Internal("no anchor was given"))?;
        let envelope = read(&self.envelope, MAX_ENVELOPE_FILE_LEN)?;
        let device = self.vendor.as_ref().zip(self.class.as_ref()).map(|(vendor, class)| {
            let vendor = vendor.id();
            Device {
                vendor: vendor.into_bytes(),
                class: class.id(vendor).into_bytes(),
                device: self.serial.as_ref().map(|serial| device_id(serial, vendor).into_bytes()),
            }
        });
        let verification = Verification {
            trusted: &trusted,
            now: now(self.now)?,
            device,
            sequence_floor: self.sequence_floor,
        };
        let refused = |error| Error::refused_manifest(&self.envelope, error);
        let verified = verification.of(&envelope).map_err(refused)?;
        let mut image_slot = None;
        if let Some(path) = &self.image {
            let image = read(path, MAX_IMAGE_LEN)?;
            let second = verified.second_image.as_ref();
            let is_second = second.is_some_and(|second| match_image(path, &image, second).is_ok());
            if !is_second {
                match_image(path, &image, &verified.image)?;
            }
            image_slot = second.map(|_| u8::from(is_second));
        }
        let authenticated = &verified.authenticated;
        if let Some(warning) = clock_warning(authenticated.authority().credential(), verification.now) {
            output.warn(warning);
        }
        Ok(VerifyReport {
            verified: true,
            image_verified: self.image.is_some(),
            image_slot,
            manifest: ManifestView::new(
                authenticated.manifest(),
                authenticated.digest(),
                (&verified.image, verified.second_image.as_ref()),
            )
            .map_err(refused)?,
            credential: CredentialView::new(authenticated.authority().credential()),
        })
    }
}

impl Report for VerifyReport {
    fn lines(&self) -> String {
        let image = match (self.image_verified, self.image_slot) {
            (false, _) => "not checked: no --image was given",
            (true, None) => "yes",
            (true, Some(0)) => "yes (first slot)",
            (true, Some(_)) => "yes (second slot)",
        };
        let mut rows = vec![("verified", "yes".to_owned()), ("image matches", image.to_owned())];
        rows.extend(self.manifest.rows());
        rows.push(("signed by", format!("{} ({})", self.credential.subject, self.credential.kid)));
        rows.push(("certified by", format!("{} ({})", self.credential.issuer, self.credential.issuer_kid)));
        table(&rows)
    }
}
