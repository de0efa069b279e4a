//! What a loader says of its last attempt (docs/can-protocol.md, makeReport).

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::report::{MAX_REPORT_LEN, Place, Report, ReportNonce};
use suit_manifest::{EnvelopeOf, Reason, Walk};
use trust::cbor::Writer;
use trust::write_attached_mac0;

use super::{Loader, known, verifier};
use crate::authority::{Authenticates as _, Inquiry};
use crate::flash::HasLayout;
use crate::provisioning;
use crate::refusal::Refusal;
use crate::reporting::{Attempt, CONTAINER_LEN, NO_DIGEST, outcome};
use crate::state::Status;
use crate::token::Purpose;
use crate::verify::{SlotPlatform, read_head};

impl<F: NorFlash, L: HasLayout> Loader<'_, F, L> {
    /// The report, in its container; `None` if there is nothing to report. `is_bootable`: the active image verified.
    ///
    /// # Errors
    /// The device has no identity, or no authentication key.
    #[inline(never)]
    pub(crate) fn report<'c>(
        &mut self,
        nonce: ReportNonce<'_>,
        is_bootable: bool,
        kept: Option<&Attempt>,
        container: &'c mut [u8; CONTAINER_LEN],
    ) -> Result<Option<&'c [u8]>, Refusal> {
        let state = self.journal.state();
        let keys = provisioning::keys(&mut self.flash, state.set, self.buffers.list);
        let identity = known(&self.identity)?;
        let unreadable = Refusal::of(Reason::ProvisioningMalformed);
        let keys = keys?;
        let (kid, key) = keys.authentication().ok_or(unreadable)?;
        let accepted = self.install.as_ref().and_then(|install| install.in_buffer());
        let Some((digest, outcome)) = outcome(state, accepted, is_bootable, kept, identity) else {
            return Ok(None);
        };
        let mut buffer = [0; MAX_REPORT_LEN];
        let report = Report { manifest_digest: &digest, nonce, outcome }.encode(&mut buffer)?;
        let mut writer = Writer::new(container);
        write_attached_mac0(&mut writer, report, kid, key);
        Ok(Some(writer.finish()?))
    }

    /// Digest of the manifest whose image comes or waits.
    pub(crate) fn attempted(&self) -> [u8; 32] {
        let state = self.journal.state();
        match (&self.install, state.status, &state.spare) {
            (Some(install), ..) => *install.digest(),
            (None, Status::Installing { .. } | Status::Pending, Some(image)) => image.manifest_digest,
            _ => NO_DIGEST,
        }
    }

    /// The boot rules refused something: the attempt that this was, unless it says no more than that nothing runs yet while an
    /// image comes.
    pub(crate) fn refused_boot(&self, refusal: Refusal) -> Option<Attempt> {
        let state = self.journal.state();
        let is_empty = state.active.is_none()
            && (refusal.reason == Reason::NothingBootable || refusal.reason.code() == state.revert_reason);
        if is_empty && matches!(state.status, Status::Installing { .. } | Status::Pending) {
            return None;
        }
        let image = match state.status {
            Status::Swapping(_) | Status::Pending => &state.spare,
            Status::Idle | Status::Installing { .. } | Status::Trial { .. } | Status::Reverting(_) => {
                &state.active
            }
        };
        let digest = image.as_ref().map_or(NO_DIGEST, |image| image.manifest_digest);
        Some(Attempt::outside(digest, refusal))
    }

    /// The envelope of `len` bytes in the buffer was refused: looks once more, for where.
    #[inline(never)]
    pub(crate) fn refused_envelope(&mut self, len: u32, refusal: Refusal) -> Attempt {
        let outside = Attempt::outside(NO_DIGEST, refusal);
        let len = usize::try_from(len).unwrap_or(0);
        let Ok(verifier) = verifier(&self.identity, &self.anchors.set) else { return outside };
        let parsed = EnvelopeOf::parse(self.buffers.envelope.get(..len).unwrap_or_default());
        let Ok(parsed) = &parsed else { return outside };
        let state = self.journal.state();
        let inquiry = Inquiry { verifier: &verifier, state, purpose: Purpose::Install };
        // T1: nothing of a manifest is said that nobody authenticated.
        let authenticated = L::Authority::authenticate(inquiry, &mut self.flash, parsed, self.buffers.list);
        let Ok(authenticated) = &authenticated else { return outside };
        let attempt = Attempt { digest: *authenticated.digest(), ..outside };
        let manifest = authenticated.manifest();
        let Some((section, offset)) = manifest.place_of(refusal.position) else { return attempt };
        let slot = state.spare_slot(self.flash.layout());
        let platform = &mut SlotPlatform::new(&mut self.flash, verifier.identity, slot, None);
        let component = Walk::refused_for(manifest, platform.goal(), platform);
        Attempt { place: Place { section, offset, component }, ..attempt }
    }

    /// The whole image of the manifest with this digest was refused. What it was compared with lies in its slot.
    pub(crate) fn refused_image(&mut self, digest: [u8; 32], refusal: Refusal) -> Attempt {
        if refusal.position == 0 {
            return Attempt::outside(digest, refusal);
        }
        let slot = self.journal.state().spare_slot(self.flash.layout());
        let len = read_head(&mut self.flash, slot, self.buffers.envelope).map_or(0, <[u8]>::len);
        let len = u32::try_from(len).unwrap_or(0);
        Attempt { digest, ..self.refused_envelope(len, refusal) }
    }
}
