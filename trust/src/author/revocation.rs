//! Making revocation lists.

use ciborium::value::Value;

use super::{AuthorError, Signer, Unsigned, bytes, map, text, uint};
use crate::record::{
    CLAIM_IAT, CLAIM_ISS, CLAIM_LIST_SEQUENCE, CLAIM_LOWEST_GENERATIONS, CLAIM_MINIMUM_SEQUENCE,
    CLAIM_REVOKED,
};
use crate::revocation::{MinimumSequence, TYP_REVOCATION, read_unverified_revocation};
use crate::{
    Anchor, Error, ErrorKind, PublicKey, RevocationClaims, RevocationList, Revoked, RevokedId, Role, UnixTime,
};

/// The least manifest sequence number that devices should still take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Minimum {
    /// Vendor id, a UUID.
    pub vendor: [u8; 16],
    /// Class id, a UUID; `None`: every class of the vendor.
    pub class: Option<[u8; 16]>,
    /// Manifest sequence number, at most [`MAX_MINIMUM_SEQUENCE`](crate::MAX_MINIMUM_SEQUENCE).
    pub sequence: u64,
}

impl Minimum {
    /// As a reader of the list finds it.
    fn as_read(&self) -> MinimumSequence<'_> {
        MinimumSequence { vendor: &self.vendor, class: self.class.as_ref(), sequence: self.sequence }
    }
}

/// The content of a revocation list to sign.
#[derive(Clone, Debug)]
pub struct RevocationRequest {
    /// Name of the issuer, 1 to 64 bytes.
    pub iss: String,
    /// When the list is issued.
    pub issued_at: UnixTime,
    /// list-sequence, 1 to [`MAX_LIST_SEQUENCE`](crate::MAX_LIST_SEQUENCE) and above that of every earlier list of the
    /// domain.
    pub sequence: u64,
    /// Revoked keys and credentials, in any order.
    pub revoked: Vec<Revoked>,
    /// The lowest generation of each role that is still good; a role that is left out has 0.
    pub lowest_generations: Vec<(Role, u64)>,
    /// Minimum sequence numbers.
    pub minimum_sequences: Vec<Minimum>,
}

impl RevocationRequest {
    /// A list that revokes nothing: the first of a domain.
    #[must_use]
    pub fn first(iss: String, issued_at: UnixTime) -> Self {
        Self {
            iss,
            issued_at,
            sequence: 1,
            revoked: Vec::new(),
            lowest_generations: Vec::new(),
            minimum_sequences: Vec::new(),
        }
    }

