//! What a loader does with the bytes of an image before they are written: nothing, or it decrypts them. It goes with the
//! profile of SUIT that the loader takes (docs/decisions/0096), and a loader that does not decrypt has nothing of it.

mod decryption;

use core::fmt::Debug;

pub use self::decryption::DECRYPTED_LEN;
use embedded_storage::nor_flash::NorFlash;
use firmware_image::VECTORS_LEN;
use suit_manifest::Image;
pub use suit_manifest::profile::{Decrypting, Loader as Plain};
use suit_manifest::profile::{Installs, Loader};

use crate::flash::{Flash, HasLayout};
use crate::layout::Slot;
use crate::refusal::Refusal;
use crate::revocation::ListBuffer;

/// What a manifest fetches, and what becomes of it.
pub type Found<'a, P> = (Image<'a>, <P as Installs>::Decryption<'a>);

/// A profile of SUIT that a loader takes. [`Loader`] has what stands here.
pub trait Receives: Installs {
    /// The state of an image that comes.
    type Incoming: Debug + Default;

    /// Judges how an image comes, where [`Installs::DECRYPTS`]. `set` is the set of stored objects that counts; `buffer` is
    /// free.
    ///
    /// # Errors
    /// Why this device cannot decrypt it.
    fn accept<F: NorFlash, L: HasLayout>(
        _flash: &mut Flash<F, L>,
        _set: u16,
        _buffer: &mut ListBuffer,
        _found: &Found<'_, Self>,
        _incoming: &mut Self::Incoming,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// Bytes that come behind the image.
    fn tag_len(_incoming: &Self::Incoming) -> u32 {
        0
    }

    /// Bytes that have come behind the image.
    fn tag_received(_incoming: &Self::Incoming) -> u32 {
        0
    }

    /// The image comes from `offset` on; what is before it lies in the slot.
    ///
    /// # Errors
    /// The slot does not read.
    fn begin<F: NorFlash, L: HasLayout>(
        _incoming: &mut Self::Incoming,
        _flash: &mut Flash<F, L>,
        _slot: Slot,
        _offset: u32,
    ) -> Result<(), Refusal> {
        Ok(())
    }

    /// What the first bytes of the image will be.
    fn first(_incoming: &Self::Incoming, received: &[u8; VECTORS_LEN]) -> [u8; VECTORS_LEN] {
        *received
    }

    /// Takes the next bytes, of which the first `left` are of the image; `write` gets those of the image.
    ///
    /// # Errors
    /// Those of `write`.
    fn take(
        _incoming: &mut Self::Incoming,
        data: &[u8],
        _left: u32,
        mut write: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        write(data)
    }

    /// Everything has come.
    ///
    /// # Errors
    /// It was not what the manifest says, or its tag does not hold.
    fn verify(_incoming: &Self::Incoming) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Receives for Loader {
    type Incoming = ();
}
