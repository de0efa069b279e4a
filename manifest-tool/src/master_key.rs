//! Master keys, of which the update keys of devices are derived (docs/records.md, Keys of a device): 16 or 32 bytes in
//! hexadecimal digits, in a file that only its owner reads, in the environment, or from standard input.

use std::path::{Path, PathBuf};

use trust::author::{Derivation, DerivedKey, DeviceKeyRequest, MasterKey};
use trust::device_keys::{MAX_KEY_REVISION, Purpose};
use trust::host::without_mark;
use zeroize::Zeroizing;

use crate::commands::{location, name};
use crate::error::Error;
use crate::files::{must_be_absent, must_be_private, read_secret, write_secret};
use crate::keys::{Location, Place, value_of};
use crate::memory;

/// Bytes of a master key: as many as AES-128 or AES-256 has.
const LENGTHS: [usize; 2] = [16, 32];
/// Bytes of a new one.
const NEW_LEN: usize = 32;
/// Longest file of one, bytes: its digits, a byte order mark, white space.
const MAX_FILE_LEN: u64 = 1024;
/// What a key-check value of an update key is named in lists and registries.
const UPDATE: &str = "update=";

/// Why something is no master key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MasterFault {
    #[error("it is not hexadecimal digits alone")]
    Form,
    /// Digits that it has.
    #[error("it has {0} hexadecimal digits, and a master key has 32 or 64")]
    Digits(usize),
    #[error("it is zero")]
    Zero,
}

/// How the keys of devices come out of a master key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyDerivation {
    /// HKDF with SHA-256 (RFC 5869)
    #[default]
    Hkdf,
    /// Counter mode with AES-CMAC (NIST SP 800-108), which tokens have
    Cmac,
}

impl KeyDerivation {
    fn of_trust(self) -> Derivation {
        match self {
            Self::Hkdf => Derivation::HkdfSha256,
            Self::Cmac => Derivation::CmacCounter,
        }
    }
}

/// The master key, and whose keys come out of it.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct MasterArguments {
    /// Master key, of which the update keys of the devices are derived: FILE, - or env:NAME
    #[arg(long, value_name = "KEY", value_parser = location(), requires = "line")]
    master: Option<Location>,
    /// Production line of the devices: their keys are those of this line
    #[arg(long, value_parser = name(), requires = "master")]
    line: Option<String>,
    /// How the keys are derived [default: hkdf]
    #[arg(long, value_enum, requires = "master")]
    derivation: Option<KeyDerivation>,
    /// How often the keys were made anew, at most 65535 [default: 0]
    #[arg(long, value_name = "N", requires = "master",
          value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_KEY_REVISION)))]
    revision: Option<u32>,
}

impl MasterArguments {
    /// The key, if one is given.
    pub(crate) fn open(&self) -> Result<Option<LineKeys>, Error> {
        let (Some(master), Some(line)) = (&self.master, &self.line) else { return Ok(None) };
        Ok(Some(LineKeys {
            master: open(master)?,
            line: line.clone(),
            derivation: self.derivation.unwrap_or_default(),
            revision: self.revision.unwrap_or_default(),
        }))
    }

    /// The file of the key, if it is one.
    pub(crate) fn file(&self) -> Result<Option<PathBuf>, Error> {
        let place = self.master.as_ref().map(Location::place).transpose()?;
        Ok(place.and_then(|place| if let Place::File(path) = place { Some(path) } else { None }))
    }
}

/// The keys of a production line's devices.
#[derive(Clone, Debug)]
pub(crate) struct LineKeys {
    master: MasterKey,
    line: String,
    derivation: KeyDerivation,
    revision: u32,
}

impl LineKeys {
    /// The update key of a device.
    pub(crate) fn update_key(&self, serial: &str) -> Result<DerivedKey, Error> {
        let request =
            DeviceKeyRequest { line: &self.line, serial, purpose: Purpose::Update, revision: self.revision };
        let derived = self.master.derive(self.derivation.of_trust(), &request);
        derived.map_err(|error| Error::author("the key of a device", None, error))
    }

    pub(crate) fn derivation(&self) -> KeyDerivation {
        self.derivation
    }
}

/// The key-check value of an update key, as lists and registries have it.
pub(crate) fn key_check(key: &DerivedKey) -> String {
    format!("{UPDATE}{}", hex::encode(key.check_value()))
}

