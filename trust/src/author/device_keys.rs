//! Keys of single devices out of a master key: HKDF with SHA-256 (RFC 5869), or the KDF in counter mode with AES-CMAC (NIST
//! SP 800-108 section 4.1). docs/records.md has the inputs.

use cmac::{Cmac, KeyInit as _};
use hkdf::Hkdf;
use zeroize::Zeroizing;

use super::{AuthorError, encode, text, uint};
use crate::device_keys::{MAX_KEY_REVISION, Purpose};
use crate::error::{Error, ErrorKind};
use crate::key::{KID_LEN, Kid, sha256};
use crate::record::MAX_NAME_LEN;
use crate::text::is_serial;

/// Label of every derivation.
const LABEL: &str = "anchorage-device-key";
/// Bytes of a key-check value: ANSI X9.24-1 takes as many of a CMAC with AES.
pub const KEY_CHECK_LEN: usize = 5;

/// How keys are derived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Derivation {
    /// HKDF with SHA-256, RFC 5869.
    HkdfSha256,
    /// Counter mode with AES-CMAC, SP 800-108 section 4.1.
    CmacCounter,
}

/// A master key of 16 or 32 bytes, wiped when it is dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<Vec<u8>>);

impl core::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({} bytes)", self.0.len())
    }
}

/// Whose key, and what for.
#[derive(Clone, Copy, Debug)]
pub struct DeviceKeyRequest<'a> {
    /// The production line, 1 to 64 bytes: the same serial from two lines has two keys.
    pub line: &'a str,
    /// Serial of the device.
    pub serial: &'a str,
    /// What the key is for.
    pub purpose: Purpose,
    /// How often it was made anew, at most [`MAX_KEY_REVISION`].
    pub revision: u32,
}

/// A derived key, wiped when it is dropped.
#[derive(Clone)]
pub struct DerivedKey {
    /// What it is for.
    pub purpose: Purpose,
    /// Its revision.
    pub revision: u32,
    /// Its name: of whose key it is, and of nothing in it.
    pub kid: Kid,
    /// [`Purpose::key_len`] bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl core::fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DerivedKey({:?}, {:?}, revision {}, ..)", self.purpose, self.kid, self.revision)
    }
}

impl DerivedKey {
    /// The key-check value, which may be shown: the first bytes of AES-CMAC over 16 zero bytes.
    #[must_use]
    pub fn check_value(&self) -> [u8; KEY_CHECK_LEN] {
        let mac = cmac(&self.bytes, &[&[0; 16]]).unwrap_or_default();
        mac.first_chunk().copied().unwrap_or_default()
    }
}

impl MasterKey {
    /// Takes 16 or 32 bytes.
    ///
    /// # Errors
    /// [`AuthorError::Refused`] with [`ErrorKind::OutOfRange`] for another length, and for zeros only
    pub fn new(bytes: &[u8]) -> Result<Self, AuthorError> {
        if !matches!(bytes.len(), 16 | 32) || bytes.iter().all(|byte| *byte == 0) {
            return Err(Error::new(ErrorKind::OutOfRange, 0).into());
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// Derives a key of a device.
    ///
    /// # Errors
    /// [`AuthorError::Refused`] with [`ErrorKind::InvalidText`] for a serial that no device has, with
    /// [`ErrorKind::OutOfRange`] for another line or revision
    pub fn derive(
        &self,
        derivation: Derivation,
        request: &DeviceKeyRequest<'_>,
    ) -> Result<DerivedKey, AuthorError> {
        let info = info(request)?;
        let mut bytes = Zeroizing::new(vec![0; request.purpose.key_len()]);
        match derivation {
            Derivation::HkdfSha256 => {
                let kdf = Hkdf::<sha2::Sha256>::new(None, &self.0);
                kdf.expand(&info, &mut bytes).map_err(|_| AuthorError::Encoding)?;
            }
            Derivation::CmacCounter => {
                let bytes_len = u32::try_from(bytes.len()).map_err(|_| AuthorError::Encoding)?;
                let bits = bytes_len.wrapping_mul(8);
                let fixed = [LABEL.as_bytes(), &[0], &info, &bits.to_be_bytes()].concat();
                cmac_counter(&self.0, &fixed, &mut bytes)?;
            }
        }
        let [a, b, c, d, e, f, g, h, ..] = sha256(&info);
        let kid: [u8; KID_LEN] = [a, b, c, d, e, f, g, h];
        Ok(DerivedKey { purpose: request.purpose, revision: request.revision, kid: Kid(kid), bytes })
    }
}

/// `[label, line, serial, purpose, revision]` in deterministic CBOR: two requests never have the same bytes.
fn info(request: &DeviceKeyRequest<'_>) -> Result<Vec<u8>, AuthorError> {
    let DeviceKeyRequest { line, serial, purpose, revision } = *request;
    if !(1..=MAX_NAME_LEN).contains(&line.len()) || revision > MAX_KEY_REVISION {
        return Err(Error::new(ErrorKind::OutOfRange, 0).into());
    }
    if !is_serial(serial) {
        return Err(Error::new(ErrorKind::InvalidText, 0).into());
    }
    encode(&ciborium::value::Value::Array(vec![
        text(LABEL),
        text(line),
        text(serial),
        uint(purpose.number().into()),
        uint(revision.into()),
    ]))
}

/// SP 800-108 section 4.1, the counter before the fixed input, 32 bits of it.
fn cmac_counter(key: &[u8], fixed: &[u8], out: &mut [u8]) -> Result<(), AuthorError> {
    for (block, counter) in out.chunks_mut(16).zip(1_u32..) {
        let mac = Zeroizing::new(cmac(key, &[&counter.to_be_bytes(), fixed]).ok_or(AuthorError::Encoding)?);
        for (to, from) in block.iter_mut().zip(mac.iter()) {
            *to = *from;
        }
    }
    Ok(())
}

/// AES-CMAC (RFC 4493, SP 800-38B) with a key of 16 or 32 bytes.
fn cmac(key: &[u8], message: &[&[u8]]) -> Option<[u8; 16]> {
    fn of<M: cmac::Mac>(mut mac: M, message: &[&[u8]]) -> Option<[u8; 16]> {
        for piece in message {
            mac.update(piece);
        }
        mac.finalize().into_bytes().as_slice().try_into().ok()
    }
    match key.len() {
        16 => of(Cmac::<aes::Aes128>::new_from_slice(key).ok()?, message),
        32 => of(Cmac::<aes::Aes256>::new_from_slice(key).ok()?, message),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
