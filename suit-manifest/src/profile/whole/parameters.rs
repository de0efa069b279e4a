//! Parameters of a component that a loader does not offer.

use trust::cbor::Span;

use super::Whole;
use crate::argument::{AnyDigest, ComponentMetadata, VersionMatch, WaitInfo};
use crate::error::ErrorKind;
use crate::parameter::ParametersOf;
use crate::vocabulary::ParameterKey;

/// Parameters of a component.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters<'a> {
    pub(super) pen: Option<&'a [u8]>,
    /// A digest of another algorithm than SHA-256.
    pub(super) digest: Option<AnyDigest<'a>>,
    pub(super) use_before: Option<u64>,
    pub(super) content: Option<&'a [u8]>,
    pub(super) encryption_info: Option<Span<'a>>,
    pub(super) source_component: Option<u64>,
    pub(super) invoke_args: Option<&'a [u8]>,
    pub(super) fetch_arguments: Option<&'a [u8]>,
    pub(super) minimum_battery: Option<u64>,
    pub(super) update_priority: Option<i64>,
    pub(super) version: Option<VersionMatch<'a>>,
    pub(super) wait_info: Option<WaitInfo<'a>>,
    pub(super) metadata: Option<ComponentMetadata<'a>>,
}

impl<'a> ParametersOf<'a, Whole> {
    /// Whether a parameter of the component is set. strict-order and soft-failure are none of it.
    pub(super) fn is_set(&self, key: i32) -> bool {
        let more = &self.more;
        match ParameterKey::from_number(key.into()) {
            Some(ParameterKey::VendorId) => self.vendor_id.is_some() || more.pen.is_some(),
            Some(ParameterKey::ClassId) => self.class_id.is_some(),
            Some(ParameterKey::ImageDigest) => self.image_digest.is_some() || more.digest.is_some(),
            Some(ParameterKey::UseBefore) => more.use_before.is_some(),
            Some(ParameterKey::ComponentSlot) => self.component_slot.is_some(),
            Some(ParameterKey::ImageSize) => self.image_size.is_some(),
            Some(ParameterKey::Content) => more.content.is_some(),
            Some(ParameterKey::EncryptionInfo) => more.encryption_info.is_some(),
            Some(ParameterKey::Uri) => self.uri.is_some(),
            Some(ParameterKey::SourceComponent) => more.source_component.is_some(),
            Some(ParameterKey::InvokeArgs) => more.invoke_args.is_some(),
            Some(ParameterKey::DeviceId) => self.device_id.is_some(),
            Some(ParameterKey::FetchArguments) => more.fetch_arguments.is_some(),
            Some(ParameterKey::MinimumBattery) => more.minimum_battery.is_some(),
            Some(ParameterKey::UpdatePriority) => more.update_priority.is_some(),
            Some(ParameterKey::Version) => more.version.is_some(),
            Some(ParameterKey::WaitInfo) => more.wait_info.is_some(),
            Some(ParameterKey::ComponentMetadata) => more.metadata.is_some(),
            Some(ParameterKey::StrictOrder | ParameterKey::SoftFailure) | None => false,
        }
    }

    /// Takes over a parameter of another component.
    pub(super) fn copy_from(&mut self, key: i32, given: &Self) -> Result<(), ErrorKind> {
        let Some(known) = ParameterKey::from_number(key.into()) else {
            return Err(ErrorKind::ParameterUnsupported);
        };
        let (more, from) = (&mut self.more, &given.more);
        match known {
            // They belong to a sequence and not to a component (section 8.4.8).
            ParameterKey::StrictOrder | ParameterKey::SoftFailure => {
                return Err(ErrorKind::ParameterUnsupported);
            }
            _ if !given.is_set(key) => return Err(ErrorKind::ParameterMissing),
            ParameterKey::VendorId => (self.vendor_id, more.pen) = (given.vendor_id, from.pen),
            ParameterKey::ClassId => self.class_id = given.class_id,
            ParameterKey::ImageDigest => {
                (self.image_digest, more.digest) = (given.image_digest, from.digest);
            }
            ParameterKey::UseBefore => more.use_before = from.use_before,
            ParameterKey::ComponentSlot => self.component_slot = given.component_slot,
            ParameterKey::ImageSize => self.image_size = given.image_size,
            ParameterKey::Content => more.content = from.content,
            ParameterKey::EncryptionInfo => more.encryption_info = from.encryption_info,
            ParameterKey::Uri => self.uri = given.uri,
            ParameterKey::SourceComponent => more.source_component = from.source_component,
            ParameterKey::InvokeArgs => more.invoke_args = from.invoke_args,
            ParameterKey::DeviceId => self.device_id = given.device_id,
            ParameterKey::FetchArguments => more.fetch_arguments = from.fetch_arguments,
            ParameterKey::MinimumBattery => more.minimum_battery = from.minimum_battery,
            ParameterKey::UpdatePriority => more.update_priority = from.update_priority,
            ParameterKey::Version => more.version = from.version,
            ParameterKey::WaitInfo => more.wait_info = from.wait_info,
            ParameterKey::ComponentMetadata => more.metadata = from.metadata,
        }
        Ok(())
    }
}
