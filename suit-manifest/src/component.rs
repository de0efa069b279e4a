//! The components of a manifest, draft-ietf-suit-manifest-37 section 8.4.5, and what of a device they are.

use trust::cbor::Reader;

use crate::error::ErrorKind;
use crate::limits::{MAX_COMPONENT_SEGMENT_LEN, MAX_COMPONENT_SEGMENTS, MAX_COMPONENTS};
use crate::source::Source;

/// The component identifiers of a manifest (section 8.4.5), 1 to [`MAX_COMPONENTS`].
#[derive(Clone, Copy, Debug)]
pub struct Components<'a> {
    ids: [Option<ComponentId<'a>>; MAX_COMPONENTS],
}

impl<'a> Components<'a> {
    /// Those of no manifest.
    pub(crate) const NONE: Self = Self { ids: [None; MAX_COMPONENTS] };

    /// Number of components, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Never: a manifest without a component is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The component with this index.
    #[must_use]
    pub fn at(&self, index: u32) -> Option<ComponentId<'a>> {
        self.ids.get(usize::try_from(index).ok()?).copied().flatten()
    }

    /// Whether they are those of firmware and of a table: the application is the first one.
    pub(crate) fn are_both(&self) -> bool {
        self.at(0) == Some(ComponentId::APP) && self.iter().any(|id| id == ComponentId::TABLE)
    }

    /// In the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = ComponentId<'a>> + use<'a> {
        self.ids.into_iter().flatten()
    }

    #[inline(never)]
    pub(crate) fn read(&mut self, source: &mut Source<'a>) {
        let start = source.position();
        let mut items = source.array();
        if items.remaining() == 0 {
            source.refuse_as(ErrorKind::ComponentCount, start);
        }
        while items.next(source) {
            let id = ComponentId::read(source);
            // Section 6.2: not more components than the target has storage for.
            match self.ids.iter_mut().find(|known| known.is_none_or(|known| known == id)) {
                Some(free @ None) => *free = Some(id),
                Some(Some(_)) | None => source.refuse_as(ErrorKind::ComponentCount, start),
            }
        }
    }
}

/// What of a device a manifest installs. Each is two components: the one that is installed, and the one through which it
/// comes encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum Target {
    /// The firmware, `["app"]`: it is invoked.
    #[default]
    Firmware,
    /// The configuration table, `["table"]`: data, which nothing runs.
    Table,
}

/// What is to be installed, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// What.
    pub target: Target,
    /// The device has the other one too: a release that installs both is for it.
    pub beside_the_other: bool,
}

impl From<Target> for Wanted {
    /// From a release of nothing else.
    fn from(target: Target) -> Self {
        Self { target, beside_the_other: false }
    }
}

impl Wanted {
    /// Whether a device from which this is wanted has this component.
    #[must_use]
    pub fn has(self, id: &ComponentId<'_>, decrypts: bool) -> bool {
        let Self { target, beside_the_other } = self;
        target.has(id, decrypts) || beside_the_other && target.other().has(id, decrypts)
    }
}

impl Target {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Firmware, Self::Table];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Firmware => Self::Table,
            Self::Table => Self::Firmware,
        }
    }

    /// From a release of it alone, or of both.
    #[must_use]
    pub const fn of_any(self) -> Wanted {
        Wanted { target: self, beside_the_other: true }
    }

    /// Its name, for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Table => "table",
        }
    }

    /// The component that is installed.
    #[must_use]
    pub const fn component(self) -> ComponentId<'static> {
        match self {
            Self::Firmware => ComponentId::APP,
            Self::Table => ComponentId::TABLE,
        }
    }

    /// The component through which it comes encrypted.
    #[must_use]
    pub const fn encrypted_component(self) -> ComponentId<'static> {
        match self {
            Self::Firmware => ComponentId::ENCRYPTED,
            Self::Table => ComponentId::TABLE_ENCRYPTED,
        }
    }

    /// Whether a component is one of it, for a platform that is asked for this target. `decrypts`: it may come encrypted.
    #[must_use]
    pub fn has(self, id: &ComponentId<'_>, decrypts: bool) -> bool {
        *id == self.component() || decrypts && *id == self.encrypted_component()
    }
}

/// A component identifier, a list of byte strings (section 8.4.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ComponentId<'a> {
    /// In canonical CBOR, so that equal identifiers are equal bytes.
    encoded: &'a [u8],
}

impl<'a> ComponentId<'a> {
    /// The application, `["app"]`: the component that this project's devices run.
    pub const APP: ComponentId<'static> = ComponentId { encoded: &[0x81, 0x43, b'a', b'p', b'p'] };

    /// What an encrypted application comes through, `["app", "encrypted"]`: nothing is kept there.
    pub const ENCRYPTED: ComponentId<'static> = ComponentId { encoded: b"\x82\x43app\x49encrypted" };

    /// The configuration table, `["table"]`: data that a device keeps for its application, and never runs.
    pub const TABLE: ComponentId<'static> = ComponentId { encoded: b"\x81\x45table" };

    /// What an encrypted table comes through, `["table", "encrypted"]`.
    pub const TABLE_ENCRYPTED: ComponentId<'static> = ComponentId { encoded: b"\x82\x45table\x49encrypted" };

    /// The identifier in canonical CBOR.
    #[must_use]
    pub fn encoded(&self) -> &'a [u8] {
        self.encoded
    }

    /// The byte strings.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        let mut segments = reader.array();
        core::iter::from_fn(move || segments.next(&reader).then(|| reader.bytes()))
    }

    pub(crate) fn read(source: &mut Source<'a>) -> Self {
        let start = source.position();
        let encoded = source.peek_item();
        if encoded == [0x80] {
            // `[* bstr]`: legal, and no component that there is.
            source.refuse_as(ErrorKind::ComponentUnsupported, start);
        }
        let mut segments = source.array_within(1, MAX_COMPONENT_SEGMENTS);
        while segments.next(source) {
            let position = source.position();
            if source.bytes().len() > MAX_COMPONENT_SEGMENT_LEN {
                source.refuse(trust::ErrorKind::TooLong, position);
            }
        }
        Self { encoded }
    }
}
