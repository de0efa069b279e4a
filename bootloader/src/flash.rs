//! The one door to flash: every read, program and erase of the loader goes through [`Flash`], by [`Area`] and
//! offset. A fault of the medium (ECC, a failed program) is a value here, never a trap.
//!
//! The contract is that of a NOR part with ECC: a word is programmed once between two erases of its page, so only
//! `NorFlash` is asked of a driver, never `MultiwriteNorFlash`.

mod blank;
mod joined;
mod supply;

use embedded_storage::nor_flash::NorFlash;

use crate::layout::{Area, Layout, UNIT};
pub use blank::{BlankAsErased, BlankCheck};
pub use joined::{Joined, JoinedError};
pub use supply::{Supplied, SuppliedError};

/// Why an access failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// A word, for size: a device widens a byte again after each call.
#[repr(u32)]
pub enum FlashError {
    /// The driver's word, page or capacity does not fit the layout.
    Geometry,
    /// The access is not aligned, or leaves its area: a fault of the caller.
    OutOfArea,
    /// The medium could not be read there (ECC fault, or the driver failed).
    Unreadable,
    /// Programming failed, or read back differently.
    NotProgrammed,
    /// Erasing failed.
    NotErased,
}

/// How often a read is tried before its words count as unreadable.
const READ_TRIES: u32 = 2;

/// Where a [`Flash`] has its layout from: a value, or a type whose layout the compiler knows, which makes a loader
/// smaller.
pub trait HasLayout {
    /// What of SUIT its loader takes.
    #[cfg(feature = "loader")]
    type Profile: crate::receive::Receives;

    /// On whose word it installs.
    #[cfg(feature = "loader")]
    type Authority: crate::authority::Authenticates;

    /// Whether it reports.
    #[cfg(feature = "loader")]
    type Reports: crate::reporting::Reports;

    /// The layout.
    fn layout(&self) -> &Layout;

    /// That of its table, if it has one.
    #[cfg(feature = "table")]
    fn table(&self) -> Option<&Layout> {
        None
    }
}

impl HasLayout for Layout {
    #[cfg(feature = "loader")]
    type Profile = suit_manifest::profile::Loader;
    #[cfg(feature = "loader")]
    type Authority = crate::authority::Roots;
    #[cfg(feature = "loader")]
    type Reports = crate::reporting::Silent;

    fn layout(&self) -> &Layout {
        self
    }
}

/// A flash device with its layout.
pub struct Flash<F, L = Layout> {
    device: F,
    layout: L,
    #[cfg(feature = "table")]
    is_at_table: bool,
}

impl<F: NorFlash, L: HasLayout> Flash<F, L> {
    /// Bytes of a word, the unit of programming.
    pub const WORD: usize = F::WRITE_SIZE;

    /// Takes a driver; refuses one whose geometry the layout does not fit.
    ///
    /// A driver may feed the board's watchdog in every call: one call programs at most [`UNIT`] * 128 bytes or
    /// erases one page.
    ///
    /// # Errors
    /// [`FlashError::Geometry`] if word, page or capacity of the driver do not fit the layout.
    pub fn new(device: F, layout: L) -> Result<Self, FlashError> {
        let described = layout.layout();
        let fits = F::WRITE_SIZE.is_power_of_two()
            && F::WRITE_SIZE <= UNIT
            && F::READ_SIZE.is_power_of_two()
            && F::READ_SIZE <= UNIT
            && usize::try_from(described.page()).is_ok_and(|page| page.is_multiple_of(F::ERASE_SIZE))
            && usize::try_from(described.flash_len()).is_ok_and(|len| len <= device.capacity());
        #[cfg(feature = "table")]
        let fits = fits
            && layout.table().is_none_or(|table| {
                table.page() == described.page()
                    && usize::try_from(table.flash_len()).is_ok_and(|len| len <= device.capacity())
            });
        if fits {
            Ok(Self {
                device,
                layout,
                #[cfg(feature = "table")]
                is_at_table: false,
            })
        } else {
            Err(FlashError::Geometry)
        }
    }

    /// The layout: that of the firmware, or of the table that it was [turned](Self::turn) to.
    pub fn layout(&self) -> &Layout {
        #[cfg(feature = "table")]
        if let Some(table) = self.layout.table().filter(|_| self.is_at_table) {
            return table;
        }
        self.layout.layout()
    }

    /// The layout of the table, if there is one, or that of the firmware.
    #[cfg(all(feature = "table", feature = "loader"))]
    pub(crate) fn layout_at(&self, table: bool) -> Option<&Layout> {
        if table { self.layout.table() } else { Some(self.layout.layout()) }
    }

    /// Whether it is turned to the table.
    #[cfg(all(feature = "table", feature = "loader"))]
    pub(crate) const fn is_at_table(&self) -> bool {
        self.is_at_table
    }

