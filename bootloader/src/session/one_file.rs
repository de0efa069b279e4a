//! A download of one file (docs/can-protocol.md, One file): of its envelope until the head is there, then of its image.

use embedded_storage::nor_flash::NorFlash;
use update_protocol::profile::{Component, MAX_ENVELOPE_HEAD_LEN, Object};
use update_protocol::uds::server::Download;

use super::{Open, Session};
use crate::flash::HasLayout;
use crate::refusal::Refusal;
use crate::reporting::NO_DIGEST;

/// Offset 0, where the image of a file begins.
const IMAGE: Object = Object::Image { offset: 0 };

/// The download of the envelope that a file begins with, and that it is one; or what was asked for.
pub(super) fn envelope_in(download: Download) -> (Download, bool) {
    let Some(component) = Component::of_file(download.address) else { return (download, false) };
    let address = Object::Envelope.of(component).address().unwrap_or(download.address);
    (Download { address, size: download.size.min(MAX_ENVELOPE_HEAD_LEN) }, true)
}

impl<F: NorFlash, L: HasLayout> Session<'_, F, L> {
    /// Takes bytes of a file whose head is not there yet; those behind it are of the image.
    #[inline(never)]
    pub(super) fn write_head(&mut self, open: Open, offset: u32, data: &[u8]) -> Result<(), Refusal> {
        let gathered = self.loader.gather(offset, data, open.size);
        self.note_write(Object::Envelope, gathered.err());
        let Some(head) = gathered? else { return Ok(()) };
        let accepted = self.loader.accept_file(head, self.has_good());
        let len = u32::try_from(head.key_at).unwrap_or(0);
        self.note_finish(Open { size: len, ..open }, NO_DIGEST, accepted.err());
        accepted?;
        let begun = self.write_first(head.content_at, offset, data);
        self.note_write(IMAGE, begun.err());
        begun
    }

    /// The image follows, `content_at` bytes behind the start of the file.
    fn write_first(&mut self, content_at: usize, offset: u32, data: &[u8]) -> Result<(), Refusal> {
        let size = self.open.map_or(0, |open| open.size);
        let behind = u32::try_from(content_at).unwrap_or(u32::MAX);
        let size = size.saturating_sub(behind);
        self.loader.open_image(0, size)?;
        self.open = Some(Open { object: IMAGE, size, is_file: false });
        let first = usize::try_from(behind.saturating_sub(offset)).unwrap_or(usize::MAX);
        match data.get(first..) {
            Some(data @ [_, ..]) => self.loader.write_image(data),
            _ => Ok(()),
        }
    }
}
