//! What a processor asks of its platform, and what it hands out.

use trust::cbor::Utf8;

use crate::component::ComponentId;
use crate::digest::Digest;
use crate::reason::Reason;

/// The reason for which the platform could not answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlatformError(pub Reason);

/// The questions of the processor. No answer has side effects (section 6.4: conditions have none).
pub trait Platform {
    /// Does the device, for this component, have this vendor id?
    fn vendor_matches(&mut self, component: u32, id: &[u8; 16]) -> bool;

    /// Does the device, for this component, have this class id?
    fn class_matches(&mut self, component: u32, id: &[u8; 16]) -> bool;

    /// Does the device, for this component, have this device id?
    fn device_matches(&mut self, component: u32, id: &[u8; 16]) -> bool;

    /// The slot of the component that is examined, or that a fetch would write; `None` fails the condition.
    fn component_slot(&mut self, component: u32) -> Option<u64>;

    /// Does the component hold an image of `size` bytes with this digest? It is computed over the component's real
    /// bytes.
    ///
    /// # Errors
    /// The reason for which the component cannot be read.
    fn image_matches(
        &mut self,
        component: u32,
        digest: &Digest<'_>,
        size: u64,
    ) -> Result<bool, PlatformError>;

    /// Does the device have this component?
    fn supports(&self, component_id: &ComponentId<'_>) -> bool;
}

/// Why the processor stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    /// The component is to be fetched and written; when it is, run on.
    Fetch(Fetch<'a>),
    /// The component is to be invoked. A loader does that and never comes back.
    Invoke {
        /// Index of the component.
        component: u32,
    },
    /// The content that is set is to be written into the component ([`crate::profile::Properties`]).
    Write {
        /// Index of the component.
        component: u32,
    },
    /// The component is to become what the source holds.
    Copy {
        /// Index of the component to write.
        component: u32,
        /// Index of the component to read.
        source: u32,
    },
    /// The two components are to be exchanged.
    Swap {
        /// Index of the one.
        component: u32,
        /// Index of the other.
        source: u32,
    },
    /// The events that are set are to be waited for.
    Wait {
        /// Index of the component.
        component: u32,
    },
    /// The component is no longer needed.
    Unlink {
        /// Index of the component.
        component: u32,
    },
    /// The dependency in the component, whose integrity was checked, is to run its shared sequence and this section.
    ProcessDependency {
        /// Index of the component.
        component: u32,
    },
    /// The section has been run to its end.
    Done,
}

/// A fetch to serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fetch<'a> {
    /// Index of the component to write.
    pub component: u32,
    /// Where from.
    pub uri: Utf8<'a>,
    /// Bytes of the image, if the manifest has set it.
    pub image_size: Option<u64>,
    /// Digest of the image, if the manifest has set it.
    pub digest: Option<Digest<'a>>,
}

/// The contents of the components, as far as image-match may know them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contents<'a> {
    /// The platform alone knows.
    Unknown,
    /// Nothing: image-match fails.
    Empty,
    /// One image; image-match fails for any other. Without a digest the platform alone knows which one.
    Image {
        /// Index of the component.
        component: u32,
        /// Bytes of the image.
        size: u64,
        /// Its digest.
        digest: Option<Digest<'a>>,
    },
}

impl Contents<'_> {
    /// Whether image-match may hold.
    pub(crate) fn may_match(&self, component: u32, digest: &Digest<'_>, size: u64) -> bool {
        match self {
            Self::Unknown => true,
            Self::Empty => false,
            Self::Image { component: own, size: held, digest: known } => {
                *own == component && *held == size && known.is_none_or(|known| known == *digest)
            }
        }
    }
}