    /// A list that says all that the `previous` ones of the domain say, one number above the highest: their union,
    /// and of each number the higher. With two lists of one number it ends a fork.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] when there is no number above
    pub fn following(
        iss: String,
        issued_at: UnixTime,
        previous: &[RevocationList<'_>],
    ) -> Result<Self, Error> {
        let mut request = Self::first(iss, issued_at);
        for list in previous {
            let next = list.sequence().checked_add(1).ok_or(Error::new(ErrorKind::OutOfRange, 0))?;
            request.sequence = request.sequence.max(next);
            for Revoked { role, generation, id } in list.revoked() {
                request.revoke(role, generation, id);
            }
            for role in Role::ALL {
                request.raise_generation(role, list.lowest_generation(role));
            }
            request.state_minimums_of(list);
        }
        Ok(request)
    }

    /// States the minimums of another list: those of the list before, or of the last list of the root before.
    pub fn state_minimums_of(&mut self, list: &RevocationClaims<'_>) {
        for least in list.minimum_sequences() {
            self.raise_minimum(Minimum {
                vendor: *least.vendor,
                class: least.class.copied(),
                sequence: least.sequence,
            });
        }
    }

    /// Takes back a key or a credential of a role; `generation` is the highest under which it was certified. The signed
    /// list leaves an id out whose generation is below the lowest of its role.
    pub fn revoke(&mut self, role: Role, generation: u64, id: RevokedId) {
        match self.revoked.iter_mut().find(|known| (known.role, known.id) == (role, id)) {
            Some(known) => known.generation = known.generation.max(generation),
            None => self.revoked.push(Revoked { role, generation, id }),
        }
    }

    /// Takes back every credential of a role below this generation. A lower number changes nothing.
    pub fn raise_generation(&mut self, role: Role, lowest: u64) {
        match self.lowest_generations.iter_mut().find(|(known, _)| *known == role) {
            Some((_, known)) => *known = lowest.max(*known),
            None if lowest > 0 => self.lowest_generations.push((role, lowest)),
            None => {}
        }
    }

    /// Raises a minimum sequence number. A lower one changes nothing. One for every class of a vendor takes the place
    /// of those for single classes that are not higher.
    pub fn raise_minimum(&mut self, minimum: Minimum) {
        let new = minimum.as_read();
        if self.minimum_sequences.iter().any(|known| known.as_read().stands_in_for(&new)) {
            return;
        }
        self.minimum_sequences.retain(|known| !new.stands_in_for(&known.as_read()));
        self.minimum_sequences.push(minimum);
    }

    /// The lowest generation of a role.
    #[must_use]
    pub fn lowest_generation(&self, role: Role) -> u64 {
        let of_role = self.lowest_generations.iter().filter(|(known, _)| *known == role);
        of_role.map(|(_, lowest)| *lowest).max().unwrap_or(0)
    }

    /// `[role, generation, [+ id]]`: one entry a role, with the highest generation of its ids. Ids of generations
    /// that are revoked as a whole are left out.
    fn entry(&self, role: Role) -> Option<Value> {
        let lowest = self.lowest_generation(role);
        let revoked: Vec<_> = self
            .revoked
            .iter()
            .filter(|revoked| revoked.role == role && revoked.generation >= lowest)
            .collect();
        let generation = revoked.iter().map(|revoked| revoked.generation).max()?;
        let ids = revoked.iter().map(|revoked| bytes(revoked.id.as_bytes()));
        Some(Value::Array(vec![uint(role.code().into()), uint(generation), Value::Array(ids.collect())]))
    }
}

/// Signs a revocation list with an anchor's key.
///
/// # Errors
/// [`AuthorError::Refused`] when a device would refuse it; [`AuthorError::Signer`]
pub fn sign_revocation(request: &RevocationRequest, root: &dyn Signer) -> Result<Vec<u8>, AuthorError> {
    let cwt = prepare_revocation(request, &root.public_key())?.sign(root)?;
    RevocationList::verify(&cwt, &[Anchor::root(root.public_key())])?;
    Ok(cwt)
}

/// A revocation list for an anchor's key to sign.
///
/// # Errors
/// [`AuthorError::Refused`] when a device would refuse it, whatever its signature
pub fn prepare_revocation(request: &RevocationRequest, root: &PublicKey) -> Result<Unsigned, AuthorError> {
    let entries = Role::ALL.into_iter().filter_map(|role| request.entry(role));
    let mut claims = vec![
        (CLAIM_ISS, text(&request.iss)),
        (CLAIM_IAT, uint(request.issued_at.0)),
        (CLAIM_LIST_SEQUENCE, uint(request.sequence)),
        (CLAIM_REVOKED, Value::Array(entries.collect())),
    ];
    if !request.minimum_sequences.is_empty() {
        let minimum_sequences = request.minimum_sequences.iter().map(|minimum| {
            let class = minimum.class.as_ref().map_or(Value::Null, |class| bytes(class));
            Value::Array(vec![bytes(&minimum.vendor), class, uint(minimum.sequence)])
        });
        claims.push((CLAIM_MINIMUM_SEQUENCE, Value::Array(minimum_sequences.collect())));
    }
    let lowest = Role::ALL.into_iter().map(|role| (i32::from(role.code()), request.lowest_generation(role)));
    let lowest = lowest.filter(|(_, lowest)| *lowest > 0).map(|(role, lowest)| (role, uint(lowest)));
    claims.push((CLAIM_LOWEST_GENERATIONS, map(lowest)));
    let unsigned = Unsigned::new(TYP_REVOCATION, &map(claims), root)?;
    let blank = unsigned.with_blank_signature()?;
    if read_unverified_revocation(&blank)?.revokes_any(&root.kid()) {
        return Err(Error::new(ErrorKind::RevokesAnchor, 0).into());
    }
    Ok(unsigned)
}
