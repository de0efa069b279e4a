//! `verify`: would a device with these anchors, or with this provisioning block, take this release, and is this its image?

mod bare;

use std::path::{Path, PathBuf};

use clap::ArgGroup;
use serde::Serialize;
use suit_manifest::author::TakenApart;
use suit_manifest::{ImageReference, ReleaseImages};
use trust::UnixTime;
use trust::host::{Serial, clock_warning};

use self::bare::{BareArguments, BareReport};
use crate::bundle::Bundle;
use crate::describe::{CredentialView, ManifestView, kid};
use crate::error::Error;
use crate::files::read;
use crate::identifiers::{Class, Vendor, device_id};
use crate::image::MAX_PAYLOAD_LEN;
use crate::output::{Output, Report, table};
use crate::provisioned::{ProvisionedDevice, Taken};
use crate::time::{Time, now};
use crate::trusted::TrustArguments;
use crate::verification::{Device, Verification, Verified, match_image, misplaced};

/// `--table` with a release of one of both.
const NO_TABLE_BESIDE: &str = "the release has no table beside an image: omit --table, and pass the table of a release of a table \
                               as --image";

/// Verify a release as a device does
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("bare").args(["public_keys", "keys_of"]).multiple(true))]
#[command(group = ArgGroup::new("compared").args(["image", "table"]).multiple(true))]
#[command(group = ArgGroup::new("judge").args(["anchors", "block", "public_keys", "keys_of"]).required(true).multiple(true))]
pub struct Verify {
    /// Signed envelope, or one that is authenticated for the device of --block
    #[arg(value_name = "R.suit")]
    envelope: PathBuf,
    #[command(flatten)]
    trust: TrustArguments,
    /// Provisioning block of the target device: judge as that device does, with its keys and its anchors
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "anchors", "vendor", "class", "serial", "recovery_anchors", "successions", "revocations",
    ])]
    block: Option<PathBuf>,
    #[command(flatten)]
    bare: BareArguments,
    /// Image to compare with the manifest; of a release with two, either. One that is in the envelope is compared anyway
    #[arg(long, value_name = "I.bin")]
    image: Option<PathBuf>,
    /// Table to compare, of a release of firmware and a table
    #[arg(long, value_name = "T.bin")]
    table: Option<PathBuf>,
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

/// Which images were checked.
#[derive(Clone, Copy)]
struct Checked {
    any: bool,
    /// Component slot of that of --image, of a release with an image for each.
    slot: Option<u8>,
    /// Whether the table was, of a release of firmware and a table.
    table: Option<bool>,
}

#[derive(Debug, Serialize)]
pub struct VerifyReport {
    verified: bool,
    image_verified: bool,
    /// Component slot whose image `--image` is, of a release with an image for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_slot: Option<u8>,
    /// Of a release of firmware and a table.
    #[serde(skip_serializing_if = "Option::is_none")]
    table_verified: Option<bool>,
    /// Whether the device decrypted it to what the manifest installs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    image_decrypted: bool,
    #[serde(flatten)]
    manifest: ManifestView,
    /// Of who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialView>,
    /// kid of the device's key, if that authenticates it in place of a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_key: Option<String>,
}

/// What was asked for: a device's judgement, or that of keys alone.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Judgement {
    OfDevice(Box<VerifyReport>),
    OfKeys(BareReport),
}

impl Report for Judgement {
    fn lines(&self) -> String {
        match self {
            Self::OfDevice(report) => report.lines(),
            Self::OfKeys(report) => report.lines(),
        }
    }
}

impl Verify {
    pub fn run(&self, output: Output) -> Result<Judgement, Error> {
        if self.bare.are_given() {
            let report = self.bare.run(&self.envelope, self.image.as_deref(), self.table.as_deref())?;
            return Ok(Judgement::OfKeys(report));
        }
        self.of_device(output).map(Box::new).map(Judgement::OfDevice)
    }

    fn of_device(&self, output: Output) -> Result<VerifyReport, Error> {
        if let Some(block) = &self.block {
            return self.as_device(&ProvisionedDevice::open(block)?, output);
        }
        let trusted = self.trust.open()?.ok_or(Error::Internal("no anchor was given"))?;
        let bundle = Bundle::read(&self.envelope)?;
        let apart = bundle.taken_apart();
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
        let verified = verification.of(&apart.envelope).map_err(refused)?;
        let checked = self.check_images(&bundle, &apart, &verified.images, match_image)?;
        self.report_of_signed(&verified, verification.now, checked, output)
    }

