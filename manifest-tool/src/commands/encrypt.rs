//! `encrypt`: make the images of an unsigned release unreadable for all but some devices.

use std::path::{Path, PathBuf};

use clap::ArgGroup;
use serde::Serialize;
use suit_manifest::author::{UpdateDescription, inspect};
use trust::author::Recipient;
use trust::encryption::ContentAlgorithm;
use trust::host::Serial;

use crate::describe::{ManifestView, kid};
use crate::encryption::{encrypted, must_be_for, plain_update, read_images};
use crate::error::Error;
use crate::files::{MAX_ENVELOPE_FILE_LEN, OverwriteArguments, must_differ, read, write_all};
use crate::identifiers::device_serial;
use crate::master_key::{KeyDerivation, MasterArguments, key_check};
use crate::output::{Report, table};
use crate::recipients::{Device, derive, read_recipients};

/// How an image is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// AES-128 in Galois/counter mode, with a tag behind the image
    #[value(name = "a128gcm")]
    A128Gcm,
    /// AES-128 in counter mode; nothing but the signed digest says that it is whole
    #[value(name = "a128ctr")]
    A128Ctr,
}

impl Algorithm {
    pub(super) fn of_trust(self) -> ContentAlgorithm {
        match self {
            Self::A128Gcm => ContentAlgorithm::A128Gcm,
            Self::A128Ctr => ContentAlgorithm::A128Ctr,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::A128Gcm => "A128GCM",
            Self::A128Ctr => "A128CTR",
        }
    }
}

/// Encrypt the image of an unsigned release, for some devices alone
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("keys").args(["recipients", "master"]).required(true))]
pub struct Encrypt {
    /// Unsigned envelope of create; the result is signed afterwards
    #[arg(value_name = "U.suit")]
    envelope: PathBuf,
    /// Image of the release, as create wrote it
    #[arg(long, value_name = "I.bin")]
    image: PathBuf,
    /// Image of the release for the second slot, if it has one of its own
    #[arg(long, value_name = "I2.bin", requires = "second_ciphertext_out")]
    second_image: Option<PathBuf>,
    /// Devices that may read it, with their update keys: CSV file of serial, kid and key
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["line", "derivation", "revision", "serials", "devices"])]
    recipients: Option<PathBuf>,
    #[command(flatten)]
    master: MasterArguments,
    /// Serial of a device that may read it (repeatable)
    #[arg(long = "serial", value_name = "SERIAL", value_parser = device_serial, requires = "master",
          required_unless_present_any = ["recipients", "devices"])]
    serials: Vec<Serial>,
    /// List of a batch (devices.csv), to compare the key-check values; without --serial, all of its devices may read it
    #[arg(long, value_name = "FILE", requires = "master")]
    devices: Option<PathBuf>,
    /// How the image is encrypted
    #[arg(long, value_enum, default_value = "a128gcm")]
    algorithm: Algorithm,
    /// Unsigned envelope to write
    #[arg(long, value_name = "E.suit")]
    out: PathBuf,
    /// Encrypted image to write: what hosts and servers get in place of the image
    #[arg(long, value_name = "I.enc")]
    ciphertext_out: PathBuf,
    /// Encrypted image for the second slot to write
    #[arg(long, value_name = "I2.enc", requires = "second_image")]
    second_ciphertext_out: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArguments,
}

/// A device that may read the image.
#[derive(Debug, Serialize)]
struct RecipientView {
    serial: String,
    /// Of its update key.
    kid: String,
    key_check: String,
}

#[derive(Debug, Serialize)]
pub struct Encrypted {
    envelope: PathBuf,
    ciphertext_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_ciphertext_file: Option<PathBuf>,
    algorithm: Algorithm,
    #[serde(skip_serializing_if = "Option::is_none")]
    derivation: Option<KeyDerivation>,
    recipients: Vec<RecipientView>,
    #[serde(flatten)]
    manifest: ManifestView,
}

impl Encrypt {
    pub fn run(&self) -> Result<Encrypted, Error> {
        self.check_files()?;
        let envelope = read(&self.envelope, MAX_ENVELOPE_FILE_LEN)?;
        let update = plain_update(&self.envelope, &envelope)?;
        let images = read_images(
            (&self.envelope, &envelope),
            (&self.image, self.second_image.as_deref()),
            "--second-image and --second-ciphertext-out",
        )?;
        let (derivation, devices) = self.open_devices(&update)?;
        must_be_for(&update, devices.iter().map(|device| &device.serial))?;
        let recipients = devices.iter().map(Device::recipient).collect::<Result<Vec<Recipient>, _>>()?;
        let made = encrypted(&update, &images, self.algorithm.of_trust(), &recipients)?;

        let manifest = inspect(&made.envelope)
            .and_then(|inspection| ManifestView::of_inspection(&inspection))
            .map_err(|_| Error::Internal("the encrypted release cannot be read back"))?;
        let ciphertext_files = std::iter::once(&self.ciphertext_out).chain(&self.second_ciphertext_out);
        let mut files: Vec<(&Path, &[u8])> = ciphertext_files
            .zip(&made.ciphertexts)
            .map(|(path, ciphertext)| (path.as_path(), ciphertext.as_slice()))
            .collect();
        files.push((&self.out, &made.envelope));
        write_all(&files, self.overwrite.existing())?;
        let view = |device: &Device| RecipientView {
            serial: device.serial.to_string(),
            kid: kid(device.key.kid),
            key_check: key_check(&device.key),
        };
        Ok(Encrypted {
            envelope: self.out.clone(),
            ciphertext_file: self.ciphertext_out.clone(),
            second_ciphertext_file: self.second_ciphertext_out.clone(),
            algorithm: self.algorithm,
            derivation,
            recipients: devices.iter().map(view).collect(),
            manifest,
        })
    }

    /// No output is an input.
    fn check_files(&self) -> Result<(), Error> {
        let master = self.master.file()?;
        let inputs = [&self.envelope, &self.image].into_iter().chain(&self.second_image);
        let inputs: Vec<&Path> = inputs
            .chain(&self.recipients)
            .chain(&self.devices)
            .chain(&master)
            .map(PathBuf::as_path)
            .collect();
        let outputs = [&self.out, &self.ciphertext_out].into_iter().chain(&self.second_ciphertext_out);
        outputs.into_iter().try_for_each(|output| must_differ(output, &inputs))
    }

    /// The devices with their keys, and how the keys were derived.
    fn open_devices(
        &self,
        update: &UpdateDescription,
    ) -> Result<(Option<KeyDerivation>, Vec<Device>), Error> {
        if let Some(keys) = self.master.open()? {
            let devices = derive(&keys, &self.serials, self.devices.as_deref(), update)?;
            return Ok((Some(keys.derivation()), devices));
        }
        let recipients = self.recipients.as_deref().ok_or(Error::Internal("no key was asked for"))?;
        Ok((None, read_recipients(recipients)?))
    }
}

impl Report for Encrypted {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("envelope", format!("{} (unsigned)", self.envelope.display())),
            ("encrypted image file", self.ciphertext_file.display().to_string()),
        ];
        let second = self.second_ciphertext_file.as_ref();
        rows.extend(second.map(|path| ("second encrypted image file", path.display().to_string())));
        rows.push(("algorithm", self.algorithm.name().to_owned()));
        rows.extend(self.recipients.iter().map(|RecipientView { serial, kid, key_check }| {
            ("readable by", format!("{serial}, key {kid}, key-check value {key_check}"))
        }));
        rows.extend(self.manifest.rows());
        table(&rows)
    }
}
