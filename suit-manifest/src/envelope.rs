//! SUIT_Envelope and SUIT_Authentication, draft-ietf-suit-manifest-37 sections 8.2 and 8.3.
//!
//! [`Envelope::parse`] reads the outer structure and nothing of the manifest. [`Envelope::authenticate`] is the only
//! way to an [`Authenticated`] manifest.

use trust::cbor::{Major, Span, bit};
use trust::{
    Authority, DEFAULT_SEQUENCE_CEILING, DeviceAuthority, Kid, Role, Scope, TrustStore, claimed_issuer,
};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::limits::MAX_ENVELOPE_LEN;
use crate::manifest::{INSTALL, ManifestOf, PAYLOAD_FETCH, TEXT};
use crate::profile::{Loader, Profile};
use crate::source::Source;
use crate::span::Wrapped;
use crate::structure::Bounds;
use crate::vocabulary::EnvelopeElement;

/// CBOR tag of SUIT_Envelope.
pub(crate) const ENVELOPE_TAG: u64 = 107;
/// CBOR tag of a SUIT_Manifest without an envelope.
pub(crate) const MANIFEST_TAG: u64 = 1070;
/// Head of a COSE_Mac0: its tag.
const MAC0_HEAD: u8 = 0xC0 | 17;
pub(crate) const AUTHENTICATION_WRAPPER: i32 = EnvelopeElement::AUTHENTICATION_WRAPPER;
pub(crate) const MANIFEST: i32 = EnvelopeElement::MANIFEST;

/// One of each of the members that can be severed (section 8.6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Severable<T> {
    pub(crate) payload_fetch: T,
    pub(crate) install: T,
    pub(crate) text: T,
}

impl<T> Severable<T> {
    /// The one with this key.
    pub(crate) fn at(&self, key: i32) -> Option<&T> {
        Some(match key {
            PAYLOAD_FETCH => &self.payload_fetch,
            INSTALL => &self.install,
            TEXT => &self.text,
            _ => return None,
        })
    }

    /// The one with this key.
    pub(crate) fn member(&mut self, key: i32) -> Option<&mut T> {
        Some(match key {
            PAYLOAD_FETCH => &mut self.payload_fetch,
            INSTALL => &mut self.install,
            TEXT => &mut self.text,
            _ => return None,
        })
    }
}

/// The outer structure of a SUIT envelope, as a loader reads it.
pub type Envelope<'a> = EnvelopeOf<'a, Loader>;

/// The outer structure of a SUIT envelope.
///
/// A member with a text key, an integrated payload (section 5.5), is refused with an error of its own where the profile
/// does not offer it: images travel beside the envelope.
#[derive(Clone, Debug)]
pub struct EnvelopeOf<'a, P: Profile> {
    digest: Digest<'a>,
    /// Content of the digest bstr: the detached payload of signature or MAC.
    signed: Span<'a>,
    /// The authentication block.
    block: Option<Span<'a>>,
    /// Content of the authentication wrapper.
    wrapper: Span<'a>,
    manifest: Wrapped<'a>,
    severed: Severable<Option<Wrapped<'a>>>,
    more: P::Members<'a>,
}

