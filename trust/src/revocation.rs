//! Signed revocation lists: a domain revokes keys (by kid), credentials (by cti), whole generations of a role, and
//! releases (by a minimum sequence number). A list is complete: it replaces the one before it and covers all of its
//! entries ([`RevocationList::replaces`]).

use core::ops::Deref;

use crate::UnixTime;
use crate::anchor::{Anchor, Domain, Rights};
use crate::cbor::{List, Major, Reader, Span, Utf8};
use crate::credential::{MAX_GENERATION, read_generation};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, KID_LEN, Kid};
use crate::record::{
    CLAIM_IAT, CLAIM_ISS, CLAIM_LIST_SEQUENCE, CLAIM_LOWEST_GENERATIONS, CLAIM_MINIMUM_SEQUENCE,
    CLAIM_REVOKED, MAX_NAME_LEN, Record, bit, is_ignorable,
};
use crate::scope::Role;

/// `typ` of a revocation list.
pub(crate) const TYP_REVOCATION: &str = "anchorage-revocation+cwt";
/// Longest revocation list, bytes; the largest that the counts below allow is not longer.
pub const MAX_REVOCATION_LIST_LEN: usize = 1536;
/// Most kids and ctis of a list, of all roles together.
pub const MAX_REVOKED: u32 = 32;
/// Most minimum sequences of a list.
pub const MAX_MINIMUM_SEQUENCES: u32 = 16;
/// Highest minimum sequence number: below every [ceiling](crate::MAX_SEQUENCE_CEILING) that a credential may have.
pub const MAX_MINIMUM_SEQUENCE: u64 = 1 << 62;
/// Highest list-sequence: a list always leaves room for its successors.
pub const MAX_LIST_SEQUENCE: u64 = 1 << 62;
/// Roles.
const ROLES: usize = Role::ALL.len();
/// Most entries of a list: one a role.
const MAX_ENTRIES: u32 = 5;
const _: () = assert!(MAX_ENTRIES as usize == ROLES);

/// The claims of a revocation list, read and **not verified**: [`RevocationList`] is the verified one.
#[derive(Clone, Debug)]
pub struct RevocationClaims<'a> {
    cwt: &'a [u8],
    issuer_kid: Kid,
    iss: Utf8<'a>,
    issued_at: UnixTime,
    sequence: u64,
    revoked: List<'a>,
    lowest_generations: LowestGenerations,
    /// Empty when the list sets none.
    minimum_sequences: List<'a>,
}

/// A revoked key or credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum RevokedId {
    /// A key, under every credential of the domain with the entry's role.
    Key(Kid),
    /// One credential.
    Credential([u8; 16]),
}

impl RevokedId {
    /// Revokes this id for a role; `generation` is the highest under which it was certified.
    #[must_use]
    pub const fn revoked(self, role: Role, generation: u64) -> Revoked {
        Revoked { role, generation, id: self }
    }

    /// The bytes: 8 of a kid, 16 of a cti.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Key(kid) => &kid.0,
            Self::Credential(cti) => cti,
        }
    }
}

/// One revoked key or credential, with its role and generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// The role for which it was certified.
    pub role: Role,
    /// At least the highest generation under which it was ever certified for that role.
    pub generation: u64,
    /// The revoked key or credential.
    pub id: RevokedId,
}

/// The least manifest sequence number that devices should still take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MinimumSequence<'a> {
    /// Vendor id, a UUID.
    pub vendor: &'a [u8; 16],
    /// Class id, a UUID; `None`: every class of the vendor.
    pub class: Option<&'a [u8; 16]>,
    /// Manifest sequence number.
    pub sequence: u64,
}

/// A verified revocation list: an anchor with the right *governance* signed it, and it names no anchor of its domain.
#[derive(Clone, Debug)]
pub struct RevocationList<'a> {
    claims: RevocationClaims<'a>,
    domain: Domain,
}

/// How a list relates to the one of its domain that is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replacement {
    /// It is newer and replaces the held list.
    Newer,
    /// It is the same list.
    Same,
}

impl<'a> RevocationList<'a> {
    /// Verifies a list: structure, signature of one of `anchors`, and that it names no anchor of its own
    /// domain. An entry for a key of another domain has no effect.
    ///
    /// # Errors
    /// [`ErrorKind::AnchorUnknown`], [`ErrorKind::AnchorRights`], [`ErrorKind::SignatureInvalid`],
    /// [`ErrorKind::RevokesAnchor`], and the kind that names the fault of a malformed or unsupported record
    pub fn verify(cwt: &'a [u8], anchors: &[Anchor]) -> Result<Self, Error> {
        Self::verify_at(Span { bytes: cwt, base: 0 }, anchors)
    }

