//! Values of parameters and of set-version as named types, heap-free: draft-ietf-suit-manifest-37 section 8.4.8,
//! draft-ietf-suit-update-management-16 sections 3.1 and 4, draft-ietf-suit-firmware-encryption-26 section 4.
//!
//! Each type was read as a whole when it was made; what it lists is read again when it is asked.

use trust::cbor::{Major, Reader, Span, Utf8};

use crate::error::ErrorKind;
use crate::limits::{MAX_CONTENT_LEN, MAX_VERSION_NUMBERS};
use crate::source::Source;
use crate::span::uri;
use crate::vocabulary::{Comparison, MetadataElement, ParameterKey, WaitEventKey};

/// Tag of a CBOR PEN: a relative object identifier (RFC 9090) below 1.3.6.1.4.1 (section 8.4.8.3).
pub(crate) const TAG_PEN: u64 = 112;
/// Tag of a UUID among the actors of metadata.
const TAG_UUID: u64 = 37;
/// Tag of a time in seconds (RFC 8949 section 3.4.2).
const TAG_TIME: u32 = 1;

/// A vendor (section 8.4.8.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VendorId<'a> {
    /// A UUID.
    Uuid(&'a [u8; 16]),
    /// A private enterprise number, as the bytes of a relative object identifier. The draft derives no UUID from
    /// it: it is compared as it is.
    Pen(&'a [u8]),
}

impl<'a> VendorId<'a> {
    pub(crate) fn read(source: &mut Source<'a>) -> Self {
        if source.peek() != Major::Tag {
            return Self::Uuid(source.byte_array());
        }
        let start = source.position();
        if source.tag() != TAG_PEN {
            source.refuse(trust::ErrorKind::UnexpectedType, start);
        }
        let start = source.position();
        let number = source.bytes();
        if !is_relative_oid_of_one(number) {
            source.refuse(trust::ErrorKind::OutOfRange, start);
        }
        Self::Pen(number)
    }
}

/// RFC 9090 section 2: numbers of 7 bits a byte, the highest bit on all bytes but the last, no leading zeros. A PEN is
/// one number.
fn is_relative_oid_of_one(bytes: &[u8]) -> bool {
    match bytes.split_last() {
        Some((last, before)) => {
            last & 0x80 == 0 && before.iter().all(|byte| byte & 0x80 != 0) && bytes.first() != Some(&0x80)
        }
        None => false,
    }
}

/// The algorithms that SUIT_Digest may name (section 10).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(i8)]
pub enum DigestAlgorithm {
    /// SHA-256
    Sha256 = -16,
    /// SHAKE128
    Shake128 = -18,
    /// SHA-384
    Sha384 = -43,
    /// SHA-512
    Sha512 = -44,
    /// SHAKE256
    Shake256 = -45,
}

impl DigestAlgorithm {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Sha256, Self::Shake128, Self::Sha384, Self::Sha512, Self::Shake256];

    /// Its number in COSE (RFC 9054).
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i8 as i32
    }

    /// Bytes of a digest.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 | Self::Shake128 => 32,
            Self::Sha384 => 48,
            Self::Sha512 | Self::Shake256 => 64,
        }
    }

    /// The digest of these bytes (section 10; RFC 9054 for the lengths of SHAKE).
    #[cfg(any(test, feature = "author"))]
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        use sha2::Digest as _;
        match self {
            Self::Sha256 => trust::sha256(bytes).to_vec(),
            Self::Sha384 => sha2::Sha384::digest(bytes).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
            Self::Shake128 => shake::<sha3::Shake128, 32>(bytes).to_vec(),
            Self::Shake256 => shake::<sha3::Shake256, 64>(bytes).to_vec(),
        }
    }
}

/// A digest of any algorithm that SUIT knows (section 10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnyDigest<'a> {
    algorithm: DigestAlgorithm,
    bytes: &'a [u8],
}

/// The first bytes of what SHAKE gives without an end.
#[cfg(any(test, feature = "author"))]
fn shake<H: Default + sha3::digest::Update + sha3::digest::ExtendableOutput, const LEN: usize>(
    bytes: &[u8],
) -> [u8; LEN] {
    let mut out = [0; LEN];
    H::digest_xof(bytes, &mut out);
    out
}

impl<'a> AnyDigest<'a> {
    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Of SHA-256.
    #[must_use]
    pub const fn of_sha256(bytes: &'a [u8; 32]) -> Self {
        Self { algorithm: DigestAlgorithm::Sha256, bytes }
    }

