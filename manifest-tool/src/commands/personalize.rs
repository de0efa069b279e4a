//! `personalize`: one envelope for each device, encrypted for it and authenticated by its own key.
//!
//! The folder is the only record. A run that was interrupted goes on: what is there has to be, byte for byte, what this
//! command makes with the content key that it finds there.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use device_lists::{ENVELOPE_SUFFIX, ciphertext_name, envelope_name};
use serde::Serialize;
use suit_manifest::Reason;
use suit_manifest::author::UpdateDescription;
use trust::DEFAULT_SEQUENCE_CEILING;
use trust::host::{Existing, Serial, lock_folder};

use super::encrypt::{Algorithm, device_algorithm};
use crate::encryption::{ContentFiles, must_be_for, plain_update};
use crate::error::{Error, FileAction};
use crate::files::{MAX_ENVELOPE_FILE_LEN, make_folder, read, write};
use crate::identifiers::device_serial;
use crate::master_key::{KeyDerivation, LineKeys, MasterArguments};
use crate::output::{Output, Report, progress_bar, table};
use crate::personalize::{FolderFault, Personal, Release, Sealed, Target};
use crate::recipients::{Wanted, wanted};

/// How the name of a device's block ends (`provision --out-dir`).
const BLOCK_SUFFIX: &str = ".block";

/// Make an envelope for each device, which only that device reads, authenticated by its own key in place of a signature
#[derive(clap::Args, Clone, Debug)]
#[command(mut_arg("master", |master| master.required(true)))]
pub struct Personalize {
    /// Unsigned envelope of create
    #[arg(value_name = "U.suit")]
    envelope: PathBuf,
    /// Image of the release, as create wrote it
    #[arg(long, value_name = "I.bin")]
    image: PathBuf,
    /// Image of the release for the second slot, if it has one of its own
    #[arg(long, value_name = "I2.bin")]
    second_image: Option<PathBuf>,
    /// Table of the release, if it comes with firmware
    #[arg(long, value_name = "T.bin")]
    table: Option<PathBuf>,
    #[command(flatten)]
    master: MasterArguments,
    /// Serial of a device (repeatable)
    #[arg(long = "serial", value_name = "SERIAL", value_parser = device_serial, required_unless_present = "devices")]
    serials: Vec<Serial>,
    /// List of a batch (devices.csv), to compare the key-check values; without --serial, for all of its devices
    #[arg(long, value_name = "FILE")]
    devices: Option<PathBuf>,
    /// How the image is encrypted
    #[arg(long, value_parser = device_algorithm(), default_value = "a128gcm")]
    algorithm: Algorithm,
    /// Encrypt the image for each device with a key of its own: who opens one device does not read the image of another one
    #[arg(long)]
    own_images: bool,
    /// Folder for SERIAL.suit and the encrypted images; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

#[derive(Debug, Serialize)]
pub struct Personalized {
    out_dir: PathBuf,
    devices: usize,
    /// Of them, those whose envelope this run made.
    made: usize,
    own_images: bool,
    algorithm: Algorithm,
    derivation: KeyDerivation,
    /// The encrypted images that all devices have; none if each has its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ciphertext_files: Vec<PathBuf>,
    sequence: u64,
    version: String,
}

/// A device, where its envelope goes, and whether it is there already.
struct Place<'p> {
    wanted: Wanted<'p>,
    path: PathBuf,
    is_there: bool,
}

impl Personalize {
    pub fn run(&self, output: Output) -> Result<Personalized, Error> {
        let algorithm = self.algorithm.on_devices()?;
        let envelope = read(&self.envelope, MAX_ENVELOPE_FILE_LEN)?;
        let update = plain_update(&self.envelope, &envelope)?;
        // No credential has a ceiling for such a device: a number that nothing exceeds would end it.
        if update.sequence > DEFAULT_SEQUENCE_CEILING {
            return Err(Error::refused(&self.envelope, Reason::SequenceAboveCeiling, 0));
        }
        let files = ContentFiles {
            image: &self.image,
            second_image: self.second_image.as_deref(),
            table: self.table.as_deref(),
            options: ["--second-image", "--table"],
        };
        let images = files.read((&self.envelope, &envelope))?.matched()?;
        let release = Release { update, images, algorithm };
        let keys = self.master.open()?.ok_or(Error::Internal("no master key was asked for"))?;
        let devices = wanted(&self.serials, self.devices.as_deref())?;
        must_be_for(&release.update, devices.iter().map(|device| &device.serial))?;
        // Before the folder is made.
        let deriving = progress_bar(devices.len() as u64, "  deriving {bar:30} {pos}/{len} {eta}", output);
        for device in deriving.wrap_iter(devices.iter()) {
            Target::of(device, &keys, &release.update)?;
        }
        make_folder(&self.out_dir)?;
        self.warn_of_batch(output)?;
        let _lock = self.lock()?;
        let places = self.places(devices)?;

        let count = places.len() as u64;
        let looking = progress_bar(count, "  looking {bar:30} {pos}/{len} {eta}", output);
        let mut run = Run { release: &release, keys: &keys, folder: &self.out_dir, shared: None };
        let found = run.look(looking.wrap_iter(places.iter()), self.own_images)?;
        let writing = progress_bar(count, "  writing {bar:30} {pos}/{len} {eta}", output);
        for place in writing.wrap_iter(places.iter()).filter(|place| !place.is_there) {
            run.make(place, self.own_images)?;
        }
        let shared = run.shared.iter().flat_map(Sealed::digests);
        let UpdateDescription { sequence, version, .. } = &release.update;
        Ok(Personalized {
            out_dir: self.out_dir.clone(),
            devices: places.len(),
            made: places.len().saturating_sub(found),
            own_images: self.own_images,
            algorithm: self.algorithm,
            derivation: keys.derivation(),
            ciphertext_files: shared.map(|digest| self.out_dir.join(ciphertext_name(digest))).collect(),
            sequence: *sequence,
            version: version.clone(),
        })
    }