    /// Judges as the device with this provisioning block does.
    fn as_device(&self, device: &ProvisionedDevice, output: Output) -> Result<VerifyReport, Error> {
        if self.now.is_some() && !device.has_anchors() {
            return Err(Error::usage("--now is for credentials, and the block has no anchors to verify one"));
        }
        let bundle = Bundle::read(&self.envelope)?;
        let apart = bundle.taken_apart();
        let now = now(self.now)?;
        let taken = device.judge((&self.envelope, &apart.envelope), now, self.sequence_floor)?;
        let images = taken.images();
        let check =
            |path: &Path, image: &[u8], named: &ImageReference<'_>| device.check_image(path, image, named);
        let checked = self.check_images(&bundle, &apart, images, check)?;
        let image_decrypted = checked.any && images.first.decrypted.is_some();
        match &taken {
            Taken::Signed(verified) => {
                let report = self.report_of_signed(verified, now, checked, output)?;
                Ok(VerifyReport { image_decrypted, ..report })
            }
            Taken::Authenticated(own) => Ok(VerifyReport {
                verified: true,
                image_verified: checked.any,
                image_slot: checked.slot,
                table_verified: checked.table,
                image_decrypted,
                manifest: ManifestView::new(&own.manifest, &own.digest, images)
                    .map_err(|error| Error::refused_manifest(&self.envelope, error))?,
                credential: None,
                authentication_key: Some(kid(own.kid)),
            }),
        }
    }

    /// Checks the images that are in the envelope, and the one of --image, by `check`.
    fn check_images(
        &self,
        bundle: &Bundle<'_>,
        apart: &TakenApart<'_>,
        images: &ReleaseImages<'_>,
        check: impl Fn(&Path, &[u8], &ImageReference<'_>) -> Result<(), Error>,
    ) -> Result<Checked, Error> {
        bundle.must_be_fetched(&apart.payloads, images)?;
        let ReleaseImages { first, second, table } = images;
        // --image takes that of either slot.
        let options: Vec<_> = [("--image", *first)]
            .into_iter()
            .chain(second.map(|second| ("--image", second)))
            .chain(table.map(|table| ("--table", table)))
            .collect();
        let compare = |path: &Path, file: &[u8], named: &ImageReference<'_>, option| {
            check(path, file, named).map_err(|error| misplaced(error, path, file, option, &options))
        };
        let inside = |named: &ImageReference<'_>| bundle.check_inside(&apart.payloads, named, &check);
        let mut checked = Checked { any: inside(first)?, slot: None, table: None };
        if let Some(second) = second {
            checked.any |= inside(second)?;
        }
        if let Some(path) = &self.image {
            let image = read(path, MAX_PAYLOAD_LEN)?;
            let is_second = second.is_some_and(|second| match_image(path, &image, &second).is_ok());
            compare(path, &image, second.as_ref().filter(|_| is_second).unwrap_or(first), "--image")?;
            (checked.any, checked.slot) = (true, second.map(|_| u8::from(is_second)));
        }
        match (table, &self.table) {
            (Some(named), Some(path)) => {
                inside(named)?;
                compare(path, &read(path, MAX_PAYLOAD_LEN)?, named, "--table")?;
                checked.table = Some(true);
            }
            (Some(named), None) => checked.table = Some(inside(named)?),
            (None, Some(_)) => {
                return Err(Error::usage(NO_TABLE_BESIDE));
            }
            (None, None) => {}
        }
        Ok(checked)
    }

    fn report_of_signed(
        &self,
        verified: &Verified<'_>,
        now: UnixTime,
        checked: Checked,
        output: Output,
    ) -> Result<VerifyReport, Error> {
        let authenticated = &verified.authenticated;
        let credential = authenticated.authority().credential();
        if let Some(warning) = clock_warning(credential, now) {
            output.warn(warning);
        }
        let manifest = ManifestView::new(authenticated.manifest(), authenticated.digest(), &verified.images)
            .map_err(|error| Error::refused_manifest(&self.envelope, error))?;
        manifest.warn_of_recipients();
        Ok(VerifyReport {
            verified: true,
            image_verified: checked.any,
            image_slot: checked.slot,
            table_verified: checked.table,
            image_decrypted: false,
            manifest,
            credential: Some(CredentialView::new(credential)),
            authentication_key: None,
        })
    }
}

impl Report for VerifyReport {
    fn lines(&self) -> String {
        let image = match (self.image_verified, self.image_slot) {
            (false, _) => "not checked: no --image was given, and none is in the envelope",
            (true, None) => "yes",
            (true, Some(0)) => "yes (first slot)",
            (true, Some(_)) => "yes (second slot)",
        };
        let mut rows = vec![("verified", "yes".to_owned()), ("image matches", image.to_owned())];
        rows.extend(self.table_verified.map(|is_verified| {
            let words = if is_verified {
                "yes"
            } else {
                "not checked: no --table was given, and it is not in the envelope"
            };
            ("table matches", words.to_owned())
        }));
        if self.image_decrypted {
            rows.push(("image decrypts", "yes".to_owned()));
        }
        rows.extend(self.manifest.rows());
        if let Some(credential) = &self.credential {
            rows.push(("signed by", format!("{} ({})", credential.subject, credential.kid)));
            rows.push(("certified by", format!("{} ({})", credential.issuer, credential.issuer_kid)));
        }
        rows.extend(
            self.authentication_key
                .as_ref()
                .map(|kid| ("authenticated by", format!("the device's own key {kid}"))),
        );
        table(&rows)
    }
}
