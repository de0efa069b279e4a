//! What has held in a run: the conditions, and the one image that there is.

use trust::cbor::Uint;

use super::{Contents, Platform, PlatformError, ProcessorOf, index};
use crate::error::{Condition, ErrorKind};
use crate::profile::{Issued, Profile};

impl<'a, P: Profile> ProcessorOf<'a, P> {
    pub(crate) fn contents(&self) -> Contents<'a> {
        self.contents
    }

    pub(crate) fn set_contents(&mut self, contents: Contents<'a>) {
        self.contents = contents;
    }

    /// Whether the one image that there is lies in this component.
    pub(crate) fn holds_image(&self, component: u32) -> bool {
        matches!(self.contents, Contents::Image { component: own, .. } if own == component)
    }

    /// Whether [`Processor::image_matched`] is true of the one image that there is.
    pub(crate) fn contents_matched(&self) -> bool {
        matches!(self.contents, Contents::Image { component, .. } if self.image_matched(component))
    }

    /// True when image-match has held for the component in this run, and since then neither its digest nor its size
    /// was set, nor the component fetched. A loader asks before it boots, since a manifest need not have the
    /// condition.
    #[must_use]
    pub fn image_matched(&self, component: u32) -> bool {
        index(component).and_then(|index| self.images_held.get(index)).is_some_and(|held| *held)
    }

    /// Section 8.4.9: a condition whose parameter has not been set fails.
    pub(super) fn holds(
        &mut self,
        condition: Condition,
        issued: Issued,
        platform: &mut P::Platform<'_>,
    ) -> Option<bool> {
        let Issued { component, position, .. } = issued;
        let parameters = *self.parameters(component)?;
        let other = P::other_condition(self, issued, platform)?;
        let held = match condition {
            _ if other.is_some() => other == Some(true),
            Condition::Vendor => {
                parameters.vendor_id.is_some_and(|id| platform.vendor_matches(component, id))
            }
            Condition::Class => parameters.class_id.is_some_and(|id| platform.class_matches(component, id)),
            Condition::Device => {
                parameters.device_id.is_some_and(|id| platform.device_matches(component, id))
            }
            Condition::ComponentSlot => parameters
                .component_slot
                .is_some_and(|slot| platform.component_slot(component) == Some(slot.get())),
            Condition::ImageMatch => match (parameters.image_digest, parameters.image_size.map(Uint::get)) {
                (Some(digest), Some(size)) if P::is_elsewhere(self, component, &digest, size) => true,
                (Some(digest), Some(size)) if self.contents.may_match(component, &digest, size) => {
                    match platform.image_matches(component, &digest, size) {
                        Ok(matches) => matches,
                        Err(PlatformError(reason)) => {
                            self.refuse(ErrorKind::Platform(reason), position)?;
                            false
                        }
                    }
                }
                _ => false,
            },
            Condition::Abort | Condition::Unknown => false,
        };
        match condition {
            Condition::Vendor => self.identity_held |= u16::from(held_bit(component, held)),
            Condition::Class => self.identity_held |= u16::from(held_bit(component, held)).wrapping_shl(8),
            Condition::ImageMatch => self.set_image_held(component, held),
            _ => {}
        }
        Some(held)
    }

    pub(crate) fn set_image_held(&mut self, component: u32, held: bool) {
        if let Some(slot) = index(component).and_then(|index| self.images_held.get_mut(index)) {
            *slot = held;
        }
    }
}

/// The bit of a component, of which there are at most [`MAX_COMPONENTS`], if it held.
fn held_bit(component: u32, held: bool) -> u8 {
    u8::from(held).wrapping_shl(component)
}
