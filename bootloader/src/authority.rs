//! On whose word a loader installs: that of its maker's roots, or of the key that the device and its maker have and nobody
//! else. It is a type that the board names, so that a loader without roots has nothing of signatures, lists and successions,
//! and one with roots nothing of MACs (docs/decisions/0098). Everything after it is the same for both.

use core::hint::black_box;

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::{AuthenticatedOf, EnvelopeOf, Error, ErrorKind, Reason};
use trust::device_keys::DeviceKeys;
use trust::{Anchor, Authority, DeviceAuthority, Kid, Role, TrustStore};

use crate::flash::{Flash, HasLayout};
use crate::provisioning::{self, ProvisioningBlock};
use crate::revocation::{self, ListBuffer};
use crate::state::BootState;
use crate::token::Purpose;
use crate::verify::{Misfit, Verifier, is_below};

/// By whom, in which state and for what an envelope is judged.
#[derive(Clone, Copy)]
pub(crate) struct Inquiry<'q> {
    pub(crate) verifier: &'q Verifier<'q>,
    pub(crate) state: &'q BootState,
    pub(crate) purpose: Purpose,
}

/// Two values that have to be equal.
pub(crate) type Pair<'p> = (&'p [u8; 32], &'p [u8; 32]);

/// On whose word a loader installs.
#[allow(private_interfaces)] // sealed: how it is asked is this crate's business
pub trait Authenticates: Sized + 'static {
    /// By what an envelope is authenticated.
    type Proof<'a>;

    /// Whether it has anchors, and so revocation lists and successions.
    const HAS_ANCHORS: bool;

    /// Reads a provisioning block with keys.
    ///
    /// # Errors
    /// Those of [`ProvisioningBlock::parse_with_keys`], or of [`ProvisioningBlock::parse_own_key`]
    fn read_block(block: &[u8]) -> Result<(ProvisioningBlock, DeviceKeys), trust::Error>;

    /// Authenticates an envelope for this purpose.
    #[doc(hidden)]
    fn authenticate<'a, F: NorFlash, L: HasLayout<Authority = Self>>(
        inquiry: Inquiry<'_>,
        flash: &mut Flash<F, L>,
        parsed: &EnvelopeOf<'a, L::Profile>,
        buffer: &mut ListBuffer,
    ) -> Result<AuthenticatedOf<'a, L::Profile, Self::Proof<'a>>, Error>;

    /// The key under which it stands.
    fn issuer(proof: &Self::Proof<'_>) -> Kid;

    /// T14: what was compared, to be compared again.
    #[doc(hidden)]
    fn pairs<'p>(proof: &'p Self::Proof<'_>) -> [Pair<'p>; 2];

    /// T14: what speaks against it, once more.
    #[doc(hidden)]
    fn misfit<F: NorFlash, L: HasLayout>(
        inquiry: Inquiry<'_>,
        flash: &mut Flash<F, L>,
        proof: &Self::Proof<'_>,
        sequence: u64,
        buffer: &mut ListBuffer,
    ) -> Misfit;
}

/// The maker's roots: a release is signed by a key that one of them certified.
#[derive(Clone, Copy, Debug)]
pub struct Roots;

#[allow(private_interfaces)]
impl Authenticates for Roots {
    type Proof<'a> = Authority<'a>;

    const HAS_ANCHORS: bool = true;

    fn read_block(block: &[u8]) -> Result<(ProvisioningBlock, DeviceKeys), trust::Error> {
        ProvisioningBlock::parse_with_keys(block)
    }