    /// Turns to the table, or back to the firmware: every area is of that one from here on. What is stored for the device is
    /// the same for both. `false`: there is no table.
    #[cfg(all(feature = "table", feature = "loader"))]
    pub(crate) fn turn(&mut self, to_table: bool) -> bool {
        self.is_at_table = to_table && self.layout.table().is_some();
        self.is_at_table == to_table
    }

    /// Gives the driver back.
    pub fn release(self) -> F {
        self.device
    }

    /// Fills `out`; offset and length are multiples of the driver's read size, which [`UNIT`] is a multiple of.
    ///
    /// # Errors
    /// [`FlashError::OutOfArea`] for a misaligned or outlying access, [`FlashError::Unreadable`] if the driver fails.
    pub fn read(&mut self, area: Area, offset: u32, out: &mut [u8]) -> Result<(), FlashError> {
        let at = self.locate(area, offset, out.len(), F::READ_SIZE).ok_or(FlashError::OutOfArea)?;
        // A driver that fails once costs nothing: its callers take an unreadable word for one that is lost.
        let is_read = (0..READ_TRIES).any(|_| self.device.read(at, out).is_ok());
        if is_read { Ok(()) } else { Err(FlashError::Unreadable) }
    }

    /// Programs whole words that have not been programmed since their page was erased.
    ///
    /// # Errors
    /// [`FlashError::OutOfArea`] for a misaligned or outlying access, [`FlashError::NotProgrammed`] if the driver
    /// fails.
    pub fn program(&mut self, area: Area, offset: u32, words: &[u8]) -> Result<(), FlashError> {
        let at = self.locate(area, offset, words.len(), F::WRITE_SIZE).ok_or(FlashError::OutOfArea)?;
        self.device.write(at, words).map_err(|_| FlashError::NotProgrammed)
    }

    /// Programs `bytes` and pads the last word as erased.
    ///
    /// # Errors
    /// Those of [`Flash::program`].
    pub fn program_padded(&mut self, area: Area, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let whole = bytes.len().saturating_sub(bytes.len().checked_rem(F::WRITE_SIZE).unwrap_or(0));
        let (words, rest) = bytes.split_at_checked(whole).ok_or(FlashError::OutOfArea)?;
        if !words.is_empty() {
            self.program(area, offset, words)?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let mut last = [self.layout().erased(); UNIT];
        last.get_mut(..rest.len()).ok_or(FlashError::OutOfArea)?.copy_from_slice(rest);
        let last = last.get(..F::WRITE_SIZE).ok_or(FlashError::Geometry)?;
        let at = u32::try_from(whole).ok().and_then(|whole| offset.checked_add(whole));
        self.program(area, at.ok_or(FlashError::OutOfArea)?, last)
    }

    /// Erases the page that begins at `offset`.
    ///
    /// # Errors
    /// [`FlashError::OutOfArea`] if no page of the area begins there, [`FlashError::NotErased`] if the driver fails.
    pub fn erase_page(&mut self, area: Area, offset: u32) -> Result<(), FlashError> {
        self.erase(area, offset, self.layout().page())
    }

    /// Erases a whole area: page by page, or at once if its sectors are smaller than a page.
    ///
    /// # Errors
    /// [`FlashError::NotErased`] if the driver fails; the pages before are erased.
    pub fn erase_area(&mut self, area: Area) -> Result<(), FlashError> {
        let (len, page) = (self.layout().region(area).len, self.layout().page());
        let step = if len.is_multiple_of(page) { page } else { len };
        let mut offset = 0u32;
        while offset < len {
            self.erase(area, offset, step)?;
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    fn erase(&mut self, area: Area, offset: u32, len: u32) -> Result<(), FlashError> {
        let size = usize::try_from(len).map_err(|_| FlashError::Geometry)?;
        let at = self.locate(area, offset, size, size).ok_or(FlashError::OutOfArea)?;
        let end = at.checked_add(len).ok_or(FlashError::OutOfArea)?;
        self.device.erase(at, end).map_err(|_| FlashError::NotErased)
    }

    /// Whether all of it reads as erased.
    #[inline(never)]
    pub fn is_erased(&self, bytes: &[u8]) -> bool {
        let erased = self.layout().erased();
        bytes.iter().all(|&byte| byte == erased)
    }

    /// Where an access begins; `None`: it is not aligned, or leaves its area.
    #[inline(never)]
    fn locate(&self, area: Area, offset: u32, len: usize, align: usize) -> Option<u32> {
        let region = self.layout().region(area);
        let (len, align) = (u32::try_from(len).ok()?, u32::try_from(align).ok()?);
        let inside = offset.checked_add(len).is_some_and(|end| end <= region.len);
        if !inside || len == 0 || !offset.is_multiple_of(align) || !len.is_multiple_of(align) {
            return None;
        }
        region.start.checked_add(offset)
    }
}