/// That of the update key, of the key-check values in a list.
pub(crate) fn listed_key_check(checks: &str) -> Option<&str> {
    checks.split_ascii_whitespace().find(|check| check.starts_with(UPDATE))
}

/// Whether a file is a key in hexadecimal digits, and nothing else.
pub(crate) fn is_master_key(file: &[u8]) -> bool {
    let digits = without_mark(file).trim_ascii();
    LENGTHS.iter().any(|len| digits.len() == 2 * len) && digits.iter().all(u8::is_ascii_hexdigit)
}

/// Makes a master key and writes it (0600, never over a file).
pub(crate) fn generate(path: &Path) -> Result<(), Error> {
    must_be_absent(path)?;
    memory::lock();
    let failed = |error| Error::KeyOperation { doing: "generated", source: Box::new(error) };
    let mut bytes = Zeroizing::new([0; NEW_LEN]);
    getrandom::fill(bytes.as_mut()).map_err(failed)?;
    let mut text = Zeroizing::new([b'\n'; 2 * NEW_LEN + 1]);
    let (digits, _) = text.split_at_mut(2 * NEW_LEN);
    hex::encode_to_slice(bytes.as_slice(), digits)
        .map_err(|_| Error::Internal("a key has another length"))?;
    decode(path, text.as_slice())?;
    write_secret(path, text.as_slice())
}

/// Reads a master key, wherever it is kept.
fn open(location: &Location) -> Result<MasterKey, Error> {
    match location.place()? {
        Place::File(path) => {
            must_be_private(&path)?;
            decode(&path, &read_secret(&path, MAX_FILE_LEN)?)
        }
        Place::Environment(variable) => decode(Path::new(&location.name()), &value_of(&variable)?),
        Place::Token(_) | Place::Agent(_) | Place::Program(_) => {
            Err(Error::usage("--master is a file, - for standard input, or env:NAME"))
        }
    }
}

fn decode(path: &Path, text: &[u8]) -> Result<MasterKey, Error> {
    let unusable = |fault| Error::MasterKey { path: path.to_owned(), fault };
    let digits = without_mark(text).trim_ascii();
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(unusable(MasterFault::Form));
    }
    if !is_master_key(digits) {
        return Err(unusable(MasterFault::Digits(digits.len())));
    }
    let mut bytes = Zeroizing::new([0; NEW_LEN]);
    let bytes = bytes.get_mut(..digits.len() / 2).ok_or(unusable(MasterFault::Digits(digits.len())))?;
    hex::decode_to_slice(digits, bytes).map_err(|_| unusable(MasterFault::Form))?;
    MasterKey::new(bytes).map_err(|_| unusable(MasterFault::Zero))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{MasterFault, decode, is_master_key, listed_key_check};
    use crate::error::Error;

    #[test]
    fn a_master_key_is_32_or_64_hexadecimal_digits() {
        let fault = |text: &str| match decode(Path::new("k"), text.as_bytes()) {
            Ok(_) => None,
            Err(Error::MasterKey { fault, .. }) => Some(fault),
            Err(other) => panic!("{other}"),
        };
        let digits = "0123456789abcdefABCDEF0123456789";
        for right in [digits.to_owned(), format!("\u{feff} {digits}{digits}\r\n\n")] {
            assert_eq!(fault(&right), None, "{right}");
            assert!(is_master_key(right.as_bytes()));
        }
        for (wrong, why) in [
            ("", MasterFault::Digits(0)),
            (&digits[..30], MasterFault::Digits(30)),
            (&digits[..31], MasterFault::Digits(31)),
            (&format!("{digits}00"), MasterFault::Digits(34)),
            (&format!("{digits}{}", &digits[..16]), MasterFault::Digits(48)),
            (&format!("{digits}\n{digits}"), MasterFault::Form),
            (&format!("0x{digits}"), MasterFault::Form),
            ("-----BEGIN PRIVATE KEY-----", MasterFault::Form),
        ] {
            assert_eq!(fault(wrong), Some(why), "{wrong}");
            assert!(!is_master_key(wrong.as_bytes()));
        }
        assert_eq!(fault(&"0".repeat(64)), Some(MasterFault::Zero));
    }

    #[test]
    fn the_key_check_value_of_the_update_key_is_found_by_its_name() {
        assert_eq!(listed_key_check("authentication=00ff update=a1b2c3d4e5"), Some("update=a1b2c3d4e5"));
        assert_eq!(listed_key_check("updates=a1b2"), None);
        assert_eq!(listed_key_check(""), None);
    }
}