    /// The same of a list in the middle of something else.
    #[inline(never)]
    pub(crate) fn verify_at(cwt: Span<'a>, anchors: &[Anchor]) -> Result<Self, Error> {
        let domain = Domain(Kid([0; KID_LEN]));
        let mut list = Self { claims: RevocationClaims::vacant(cwt.bytes), domain };
        list.fill(cwt, anchors)?;
        Ok(list)
    }

    /// In place: it is large.
    fn fill(&mut self, cwt: Span<'a>, anchors: &[Anchor]) -> Result<(), Error> {
        let opened = Record::open(cwt.bytes, cwt.base, TYP_REVOCATION, MAX_REVOCATION_LIST_LEN);
        let record = opened.as_ref().map_err(|&error| error)?;
        self.domain = record.verify(anchors, Rights::GOVERNANCE, &mut { Commitment::VACANT })?.domain();
        self.claims.read_from(record)?;
        // A root is replaced by its successor, never revoked by a list.
        // A retired one has no say, and a device may have dropped it: its name there has no effect.
        let mut own = anchors.iter().filter(|anchor| anchor.domain() == self.domain && !anchor.is_retired());
        if own.any(|anchor| self.claims.names(&anchor.kid().0)) {
            return Err(Error::new(ErrorKind::RevokesAnchor, self.claims.revoked.position()));
        }
        Ok(())
    }

    /// A list that verified before, for the anchor of this domain: its signature is not checked again.
    #[cfg(feature = "host")]
    pub(crate) fn verified_before(cwt: &'a [u8], domain: Domain) -> Option<Self> {
        let record = Record::open(cwt, 0, TYP_REVOCATION, MAX_REVOCATION_LIST_LEN).ok()?;
        Some(Self { claims: RevocationClaims::read(cwt, &record).ok()?, domain })
    }

    /// The domain for which it was signed: it counts for the credentials of this domain, and no other's.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Whether this list may replace `held`, a list of the same domain (docs/records.md, Revocation). manifest-tool,
    /// server, host and device all ask this function.
    ///
    /// # Errors
    /// [`ErrorKind::RevocationSequence`] when it is older; [`ErrorKind::RevocationForked`] when it is another list
    /// with the same list-sequence; [`ErrorKind::RevocationDropsEntry`] when it is newer and does not cover an entry,
    /// a lowest generation or a minimum of the held list
    #[inline(always)]
    pub fn replaces(&self, held: &RevocationList<'_>) -> Result<Replacement, Error> {
        self.claims.continues(held)
    }
}

impl RevocationClaims<'_> {
    /// [`RevocationList::replaces`] of a list that is not signed yet.
    ///
    /// # Errors
    /// Those of [`RevocationList::replaces`]
    #[inline(never)]
    pub fn continues(&self, held: &RevocationList<'_>) -> Result<Replacement, Error> {
        let refuse = |kind| Err(Error::new(kind, 0));
        if self.sequence < held.sequence {
            return refuse(ErrorKind::RevocationSequence);
        }
        if self.sequence == held.sequence {
            return if self.cwt == held.cwt {
                Ok(Replacement::Same)
            } else {
                refuse(ErrorKind::RevocationForked)
            };
        }
        if self.covers(held) { Ok(Replacement::Newer) } else { refuse(ErrorKind::RevocationDropsEntry) }
    }

    /// Every entry is present or below the lowest generation of its role, and no minimum falls.
    fn covers(&self, held: &RevocationClaims<'_>) -> bool {
        let roles = Role::ALL.iter().all(|role| {
            let lowest = self.lowest_generation(*role);
            lowest >= held.lowest_generation(*role) && self.covers_entry(*role, lowest, held)
        });
        roles && self.states_minimums_of(held)
    }

    /// Every minimum of `held` is there, or one that stands in for it: the first list of a root that the root before
    /// named has to state them.
    #[inline(never)]
    #[must_use]
    pub fn states_minimums_of(&self, held: &RevocationClaims<'_>) -> bool {
        held.minimums().all(|held| self.minimums().any(|own| own.stands_in_for(&held)))
    }

    #[inline(never)]
    fn covers_entry(&self, role: Role, lowest: u64, held: &RevocationClaims<'_>) -> bool {
        let Some(held) = held.entry(role) else { return true };
        if held.generation < lowest {
            return true;
        }
        self.entry(role)
            .is_some_and(|own| own.generation >= held.generation && own.ids.contains_all(&held.ids))
    }
}

impl<'a> Deref for RevocationList<'a> {
    type Target = RevocationClaims<'a>;

    fn deref(&self) -> &Self::Target {
        &self.claims
    }
}