    /// Warns of a folder whose blocks have keys of devices: the envelopes go to everybody.
    fn warn_of_batch(&self, output: Output) -> Result<(), Error> {
        let failed = |source| Error::File { action: FileAction::Read, path: self.out_dir.clone(), source };
        for entry in self.out_dir.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name.as_encoded_bytes().ends_with(BLOCK_SUFFIX.as_bytes()) {
                output.warn(&format!(
                    "{} has blocks with the keys of devices: whoever gets this folder has them; pass another --out-dir",
                    self.out_dir.display()
                ));
                break;
            }
        }
        Ok(())
    }

    /// Two runs at once would find a folder without a content key, and make two.
    fn lock(&self) -> Result<File, Error> {
        let failed = |source| Error::File { action: FileAction::Read, path: self.out_dir.clone(), source };
        let locked = lock_folder(&self.out_dir).map_err(failed)?;
        locked.ok_or_else(|| Error::Folder { path: self.out_dir.clone(), fault: FolderFault::InUse })
    }

    /// Where each envelope goes. No envelope in the folder is for another device.
    fn places<'p>(&self, wanted: Vec<Wanted<'p>>) -> Result<Vec<Place<'p>>, Error> {
        let mut there = self.envelopes_there()?;
        let places = wanted.into_iter().map(|wanted| {
            let name = envelope_name(wanted.serial.as_str());
            let is_there = there.remove(&name);
            Place { wanted, path: self.out_dir.join(name), is_there }
        });
        let places = places.collect();
        match there.first() {
            Some(name) => {
                Err(Error::Folder { path: self.out_dir.join(name), fault: FolderFault::OtherDevice })
            }
            None => Ok(places),
        }
    }

    /// Names of the envelopes in the folder.
    fn envelopes_there(&self) -> Result<BTreeSet<String>, Error> {
        let failed = |source| Error::File { action: FileAction::Read, path: self.out_dir.clone(), source };
        let mut names = BTreeSet::new();
        for entry in self.out_dir.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if name.ends_with(ENVELOPE_SUFFIX) {
                names.insert(name);
            }
        }
        Ok(names)
    }
}

/// What a run has found and made.
struct Run<'r> {
    release: &'r Release,
    keys: &'r LineKeys,
    folder: &'r Path,
    /// The images that all devices have.
    shared: Option<Sealed>,
}

impl Run<'_> {
    fn target(&self, place: &Place<'_>) -> Result<Target, Error> {
        Target::of(&place.wanted, self.keys, &self.release.update)
    }

    /// Before anything is written: judges what is there. How many envelopes are there.
    fn look<'p: 'l, 'l>(
        &mut self,
        places: impl Iterator<Item = &'l Place<'p>>,
        own_images: bool,
    ) -> Result<usize, Error> {
        let mut found = 0;
        let mut seen = BTreeSet::new();
        for place in places.filter(|place| place.is_there) {
            let target = self.target(place)?;
            found += 1;
            let sealed = self.release.found(&target, &place.path)?;
            match &self.shared {
                Some(shared) => sealed.must_be_of(shared, &place.path)?,
                None => self.release.check_ciphertexts(&target, &sealed, &place.path)?,
            }
            if !own_images {
                self.shared.get_or_insert(sealed);
                continue;
            }
            for digest in sealed.digests() {
                if !seen.insert(*digest) {
                    let (path, fault) = (place.path.clone(), FolderFault::SharedImage);
                    return Err(Error::Folder { path, fault });
                }
            }
        }
        Ok(found)
    }

    /// Makes the envelope of a device: its ciphertexts are there before it.
    fn make(&mut self, place: &Place<'_>, own_images: bool) -> Result<(), Error> {
        let target = self.target(place)?;
        let envelope = match &self.shared {
            Some(shared) => self.release.envelope_for(shared, &target)?,
            None => {
                let Personal { envelope, ciphertexts, sealed } = self.release.seal_for(&target)?;
                for (digest, ciphertext) in sealed.digests().zip(&ciphertexts) {
                    write(&self.folder.join(ciphertext_name(digest)), ciphertext, Existing::Keep)?;
                }
                if !own_images {
                    self.shared = Some(sealed);
                }
                envelope
            }
        };
        write(&place.path, &envelope, Existing::Keep)
    }
}

impl Report for Personalized {
    fn lines(&self) -> String {
        let mut rows = vec![
            ("folder", self.out_dir.display().to_string()),
            ("envelopes", format!("{}, of which this run made {}", self.devices, self.made)),
            ("sequence", self.sequence.to_string()),
            ("version", self.version.clone()),
            ("algorithm", self.algorithm.name().to_owned()),
        ];
        rows.extend(
            self.ciphertext_files.iter().map(|path| ("encrypted image file", path.display().to_string())),
        );
        if self.own_images {
            rows.push(("encrypted image files", "one for each device".to_owned()));
        }
        table(&rows)
    }
}