impl<'a, P: Profile> EnvelopeOf<'a, P> {
    /// Reads the members of the envelope and the authentication wrapper.
    ///
    /// # Errors
    /// [`ErrorKind::EnvelopeTooLarge`]; [`ErrorKind::ManifestBare`]; for a member,
    /// [`ErrorKind::IntegratedPayloadUnsupported`], [`ErrorKind::EnvelopeMemberUnsupported`] and
    /// [`ErrorKind::EnvelopeMemberUnknown`]; [`ErrorKind::SignatureMultiple`]; [`ErrorKind::DigestLength`]
    /// and [`ErrorKind::DigestAlgorithmUnsupported`] of the manifest's digest; [`ErrorKind::Malformed`].
    #[inline(never)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut envelope = Self {
            digest: Digest::VACANT,
            signed: Span::EMPTY,
            block: None,
            wrapper: Span::EMPTY,
            manifest: Wrapped::EMPTY,
            severed: Severable { payload_fetch: None, install: None, text: None },
            more: P::Members::default(),
        };
        envelope.read_members(bytes)?;
        Ok(envelope)
    }

    /// In place: an envelope is large.
    fn read_members(&mut self, bytes: &'a [u8]) -> Result<(), Error> {
        if bytes.len() > MAX_ENVELOPE_LEN {
            return Err(Error::new(ErrorKind::EnvelopeTooLarge, 0));
        }
        let source = &mut Source::of(Span { bytes, base: 0 });
        match source.tag() {
            ENVELOPE_TAG => {}
            MANIFEST_TAG => source.refuse_as(ErrorKind::ManifestBare, 0),
            _ => source.refuse(trust::ErrorKind::UnexpectedType, 0),
        }
        let mut entries = source.map();
        let mut seen = 0;
        loop {
            let position = source.position();
            if !entries.next(source) {
                break;
            }
            // The cursor sees to canonical order, and so to key 2 before key 3 (section 8.3).
            let refused = match source.peek() {
                Major::Text if P::integrated(&mut self.more, source) => continue,
                Major::Text => ErrorKind::IntegratedPayloadUnsupported,
                _ => match source.label() {
                    AUTHENTICATION_WRAPPER => {
                        seen |= bit(AUTHENTICATION_WRAPPER);
                        self.wrapper = source.span();
                        continue;
                    }
                    MANIFEST => {
                        seen |= bit(MANIFEST);
                        self.manifest = Wrapped::read(source);
                        continue;
                    }
                    key if P::member(&mut self.more, key, source) => continue,
                    // suit-update-management, suit-multiple-trust-domains.
                    EnvelopeElement::COSWID
                    | EnvelopeElement::DEPENDENCY_RESOLUTION
                    | EnvelopeElement::CANDIDATE_VERIFICATION => ErrorKind::EnvelopeMemberUnsupported,
                    key => match self.severed.member(key) {
                        Some(member) => {
                            *member = Some(Wrapped::read(source));
                            continue;
                        }
                        // T1: nothing authenticates it. That holds for key 1, reserved, as well.
                        None => ErrorKind::EnvelopeMemberUnknown,
                    },
                },
            };
            source.refuse_as(refused, position);
        }
        source.expect_end();
        if seen != bit(AUTHENTICATION_WRAPPER) | bit(MANIFEST) {
            let end = source.position();
            source.refuse(trust::ErrorKind::MissingKey, end);
        }
        source.check()?;
        self.read_authentication()
    }

    /// The digest of the manifest, what is authenticated, and the authentication block if there is one.
    fn read_authentication(&mut self) -> Result<(), Error> {
        let source = &mut Source::of(self.wrapper);
        let blocks = source.array().remaining();
        (self.signed, self.digest) = source.embedded(|source| (source.left(), Digest::read(source)));
        match blocks {
            1 => {}
            2 => self.block = Some(source.span()),
            _ => source.refuse_as(ErrorKind::SignatureMultiple, source.position()),
        }
        source.finish()
    }

    /// Verifies, in this order: one signature is there; the chain anchor, credential, signature, with role and
    /// revocation; the digest of the manifest; that the credential's scope has no limit that a manifest could not
    /// honour; then, and not before, the structure of the whole manifest, the digests of severed members, and that
    /// it speaks of nothing outside of the credential's scope and of no
    /// class for which the list of the credential's domain holds a higher minimum sequence number.
    ///
    /// It does not check the sequence number against a device's floor: [`Authenticated::check_sequence`].
    ///
    /// # Errors
    /// [`ErrorKind::SignatureMissing`]; [`ErrorKind::Trust`] with what [`trust::verify_chained_sign1`]
    /// refuses; [`ErrorKind::ManifestDigestMismatch`]; [`ErrorKind::ScopeDevice`] and
    /// [`ErrorKind::ScopeActions`]; [`ErrorKind::SequenceAboveCeiling`]; [`ErrorKind::MemberDigestMismatch`]
    /// and [`ErrorKind::EnvelopeMemberUnauthenticated`] of severed members; [`ErrorKind::ScopeVendor`],
    /// [`ErrorKind::ScopeClass`] and [`ErrorKind::SequenceBelowMinimum`]; what the structure of the manifest
    /// refuses.
    #[inline(never)]
    pub fn authenticate(&self, store: &TrustStore<'_>) -> Result<AuthenticatedOf<'a, P>, Error> {
        let sign1 = self.required_block()?;
        // The detached payload is the content of the digest bstr, not the bstr itself.
        let authority = trust::verify_chained_sign1(sign1.bytes, self.signed.bytes, store, Role::Release);
        self.read(authority, sign1.base, store)
    }

    /// The same, with the key that this device shares with its maker in the place of a chain: verifies a COSE_Mac0, twice,
    /// the digest of the manifest, and then the structure of the whole. Such a key speaks for nothing but its device, so
    /// that there is no scope to compare with.
    ///
    /// # Errors
    /// [`ErrorKind::SignatureMissing`]; [`ErrorKind::Trust`] with what [`trust::verify_mac0`] refuses; those of
    /// [`EnvelopeOf::authenticate`] behind it; [`ErrorKind::SequenceAboveCeiling`] above [`DEFAULT_SEQUENCE_CEILING`].
    #[inline(never)]
    pub fn authenticate_with(
        &self,
        kid: &Kid,
        key: &[u8; 32],
    ) -> Result<AuthenticatedOf<'a, P, DeviceAuthority<'a>>, Error> {
        let mac0 = self.required_block()?;
        let authority = DeviceAuthority::verify(mac0.bytes, self.signed.bytes, kid, key);
        self.read_own(authority, mac0.base)
    }

    // A call, for the stack: the verification of the signature is the deepest call of a device, and the manifest is not
    // there yet.
    #[inline(never)]
    fn read(
        &self,
        authority: Result<Authority<'a>, trust::Error>,
        base: u32,
        store: &TrustStore<'_>,
    ) -> Result<AuthenticatedOf<'a, P>, Error> {
        let authority = authority.map_err(|error| Error::trust(error, base))?;
        self.check_manifest_digest()?;
        may_sign_manifests(authority.scope()).map_err(|kind| Error::new(kind, base))?;
        let mut authenticated = self.unread(authority);
        let credential = authenticated.authority.credential();
        let list = store.list_of(credential.domain());
        #[cfg(feature = "fault-injection")]
        let list = list.filter(|_| !trust::fault::skips_lists());
        authenticated.manifest.read_checked(self, Some(Bounds { credential, list }))?;
        Ok(authenticated)
    }

    // A call, as `read` is.
    #[inline(never)]
    fn read_own(
        &self,
        authority: Result<DeviceAuthority<'a>, trust::Error>,
        base: u32,
    ) -> Result<AuthenticatedOf<'a, P, DeviceAuthority<'a>>, Error> {
        let authority = authority.map_err(|error| Error::trust(error, base))?;
        self.check_manifest_digest()?;
        let mut authenticated = self.unread(authority);
        let manifest = &mut authenticated.manifest;
        manifest.read_checked(self, None)?;
        // No credential has a ceiling: a number that nothing exceeds would end the device.
        if manifest.sequence_number() > DEFAULT_SEQUENCE_CEILING {
            return Err(Error::new(ErrorKind::SequenceAboveCeiling, manifest.sequence_number_position()));
        }
        Ok(authenticated)
    }

    /// Section 6.2: only now is anything of the manifest read.
    #[inline(always)]
    fn unread<A>(&self, authority: A) -> AuthenticatedOf<'a, P, A> {
        let (manifest, wrapped_manifest) = (ManifestOf::vacant(), self.manifest.item);
        AuthenticatedOf { manifest, digest: self.digest, wrapped_manifest, authority }
    }

    /// Section 8.3: the processor requires an authentication block.
    fn required_block(&self) -> Result<Span<'a>, Error> {
        self.block.ok_or(Error::new(ErrorKind::SignatureMissing, self.wrapper.base))
    }

    /// kid of the anchor that the signer's credential names as its issuer, **nothing of it verified**: to find the
    /// revocation list that [`Envelope::authenticate`] needs.
    ///
    /// # Errors
    /// [`ErrorKind::SignatureMissing`]; [`ErrorKind::Trust`] when the signature or its credential does not
    /// read.
    pub fn claimed_issuer(&self) -> Result<Kid, Error> {
        let sign1 = self.required_block()?;
        claimed_issuer(sign1.bytes).map_err(|error| Error::trust(error, sign1.base))
    }

    /// kid of the key that signed, **nothing of it verified**: of an envelope that once verified.
    ///
    /// # Errors
    /// [`ErrorKind::SignatureMissing`]; [`ErrorKind::Trust`] when the signature does not read.
    #[cfg(feature = "host")]
    pub fn claimed_signer(&self) -> Result<Kid, Error> {
        let sign1 = self.required_block()?;
        trust::claimed_signer(sign1.bytes).map_err(|error| Error::trust(error, sign1.base))
    }

    /// True when a signature or a MAC is there. Whether it holds, [`Envelope::authenticate`] or
    /// [`Envelope::authenticate_with`] says.
    #[must_use]
    pub fn has_block(&self) -> bool {
        self.block.is_some()
    }

    /// True when it has a COSE_Mac0, by its tag: only the device it is for can authenticate it, and whoever has its key.
    #[must_use]
    pub fn has_mac(&self) -> bool {
        self.block.is_some_and(|block| block.bytes.first() == Some(&MAC0_HEAD))
    }

    /// The digest over the bstr-wrapped manifest, its head included (section 8.3).
    pub(crate) fn check_manifest_digest(&self) -> Result<(), Error> {
        let is_equal = trust::sha256(self.manifest.item.bytes) == *self.digest.sha256();
        #[cfg(feature = "fault-injection")]
        let is_equal = is_equal || crate::fault::skips_manifest_digest();
        if is_equal {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::ManifestDigestMismatch, self.manifest.item.base))
        }
    }

    /// The authentication block, for tools that show or replace it.
    #[cfg(any(test, feature = "author"))]
    pub(crate) fn block(&self) -> Option<Span<'a>> {
        self.block
    }

    /// Content of the digest bstr: what a signature or a MAC is made over.
    #[cfg(any(test, feature = "author"))]
    pub(crate) fn signed(&self) -> Span<'a> {
        self.signed
    }

    #[cfg(any(test, feature = "author"))]
    pub(crate) fn wrapper(&self) -> Span<'a> {
        self.wrapper
    }

    #[cfg(any(test, feature = "author"))]
    pub(crate) fn digest(&self) -> Digest<'a> {
        self.digest
    }

    pub(crate) fn manifest(&self) -> Wrapped<'a> {
        self.manifest
    }

    /// Members that a loader does not offer.
    #[must_use]
    pub fn more(&self) -> &P::Members<'a> {
        &self.more
    }

    pub(crate) fn severed(&self) -> &Severable<Option<Wrapped<'a>>> {
        &self.severed
    }
}

