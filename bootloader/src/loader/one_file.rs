//! One file: an envelope in which the image is integrated, from one download (docs/decisions/0104). Its head gathers where
//! an envelope of its own does. Once it is there it is judged as one, without the payload, and the rest is the image.

use embedded_storage::nor_flash::NorFlash;
use suit_manifest::{Integrated, Reason};

use super::{Loader, verifier};
use crate::flash::HasLayout;
use crate::install::Install;
use crate::layout::{ENVELOPE_LEN_MAX, offset_of};
use crate::refusal::Refusal;

impl<F: NorFlash, L: HasLayout> Loader<'_, F, L> {
    /// Takes bytes of a file of `size` bytes before its image. `Some`: its head is there, and ends in them.
    #[inline(never)]
    pub(crate) fn gather(
        &mut self,
        offset: u32,
        data: &[u8],
        size: u32,
    ) -> Result<Option<Integrated>, Refusal> {
        let too_large = Refusal::of(Reason::EnvelopeTooLarge);
        let start = usize::try_from(offset).map_err(|_| too_large)?;
        // Bytes of the image may follow in them.
        let data = data.get(..ENVELOPE_LEN_MAX.saturating_sub(start)).unwrap_or(data);
        if !self.receive(offset, data) {
            return Err(too_large);
        }
        let gathered = start.saturating_add(data.len());
        let found = Integrated::find(self.buffers.envelope.get(..gathered).unwrap_or_default())?;
        let Some(found) = found else {
            return if gathered < ENVELOPE_LEN_MAX { Ok(None) } else { Err(too_large) };
        };
        // It is the last member, and nothing is behind the envelope.
        let behind = u64::from(size.saturating_sub(offset_of(found.content_at)));
        if found.len != behind {
            let kind = if found.len < behind {
                trust::ErrorKind::TrailingBytes
            } else {
                trust::ErrorKind::Truncated
            };
            return Err(suit_manifest::Error::from(trust::Error::new(kind, size)).into());
        }
        Ok(Some(found))
    }

    /// Judges the head of a file, which is in the buffer, as the envelope without its payload; its install begins with the
    /// first byte of that. `is_good`: the active image verifies.
    pub(crate) fn accept_file(&mut self, head: Integrated, is_good: bool) -> Result<(), Refusal> {
        self.check_ready()?;
        self.governed()?;
        self.install = None;
        Integrated::take_out(self.buffers.envelope);
        let verifier = verifier(&self.identity, &self.anchors.set)?;
        let buffer = &*self.buffers.envelope;
        let envelope = buffer.get(..head.key_at).ok_or(Refusal::of(Reason::EnvelopeTooLarge))?;
        let beside = Some((head.uri(buffer), head.len, offset_of(head.key_at)));
        let (list, install) = (&mut *self.buffers.list, &mut self.install);
        Install::accept(&mut self.flash, &self.journal, &verifier, (envelope, beside), list, is_good, install)
    }
}
