//! Keys of one device that its maker has too, as key 8 of the provisioning block carries them (docs/records.md).

use zeroize::Zeroize as _;

use crate::aes::Key128;
use crate::cbor::Reader;
use crate::error::ErrorKind;
use crate::key::{KID_LEN, Kid};

/// Most keys of a device: one for each purpose.
pub const DEVICE_KEYS_MAX: u32 = 3;
/// Highest revision of a key.
pub const MAX_KEY_REVISION: u32 = 65_535;

/// What a key is for. It does nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Purpose {
    /// Unwraps content keys: A128KW.
    Update,
    /// Proves the first owner: used once.
    Provisioning,
    /// Authenticates manifests and reports: HMAC 256/256.
    Authentication,
}

impl Purpose {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Update, Self::Provisioning, Self::Authentication];

    /// The number in records and derivations, 1 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Update => 1,
            Self::Provisioning => 2,
            Self::Authentication => 3,
        }
    }

    /// Bytes of such a key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Update | Self::Provisioning => 16,
            Self::Authentication => 32,
        }
    }
}

/// A key of a device, wiped when it is dropped.
#[derive(Clone)]
pub struct DeviceKey {
    revision: u32,
    kid: Kid,
    /// Behind a shorter key lie zeros.
    bytes: [u8; 32],
}

impl Drop for DeviceKey {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

impl core::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DeviceKey({:?}, revision {}, ..)", self.kid, self.revision)
    }
}

impl DeviceKey {
    /// How often it was made anew, 0 to [`MAX_KEY_REVISION`].
    #[must_use]
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// Its name.
    #[must_use]
    pub const fn kid(&self) -> &Kid {
        &self.kid
    }
}

/// The keys of a device.
#[derive(Clone, Default, Debug)]
pub struct DeviceKeys([Option<DeviceKey>; 3]);

impl DeviceKeys {
    /// The key that unwraps content keys, and its kid.
    #[must_use]
    pub fn update(&self) -> Option<(&Kid, Key128)> {
        let key = self.of(Purpose::Update)?;
        key.bytes.first_chunk().map(|bytes| (&key.kid, Key128::new(*bytes)))
    }

    /// The key of HMAC 256/256, and its kid.
    #[must_use]
    pub fn authentication(&self) -> Option<(&Kid, &[u8; 32])> {
        self.of(Purpose::Authentication).map(|key| (&key.kid, &key.bytes))
    }

    /// The key for this purpose.
    #[must_use]
    pub fn of(&self, purpose: Purpose) -> Option<&DeviceKey> {
        Purpose::ALL.iter().zip(&self.0).find(|(each, _)| **each == purpose)?.1.as_ref()
    }

    /// Reads `[1*3 [purpose, revision, kid, key]]`, purposes ascending.
    ///
    /// # Faults
    /// [`ErrorKind::OutOfRange`], [`ErrorKind::TooMany`], [`ErrorKind::Repeated`], [`ErrorKind::KeyOrder`]; those of the
    /// reader.
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) {
        let mut items = reader.array_within(1, DEVICE_KEYS_MAX);
        let mut highest = 0;
        while items.next(reader) {
            let start = reader.position();
            reader.array_of(4);
            let number = reader.uint_within(1, DEVICE_KEYS_MAX.into());
            match number.cmp(&highest) {
                core::cmp::Ordering::Greater => {}
                core::cmp::Ordering::Equal => reader.refuse(ErrorKind::Repeated, start),
                core::cmp::Ordering::Less => reader.refuse(ErrorKind::KeyOrder, start),
            }
            highest = number;
            let revision = reader.uint_within(0, MAX_KEY_REVISION.into());
            let kid = Kid(*reader.byte_array::<KID_LEN>());
            let at = reader.position();
            let key = reader.bytes();
            let mut purposes = Purpose::ALL.iter().zip(&mut self.0);
            let Some((purpose, slot)) = purposes.find(|(each, _)| u64::from(each.number()) == number) else {
                continue;
            };
            if key.len() != purpose.key_len() {
                reader.refuse(ErrorKind::UnexpectedType, at);
            }
            let revision = u32::try_from(revision).unwrap_or(MAX_KEY_REVISION);
            let held = slot.insert(DeviceKey { revision, kid, bytes: [0; 32] });
            for (to, from) in held.bytes.iter_mut().zip(key) {
                *to = *from;
            }
        }
    }
}

#[cfg(test)]
mod tests;
