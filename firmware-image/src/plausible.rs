//! Whether bytes can be firmware at all, without knowledge of the board.

use crate::{Region, VECTORS_LEN, Vectors};

/// Where a Cortex-M can have RAM: all of SRAM, code memory above the first 16 MiB (CCM), external RAM (ARMv7-M
/// Architecture Reference Manual, section B3.1). A stack pointer may be the end of it.
const RAM: [Region; 3] = [
    Region { start: 0x2000_0000, len: 0x2000_0000 },
    Region { start: 0x0100_0000, len: 0x1F00_0000 },
    Region { start: 0x6000_0000, len: 0x4000_0000 },
];
/// Vectors of the processor itself: stack pointer, reset, exceptions 2 to 15.
const SYSTEM_VECTORS: usize = 16;
/// First vector of an exception; reset is one.
const RESET: usize = 1;

/// Whether the image begins with a vector table that leads into the image.
///
/// `address`: where its first byte lies. Without it, the exceptions of the processor must lie as close to each other
/// as the image is long.
#[must_use]
pub fn is_plausible(image: &[u8], address: Option<u32>) -> bool {
    let Some(len) = u32::try_from(image.len()).ok() else { return false };
    let Some(first) = image.first_chunk::<VECTORS_LEN>() else { return false };
    let checked = |image| RAM.iter().any(|ram| Vectors::check(image, *ram, first).is_ok());
    match address {
        Some(start) => checked(Region { start, len }),
        None => {
            let (vectors, _) = image.as_chunks::<4>();
            let exceptions = || {
                let system = vectors.iter().take(SYSTEM_VECTORS).skip(RESET);
                system.map(|vector| u32::from_le_bytes(*vector)).filter(|vector| *vector != 0)
            };
            let (lowest, highest) = (exceptions().min(), exceptions().max());
            // A base exists from which all of them lie in the image, after the first two vectors.
            let lowest = lowest.unwrap_or_default();
            let spread = highest.unwrap_or_default().saturating_sub(lowest);
            let start = (lowest & !1).saturating_sub(8);
            exceptions().all(|vector| vector & 1 == 1)
                && spread.checked_add(8).is_some_and(|needed| needed < len)
                && checked(Region { start, len })
        }
    }
}
