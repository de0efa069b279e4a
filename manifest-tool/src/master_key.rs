//! Master keys, of which the keys of devices are derived (docs/records.md, Keys of a device): 16 or 32 bytes in
//! hexadecimal digits, in a file that only its owner reads, in the environment, or from standard input.

use std::path::{Path, PathBuf};

use trust::author::{Derivation, DerivedKey, DeviceKeyRequest, MasterKey};
use trust::device_keys::{MAX_KEY_REVISION, Purpose};
use trust::host::without_mark;
use zeroize::Zeroizing;

use crate::commands::{location, name};
use crate::error::Error;
use crate::files::{must_be_private, read_secret, write_secret};
use crate::keys::{Location, Place, value_of};
use crate::kind::Kind;
use crate::memory;

/// Bytes of a master key: as many as AES-128 or AES-256 has.
const LENGTHS: [usize; 2] = [16, 32];
/// Bytes of a new one.
const NEW_LEN: usize = 32;
/// Longest file of one, bytes: its digits, a byte order mark, white space.
const MAX_FILE_LEN: u64 = 1024;

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
    /// A file of another kind.
    #[error("it is {0}")]
    Other(Kind),
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

/// Which keys devices get.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(crate) enum DeviceKeySet {
    /// A key that reads what is encrypted
    #[default]
    Update,
    /// Another one beside it, by which the maker is known: such devices need no anchor
    #[value(name = "update,authentication", alias = "authentication,update")]
    UpdateAndAuthentication,
}

impl DeviceKeySet {
    /// In ascending order, as a block has them.
    const fn purposes(self) -> &'static [Purpose] {
        match self {
            Self::Update => &[Purpose::Update],
            Self::UpdateAndAuthentication => &[Purpose::Update, Purpose::Authentication],
        }
    }

    /// For reports.
    pub(crate) fn names(self) -> Vec<&'static str> {
        self.purposes().iter().map(|purpose| purpose_name(*purpose)).collect()
    }
}

/// The master key, and whose keys come out of it.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct MasterArguments {
    /// Master key, of which the keys of the devices are derived: FILE, - or env:NAME
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
        let place = self.master.as_ref().map(place_of).transpose()?;
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
    /// A key of a device.
    pub(crate) fn key(&self, serial: &str, purpose: Purpose) -> Result<DerivedKey, Error> {
        let request = DeviceKeyRequest { line: &self.line, serial, purpose, revision: self.revision };
        let derived = self.master.derive(self.derivation.of_trust(), &request);
        derived.map_err(|error| Error::author("the key of a device", None, error))
    }

    /// The keys that a device gets.
    pub(crate) fn keys(&self, serial: &str, set: DeviceKeySet) -> Result<Vec<DerivedKey>, Error> {
        set.purposes().iter().map(|purpose| self.key(serial, *purpose)).collect()
    }

    pub(crate) fn derivation(&self) -> KeyDerivation {
        self.derivation
    }
}

/// What a key is for, as reports, lists and registries name it.
pub(crate) const fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Update => "update",
        Purpose::Provisioning => "provisioning",
        Purpose::Authentication => "authentication",
    }
}

/// The key-check value of a key, as lists and registries have it.
pub(crate) fn key_check(key: &DerivedKey) -> String {
    format!("{}={}", purpose_name(key.purpose), hex::encode(key.check_value()))
}

/// Those of all keys of a device, by name; `None` without a key.
pub(crate) fn key_checks(keys: &[DerivedKey]) -> Option<String> {
    let mut checks: Vec<String> = keys.iter().map(key_check).collect();
    checks.sort();
    (!checks.is_empty()).then(|| checks.join(" "))
}

/// That of the key for a purpose, of the key-check values in a list.
pub(crate) fn listed_key_check(checks: &str, purpose: Purpose) -> Option<&str> {
    let is_of = |check: &&str| check.split_once('=').is_some_and(|(name, _)| name == purpose_name(purpose));
    checks.split_ascii_whitespace().find(is_of)
}

/// Whether a file is a key in hexadecimal digits, and nothing else.
pub(crate) fn is_master_key(file: &[u8]) -> bool {
    let digits = without_mark(file).trim_ascii();
    LENGTHS.iter().any(|len| digits.len() == 2 * len) && digits.iter().all(u8::is_ascii_hexdigit)
}

/// Makes a master key and writes it (0600, never over a file).
pub(crate) fn generate(path: &Path) -> Result<(), Error> {
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
/// Where a master key is. One that stands on the command line itself is in no message.
fn place_of(location: &Location) -> Result<Place, Error> {
    let place = location.place()?;
    if let Place::File(path) = &place {
        let name = path.to_string_lossy();
        let digits = name.strip_prefix("hex:").unwrap_or(&name);
        if is_master_key(digits.as_bytes()) {
            return Err(Error::usage(
                "--master has a key itself, which every user of this machine sees there: pass a file, - or env:NAME, and make \
                 the key anew",
            ));
        }
    }
    Ok(place)
}

fn open(location: &Location) -> Result<MasterKey, Error> {
    match place_of(location)? {
        Place::File(path) => {
            // What it is comes before who can read it: most other files may be read by all.
            if let Some(kind) = Kind::instead_of(Kind::MasterKey, &path) {
                return Err(Error::MasterKey { path, fault: MasterFault::Other(kind) });
            }
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

    use trust::device_keys::Purpose;

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
    fn the_key_check_value_of_a_key_is_found_by_its_name() {
        let (both, update) = ("authentication=00ff update=a1b2c3d4e5", Purpose::Update);
        assert_eq!(listed_key_check(both, update), Some("update=a1b2c3d4e5"));
        assert_eq!(listed_key_check(both, Purpose::Authentication), Some("authentication=00ff"));
        assert_eq!(listed_key_check(both, Purpose::Provisioning), None);
        assert_eq!(listed_key_check("updates=a1b2", update), None);
        assert_eq!(listed_key_check("", update), None);
    }
}