/// The claims of a revocation list, **not verified**, the signature included: to show them, or to refuse another file
/// before it interrupts a device.
///
/// # Errors
/// The kind that names the fault of the record or its claims.
#[cfg(feature = "host")]
pub fn read_unverified_revocation(cwt: &[u8]) -> Result<RevocationClaims<'_>, Error> {
    RevocationClaims::read(cwt, &Record::open(cwt, 0, TYP_REVOCATION, MAX_REVOCATION_LIST_LEN)?)
}

impl<'a> RevocationClaims<'a> {
    /// kid of the anchor that signed it.
    #[must_use]
    pub fn issuer_kid(&self) -> Kid {
        self.issuer_kid
    }

    /// Name of the issuer.
    #[must_use]
    pub fn iss(&self) -> &'a str {
        self.iss.as_str()
    }

    /// When it was issued.
    #[must_use]
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// list-sequence, 1 to [`MAX_LIST_SEQUENCE`]; a newer list of the domain has a higher one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The list as it was received.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.cwt
    }

    /// True when the key is revoked for this role, under credentials of the list's domain.
    #[must_use]
    pub fn revokes_kid(&self, role: Role, kid: &Kid) -> bool {
        self.revokes(role, &kid.0)
    }

    /// True when the credential is revoked, if it is of the list's domain and has this role.
    #[must_use]
    pub fn revokes_cti(&self, role: Role, cti: &[u8; 16]) -> bool {
        self.revokes(role, cti)
    }

    /// The two kinds of ids differ in length.
    fn revokes(&self, role: Role, id: &[u8]) -> bool {
        self.entry(role).is_some_and(|entry| entry.ids.contains(id))
    }

    /// For any role.
    fn names(&self, id: &[u8]) -> bool {
        Role::ALL.iter().any(|role| self.revokes(*role, id))
    }

    /// True when the key is revoked for some role.
    #[cfg(feature = "author")]
    pub(crate) fn revokes_any(&self, kid: &Kid) -> bool {
        self.names(&kid.0)
    }

    /// The entry of a role.
    #[inline(never)]
    fn entry(&self, role: Role) -> Option<Entry<'a>> {
        self.revoked.iter(Entry::read).find(|entry| entry.role == role)
    }

    /// The revoked keys and credentials, by role.
    pub fn revoked(&self) -> impl Iterator<Item = Revoked> + use<'a> {
        self.revoked.iter(Entry::read).flat_map(|Entry { role, generation, ids }| {
            ids.iter(read_id).map(move |id| Revoked { role, generation, id })
        })
    }

    /// The lowest generation of a role that is still good; 0 when the list sets none.
    #[must_use]
    pub fn lowest_generation(&self, role: Role) -> u64 {
        self.lowest_generations.of(role)
    }

    /// Minimum sequence numbers.
    pub fn minimum_sequences(&self) -> impl Iterator<Item = MinimumSequence<'a>> + use<'a> {
        self.minimums()
    }

    fn minimums(&self) -> impl Iterator<Item = MinimumSequence<'a>> + use<'a> {
        self.minimum_sequences.iter(MinimumSequence::read)
    }

    /// The least manifest sequence number for devices of this class, 0 if the list has none; it is for releases under
    /// credentials of the list's domain.
    #[must_use]
    pub fn minimum_sequence(&self, vendor: &[u8; 16], class: &[u8; 16]) -> u64 {
        let mut highest = 0;
        for minimum in self.minimums() {
            if minimum.vendor == vendor && minimum.class.is_none_or(|named| named == class) {
                highest = minimum.sequence.max(highest);
            }
        }
        highest
    }

    #[inline(never)]
    fn vacant(cwt: &'a [u8]) -> Self {
        Self {
            cwt,
            issuer_kid: Kid([0; KID_LEN]),
            iss: Utf8::EMPTY,
            issued_at: UnixTime(0),
            sequence: 0,
            revoked: List::EMPTY,
            lowest_generations: LowestGenerations([0; ROLES]),
            minimum_sequences: List::EMPTY,
        }
    }

    #[cfg(feature = "host")]
    fn read(cwt: &'a [u8], record: &Record<'a>) -> Result<Self, Error> {
        let mut claims = Self::vacant(cwt);
        claims.read_from(record)?;
        Ok(claims)
    }

    #[inline(never)]
    fn read_from(&mut self, record: &Record<'a>) -> Result<(), Error> {
        self.issuer_kid = record.issuer_kid();
        let mut reader = record.claims();
        let reader = &mut reader;
        let mut seen = 0;
        let mut entries = reader.map();
        while let Some(claim) = entries.next_label(reader) {
            seen |= bit(claim);
            let start = reader.position();
            match claim {
                CLAIM_ISS => self.iss = reader.name(MAX_NAME_LEN),
                CLAIM_IAT => self.issued_at = UnixTime(reader.uint()),
                CLAIM_LIST_SEQUENCE => self.sequence = reader.uint_within(1, MAX_LIST_SEQUENCE),
                CLAIM_REVOKED => self.revoked = read_revoked(reader),
                CLAIM_MINIMUM_SEQUENCE => {
                    let read = |reader: &mut Reader<'a>| {
                        MinimumSequence::read(reader);
                    };
                    self.minimum_sequences = List::read(reader, 1, MAX_MINIMUM_SEQUENCES, read);
                }
                CLAIM_LOWEST_GENERATIONS => self.lowest_generations.read(reader),
                claim if is_ignorable(claim) => reader.skip(),
                _ => reader.refuse(ErrorKind::UnknownKey, start),
            }
        }
        reader.expect_end();
        if REQUIRED & !seen != 0 {
            reader.refuse(ErrorKind::MissingKey, reader.position());
        }
        reader.check()
    }
}

