//! Anchors: the keys that a device, host or server trusts from the start, with their rights and their domains
//! (docs/records.md, Anchors and domains).

use crate::cbor::Reader;
use crate::error::{Error, ErrorKind};
use crate::key::{COSE_KEY_LEN, Kid, PublicKey};
use crate::scope::Role;

/// Most anchors of a device: those of its provisioning block, later roots, and retired ones.
pub const ANCHORS_MAX: usize = 8;
/// Most anchors of a provisioning block, so that successions find room.
pub const BLOCK_ANCHORS_MAX: usize = 4;
/// Most domains that the anchors of a device may belong to: its manufacturer's and its owner's.
pub const DOMAINS_MAX: usize = 2;

/// Bytes of an encoded anchor, and of an encoded set of [`ANCHORS_MAX`] of them.
const ANCHOR_LEN: usize = COSE_KEY_LEN + 11;
/// Longest encoded [`AnchorSet`], bytes.
pub const MAX_ANCHOR_SET_LEN: usize = 1 + ANCHORS_MAX * ANCHOR_LEN;
// The head of an array of so many is one byte.
const _: () = assert!(ANCHORS_MAX < 24);

/// The name of a domain: the kid of its first root. It never changes, whatever root the domain has later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct Domain(pub Kid);

/// The rights of an anchor: a set of bits, never empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Rights(u8);

impl Rights {
    /// Certifies release keys.
    pub const FIRMWARE: Self = Self(1);
    /// Certifies every other role, and signs revocation lists.
    pub const GOVERNANCE: Self = Self(2);
    /// Names its successor.
    pub const SUCCESSION: Self = Self(4);
    /// Lets a loader boot an image that it installed before; a loader installs nothing under this right alone.
    pub const BOOT: Self = Self(8);
    /// All of them: those of a root.
    pub const ALL: Self = Self(15);
    /// Those that every root has.
    pub(crate) const OF_ANY_ROOT: Self = Self::GOVERNANCE.and(Self::SUCCESSION);

    /// The set with these bits; `None` for the empty set and for an unknown bit.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match bits {
            1..=15 => Some(Self(bits.to_le_bytes()[0])),
            _ => None,
        }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// 1 to 15.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let [bits, ..] = reader.uint_within(1, Self::ALL.0.into()).to_le_bytes();
        Self(bits)
    }

    /// The rights of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when all of `needed` are there.
    #[must_use]
    pub const fn include(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// True when one of `wanted` is there.
    pub(crate) const fn include_any(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    /// The right that certifies keys for `role`.
    #[must_use]
    pub const fn to_certify(role: Role) -> Self {
        match role {
            Role::Release => Self::FIRMWARE,
            Role::Identity | Role::Service | Role::Device | Role::Operator => Self::GOVERNANCE,
        }
    }
}

/// A trusted key, its rights, and its domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    key: PublicKey,
    rights: Rights,
    domain: Domain,
}

impl Anchor {
    /// An anchor with these rights in this domain.
    #[must_use]
    pub const fn new(key: PublicKey, rights: Rights, domain: Domain) -> Self {
        Self { key, rights, domain }
    }

    /// The first root of a domain: all rights, and the domain bears its name. A plain key file means this.
    #[must_use]
    pub fn root(key: PublicKey) -> Self {
        Self::new(key, Rights::ALL, Domain(key.kid()))
    }

    /// The recovery root of a domain, which names successors of its root and does nothing else.
    #[must_use]
    pub const fn recovery(key: PublicKey, domain: Domain) -> Self {
        Self::new(key, Rights::SUCCESSION, domain)
    }

    /// Whether it is the root of its domain: it governs, and names its successor.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.rights.include(Rights::OF_ANY_ROOT)
    }

    /// Whether it is the recovery root of its domain: it names successors, and does nothing else.
    #[must_use]
    pub const fn is_recovery(&self) -> bool {
        self.rights.0 == Rights::SUCCESSION.0
    }

    /// Whether it has retired: what was installed under it boots, and nothing else.
    #[must_use]
    pub const fn is_retired(&self) -> bool {
        self.rights.0 == Rights::BOOT.0
    }

    /// The same anchor after it has retired. A recovery root never does.
    #[must_use]
    pub const fn retired(self) -> Self {
        if self.is_recovery() { self } else { Self { rights: Rights::BOOT, ..self } }
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Name of the key.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.key.kid()
    }

    /// Its rights.
    #[must_use]
    pub const fn rights(&self) -> Rights {
        self.rights
    }

    /// The domain for which it signs.
    #[must_use]
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// `[COSE_Key, rights, domain]`.
    fn read(reader: &mut Reader<'_>) -> Self {
        reader.array_of(3);
        let key = PublicKey::read(reader);
        let rights = Rights::read(reader);
        Self { key, rights, domain: Domain(Kid(*reader.byte_array())) }
    }
}

/// The anchors of a device: at most [`ANCHORS_MAX`], of at most [`DOMAINS_MAX`] domains, no key twice, and in each domain
/// at most one root and one recovery root.
#[derive(Clone, Copy, Debug)]
pub struct AnchorSet {
    anchors: [Anchor; ANCHORS_MAX],
    len: u8,
}

/// A placeholder of zeros, which need no copy in flash; no function returns it.
const VACANT: Anchor = Anchor::new(PublicKey::VACANT, Rights(0), Domain(Kid([0; 8])));

impl AnchorSet {
    /// No anchor.
    pub const EMPTY: Self = Self { anchors: [VACANT; ANCHORS_MAX], len: 0 };

