//! A row of successions, and the revocation list of the last root.

use core::hint::black_box;

use super::{MAX_SUCCESSION_CHAIN_LEN, MAX_SUCCESSIONS, Opened, SuccessionClaims, SuccessionNumber};
use crate::anchor::{Anchor, AnchorSet, Domain, Rights, domains, recovery_of, root_of, signer};
use crate::cbor::{Reader, Span, bit};
use crate::error::{Error, ErrorKind};
use crate::key::{Commitment, KID_LEN, Kid, PublicKey};
use crate::record::Record;
use crate::revocation::{Replacement, RevocationList};

/// What a verifier holds before it reads a chain.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'h> {
    /// The anchors that it began with: of its provisioning block, its build, its configuration.
    pub given: &'h [Anchor],
    /// Those that count now. A domain that has no root among them has lost it: its whole chain has to come, from the root
    /// on that was given.
    pub held: &'h [Anchor],
    /// The number of the root of each domain, in the order in which the anchors that count name the domains.
    pub numbers: &'h [SuccessionNumber],
}

impl Holding<'_> {
    fn number_of(&self, domain: Domain) -> Option<SuccessionNumber> {
        let index = domains(self.held).position(|known| known == domain)?;
        self.numbers.get(index).copied()
    }
}

/// The root that a row of successions leads to, from the root that was held on. Every signature on the way holds.
#[derive(Clone, Copy, Debug)]
pub struct Succeeded {
    root: Anchor,
    number: SuccessionNumber,
    by_recovery: bool,
    #[cfg(feature = "host")]
    applied: u32,
}

impl Succeeded {
    /// The domain.
    #[must_use]
    pub const fn domain(&self) -> Domain {
        self.root.domain()
    }

    /// Its root from now on.
    #[must_use]
    pub const fn root(&self) -> &Anchor {
        &self.root
    }

    /// The number of that root.
    #[must_use]
    pub const fn number(&self) -> SuccessionNumber {
        self.number
    }

    /// Whether the recovery root named one of the roots on the way.
    #[must_use]
    pub const fn is_by_recovery(&self) -> bool {
        self.by_recovery
    }

    /// Whether the record at this place was on the way; the others were held already, or the recovery root put them aside.
    #[cfg(feature = "host")]
    pub(crate) const fn has_applied(&self, place: u32) -> bool {
        self.applied & bit(place.cast_signed()) != 0
    }

    /// The anchors after the succession: the new root in the place of the one that was held, which has retired and stands
    /// last. A retired anchor stays only if it is `needed`, the one under which the image that runs was installed; without
    /// that knowledge all stay for which there is room. The order of domains stays: the numbers of a journal go by it.
    ///
    /// # Errors
    /// [`ErrorKind::TooMany`] if the anchors that did not retire leave no room
    pub fn anchors_after(&self, held: &[Anchor], needed: Option<Kid>) -> Result<AnchorSet, Error> {
        let mut after = AnchorSet::EMPTY;
        self.place_anchors(held, needed, &mut after)?;
        Ok(after)
    }

    /// [`Self::anchors_after`] into an empty set, in place: it is large.
    ///
    /// # Errors
    /// The same.
    #[inline(never)]
    pub fn place_anchors(
        &self,
        held: &[Anchor],
        needed: Option<Kid>,
        after: &mut AnchorSet,
    ) -> Result<(), Error> {
        let is_needed = |anchor: &Anchor| needed.is_none_or(|kid| kid == anchor.kid());
        let mut replaced = None;
        let mut result = Ok(());
        for anchor in held {
            let mut next = *anchor;
            if anchor.domain() == self.domain() && anchor.is_root() {
                replaced = Some(anchor.retired());
                next = self.root;
            } else if anchor.is_retired()
                && !is_needed(anchor)
                && after.domain_index(anchor.domain()).is_some()
            {
                continue;
            }
            result = result.and(after.add(next));
        }
        if replaced.is_none() {
            result = result.and(after.add(self.root));
        }
        if let Some(replaced) = replaced.filter(is_needed) {
            let _ = after.add(replaced);
        }
        result.map_err(|kind| Error::new(kind, 0))
    }

    /// Whether a verified list may be the first one under this root, where `held` is the list of the domain that counted
    /// before, under the root before or under this one.
    ///
    /// A successor begins its list-sequence and its lowest generations again, and states every minimum of the list before,
    /// or one that stands in for it. The successor whom a recovery root names need not: a thief who had the root may have
    /// sent a list with minimums that nobody else knows.
    ///
    /// # Errors
    /// [`ErrorKind::AnchorUnknown`] if another anchor than the root signed it; [`ErrorKind::RevocationDropsEntry`] if a
    /// minimum is missing; those of [`RevocationList::replaces`] if the held list is this root's own
    pub fn admits(&self, list: &RevocationList<'_>, held: Option<&RevocationList<'_>>) -> Result<(), Error> {
        let root = self.root.kid();
        if list.issuer_kid() != root {
            return Err(Error::new(ErrorKind::AnchorUnknown, 0));
        }
        let Some(held) = held else { return Ok(()) };
        if held.issuer_kid() == root {
            return list.replaces(held).map(|_: Replacement| ());
        }
        if self.by_recovery || list.states_minimums_of(held) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::RevocationDropsEntry, 0))
        }
    }
}

