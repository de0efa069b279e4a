//! The peripherals that the loader uses (RM0090, 2.3, table 1).

use cortex_m_board::mmio::Register;

/// A peripheral: 1 KiB of registers from its address on.
#[derive(Clone, Copy)]
pub(crate) struct Peripheral(usize);

pub(crate) const CAN1: Peripheral = Peripheral(0x4000_6400);
pub(crate) const PWR: Peripheral = Peripheral(0x4000_7000);
pub(crate) const GPIOD: Peripheral = Peripheral(0x4002_0C00);
pub(crate) const RCC: Peripheral = Peripheral(0x4002_3800);
pub(crate) const FLASH: Peripheral = Peripheral(0x4002_3C00);

impl Peripheral {
    /// Its register at an offset.
    pub(crate) const fn register(self, offset: usize) -> Register {
        assert!(offset < 0x400 && offset.is_multiple_of(4), "no register of a peripheral");
        // SAFETY: the constants above are the only peripherals, and none of their registers is memory of a program: the
        // loader uses no DMA.
        unsafe { Register::at(self.0 + offset) }
    }
}