    /// Its bytes, as many as the algorithm has.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it is the digest of these bytes.
    #[cfg(any(test, feature = "author"))]
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        self.algorithm.digest(bytes) == self.bytes
    }

    /// SUIT_Digest. An extension after the two elements is unsupported: none is registered.
    pub(crate) fn read(source: &mut Source<'a>) -> Self {
        let start = source.position();
        let elements = source.array().remaining();
        let number = source.label();
        let bytes = source.bytes();
        let known = DigestAlgorithm::ALL.into_iter().find(|algorithm| algorithm.number() == number);
        let algorithm = known.unwrap_or(DigestAlgorithm::Sha256);
        let refused = if elements < 2 {
            source.refuse(trust::ErrorKind::UnexpectedType, start);
            None
        } else if known.is_none() || elements > 2 {
            Some(ErrorKind::DigestAlgorithmUnsupported)
        } else {
            (bytes.len() != algorithm.digest_len()).then_some(ErrorKind::DigestLength)
        };
        if let Some(refused) = refused {
            source.refuse_as(refused, start);
        }
        Self { algorithm, bytes }
    }
}

/// A version, a list of integers (suit-update-management section 4.4): one at least, [`MAX_VERSION_NUMBERS`] at most.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    encoded: &'a [u8],
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for Version<'_> {}

impl<'a> Version<'a> {
    pub(crate) fn read(source: &mut Source<'a>) -> Self {
        let encoded = source.peek_item();
        let mut numbers = source.array_within(1, MAX_VERSION_NUMBERS);
        let mut is_first = true;
        while numbers.next(source) {
            let start = source.position();
            // Section 4.4.1: a number below 0 says what precedes a release, and is not element 0.
            if source.int() < 0 && is_first {
                source.refuse(trust::ErrorKind::OutOfRange, start);
            }
            is_first = false;
        }
        Self { encoded }
    }

    /// Its numbers, at least one.
    pub fn numbers(&self) -> impl Iterator<Item = i64> + use<'a> {
        let mut reader = Reader::new(self.encoded);
        let mut numbers = reader.array();
        core::iter::from_fn(move || numbers.next(&reader).then(|| reader.int()))
    }
}

/// A version with an operator: SUIT_Parameter_Version_Match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VersionMatch<'a> {
    /// How the version that there is compares with `version`.
    pub comparison: Comparison,
    /// What it is compared with.
    pub version: Version<'a>,
}

impl<'a> VersionMatch<'a> {
    pub(crate) fn read(source: &mut Source<'a>) -> Self {
        source.array_of(2);
        let start = source.position();
        let comparison = Comparison::from_number(source.int());
        if comparison.is_none() {
            source.refuse_as(ErrorKind::ParameterUnsupported, start);
        }
        Self { comparison: comparison.unwrap_or(Comparison::Equal), version: Version::read(source) }
    }

    /// Whether the version `actual` matches. As many numbers are compared as the manifest gives, up to the first that
    /// differs (section 4.4); numbers that `actual` lacks count as 0, so that 1.2 lies above 1.2-rc, `[1, 2, -1]`.
    #[must_use]
    pub fn is_met_by(&self, actual: impl IntoIterator<Item = i64>) -> bool {
        let mut actual = actual.into_iter();
        let ordering = self
            .version
            .numbers()
            .map(|wanted| actual.next().unwrap_or(0).cmp(&wanted))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(core::cmp::Ordering::Equal);
        match self.comparison {
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterEqual => ordering.is_ge(),
            Comparison::Equal => ordering.is_eq(),
            Comparison::LesserEqual => ordering.is_le(),
            Comparison::Lesser => ordering.is_lt(),
        }
    }
}

/// An event to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitEvent<'a> {
    /// Authorization for this priority.
    Authorization(i64),
    /// A state of the power supply.
    Power(i64),
    /// A state of the network.
    Network(i64),
    /// A version of another device.
    OtherDeviceVersion {
        /// Which one, as the deployment names it.
        device: &'a [u8],
        /// All of them are to hold.
        versions: VersionMatches<'a>,
    },
    /// Seconds since 1970-01-01.
    Time(u64),
    /// Seconds since midnight, local time.
    TimeOfDay(u64),
    /// Days since Sunday, local time.
    DayOfWeek(u64),
    /// Seconds since midnight, UTC.
    TimeOfDayUtc(u64),
    /// Days since Sunday, UTC.
    DayOfWeekUtc(u64),
}

/// One version match or more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VersionMatches<'a> {
    encoded: &'a [u8],
}

