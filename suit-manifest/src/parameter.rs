//! Parameters, draft-ietf-suit-manifest-37 section 8.4.8, and the store that the processor keeps for a component.

use trust::cbor::{Reader, Utf8};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::span::uri;

/// One entry of an override-parameters map.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameter<'a> {
    VendorId(&'a [u8; 16]),
    ClassId(&'a [u8; 16]),
    DeviceId(&'a [u8; 16]),
    ImageDigest(Digest<'a>),
    ImageSize(u64),
    ComponentSlot(u64),
    Uri(Utf8<'a>),
    StrictOrder(bool),
    SoftFailure(bool),
    /// The value has been passed over.
    EncryptionInfo,
    /// Anything else; the value has been passed over.
    Unsupported,
}

impl<'a> Parameter<'a> {
    /// Reads the value of parameter `key`.
    pub(crate) fn read(key: i32, reader: &mut Reader<'a>) -> Result<Self, Error> {
        Ok(match key {
            // A vendor given as a CBOR PEN (tag 112) is not supported: it could not be matched with a scope.
            1 if reader.peek()? == trust::cbor::Major::Tag => {
                reader.skip()?;
                Self::Unsupported
            }
            1 => Self::VendorId(reader.byte_array()?),
            2 => Self::ClassId(reader.byte_array()?),
            3 => Self::ImageDigest(Digest::read_wrapped(reader)?),
            5 => Self::ComponentSlot(reader.uint()?),
            12 => Self::StrictOrder(reader.bool()?),
            13 => Self::SoftFailure(reader.bool()?),
            14 => Self::ImageSize(reader.uint()?),
            21 => Self::Uri(uri(reader, ErrorKind::ParameterUnsupported)?),
            24 => Self::DeviceId(reader.byte_array()?),
            19 => {
                reader.skip()?;
                Self::EncryptionInfo
            }
            _ => {
                reader.skip()?;
                Self::Unsupported
            }
        })
    }
}

/// The parameters of one component.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Parameters<'a> {
    pub(crate) vendor_id: Option<&'a [u8; 16]>,
    pub(crate) class_id: Option<&'a [u8; 16]>,
    pub(crate) device_id: Option<&'a [u8; 16]>,
    pub(crate) image_digest: Option<Digest<'a>>,
    pub(crate) image_size: Option<u64>,
    pub(crate) component_slot: Option<u64>,
    pub(crate) uri: Option<Utf8<'a>>,
}

impl<'a> Parameters<'a> {
    /// Section 8.4.10.3: replaces what was set. The two parameters of the processor itself are not kept here.
    pub(crate) fn set(&mut self, parameter: Parameter<'a>) {
        match parameter {
            Parameter::VendorId(id) => self.vendor_id = Some(id),
            Parameter::ClassId(id) => self.class_id = Some(id),
            Parameter::DeviceId(id) => self.device_id = Some(id),
            Parameter::ImageDigest(digest) => self.image_digest = Some(digest),
            Parameter::ImageSize(size) => self.image_size = Some(size),
            Parameter::ComponentSlot(slot) => self.component_slot = Some(slot),
            Parameter::Uri(uri) => self.uri = Some(uri),
            Parameter::StrictOrder(_)
            | Parameter::SoftFailure(_)
            | Parameter::EncryptionInfo
            | Parameter::Unsupported => {}
        }
    }
}