    #[inline(always)]
    fn authenticate<'a, F: NorFlash, L: HasLayout>(
        inquiry: Inquiry<'_>,
        flash: &mut Flash<F, L>,
        parsed: &EnvelopeOf<'a, L::Profile>,
        buffer: &mut ListBuffer,
    ) -> Result<AuthenticatedOf<'a, L::Profile>, Error> {
        let Inquiry { verifier, state, purpose } = inquiry;
        // A loader has no clock; hosts and servers check the times in credentials.
        let mut store = TrustStore::new(verifier.anchors.as_slice());
        let mut held = None;
        if purpose.is_revocable() {
            // The chain below refuses an issuer that is unknown, with the position.
            if let Some(anchor) = verifier.anchors.signer(parsed.claimed_issuer()?) {
                let domain = anchor.domain();
                if revocation::number(state, verifier.anchors, domain) != 0 {
                    held = Some(revocation::load(flash, state, verifier.anchors, domain, buffer));
                }
            }
        } else {
            // The journal names the image in the slot: it was installed under these anchors.
            store = store.to_boot();
        }
        if let Some(list) = &held {
            let damaged = ErrorKind::Platform(Reason::RevocationMalformed);
            let list = list.as_ref().map_err(|_| Error::new(damaged, 0))?;
            store = store.with_lists(core::slice::from_ref(list));
        }
        parsed.authenticate(&store)
    }

    fn issuer(proof: &Authority<'_>) -> Kid {
        proof.credential().issuer_kid()
    }

    #[inline(always)]
    fn pairs<'p>(proof: &'p Authority<'_>) -> [Pair<'p>; 2] {
        proof.commitments().map(|commitment| (&commitment.computed, commitment.received))
    }

    #[inline(always)]
    fn misfit<F: NorFlash, L: HasLayout>(
        inquiry: Inquiry<'_>,
        flash: &mut Flash<F, L>,
        proof: &Authority<'_>,
        sequence: u64,
        buffer: &mut ListBuffer,
    ) -> Misfit {
        let Inquiry { verifier: &Verifier { identity, anchors }, state, purpose } = inquiry;
        let credential = proof.credential();
        let domain = black_box(credential.domain());
        let is_of_issuer =
            |anchor: &Anchor| anchor.domain() == domain && anchor.kid() == credential.issuer_kid();
        let is_astray = !anchors.as_slice().iter().any(is_of_issuer);
        let (mut is_revoked, mut difference) = (false, 0);
        if purpose.is_revocable() {
            difference = revocation::number(state, anchors, domain);
            if difference != 0
                && let Ok(held) = &revocation::load(flash, state, anchors, domain, buffer)
            {
                difference ^= held.sequence();
                let minimum = held.minimum_sequence(&identity.vendor, &identity.class);
                is_revoked = held.revokes_cti(Role::Release, credential.cti())
                    | held.revokes_kid(Role::Release, &credential.key().kid())
                    | (credential.generation() < held.lowest_generation(Role::Release))
                    | is_below(sequence, minimum);
            }
        }
        Misfit { is_revoked, is_astray, difference }
    }
}

/// The authentication key of the device (COSE_Mac0): a release is for this device, by whoever has that key too. Nothing
/// takes such a key back; what is older than the floor stays out.
#[derive(Clone, Copy, Debug)]
pub struct OwnKey;

#[allow(private_interfaces)]
impl Authenticates for OwnKey {
    type Proof<'a> = DeviceAuthority<'a>;

    const HAS_ANCHORS: bool = false;

    fn read_block(block: &[u8]) -> Result<(ProvisioningBlock, DeviceKeys), trust::Error> {
        ProvisioningBlock::parse_own_key(block)
    }

    #[inline(never)]
    fn authenticate<'a, F: NorFlash, L: HasLayout<Authority = Self>>(
        inquiry: Inquiry<'_>,
        flash: &mut Flash<F, L>,
        parsed: &EnvelopeOf<'a, L::Profile>,
        buffer: &mut ListBuffer,
    ) -> Result<AuthenticatedOf<'a, L::Profile, DeviceAuthority<'a>>, Error> {
        let unreadable = Error::new(ErrorKind::Platform(Reason::ProvisioningMalformed), 0);
        let keys = provisioning::keys(flash, inquiry.state.set, buffer).map_err(|_| unreadable)?;
        let (kid, key) = keys.authentication().ok_or(unreadable)?;
        parsed.authenticate_with(kid, key)
    }

    fn issuer(proof: &DeviceAuthority<'_>) -> Kid {
        *proof.kid()
    }

    fn pairs<'p>(proof: &'p DeviceAuthority<'_>) -> [Pair<'p>; 2] {
        proof.macs().each_ref().map(|mac| (&mac.computed, mac.received))
    }

    fn misfit<F: NorFlash, L: HasLayout>(
        _inquiry: Inquiry<'_>,
        _flash: &mut Flash<F, L>,
        _proof: &DeviceAuthority<'_>,
        _sequence: u64,
        _buffer: &mut ListBuffer,
    ) -> Misfit {
        Misfit::NONE
    }
}