impl<'a> VersionMatches<'a> {
    fn read(source: &mut Source<'a>) -> Self {
        let encoded = source.peek_item();
        let start = source.position();
        let mut matches = source.array();
        if matches.remaining() == 0 {
            source.refuse(trust::ErrorKind::OutOfRange, start);
        }
        while matches.next(source) {
            VersionMatch::read(source);
        }
        Self { encoded }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = VersionMatch<'a>> + use<'a> {
        let mut source = Source::of(Span { bytes: self.encoded, base: 0 });
        let mut matches = source.array();
        core::iter::from_fn(move || matches.next(&source).then(|| VersionMatch::read(&mut source)))
    }
}

/// suit-parameter-wait-info: the events, all of which a wait waits for (suit-update-management section 4.5).
#[derive(Clone, Copy, Debug)]
pub struct WaitInfo<'a> {
    span: Span<'a>,
}

impl PartialEq for WaitInfo<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.span.bytes == other.span.bytes
    }
}

impl Eq for WaitInfo<'_> {}

impl<'a> WaitInfo<'a> {
    fn read(source: &mut Source<'a>) -> Self {
        let info = Self { span: source.left() };
        let start = source.position();
        let mut events = source.map();
        if events.remaining() == 0 {
            source.refuse(trust::ErrorKind::OutOfRange, start);
        }
        while Self::next(&mut events, source).is_some() {}
        info
    }

    fn next(events: &mut trust::cbor::MapCursor<'a>, source: &mut Source<'a>) -> Option<WaitEvent<'a>> {
        let start = source.position();
        let key = events.next_label(source)?;
        let Some(key) = WaitEventKey::from_number(key.into()) else {
            source.refuse_as(ErrorKind::ParameterUnsupported, start);
            return None;
        };
        let event = match key {
            WaitEventKey::Authorization => WaitEvent::Authorization(source.int()),
            WaitEventKey::Power => WaitEvent::Power(source.int()),
            WaitEventKey::Network => WaitEvent::Network(source.int()),
            WaitEventKey::OtherDeviceVersion => {
                source.array_of(2);
                let device = source.bytes();
                WaitEvent::OtherDeviceVersion { device, versions: VersionMatches::read(source) }
            }
            WaitEventKey::Time => WaitEvent::Time(source.uint()),
            WaitEventKey::TimeOfDay => WaitEvent::TimeOfDay(source.uint()),
            WaitEventKey::DayOfWeek => WaitEvent::DayOfWeek(source.uint()),
            WaitEventKey::TimeOfDayUtc => WaitEvent::TimeOfDayUtc(source.uint()),
            WaitEventKey::DayOfWeekUtc => WaitEvent::DayOfWeekUtc(source.uint()),
        };
        source.check().is_ok().then_some(event)
    }

    /// The events, at least one.
    pub fn events(&self) -> impl Iterator<Item = WaitEvent<'a>> + use<'a> {
        let mut source = Source::of(self.span);
        let mut events = source.map();
        core::iter::from_fn(move || Self::next(&mut events, &mut source))
    }
}

/// suit-parameter-component-metadata, read for its form and handed to the platform as it is
/// (suit-update-management section 4.6).
#[derive(Clone, Copy, Debug)]
pub struct ComponentMetadata<'a> {
    span: Span<'a>,
}

impl PartialEq for ComponentMetadata<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.span.bytes == other.span.bytes
    }
}

impl Eq for ComponentMetadata<'_> {}

impl<'a> ComponentMetadata<'a> {
    fn read(source: &mut Source<'a>) -> Self {
        let metadata = Self { span: source.left() };
        let mut entries = source.map();
        loop {
            let start = source.position();
            let Some(key) = entries.next_label(source) else { break };
            match MetadataElement::from_number(key.into()) {
                Some(MetadataElement::DefaultPermissions) => drop(source.uint()),
                Some(
                    MetadataElement::UserPermissions
                    | MetadataElement::GroupPermissions
                    | MetadataElement::RolePermissions,
                ) => read_permissions(source),
                Some(MetadataElement::FileType) => drop(source.uint_within(1, 3)),
                Some(MetadataElement::ModificationTime | MetadataElement::CreationTime) => {
                    source.expect_tag(TAG_TIME);
                    source.uint();
                }
                Some(MetadataElement::Creator) => read_actor(source),
                None => source.refuse_as(ErrorKind::ParameterUnsupported, start),
            }
        }
        metadata
    }

    /// The map, in canonical CBOR.
    #[must_use]
    pub fn encoded(&self) -> &'a [u8] {
        self.span.bytes
    }
}

/// `{+ actor => permissions}`
fn read_permissions(source: &mut Source<'_>) {
    let start = source.position();
    let mut entries = source.map();
    if entries.remaining() == 0 {
        source.refuse(trust::ErrorKind::OutOfRange, start);
    }
    while entries.next(source) {
        read_actor(source);
        source.uint();
    }
}