    /// These anchors.
    ///
    /// # Errors
    /// [`ErrorKind::TooMany`] anchors or domains; [`ErrorKind::Repeated`] when a key is there twice, or a domain has two
    /// roots or two recovery roots
    pub fn of(anchors: &[Anchor]) -> Result<Self, Error> {
        let mut set = Self::EMPTY;
        for anchor in anchors {
            set.add(*anchor).map_err(|kind| Error::new(kind, 0))?;
        }
        Ok(set)
    }

    /// Reads a set that [`AnchorSet::encode`] wrote.
    ///
    /// # Errors
    /// The kind that names the fault
    #[inline(never)]
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut set = Self::EMPTY;
        let mut reader = Reader::new(bytes);
        set.read(&mut reader, ANCHORS_MAX);
        reader.finish()?;
        Ok(set)
    }

    /// `[1*8 [COSE_Key, rights, domain]]` in deterministic CBOR; its length.
    #[inline(never)]
    #[must_use]
    pub fn encode(&self, out: &mut [u8; MAX_ANCHOR_SET_LEN]) -> usize {
        let mut len = 0;
        let mut put = |bytes: &[u8]| {
            for (to, from) in out.iter_mut().skip(len).zip(bytes) {
                *to = *from;
            }
            len = len.saturating_add(bytes.len());
        };
        put(&[0x80 | self.len]);
        for anchor in self.as_slice() {
            put(&[0x83]);
            put(&anchor.key.to_cose_key());
            put(&[anchor.rights.0, 0x48]);
            put(&anchor.domain.0.0);
        }
        len
    }

    /// The anchors of the domains for which `retires` says so retire.
    #[inline(never)]
    pub fn retire(&mut self, retires: &dyn Fn(Domain) -> bool) {
        for anchor in self.anchors.iter_mut().take(self.len.into()) {
            if retires(anchor.domain) {
                *anchor = anchor.retired();
            }
        }
    }

    /// The anchor with a key of this name.
    #[must_use]
    pub fn signer(&self, kid: Kid) -> Option<&Anchor> {
        signer(self.as_slice(), kid)
    }

    /// The anchors.
    #[inline(never)]
    #[must_use]
    pub fn as_slice(&self) -> &[Anchor] {
        self.anchors.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The domains, each once, in the order in which the anchors name them.
    pub fn domains(&self) -> impl Iterator<Item = Domain> + '_ {
        domains(self.as_slice())
    }

    /// The place of a domain among [`AnchorSet::domains`].
    // A call: this search is several times in a loader.
    #[inline(never)]
    #[must_use]
    pub fn domain_index(&self, domain: Domain) -> Option<usize> {
        self.domains().position(|known| known == domain)
    }

    pub(crate) fn add(&mut self, anchor: Anchor) -> Result<(), ErrorKind> {
        let is_in_the_way = |known: &Anchor| {
            known.key == anchor.key
                || known.domain == anchor.domain
                    && (known.is_root() && anchor.is_root() || known.is_recovery() && anchor.is_recovery())
        };
        if self.as_slice().iter().any(is_in_the_way) {
            return Err(ErrorKind::Repeated);
        }
        let place = self.anchors.get_mut(usize::from(self.len)).ok_or(ErrorKind::TooMany)?;
        *place = anchor;
        self.len = self.len.saturating_add(1);
        // The domains before it are few enough.
        let is_within = self.domain_index(anchor.domain).is_some_and(|index| index < DOMAINS_MAX);
        if is_within { Ok(()) } else { Err(ErrorKind::TooMany) }
    }

    /// Adds `[1*max [COSE_Key, rights, domain]]`.
    #[inline(never)]
    pub(crate) fn read(&mut self, reader: &mut Reader<'_>, max: usize) {
        let mut items = reader.array_within(1, u32::MAX);
        while items.next(reader) {
            let start = reader.position();
            let anchor = Anchor::read(reader);
            // One too many is refused where it stands, or for its own fault.
            let added = if self.as_slice().len() < max { self.add(anchor) } else { Err(ErrorKind::TooMany) };
            if let Err(kind) = added {
                reader.refuse(kind, start);
            }
        }
    }
}

impl PartialEq for AnchorSet {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for AnchorSet {}

/// The root of a domain.
pub(crate) fn root_of(anchors: &[Anchor], domain: Domain) -> Option<&Anchor> {
    anchors.iter().find(|anchor| anchor.domain == domain && anchor.is_root())
}

/// The recovery root of a domain.
pub(crate) fn recovery_of(anchors: &[Anchor], domain: Domain) -> Option<&Anchor> {
    anchors.iter().find(|anchor| anchor.domain == domain && anchor.is_recovery())
}

/// The anchor with a key of this name.
#[inline(never)]
pub(crate) fn signer(anchors: &[Anchor], kid: Kid) -> Option<&Anchor> {
    anchors.iter().find(|anchor| anchor.kid() == kid)
}

/// The domains of `anchors`, each once, in order of their first anchor.
pub(crate) fn domains(anchors: &[Anchor]) -> impl Iterator<Item = Domain> + '_ {
    (0..anchors.len()).map_while(|place| domain_at(anchors, place))
}

// A call: the iterator over them is several times in a loader.
#[inline(never)]
fn domain_at(anchors: &[Anchor], place: usize) -> Option<Domain> {
    let mut left = place;
    for (index, anchor) in anchors.iter().enumerate() {
        let earlier = anchors.get(..index).unwrap_or_default();
        if earlier.iter().all(|other| other.domain != anchor.domain) {
            let Some(fewer) = left.checked_sub(1) else { return Some(anchor.domain) };
            left = fewer;
        }
    }
    None
}
