//! Vendor, class and device ids (docs/records.md, Identifiers): a UUID, or the name of which one is made; and what people
//! call a release.

use std::ops::RangeInclusive;
use std::str::FromStr;

use trust::host::{Serial, VersionText, is_line};
use trust::provisioning::UNPROVISIONED_SERIAL;
use uuid::Uuid;

/// Longest vendor domain, bytes (RFC 1035 section 2.3.4).
const MAX_DOMAIN_LEN: usize = 253;
/// Longest class name, bytes.
const MAX_CLASS_NAME_LEN: usize = 128;

/// Why a name makes no identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IdentifierError {
    #[error(
        "a vendor is a UUID or a domain of 1 to 253 lower-case letters, digits, hyphens and single dots between them"
    )]
    Vendor,
    #[error(
        "a class is a UUID or a name of 1 to 128 bytes, without blanks at its ends and invisible characters"
    )]
    Class,
    /// A digit too many, or one that is missing, would make another id of it.
    #[error("it has the look of a UUID and is none: 32 hexadecimal digits, in groups of 8, 4, 4, 4 and 12")]
    AlmostUuid,
}

/// Lengths of what was meant to be a UUID, rather than a name: 32 digits and 4 hyphens, and two more or less.
const ALMOST_UUID_LEN: RangeInclusive<usize> = 30..=38;

/// # Errors
/// [`IdentifierError::AlmostUuid`]
fn uuid_or_name(text: &str) -> Result<Option<Uuid>, IdentifierError> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(Some(id));
    }
    let has_its_look = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if has_its_look && ALMOST_UUID_LEN.contains(&text.len()) {
        return Err(IdentifierError::AlmostUuid);
    }
    Ok(None)
}

/// A serial that a device may have.
pub fn device_serial(text: &str) -> Result<Serial, String> {
    let serial = Serial::from_str(text).map_err(|error| error.to_string())?;
    if serial.as_str() == UNPROVISIONED_SERIAL {
        return Err(format!("{UNPROVISIONED_SERIAL} is no serial: devices without a block report it"));
    }
    Ok(serial)
}

/// A version of a release that looks like what it is: blanks at its ends would make another one of it.
pub fn version_text(text: &str) -> Result<VersionText, String> {
    if text.trim() != text {
        return Err("a version has no blanks at its ends".to_owned());
    }
    VersionText::from_str(text).map_err(|error| error.to_string())
}

/// What people read of a release: lines in which no character is invisible or turns the direction of reading.
pub fn description_text(text: &str) -> Result<String, String> {
    let lines = text.lines().map(|line| line.trim_matches(' ')).filter(|line| !line.is_empty());
    if lines.clone().all(|line| is_line(line, line.len())) {
        return Ok(text.to_owned());
    }
    Err("a description has no control characters but the ends of its lines, and no invisible ones".to_owned())
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Vendor {
    Id(Uuid),
    /// The domain of which it is made.
    Domain(String),
}

impl Vendor {
    /// The vendor id: UUIDv5 of the domain in the DNS namespace (RFC 9124 section 3.4).
    pub fn id(&self) -> Uuid {
        match self {
            Self::Id(id) => *id,
            Self::Domain(domain) => Uuid::new_v5(&Uuid::NAMESPACE_DNS, domain.as_bytes()),
        }
    }

    /// The domain, when that is what was given.
    pub fn domain(&self) -> Option<&str> {
        match self {
            Self::Id(_) => None,
            Self::Domain(domain) => Some(domain),
        }
    }
}

impl FromStr for Vendor {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(id) = uuid_or_name(text)? {
            return Ok(Self::Id(id));
        }
        // One spelling only, so that one vendor has one id: nor a full stop at an end, or two in a row.
        let fits = (1..=MAX_DOMAIN_LEN).contains(&text.len())
            && text.split('.').all(|label| !label.is_empty())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'));
        if fits { Ok(Self::Domain(text.to_owned())) } else { Err(IdentifierError::Vendor) }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Class {
    Id(Uuid),
    /// The name of which it is made.
    Name(String),
}

impl Class {
    /// The class id: UUIDv5 of the name in the namespace of the vendor.
    pub fn id(&self, vendor: Uuid) -> Uuid {
        match self {
            Self::Id(id) => *id,
            Self::Name(name) => Uuid::new_v5(&vendor, name.as_bytes()),
        }
    }

    /// The name, when that is what was given.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Id(_) => None,
            Self::Name(name) => Some(name),
        }
    }
}

impl FromStr for Class {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(id) = uuid_or_name(text)? {
            return Ok(Self::Id(id));
        }
        if is_line(text, MAX_CLASS_NAME_LEN) {
            Ok(Self::Name(text.to_owned()))
        } else {
            Err(IdentifierError::Class)
        }
    }
}

/// The device id of a serial.
pub fn device_id(serial: &Serial, vendor: Uuid) -> Uuid {
    Uuid::from_bytes(trust::host::device_id(vendor.into_bytes(), serial.as_str()))
}

#[cfg(test)]
mod tests {
    use trust::host::Serial;

    use super::{Class, IdentifierError, Vendor, device_id};

    /// Computed with another implementation (Python's uuid).
    #[test]
    fn frozen_identifiers() {
        let vendor: Vendor = "anchorage.example".parse().unwrap();
        let id = vendor.id();
        assert_eq!(id.to_string(), "98d315fc-4e56-530f-824f-d6164a8b8093");
        let class: Class = "demo-node".parse().unwrap();
        assert_eq!(class.id(id).to_string(), "c4e767d0-390b-5fbe-81a6-281e47b8b657");
        let serial: Serial = "DEMO-0001".parse().unwrap();
        assert_eq!(device_id(&serial, id).to_string(), "9adf253f-dc53-53f5-8b40-e4b1795add77");
    }

    #[test]
    fn a_uuid_is_itself() {
        let text = "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe";
        let (vendor, class): (Vendor, Class) = (text.parse().unwrap(), text.parse().unwrap());
        assert_eq!(vendor.id().to_string(), text);
        assert_eq!(class.id(vendor.id()).to_string(), text);
        assert_eq!((vendor.domain(), class.name()), (None, None));
    }

    /// A typing error makes no vendor of its own.
    #[test]
    fn what_is_almost_a_uuid_is_no_name() {
        let uuid = "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe";
        for slip in [
            &uuid[1..],
            &uuid[..34],
            "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe0",
            "fa6b4a53d5ad-5fdf-be9d-e663e4d41ffe",
        ] {
            assert!(matches!(slip.parse::<Vendor>(), Err(IdentifierError::AlmostUuid)), "{slip}");
            assert!(matches!(slip.parse::<Class>(), Err(IdentifierError::AlmostUuid)), "{slip}");
        }
        for name in ["fa6b4a53", "node-fa6b4a53-d5ad-5fdf-be9d-e663e4", &"ab".repeat(20)] {
            assert!(name.parse::<Class>().is_ok(), "{name}");
        }
    }

    #[test]
    fn names_have_bounds() {
        for bad in ["", "Example.com", "a b", "ü.example", "a.", ".a", "a..b", &"a".repeat(254)] {
            assert!(bad.parse::<Vendor>().is_err(), "{bad}");
        }
        for bad in ["", "a\nb", " a", "a ", "a\u{202e}b", &"a".repeat(129)] {
            assert!(bad.parse::<Class>().is_err(), "{bad}");
        }
    }
}
