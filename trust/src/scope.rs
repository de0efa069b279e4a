//! The limits of a credential: its role, and its scope of vendor, classes, serials and actions.

use crate::cbor::{List, Reader, Uint, Utf8, bit};
use crate::error::ErrorKind;
use crate::text::MAX_SERIAL_LEN;

/// Most classes in a scope.
pub const MAX_CLASSES: u32 = 8;
/// Most serials in a scope.
pub const MAX_SERIALS: u32 = 8;

pub(crate) const SCOPE_VENDOR: i32 = 1;
pub(crate) const SCOPE_CLASSES: i32 = 2;
pub(crate) const SCOPE_SERIALS: i32 = 3;
pub(crate) const SCOPE_ACTIONS: i32 = 4;

/// The task of the holder of a credential (claim -70001).
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Role {
    /// Signs firmware manifests.
    Release = 1,
    /// Certifies the identities of devices.
    Identity = 2,
    /// Opens a device for a technician.
    Service = 3,
    /// Is a device.
    Device = 4,
    /// Governs the devices that it owns.
    Operator = 5,
}

impl Role {
    /// All roles, by number.
    pub const ALL: [Self; 5] = [Self::Release, Self::Identity, Self::Service, Self::Device, Self::Operator];

    /// The role with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// The role with this number.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            1 => Self::Release,
            2 => Self::Identity,
            3 => Self::Service,
            4 => Self::Device,
            5 => Self::Operator,
            _ => return None,
        })
    }

    /// The number of a role.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let start = reader.position();
        Self::from_code(reader.uint()).unwrap_or_else(|| {
            reader.refuse(ErrorKind::OutOfRange, start);
            Self::Release
        })
    }

    /// The number in the claim.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One lowercase word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Identity => "identity",
            Self::Service => "service",
            Self::Device => "device",
            Self::Operator => "operator",
        }
    }
}

/// Scope of a credential (claim -70002): one vendor; absent lists mean any.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    vendor: &'a [u8; 16],
    classes: Option<List<'a>>,
    serials: Option<List<'a>>,
    actions: Option<Uint>,
}

impl<'a> Scope<'a> {
    /// A placeholder; no function returns it.
    pub(crate) const VACANT: Self = Self { vendor: &[0; 16], classes: None, serials: None, actions: None };

    /// Vendor id, a UUID.
    #[must_use]
    pub fn vendor(&self) -> &'a [u8; 16] {
        self.vendor
    }

    /// True when this is the vendor of the scope.
    #[must_use]
    pub fn permits_vendor(&self, vendor: &[u8; 16]) -> bool {
        self.vendor == vendor
    }

    /// True when the scope names this class, or no class at all.
    #[must_use]
    pub fn permits_class(&self, class: &[u8; 16]) -> bool {
        self.classes.is_none_or(|list| list.contains(class))
    }

    /// True when the scope names this serial, or no serial at all.
    #[must_use]
    pub fn permits_serial(&self, serial: &str) -> bool {
        self.serials.is_none_or(|list| list.contains(serial.as_bytes()))
    }

    /// Class ids, UUIDs; empty when any class is permitted.
    pub fn classes(&self) -> impl Iterator<Item = &'a [u8; 16]> + use<'a> {
        self.classes.into_iter().flat_map(|list| list.iter(Reader::byte_array::<16>))
    }

    /// Serials; empty when any serial is permitted.
    pub fn serials(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.serials.into_iter().flat_map(|list| list.iter(Reader::text)).map(Utf8::as_str)
    }

    /// True when the scope names serials.
    #[must_use]
    pub fn is_limited_to_serials(&self) -> bool {
        self.serials.is_some()
    }

    /// True when the other scope is of one device, and every class, serial and action of it is permitted here.
    #[cfg(feature = "host")]
    pub(crate) fn contains_device(&self, device: &Scope<'_>) -> bool {
        self.permits_vendor(device.vendor)
            && device.classes().count() == 1
            && device.classes().all(|class| self.permits_class(class))
            && device.serials().count() == 1
            && device.serials().all(|serial| self.permits_serial(serial))
            && self.actions().is_none_or(|own| device.actions().is_some_and(|actions| actions & !own == 0))
    }

    /// Permitted actions, a bit set; `None` when any action is.
    #[must_use]
    pub fn actions(&self) -> Option<u64> {
        self.actions.map(Uint::get)
    }

    #[inline(never)]
    pub(crate) fn read(reader: &mut Reader<'a>) -> Self {
        let mut scope = Self::VACANT;
        let mut seen = 0;
        let mut entries = reader.map();
        while let Some(key) = entries.next_label(reader) {
            seen |= bit(key);
            let start = reader.position();
            match key {
                SCOPE_VENDOR => scope.vendor = reader.byte_array(),
                SCOPE_CLASSES => scope.classes = Some(List::read(reader, 1, MAX_CLASSES, read_class)),
                SCOPE_SERIALS => scope.serials = Some(List::read(reader, 1, MAX_SERIALS, read_serial)),
                SCOPE_ACTIONS => scope.actions = Some(Uint::of(reader.uint())),
                _ => reader.refuse(ErrorKind::UnknownKey, start),
            }
        }
        if seen & bit(SCOPE_VENDOR) == 0 {
            reader.refuse(ErrorKind::MissingKey, reader.position());
        }
        scope
    }
}

fn read_class(reader: &mut Reader<'_>) {
    reader.byte_array::<16>();
}

fn read_serial(reader: &mut Reader<'_>) {
    reader.name(MAX_SERIAL_LEN);
}
