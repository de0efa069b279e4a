//! `encrypt`: make the images of an unsigned release unreadable for all but some devices and holders of keys; or one image, for
//! the envelope of another tool or of `compose`.

mod content;

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, ValueEnum as _};
use serde::Serialize;
use suit_manifest::author::{UpdateDescription, inspect};
use trust::author::Recipient;
use trust::blocks::encryption::HostAlgorithm;
use trust::encryption::ContentAlgorithm;
use trust::host::Serial;

use self::content::EncryptedContent;
use crate::agreement::{PublicKeyFile, open_public_keys};
use crate::describe::{ManifestView, kid};
use crate::encryption::{ContentFiles, Readers, encrypted, must_be_for, plain_update};
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
    /// ChaCha20 with Poly1305, with a tag behind the image; for devices of others
    #[value(name = "chacha20-poly1305")]
    ChaCha20Poly1305,
}

impl Algorithm {
    const fn on_hosts(self) -> HostAlgorithm {
        match self {
            Self::A128Gcm => HostAlgorithm::A128Gcm,
            Self::A128Ctr => HostAlgorithm::A128Ctr,
            Self::ChaCha20Poly1305 => HostAlgorithm::ChaCha20Poly1305,
        }
    }

    /// Fails for one that no device of ours runs: nobody could sign the release, or install it.
    pub(super) fn on_devices(self) -> Result<ContentAlgorithm, Error> {
        self.on_hosts().on_devices().ok_or_else(|| {
            Error::usage(format!(
                "our devices do not run {}; `encrypt --info-out` writes it for the envelope of compose",
                self.name()
            ))
        })
    }

    pub(super) const fn name(self) -> &'static str {
        self.on_hosts().name()
    }
}

/// The names of those that our devices run.
pub(super) fn device_algorithm() -> impl TypedValueParser<Value = Algorithm> {
    let on_devices = Algorithm::value_variants().iter().filter(|algorithm| algorithm.on_devices().is_ok());
    PossibleValuesParser::new(on_devices.filter_map(Algorithm::to_possible_value))
        .try_map(|name| Algorithm::from_str(&name, false))
}

/// Encrypt the image of an unsigned release, for some devices and holders of keys alone
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("keys").args(["recipients", "master", "public_keys"]).required(true).multiple(true))]
pub struct Encrypt {
    /// Unsigned envelope of create; the result is signed afterwards
    #[arg(value_name = "U.suit", required_unless_present = "info_out")]
    envelope: Option<PathBuf>,
    /// Image of the release, as create wrote it; with --info-out, any file
    #[arg(long, value_name = "I.bin")]
    image: PathBuf,
    /// Image of the release for the second slot, if it has one of its own
    #[arg(long, value_name = "I2.bin", requires = "second_ciphertext_out")]
    second_image: Option<PathBuf>,
    /// Table of the release, if it comes with firmware
    #[arg(long, value_name = "T.bin", requires = "table_ciphertext_out")]
    table: Option<PathBuf>,
    /// Devices that may read it, with their update keys: CSV file of serial, kid and key
    #[arg(long, value_name = "FILE",
          conflicts_with_all = ["master", "line", "derivation", "revision", "serials", "devices"])]
    recipients: Option<PathBuf>,
    #[command(flatten)]
    master: MasterArguments,
    /// Serial of a device that may read it (repeatable)
    #[arg(long = "serial", value_name = "SERIAL", value_parser = device_serial, requires = "master",
          required_unless_present_any = ["recipients", "devices", "public_keys"])]
    serials: Vec<Serial>,
    /// List of a batch (devices.csv), to compare the key-check values; without --serial, all of its devices may read it
    #[arg(long, value_name = "FILE", requires = "master")]
    devices: Option<PathBuf>,
    /// Public key whose holder may read it, P-256 or X25519: PEM, COSE_Key (repeatable). Devices of ours have none
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// How the image is encrypted
    #[arg(long, value_enum, default_value = "a128gcm")]
    algorithm: Algorithm,
    /// Unsigned envelope to write
    #[arg(long, value_name = "E.suit", required_unless_present = "info_out")]
    out: Option<PathBuf>,
    /// Write the encryption-info alone, for the envelope of compose or of another tool
    #[arg(long, value_name = "I.info", conflicts_with_all = ["envelope", "out", "second_image", "table", "master", "serials", "devices"])]
    info_out: Option<PathBuf>,
    /// Encrypted image to write: what hosts and servers get in place of the image
    #[arg(long, value_name = "I.enc")]
    ciphertext_out: PathBuf,
    /// Encrypted image for the second slot to write
    #[arg(long, value_name = "I2.enc", requires = "second_image")]
    second_ciphertext_out: Option<PathBuf>,
    /// Encrypted table to write
    #[arg(long, value_name = "T.enc", requires = "table")]
    table_ciphertext_out: Option<PathBuf>,
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

/// A public key whose holder may read the image.
#[derive(Debug, Serialize)]
struct PublicKeyView {
    file: PathBuf,
    /// As the recipient names it.
    kid: String,
    curve: &'static str,
}

/// What was made.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    Release(Box<Encrypted>),
    Content(EncryptedContent),
}

#[derive(Debug, Serialize)]
pub struct Encrypted {
    envelope: PathBuf,
    ciphertext_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    second_ciphertext_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_ciphertext_file: Option<PathBuf>,
    algorithm: Algorithm,
    #[serde(skip_serializing_if = "Option::is_none")]
    derivation: Option<KeyDerivation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<RecipientView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    public_keys: Vec<PublicKeyView>,
    #[serde(flatten)]
    manifest: ManifestView,
}

