//! Parameters, draft-ietf-suit-manifest-37 section 8.4.8, and the store that the processor keeps for a component.

use trust::cbor::{Major, Uint, Utf8};

use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::profile::Profile;
use crate::source::Source;
use crate::span::uri;
use crate::vocabulary::ParameterKey;

/// What one entry of an override-parameters map has set.
#[derive(Clone, Copy, Debug)]
pub enum Parameter<'a> {
    VendorId(&'a [u8; 16]),
    ClassId(&'a [u8; 16]),
    /// Digest or size of the image.
    Image,
    Other,
    /// The two parameters of the processor itself, which are not kept for a component.
    StrictOrder(bool),
    SoftFailure(bool),
    /// A vendor that is no UUID.
    OtherVendor,
    /// The value has been passed over.
    EncryptionInfo,
    /// Anything else; the value has been passed over.
    Unsupported,
}

/// The parameters of one component.
#[derive(Clone, Copy, Default, Debug)]
pub struct ParametersOf<'a, P: Profile> {
    pub(crate) vendor_id: Option<&'a [u8; 16]>,
    pub(crate) class_id: Option<&'a [u8; 16]>,
    pub(crate) device_id: Option<&'a [u8; 16]>,
    pub(crate) image_digest: Option<Digest<'a>>,
    pub(crate) image_size: Option<Uint>,
    pub(crate) component_slot: Option<Uint>,
    pub(crate) uri: Option<Utf8<'a>>,
    /// Those that the loader does not offer.
    pub(crate) more: P::Parameters<'a>,
}

impl<'a, P: Profile> ParametersOf<'a, P> {
    /// Section 8.4.10.3: reads the value of parameter `key`, which replaces what was set.
    #[inline(never)]
    pub(crate) fn read(&mut self, key: i32, source: &mut Source<'a>) -> Parameter<'a> {
        match key {
            // A vendor given as a CBOR PEN (tag 112) could not be matched with a scope.
            ParameterKey::VENDOR_ID if source.peek() != Major::Tag => {
                let id = source.byte_array();
                self.vendor_id = Some(id);
                P::replaced(&mut self.more, key);
                return Parameter::VendorId(id);
            }
            ParameterKey::CLASS_ID => {
                let id = source.byte_array();
                self.class_id = Some(id);
                return Parameter::ClassId(id);
            }
            ParameterKey::DEVICE_ID => self.device_id = Some(source.byte_array()),
            ParameterKey::COMPONENT_SLOT => self.component_slot = Some(Uint::of(source.uint())),
            ParameterKey::URI => self.uri = Some(uri(source, ErrorKind::ParameterUnsupported)),
            ParameterKey::IMAGE_DIGEST if !P::is_other_digest(source) => {
                P::replaced(&mut self.more, key);
                self.image_digest = Some(source.embedded(Digest::read));
                return Parameter::Image;
            }
            ParameterKey::IMAGE_SIZE => {
                self.image_size = Some(Uint::of(source.uint()));
                return Parameter::Image;
            }
            ParameterKey::STRICT_ORDER => return Parameter::StrictOrder(source.bool()),
            ParameterKey::SOFT_FAILURE => return Parameter::SoftFailure(source.bool()),
            _ => return P::parameter(self, key, source),
        }
        Parameter::Other
    }
}