/// A scope of single devices or of certain actions is narrower than what a manifest can be held to: who has such a
/// credential signs none (docs/records.md).
pub(crate) fn may_sign_manifests(scope: &Scope<'_>) -> Result<(), ErrorKind> {
    if scope.is_limited_to_serials() {
        return Err(ErrorKind::ScopeDevice);
    }
    if scope.actions().is_some() {
        return Err(ErrorKind::ScopeActions);
    }
    Ok(())
}

/// A manifest whose signature or MAC and whose digest hold, that is well-formed as a whole and within the authority `A` of
/// whoever made them: a credential, or the key of the device ([`DeviceAuthority`]). What comes after it is the same for both.
#[derive(Clone, Debug)]
pub struct AuthenticatedOf<'a, P: Profile, A = Authority<'a>> {
    manifest: ManifestOf<'a, P>,
    digest: Digest<'a>,
    /// The bstr-wrapped manifest, its head included.
    wrapped_manifest: Span<'a>,
    authority: A,
}

/// [`AuthenticatedOf`], as a loader reads it.
pub type Authenticated<'a> = AuthenticatedOf<'a, Loader>;

impl<'a, P: Profile, A> AuthenticatedOf<'a, P, A> {
    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &ManifestOf<'a, P> {
        &self.manifest
    }

    /// SHA-256 over the bstr-wrapped manifest: the identity of the release.
    #[must_use]
    pub fn digest(&self) -> &'a [u8; 32] {
        self.digest.sha256()
    }

    /// SHA-256 over the bstr-wrapped manifest, computed now. It equals [`Authenticated::digest`] unless a fault let
    /// another manifest through: for a caller that compares once more.
    #[must_use]
    pub fn computed_digest(&self) -> [u8; 32] {
        trust::sha256(self.wrapped_manifest.bytes)
    }

    /// The right by which it was signed.
    #[must_use]
    pub fn authority(&self) -> &A {
        &self.authority
    }
}