/// The claims that every revocation list has.
const REQUIRED: u32 = bit(CLAIM_ISS)
    | bit(CLAIM_IAT)
    | bit(CLAIM_LIST_SEQUENCE)
    | bit(CLAIM_REVOKED)
    | bit(CLAIM_LOWEST_GENERATIONS);

/// `[role, generation, [+ id]]`: the revoked ids of one role.
#[derive(Clone, Debug)]
struct Entry<'a> {
    role: Role,
    generation: u64,
    ids: List<'a>,
}

impl<'a> Entry<'a> {
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Self {
        reader.array_of(3);
        let role = Role::read(reader);
        let generation = read_generation(reader);
        Self { role, generation, ids: List::read(reader, 1, MAX_REVOKED, check_id) }
    }
}

/// `[* [role, generation, [+ id]]]`: roles ascend, so that each has one entry at most.
fn read_revoked<'a>(reader: &mut Reader<'a>) -> List<'a> {
    let start = reader.position();
    let list = List::read(reader, 0, MAX_ENTRIES, |reader| {
        Entry::read(reader);
    });
    let (mut previous, mut ids) = (0, 0u32);
    let (mut again, mut items) = list.items();
    while reader.check().is_ok() && items.next(&again) {
        let entry = Entry::read(&mut again);
        if entry.role.code() <= previous {
            reader.refuse(ErrorKind::KeyOrder, start);
        }
        previous = entry.role.code();
        ids = ids.saturating_add(entry.ids.len());
    }
    if ids > MAX_REVOKED {
        reader.refuse(ErrorKind::TooMany, start);
    }
    list
}

fn read_id(reader: &mut Reader<'_>) -> RevokedId {
    let bytes = reader.bytes();
    match bytes.try_into() {
        Ok(kid) => RevokedId::Key(Kid(kid)),
        Err(_) => RevokedId::Credential(bytes.try_into().unwrap_or_default()),
    }
}

/// 8 or 16 bytes.
fn check_id(reader: &mut Reader<'_>) {
    let start = reader.position();
    if !matches!(reader.bytes().len(), KID_LEN | 16) {
        reader.refuse(ErrorKind::UnexpectedType, start);
    }
}

/// The lowest generation of each role that is still good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct LowestGenerations([u16; ROLES]);

impl LowestGenerations {
    /// `{* role => generation}`.
    #[inline(never)]
    fn read(&mut self, reader: &mut Reader<'_>) {
        let mut entries = reader.map();
        let start = reader.position();
        while let Some(label) = entries.next_label(reader) {
            let place = usize::try_from(label).ok().and_then(|label| self.0.get_mut(label.checked_sub(1)?));
            if place.is_none() {
                reader.refuse(ErrorKind::OutOfRange, start);
            }
            let generation = read_generation(reader);
            if let Some(place) = place {
                *place = u16::try_from(generation).unwrap_or(u16::MAX);
            }
        }
    }

    fn of(self, role: Role) -> u64 {
        self.0.get(Self::index(role)).copied().unwrap_or(u16::MAX).into()
    }

    fn index(role: Role) -> usize {
        usize::from(role.code()).saturating_sub(1)
    }
}

const _: () = assert!(MAX_GENERATION == u16::MAX as u64);

impl<'a> MinimumSequence<'a> {
    /// True when devices that keep to this one keep to `other` too.
    pub(crate) fn stands_in_for(&self, other: &MinimumSequence<'_>) -> bool {
        self.vendor == other.vendor
            && (self.class.is_none() || self.class == other.class)
            && self.sequence >= other.sequence
    }

    /// `[vendor id, class id / null, uint]`.
    #[inline(never)]
    fn read(reader: &mut Reader<'a>) -> Self {
        reader.array_of(3);
        let vendor = reader.byte_array();
        let class = if reader.peek() == Major::Simple {
            reader.null();
            None
        } else {
            Some(reader.byte_array())
        };
        Self { vendor, class, sequence: reader.uint_within(0, MAX_MINIMUM_SEQUENCE) }
    }
}