/// SUIT_meta_actor_id: a tagged UUID, bytes, text or an integer.
fn read_actor(source: &mut Source<'_>) {
    let start = source.position();
    match source.peek() {
        Major::Tag => {
            if source.tag() != TAG_UUID {
                source.refuse(trust::ErrorKind::UnexpectedType, start);
            }
            source.byte_array::<16>();
        }
        Major::Bytes => drop(source.bytes()),
        Major::Text => drop(source.text()),
        Major::Unsigned | Major::Negative => drop(source.int()),
        _ => source.refuse(trust::ErrorKind::UnexpectedType, start),
    }
}

/// The value of a parameter. `Custom` holds what nothing names, unread.
#[derive(Clone, Copy, Debug)]
pub enum ParameterValue<'a> {
    /// vendor-id
    VendorId(VendorId<'a>),
    /// class-id
    ClassId(&'a [u8; 16]),
    /// image-digest
    ImageDigest(AnyDigest<'a>),
    /// use-before: seconds since 1970-01-01
    UseBefore(u64),
    /// component-slot
    ComponentSlot(u64),
    /// strict-order
    StrictOrder(bool),
    /// soft-failure
    SoftFailure(bool),
    /// image-size, bytes
    ImageSize(u64),
    /// content
    Content(&'a [u8]),
    /// encryption-info: a COSE_Encrypt, tagged, not read here
    EncryptionInfo(Span<'a>),
    /// uri
    Uri(Utf8<'a>),
    /// source-component: its index
    SourceComponent(u64),
    /// invoke-args
    InvokeArgs(&'a [u8]),
    /// device-id
    DeviceId(&'a [u8; 16]),
    /// fetch-arguments
    FetchArguments(&'a [u8]),
    /// minimum-battery, mWh
    MinimumBattery(u64),
    /// update-priority; smaller is more urgent
    UpdatePriority(i64),
    /// version
    Version(VersionMatch<'a>),
    /// wait-info
    WaitInfo(WaitInfo<'a>),
    /// component-metadata
    ComponentMetadata(ComponentMetadata<'a>),
    /// The value of a parameter that no document names.
    Custom(Span<'a>),
}

impl<'a> ParameterValue<'a> {
    /// Reads the value of the parameter with this key; it ends where the item ends.
    pub(crate) fn read(key: i32, source: &mut Source<'a>) -> Self {
        let Some(key) = ParameterKey::from_number(key.into()) else {
            let span = Span { base: source.position(), bytes: source.peek_item() };
            source.skip();
            return Self::Custom(span);
        };
        match key {
            ParameterKey::VendorId => Self::VendorId(VendorId::read(source)),
            ParameterKey::ClassId => Self::ClassId(source.byte_array()),
            ParameterKey::ImageDigest => Self::ImageDigest(source.embedded(AnyDigest::read)),
            ParameterKey::UseBefore => Self::UseBefore(source.uint()),
            ParameterKey::ComponentSlot => Self::ComponentSlot(source.uint()),
            ParameterKey::StrictOrder => Self::StrictOrder(source.bool()),
            ParameterKey::SoftFailure => Self::SoftFailure(source.bool()),
            ParameterKey::ImageSize => Self::ImageSize(source.uint()),
            ParameterKey::Content => {
                let start = source.position();
                let content = source.bytes();
                if content.len() > MAX_CONTENT_LEN {
                    source.refuse(trust::ErrorKind::TooLong, start);
                }
                Self::Content(content)
            }
            ParameterKey::EncryptionInfo => Self::EncryptionInfo(source.span()),
            ParameterKey::Uri => Self::Uri(uri(source, ErrorKind::ParameterUnsupported)),
            ParameterKey::SourceComponent => Self::SourceComponent(source.uint()),
            ParameterKey::InvokeArgs => Self::InvokeArgs(source.bytes()),
            ParameterKey::DeviceId => Self::DeviceId(source.byte_array()),
            ParameterKey::FetchArguments => Self::FetchArguments(source.bytes()),
            ParameterKey::MinimumBattery => Self::MinimumBattery(source.uint()),
            ParameterKey::UpdatePriority => Self::UpdatePriority(source.int()),
            ParameterKey::Version => Self::Version(source.embedded(VersionMatch::read)),
            ParameterKey::WaitInfo => Self::WaitInfo(source.embedded(WaitInfo::read)),
            ParameterKey::ComponentMetadata => {
                Self::ComponentMetadata(source.embedded(ComponentMetadata::read))
            }
        }
    }
}
