//! What a session keeps of the last attempt to install, and the report that it makes of it (docs/can-protocol.md, makeReport).
//! A loader that does not report has nothing of this.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::report::ReportNonce;
use update_protocol::profile::Object;
use update_protocol::uds::Nrc;
use update_protocol::uds::server::Answer;

use super::{MAX_ANSWER_LEN, Open, Session};
use crate::flash::HasLayout;
use crate::refusal::Refusal;
use crate::reporting::{Attempt, CONTAINER_LEN, NO_DIGEST, Reports};

// The answer has the identifier of its routine in front.
const _: () = assert!(4 + CONTAINER_LEN <= MAX_ANSWER_LEN);

impl<F: NorFlash, L: HasLayout> Session<'_, F, L> {
    /// Digest of the manifest whose image comes or waits.
    #[inline(always)]
    pub(super) fn attempted(&self) -> [u8; 32] {
        if L::Reports::REPORTS { self.loader.attempted() } else { NO_DIGEST }
    }

    /// The attempt with this digest was refused.
    #[inline(always)]
    pub(super) fn note(&mut self, digest: [u8; 32], refusal: Refusal) {
        L::Reports::keep(&mut self.refused, Some(Attempt::outside(digest, refusal)));
    }

    /// The boot rules refused something, or nothing.
    #[inline(always)]
    pub(super) fn note_boot(&mut self) {
        if L::Reports::REPORTS {
            let attempt = self.refusal.and_then(|refusal| self.loader.refused_boot(refusal));
            L::Reports::keep(&mut self.refused, attempt);
        }
    }

    /// An object is to come, or not. An envelope and an image begin an attempt, and forget the last one.
    #[inline(always)]
    pub(super) fn note_open(&mut self, object: Option<Object>, refusal: Option<Refusal>) {
        if L::Reports::REPORTS {
            let digest = match object {
                Some(Object::Envelope) => NO_DIGEST,
                Some(Object::Image { .. }) => self.loader.attempted(),
                Some(Object::RevocationList | Object::SuccessionChain | Object::ProvisioningBlock) | None => {
                    return;
                }
            };
            let attempt = refusal.map(|refusal| Attempt::outside(digest, refusal));
            L::Reports::keep(&mut self.refused, attempt);
        }
    }

    /// Bytes of an object were refused, or not.
    #[inline(always)]
    pub(super) fn note_write(&mut self, object: Object, refusal: Option<Refusal>) {
        if L::Reports::REPORTS && refusal.is_some() {
            self.note_open(Some(object), refusal);
        }
    }

    /// A whole object was refused, or not. `attempted`: of the image that came.
    #[inline(always)]
    pub(super) fn note_finish(&mut self, open: Open, attempted: [u8; 32], refusal: Option<Refusal>) {
        if L::Reports::REPORTS
            && let Some(refusal) = refusal
        {
            let attempt = match open.object {
                Object::Envelope => self.loader.refused_envelope(open.size, refusal),
                Object::Image { .. } => self.loader.refused_image(attempted, refusal),
                Object::RevocationList | Object::SuccessionChain | Object::ProvisioningBlock => return,
            };
            L::Reports::keep(&mut self.refused, Some(attempt));
        }
    }

    /// The report, with this nonce.
    #[inline(never)]
    pub(super) fn make_report(&mut self, nonce: &[u8], answer: &mut Answer<'_>) -> Result<(), Nrc> {
        let nonce = ReportNonce::of(nonce).ok_or(Nrc::INCORRECT_LENGTH)?;
        let mut container = [0; CONTAINER_LEN];
        let is_bootable = self.has_bootable();
        let kept = L::Reports::kept(&self.refused);
        match self.loader.report(nonce, is_bootable, kept, &mut container) {
            Ok(Some(report)) => answer.append(report),
            Ok(None) => Err(Nrc::CONDITIONS_NOT_CORRECT),
            // Without a key it is as if there were no such routine.
            Err(_) => Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
    }
}