/// A succession chain: a row of records, then the current list of the last root.
#[derive(Clone, Copy, Debug)]
pub struct SuccessionChain<'a> {
    succeeded: Succeeded,
    list: Span<'a>,
}

impl<'a> SuccessionChain<'a> {
    /// Verifies the records of a chain from the root that is held on. The list is not looked at yet.
    ///
    /// The records follow one another without a gap. Those that are held already are passed over, and so is whatever
    /// stands before a record of the recovery root that is for the next epoch.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`], [`ErrorKind::TooMany`]; [`ErrorKind::SuccessionOrder`]; [`ErrorKind::SuccessionOld`];
    /// [`ErrorKind::SuccessionForked`]; [`ErrorKind::AnchorUnknown`] and [`ErrorKind::AnchorRights`] of a grantor;
    /// [`ErrorKind::SuccessionRights`]; [`ErrorKind::SuccessionKey`]; [`ErrorKind::KeyMismatch`];
    /// [`ErrorKind::SignatureInvalid`]; the kind that names the fault of a malformed or unsupported record
    pub fn verify(chain: &'a [u8], holding: &Holding<'_>) -> Result<Self, Error> {
        let (mut reader, count) = open(chain)?;
        let succeeded = follow(&mut reader, count, holding)?;
        let list = read_list(&mut reader)?;
        Ok(Self { succeeded, list })
    }

    /// What the records lead to.
    #[must_use]
    pub const fn succeeded(&self) -> &Succeeded {
        &self.succeeded
    }

    /// The list at the end, verified under the anchors after the succession, by the new root's hand.
    ///
    /// # Errors
    /// Those of [`RevocationList::verify`]
    pub fn list(&self, after: &[Anchor]) -> Result<RevocationList<'a>, Error> {
        RevocationList::verify_at(self.list, after)
    }

    /// The bytes of the list.
    #[must_use]
    pub const fn list_bytes(&self) -> &'a [u8] {
        self.list.bytes
    }
}

/// The records of a chain: a reader before the first of them, and how many there are.
fn open(chain: &[u8]) -> Result<(Reader<'_>, u32), Error> {
    if chain.len() > MAX_SUCCESSION_CHAIN_LEN {
        return Err(Error::new(ErrorKind::TooLong, 0));
    }
    let mut reader = Reader::new(chain);
    let items = reader.array_within(2, MAX_SUCCESSIONS.saturating_add(1));
    reader.check()?;
    Ok((reader, items.remaining().saturating_sub(1)))
}

/// One whole item, a record or a list.
pub(super) fn read_item<'a>(reader: &mut Reader<'a>) -> Result<Span<'a>, Error> {
    let base = reader.position();
    let bytes = reader.item();
    reader.check()?;
    Ok(Span { bytes, base })
}

fn read_list<'a>(reader: &mut Reader<'a>) -> Result<Span<'a>, Error> {
    let list = read_item(reader)?;
    reader.finish()?;
    Ok(list)
}

/// The domain that the first record of a chain names, **not verified**: to find what is held of it.
///
/// # Errors
/// The kind that names the fault of the chain or its first record.
pub fn succession_domain(chain: &[u8]) -> Result<Domain, Error> {
    let (mut reader, _) = open(chain)?;
    Ok(Opened::next(&mut reader)?.claims.domain())
}

/// A succession chain: these records, in their order, then the current list of the last root.
///
/// # Errors
/// [`ErrorKind::OutOfRange`] without a record, [`ErrorKind::TooMany`], [`ErrorKind::TooLong`]; the kind that names the fault
/// of a part that is no whole CBOR item
#[cfg(feature = "host")]
pub fn encode_succession_chain(records: &[&[u8]], list: &[u8]) -> Result<std::vec::Vec<u8>, Error> {
    let count = u8::try_from(records.len()).unwrap_or(u8::MAX);
    if count == 0 || u32::from(count) > MAX_SUCCESSIONS {
        let kind = if count == 0 { ErrorKind::OutOfRange } else { ErrorKind::TooMany };
        return Err(Error::new(kind, 0));
    }
    // The head of an array of so many records and the list, below 24. The items go in as they are, since signatures are
    // over bytes.
    let mut chain = std::vec![0x80 | count.saturating_add(1)];
    for item in records.iter().copied().chain([list]) {
        let mut reader = Reader::new(item);
        reader.skip();
        reader.finish()?;
        chain.extend_from_slice(item);
    }
    if chain.len() > MAX_SUCCESSION_CHAIN_LEN { Err(Error::new(ErrorKind::TooLong, 0)) } else { Ok(chain) }
}

