//! The one writer of provisioning blocks.

use ciborium::value::Value;

use super::{AuthorError, DerivedKey, bytes, encode, map, text, uint};
use crate::anchor::{Anchor, AnchorSet, BLOCK_ANCHORS_MAX};
use crate::device_keys::Purpose;
use crate::error::{Error, ErrorKind};
use crate::provisioning::{
    ANCHORS, CLASS, DEVICE, DEVICE_KEYS, FORMAT, NODE_ADDRESS, ProvisioningBlock, SEQUENCE_FLOOR, SERIAL,
    VENDOR, VERSION,
};

/// The content of a provisioning block to write.
#[derive(Clone, Debug)]
pub struct ProvisioningRequest<'a> {
    /// Serial, 1 to 32 printable ASCII characters.
    pub serial: &'a str,
    /// Vendor id, a UUID.
    pub vendor: [u8; 16],
    /// Class id, a UUID.
    pub class: [u8; 16],
    /// Device id, a UUID.
    pub device: [u8; 16],
    /// Node address, 1 to 239.
    pub node_address: u8,
    /// Anchors; none when the loader has its own compiled in.
    pub anchors: &'a [Anchor],
    /// Sequence floor to begin with.
    pub sequence_floor: u64,
}

impl ProvisioningRequest<'_> {
    /// The block in deterministic CBOR, without what is default, read back as a device reads it.
    ///
    /// # Errors
    /// [`AuthorError::Refused`] when a device would refuse the block
    pub fn encode(&self) -> Result<Vec<u8>, AuthorError> {
        self.encode_with_keys(&[])
    }

    /// The same with device keys, their purposes ascending. **The block is a secret then.**
    ///
    /// # Errors
    /// [`AuthorError::Refused`] when a device that has the use of them would refuse the block
    pub fn encode_with_keys(&self, keys: &[DerivedKey]) -> Result<Vec<u8>, AuthorError> {
        AnchorSet::of(self.anchors)?;
        if self.anchors.len() > BLOCK_ANCHORS_MAX {
            return Err(Error::new(ErrorKind::TooMany, 0).into());
        }
        let mut entries = vec![
            (FORMAT, Value::from(VERSION)),
            (SERIAL, text(self.serial)),
            (VENDOR, bytes(&self.vendor)),
            (CLASS, bytes(&self.class)),
            (DEVICE, bytes(&self.device)),
            (NODE_ADDRESS, uint(self.node_address.into())),
        ];
        if !self.anchors.is_empty() {
            let anchors = self.anchors.iter().map(anchor).collect::<Result<_, _>>()?;
            entries.push((ANCHORS, Value::Array(anchors)));
        }
        if self.sequence_floor > 0 {
            entries.push((SEQUENCE_FLOOR, uint(self.sequence_floor)));
        }
        if !keys.is_empty() {
            entries.push((DEVICE_KEYS, Value::Array(keys.iter().map(device_key).collect())));
        }
        let block = encode(&map(entries))?;
        let authenticates = keys.iter().any(|key| key.purpose == Purpose::Authentication);
        let read = match keys {
            [] => ProvisioningBlock::parse(&block)?,
            _ if authenticates && self.anchors.is_empty() => ProvisioningBlock::parse_own_key(&block)?.0,
            _ => ProvisioningBlock::parse_with_keys(&block)?.0,
        };
        if read.anchors.as_slice() != self.anchors || read.sequence_floor != self.sequence_floor {
            return Err(AuthorError::Encoding);
        }
        Ok(block)
    }
}

/// `[purpose, revision, kid, key]`.
fn device_key(key: &DerivedKey) -> Value {
    let numbers = [u64::from(key.purpose.number()), key.revision.into()].map(uint);
    Value::Array(numbers.into_iter().chain([bytes(&key.kid.0), bytes(&key.bytes)]).collect())
}

/// `[COSE_Key, rights, domain]`.
fn anchor(anchor: &Anchor) -> Result<Value, AuthorError> {
    Ok(Value::Array(vec![
        super::cose_key(anchor.key())?,
        uint(anchor.rights().bits().into()),
        bytes(&anchor.domain().0.0),
    ]))
}
