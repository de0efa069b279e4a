//! The configuration table of a device that answers as it is told to.

use update_protocol::profile::{Flags, ImageState, Mode, Object, StateRecord};
use update_protocol::uds::Nrc;

use crate::fake::After;

/// How the table of a device is, and how it goes wrong.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) image: ImageState,
    pub(crate) sequence: u64,
    /// Manifest digest of the active table.
    pub(crate) digest: [u8; 32],
    pub(crate) floor: u64,
    pub(crate) capacity: u32,
    /// What the device says of an install.
    pub(crate) manifest_digest: [u8; 32],
    pub(crate) size: u32,
    pub(crate) resume_offset: u32,
    pub(crate) is_resumable: bool,
    /// What a new table is called.
    pub(crate) next_sequence: u64,
    /// Refuses this object with an NRC and a reason code.
    pub(crate) refuses: Option<(Object, Nrc, u16)>,
    /// What comes of the reset after an install.
    pub(crate) after: After,
    pub(crate) reason: u16,
    pub(crate) reverted: bool,
    /// Instead of the state record.
    pub(crate) raw: Option<Vec<u8>>,
    /// The table before the active one.
    pub(crate) before: (u64, [u8; 32]),
}

impl Table {
    /// With this table in use, and ready for one of this manifest and size.
    pub(crate) fn good(sequence: u64, manifest_digest: [u8; 32], size: u32) -> Self {
        Self {
            image: ImageState::Confirmed,
            sequence,
            digest: [0x7a; 32],
            floor: sequence,
            capacity: 4096,
            manifest_digest,
            size,
            resume_offset: 0,
            is_resumable: false,
            next_sequence: sequence + 1,
            refuses: None,
            after: After::Confirms,
            reason: 0,
            reverted: false,
            raw: None,
            before: (sequence, [0x7a; 32]),
        }
    }

    pub(crate) fn state(&self, mode: Mode) -> Vec<u8> {
        let installs = self.is_resumable || self.image == ImageState::Pending;
        let record = StateRecord {
            mode,
            image: self.image,
            flags: Flags { reverted: self.reverted, resumable: self.is_resumable, ..Flags::default() },
            sequence_floor: self.floor,
            active_sequence: self.sequence,
            resume_offset: self.resume_offset,
            image_size: if installs { self.size } else { 0 },
            manifest_digest: if installs { self.manifest_digest } else { [0; 32] },
            reason: self.reason,
            max_request_len: 1024,
            slot_capacity: self.capacity,
            active_digest: self.digest,
            ..StateRecord::factory(1024, self.capacity)
        };
        self.raw.clone().unwrap_or_else(|| record.encode().to_vec())
    }

    pub(crate) fn finish(&mut self, object: Object) -> Result<(), Nrc> {
        let same = |refused: Object| std::mem::discriminant(&refused) == std::mem::discriminant(&object);
        if let Some((_, nrc, reason)) = self.refuses.filter(|(refused, _, _)| same(*refused)) {
            self.reason = reason;
            return Err(nrc);
        }
        match object {
            Object::Envelope => self.is_resumable = true,
            Object::Image { .. } => (self.is_resumable, self.image) = (false, ImageState::Pending),
            _ => return Err(Nrc::REQUEST_OUT_OF_RANGE),
        }
        Ok(())
    }

    /// Drops what was begun.
    pub(crate) fn abandon(&mut self) {
        (self.is_resumable, self.resume_offset) = (false, 0);
        if self.image == ImageState::Pending {
            self.image = ImageState::Confirmed;
        }
    }

    pub(crate) fn restart(&mut self) {
        match (self.image, self.after) {
            (ImageState::Pending, After::Confirms) => self.take(ImageState::Confirmed),
            (ImageState::Pending, After::StaysOnTrial) => self.take(ImageState::Trial),
            (ImageState::Pending, After::Waits) => {}
            (ImageState::Pending | ImageState::Trial, _) => {
                (self.sequence, self.digest) = self.before;
                self.image = if self.sequence == 0 { ImageState::None } else { ImageState::Confirmed };
                (self.reverted, self.reason) = (true, 0x030f);
            }
            _ => {}
        }
    }

    fn take(&mut self, image: ImageState) {
        self.before = (self.sequence, self.digest);
        (self.image, self.sequence, self.digest) = (image, self.next_sequence, self.manifest_digest);
    }
}