/// The records of a chain and the list at its end, as they stand there.
#[cfg(feature = "host")]
pub(crate) fn records(chain: &[u8]) -> Result<(std::vec::Vec<&[u8]>, &[u8]), Error> {
    let (mut reader, count) = open(chain)?;
    let mut records = std::vec::Vec::new();
    for _ in 0..count {
        records.push(read_item(&mut reader)?.bytes);
    }
    Ok((records, read_list(&mut reader)?.bytes))
}

/// What a file with successions holds, **not verified**.
#[cfg(feature = "host")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SuccessionFile<'a> {
    /// The records, as they stand there.
    pub records: std::vec::Vec<&'a [u8]>,
    /// The list at the end, if it is a chain.
    pub list: Option<&'a [u8]>,
}

/// Takes a file apart that is either one succession or a succession chain.
///
/// # Errors
/// The kind that names the fault of the chain or of a record.
#[cfg(feature = "host")]
pub fn read_succession_file(file: &[u8]) -> Result<SuccessionFile<'_>, Error> {
    // A record is a tag.
    let is_chain = file.first().is_some_and(|head| head >> 5 == CBOR_ARRAY);
    let (records, list) = if is_chain {
        let (records, list) = records(file)?;
        (records, Some(list))
    } else {
        (std::vec![file], None)
    };
    for record in &records {
        super::read_unverified_succession(record)?;
    }
    Ok(SuccessionFile { records, list })
}

/// Major type of an array (RFC 8949 section 3.1).
#[cfg(feature = "host")]
const CBOR_ARRAY: u8 = 4;

/// Follows one record, which was read and has nothing behind it.
#[cfg(feature = "host")]
pub(crate) fn follow_one(record: &[u8], holding: &Holding<'_>) -> Result<Succeeded, Error> {
    follow(&mut Reader::new(record), 1, holding)
}

/// Follows `count` records, from the root that is held on.
#[inline(never)]
fn follow(reader: &mut Reader<'_>, count: u32, holding: &Holding<'_>) -> Result<Succeeded, Error> {
    let first = Opened::next(&mut reader.clone());
    let first = first.as_ref().map_err(|&error| error)?;
    let mut walk = Walk::begin(holding, &first.claims, reader.position())?;
    let mut place = 0;
    while place < count {
        walk.position = reader.position();
        let opened = Opened::next(reader);
        let opened = opened.as_ref().map_err(|&error| error)?;
        walk.follow(opened, place)?;
        place = place.saturating_add(1);
    }
    walk.stopped?;
    // It leads further than what is held; where the root was lost, at least as far.
    if walk.applied == 0 || walk.number < walk.least {
        return Err(walk.error(ErrorKind::SuccessionOld));
    }
    Ok(Succeeded {
        root: walk.root,
        number: walk.number,
        by_recovery: walk.by_recovery,
        #[cfg(feature = "host")]
        applied: walk.applied,
    })
}

/// How far a row has come.
struct Walk<'h> {
    holding: &'h Holding<'h>,
    recovery: Option<&'h Anchor>,
    /// The rights of the first root of the domain.
    first: Rights,
    /// The number of the record before.
    previous: SuccessionNumber,
    number: SuccessionNumber,
    /// The number that it has to come to at least.
    least: SuccessionNumber,
    by_recovery: bool,
    /// The places of the records that led on.
    applied: u32,
    /// Of the record that is looked at.
    position: u32,
    /// What stops the row, unless the recovery root goes on.
    stopped: Result<(), Error>,
    root: Anchor,
    /// kids of the roots so far.
    kids: [Kid; MAX_SUCCESSIONS as usize],
}