impl Encrypt {
    pub fn run(&self) -> Result<Outcome, Error> {
        self.check_files()?;
        match (&self.envelope, &self.out, &self.info_out) {
            (Some(envelope), Some(out), None) => {
                Ok(Outcome::Release(Box::new(self.encrypt_release(envelope, out)?)))
            }
            (None, None, Some(info)) => Ok(Outcome::Content(self.encrypt_content(info)?)),
            _ => Err(Error::Internal("neither a release nor an encryption-info was asked for")),
        }
    }

    fn encrypt_release(&self, path: &Path, out: &Path) -> Result<Encrypted, Error> {
        let algorithm = self.algorithm.on_devices()?;
        let envelope = read(path, MAX_ENVELOPE_FILE_LEN)?;
        let update = plain_update(path, &envelope)?;
        let files = ContentFiles {
            image: &self.image,
            second_image: self.second_image.as_deref(),
            table: self.table.as_deref(),
            options: ["--second-image and --second-ciphertext-out", "--table and --table-ciphertext-out"],
        };
        let contents = files.read((path, &envelope))?;
        let (derivation, devices) = self.open_devices(&update)?;
        let public = open_public_keys(&self.public_keys)?;
        must_be_for(&update, devices.iter().map(|device| &device.serial))?;
        let recipients = devices.iter().map(Device::recipient).collect::<Result<Vec<Recipient>, _>>()?;
        let keys: Vec<_> = public.iter().map(|file| file.key.clone()).collect();
        let readers = Readers { devices: &recipients, public: &keys };
        let made = contents.matched_while(|images| encrypted(&update, images, algorithm, readers))?;

        let manifest = inspect(&made.envelope)
            .and_then(|inspection| ManifestView::of_inspection(&inspection))
            .map_err(|_| Error::Internal("the encrypted release cannot be read back"))?;
        manifest.warn_of_recipients();
        let ciphertext_files = std::iter::once(&self.ciphertext_out)
            .chain(&self.second_ciphertext_out)
            .chain(&self.table_ciphertext_out);
        let mut files: Vec<(&Path, &[u8])> = ciphertext_files
            .zip(&made.ciphertexts)
            .map(|(path, ciphertext)| (path.as_path(), ciphertext.as_slice()))
            .collect();
        files.push((out, &made.envelope));
        write_all(&files, self.overwrite.existing())?;
        Ok(Encrypted {
            envelope: out.to_owned(),
            ciphertext_file: self.ciphertext_out.clone(),
            second_ciphertext_file: self.second_ciphertext_out.clone(),
            table_ciphertext_file: self.table_ciphertext_out.clone(),
            algorithm: self.algorithm,
            derivation,
            recipients: devices.iter().map(RecipientView::of).collect(),
            public_keys: public.iter().map(PublicKeyView::of).collect(),
            manifest,
        })
    }

    /// No output is an input.
    fn check_files(&self) -> Result<(), Error> {
        let master = self.master.file()?;
        let inputs = self.envelope.iter().chain([&self.image]).chain(&self.second_image).chain(&self.table);
        let inputs: Vec<&Path> = inputs
            .chain(&self.recipients)
            .chain(&self.public_keys)
            .chain(&self.devices)
            .chain(&master)
            .map(PathBuf::as_path)
            .collect();
        let outputs = self.out.iter().chain(&self.info_out).chain([&self.ciphertext_out]);
        let outputs = outputs.chain(&self.second_ciphertext_out).chain(&self.table_ciphertext_out);
        outputs.into_iter().try_for_each(|output| must_differ(output, &inputs))
    }

    /// The devices with their keys, and how the keys were derived.
    fn open_devices(
        &self,
        update: &UpdateDescription,
    ) -> Result<(Option<KeyDerivation>, Vec<Device>), Error> {
        if let Some(keys) = self.master.open()? {
            if self.serials.is_empty() && self.devices.is_none() {
                return Err(Error::usage("--master needs the devices: --serial or --devices".to_owned()));
            }
            let devices = derive(&keys, &self.serials, self.devices.as_deref(), update)?;
            return Ok((Some(keys.derivation()), devices));
        }
        Ok((None, self.listed_devices()?))
    }

    /// The devices of --recipients; none without it.
    fn listed_devices(&self) -> Result<Vec<Device>, Error> {
        self.recipients.as_deref().map_or(Ok(Vec::new()), read_recipients)
    }
}

impl RecipientView {
    fn of(device: &Device) -> Self {
        Self {
            serial: device.serial.to_string(),
            kid: kid(device.key.kid),
            key_check: key_check(&device.key),
        }
    }

    fn row(&self) -> (&'static str, String) {
        let Self { serial, kid, key_check } = self;
        ("readable by", format!("{serial}, key {kid}, key-check value {key_check}"))
    }
}

impl PublicKeyView {
    fn of(file: &PublicKeyFile) -> Self {
        let PublicKeyFile { path, key } = file;
        Self { file: path.clone(), kid: hex::encode(key.kid()), curve: key.curve_name() }
    }

    fn row(&self) -> (&'static str, String) {
        let Self { file, kid, curve } = self;
        ("readable by", format!("the holder of {}, {curve}, key {kid}", file.display()))
    }
}

impl Report for Outcome {
    fn lines(&self) -> String {
        match self {
            Self::Release(made) => made.lines(),
            Self::Content(made) => made.lines(),
        }
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
        let of_table = self.table_ciphertext_file.as_ref();
        rows.extend(of_table.map(|path| ("encrypted table file", path.display().to_string())));
        rows.push(("algorithm", self.algorithm.name().to_owned()));
        rows.extend(self.recipients.iter().map(RecipientView::row));
        rows.extend(self.public_keys.iter().map(PublicKeyView::row));
        rows.extend(self.manifest.rows());
        table(&rows)
    }
}