impl<'h> Walk<'h> {
    // Made where it stays.
    #[inline(always)]
    fn begin(holding: &'h Holding<'_>, record: &SuccessionClaims<'_>, position: u32) -> Result<Self, Error> {
        let domain = record.domain;
        let least = holding.number_of(domain).ok_or(Error::new(ErrorKind::AnchorUnknown, position))?;
        // A domain that began without a root has nobody to succeed.
        let first = root_of(holding.given, domain).ok_or(Error::new(ErrorKind::AnchorRights, position))?;
        let held = root_of(holding.held, domain);
        Ok(Self {
            holding,
            recovery: recovery_of(holding.held, domain),
            first: first.rights(),
            previous: SuccessionNumber::FIRST,
            // Without its root the whole chain is asked for.
            number: if held.is_some() { least } else { SuccessionNumber::FIRST },
            least,
            by_recovery: false,
            applied: 0,
            position,
            stopped: Ok(()),
            root: *held.unwrap_or(first),
            kids: [Kid([0; KID_LEN]); MAX_SUCCESSIONS as usize],
        })
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.position)
    }

    /// Looks at the next record.
    fn follow(&mut self, opened: &Opened<'_>, place: u32) -> Result<(), Error> {
        let (number, domain) = (opened.claims.number, opened.claims.domain);
        // 1. A row of one domain without a gap.
        let is_next = place == 0 || number.is_after(self.previous);
        if domain != self.root.domain() || !is_next {
            return Err(self.error(ErrorKind::SuccessionOrder));
        }
        self.previous = number;

        // 2. What the recovery root says counts, whatever the roots did before; else the first fault stops the row.
        let is_of_recovery = number.is_named_by_recovery(self.number);
        if is_of_recovery {
            self.stopped = Ok(());
        }
        if self.stopped.is_ok() {
            self.stopped = if is_of_recovery || number.is_after(self.number) {
                self.step(opened, is_of_recovery, place)
            } else {
                self.pass(&opened.claims).map_err(|kind| self.error(kind))
            };
        }
        // There are as many places as a chain may have records.
        if let Some(kid) = usize::try_from(place).ok().and_then(|place| self.kids.get_mut(place)) {
            *kid = opened.request.issuer_kid();
        }
        Ok(())
    }

    /// A record that neither the root nor the recovery root may sign next: one that is held already is passed over.
    fn pass(&self, claims: &SuccessionClaims<'_>) -> Result<(), ErrorKind> {
        if claims.number > self.number {
            return Err(ErrorKind::SuccessionOrder);
        }
        let is_held = claims.key == *self.root.key() && claims.rights == self.root.rights();
        if claims.number == self.number && !is_held { Err(ErrorKind::SuccessionForked) } else { Ok(()) }
    }

    /// Verifies the record that is next, and takes it.
    fn step(&mut self, opened: &Opened<'_>, is_of_recovery: bool, place: u32) -> Result<(), Error> {
        let (grant, claims) = (&opened.grant, &opened.claims);
        // 1. The present root granted it, or the recovery root did.
        let grantor = if is_of_recovery { self.recovery } else { Some(&self.root) };
        let Some(grantor) = grantor.filter(|anchor| anchor.kid() == claims.grantor) else {
            let is_known = signer(self.holding.held, claims.grantor).is_some();
            return Err(self.error(if is_known {
                ErrorKind::AnchorRights
            } else {
                ErrorKind::AnchorUnknown
            }));
        };
        // 2. The new root has the rights of a root, and none that the replaced one lacks. What a thief took from the
        // rights of the domain the recovery root gives back.
        let most = if is_of_recovery { self.first } else { self.root.rights() };
        if !claims.rights.include(Rights::OF_ANY_ROOT) || !most.include(claims.rights) {
            return Err(self.error(ErrorKind::SuccessionRights));
        }
        // 3. A key is a root once: with it would come back what it signed before.
        let kid = opened.request.issuer_kid();
        let is_known = [self.holding.given, self.holding.held].iter().any(|set| signer(set, kid).is_some());
        if is_known || self.kids.contains(&kid) {
            return Err(self.error(ErrorKind::SuccessionKey));
        }
        // 4. Both signatures.
        verify_possession(&opened.request, &claims.key)?;
        verify_twice(grant, grantor.key())?;
        self.root = Anchor::new(claims.key, claims.rights, claims.domain);
        self.number = claims.number;
        self.by_recovery |= is_of_recovery;
        self.applied |= bit(place.cast_signed());
        Ok(())
    }
}

/// The request is signed with the key that it names.
pub(super) fn verify_possession(request: &Record<'_>, key: &PublicKey) -> Result<(), Error> {
    if request.issuer_kid() != key.kid() {
        return Err(request.error(ErrorKind::KeyMismatch));
    }
    verify_twice(request, key)
}

/// T14: whoever is a root decides what verifies from now on. R is compared once more, after the verdict.
#[inline(never)]
fn verify_twice(record: &Record<'_>, key: &PublicKey) -> Result<(), Error> {
    let mut commitment = Commitment::VACANT;
    record.verify_by(key, &mut commitment)?;
    let commitment = black_box(&commitment);
    let mut difference = 0;
    for (computed, received) in commitment.computed.iter().zip(commitment.received) {
        difference |= black_box(computed ^ received);
    }
    if black_box(difference) == 0 { Ok(()) } else { Err(record.error(ErrorKind::SignatureInvalid)) }
}
